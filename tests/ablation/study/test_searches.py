"""What searches remember, as it is told to people."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from searched_studies import Made, journal, searched_study

from ablate.runners.search.freeze_thaw.journal import Ended, Failed, Fitted, Saw, Went, append_event
from ablate.runners.search.proposals import Proposal, append_proposal
from ablate.study.searches import Step, searches
from ablate.study.study import Study


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return searched_study(tmp_path / "study", Made(2, [0.1, 0.2], state="stopped"))


def test_what_a_search_wrote_itself_is_read(study: Study) -> None:
    """Each kind of event, as the search's own package writes it."""
    file, key = study.path / "searches" / "s-quick-freeze_thaw-3.jsonl", "a" * 12
    file.parent.mkdir()
    for event in (
        Went(cell="b" * 12, until=1, choice={"model.width": 2}), Fitted(parameters=(1.0,)),
        Saw(key=key, epoch=1, score=0.5, seconds=1.0), Went(cell="b" * 12, until=2), Failed(key=key),
        Ended(why="little is left to gain"),
    ):  # fmt: skip
        append_event(file, event)
    (found,) = searches(study)
    assert found[:4] == ("s", "quick", "freeze_thaw", "3")
    assert (found.cells, found.steps, found.ended, found.fault) == (
        ("b" * 12,), (Step(key, 1),), "little is left to gain", "",
    )  # fmt: skip
    append_event(file, Saw(key=key, epoch=2, score=0.5, seconds=1.0))  # it goes on
    assert searches(study)[0].ended == ""


def test_what_a_sampler_proposed_is_read(study: Study) -> None:
    file = study.path / "searches" / "s-quick-tpe-0.jsonl"
    for number, cell in enumerate(("c" * 12, "b" * 12)):
        append_proposal(file, Proposal(number=number, cell=cell, params={}, choice={}, costs=(1, 2)))
    (found,) = searches(study)
    assert (found.strategy, found.cells, found.steps) == ("tpe", ("c" * 12, "b" * 12), ())


def test_a_space_with_dashes_is_told_from_its_profile_and_strategy(study: Study) -> None:
    journal(study, '{"event":"ended","why":"x"}', name="s-quick-known_cost-1a2b3c4d-7")
    journal(study, '{"event":"ended","why":"x"}', name="of-another-space-0")
    assert [found[:4] for found in searches(study)] == [
        ("", "", "of-another-space", "0"),
        ("s", "quick", "known_cost-1a2b3c4d", "7"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "[]", '{"event":"went"}', '{"event":"went","cell":"../../etc"}', '{"event":"went","cell":7}',
        '{"event":"saw","key":"aaaaaaaaaaaa","epoch":NaN}', '{"event":"saw","key":"aaaaaaaaaaaa","epoch":-1}',
        '{"event":"ended"}', "[" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_event_is_a_fault_of_that_search_alone(study: Study, line: str) -> None:
    journal(study, '{"event":"ended","why":"enough"}', name="s-quick-freeze_thaw-1")
    file = journal(study, '{"event":"ended","why":"enough"}')
    with file.open("ab") as lines:
        lines.write(line.encode() + b"\n")
    damaged, sound = searches(study)
    assert damaged.fault == "'searches/s-quick-freeze_thaw-0.jsonl' is damaged: what it did is not known"
    assert (damaged.cells, damaged.ended) == ((), "")
    assert (sound.fault, sound.ended) == ("", "enough")


def test_a_changed_line_is_a_fault_and_one_that_a_kill_cut_short_is_not_there(study: Study) -> None:
    file = journal(study, json.dumps({"event": "went", "cell": "b" * 12}), '{"event":"ended","why":"enough"}')
    whole = file.read_bytes()
    file.write_bytes(whole[:-10])
    assert searches(study)[0][4:8] == (("b" * 12,), (), "", "")
    file.write_bytes(whole.replace(b"bbbbbb", b"cccccc"))
    assert searches(study)[0].fault


def test_a_study_without_searches_has_none(study: Study) -> None:
    assert searches(study) == ()
