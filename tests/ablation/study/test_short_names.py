"""Short names of searched networks: in the order in which they were begun, and for good."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from searched_studies import Made, run_of, searched_study, take_in

from ablate.analysis.names import trial_labels
from ablate.errors import InputError
from ablate.search_spaces.plan import Planned
from ablate.study.chosen import short_names_of_cells, trial_called, trials_of_cell
from ablate.study.plans import COPY, PLANS
from ablate.study.short_names import Planned as Line
from ablate.study.short_names import short_names
from ablate.study.study import Study

_lines = st.lists(
    st.builds(
        Line,
        space=st.sampled_from("ab"),
        profile=st.just("quick"),
        design=st.sampled_from(["search", "grid", "confirm"]),
        trials=st.dictionaries(
            st.sampled_from([f"{at:x}" for at in range(12)]),
            st.fixed_dictionaries({"width": st.sampled_from("1234"), "seed": st.sampled_from("01")}),
            max_size=3,
        ),
    ),
    max_size=12,
)


@given(_lines, _lines)
def test_a_name_once_given_never_changes_and_numbers_have_no_gap(before: list[Line], after: list[Line]) -> None:
    first, then = short_names(before), short_names([*before, *after])
    assert {key: then.get(key) for key in first} == first
    assert not {key for line in before for key in line.trials if key not in first} & then.keys()
    numbers = list(dict.fromkeys(int(name[1:]) for name in then.values()))
    assert numbers == list(range(1, len(numbers) + 1))


def test_seeds_share_a_name_and_what_a_plan_asked_for_first_keeps_its_label() -> None:
    def line(design: str, **trials: str) -> Line:
        return Line("s", "quick", design, {key: {"width": width} for key, width in trials.items()})

    found = short_names(
        [line("grid", a="8"), line("search", b="8"), line("search", c="16"), line("grid", d="4", e="16"),
         line("search", f="2", d="4")]
    )  # fmt: skip
    assert found == {"c": "n1", "e": "n1", "f": "n2"}


def test_two_searches_that_take_turns_and_a_grid_between_them_keep_their_names(tmp_path: Path) -> None:
    path = tmp_path / "study"
    study = Study.open_or_new(path)
    trials = [Made(width, ()) for width in (2, 3, 4, 5, 6)]
    begun = [("a", "search"), ("b", "search"), ("a", "grid"), ("a", "search"), ("b", "search")]
    seen: dict[str, str] = {}
    for made, (space, design) in zip(trials, begun, strict=True):
        with Study.open(path).writing() if seen else study.writing() as held:
            held.plan(run_of(made, space=space, design=design), threads=1, data_dir=None)
            assert seen.items() <= held.plans.names.items()
            seen = dict(held.plans.names)
    assert list(Study.open(path).plans.names.values()) == ["n1", "n2", "n3", "n4"]
    assert Study.open(path).plans.names == seen


@pytest.mark.parametrize("damage", ["copy has a line less", "a line is damaged", "the file is gone"])
def test_what_a_kill_or_a_disk_left_is_mended_without_a_change_of_names(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "study"
    first = Study.open_or_new(path)
    with first.writing():
        for width, space in ((4, "a"), (2, "b"), (8, "a"), (3, "b")):
            first.plan(run_of(Made(width, ()), space=space), threads=1, data_dir=None)
    names, lines = first.plans.names, (path / PLANS).read_bytes().splitlines(keepends=True)
    assert list(names.values()) == ["n1", "n2", "n3", "n4"]
    if damage == "copy has a line less":
        (path / COPY).write_bytes(b"".join(lines[:-1]))
    elif damage == "a line is damaged":
        (path / PLANS).write_bytes(b"".join([lines[0], lines[1][:40] + b"\n", *lines[2:]]))
    else:
        (path / PLANS).unlink()
    assert Study.open(path).plans.names == names
    with Study.open(path).writing() as study:
        assert study.plans.names == names
    assert (path / PLANS).read_bytes() == (path / COPY).read_bytes() == b"".join(lines)
    with Study.open(path).writing() as study:
        study.plan(run_of(Made(5, ()), space="a"), threads=1, data_dir=None)
        assert study.plans.names == names | {Made(5, ()).config.key: "n5"}


def test_a_network_may_be_named_by_its_short_name(tmp_path: Path) -> None:
    curve = [0.1, 0.2, 0.3, 0.4]
    small, large = Made(2, curve), [Made(4, curve), Made(4, curve, seed=1)]
    study = searched_study(tmp_path / "study", small, *large, Made(8, [0.1], state="stopped"))
    assert trial_called(study, "n1") == small.config.key
    assert set(trials_of_cell(study, "n2")) == {one.config.key for one in large}
    with pytest.raises(InputError, match="n2 has 2 complete trials: give the key of one"):
        trial_called(study, "n2")
    with pytest.raises(InputError, match="has no complete trial"):
        trials_of_cell(study, "n3")
    with pytest.raises(InputError, match="unknown cell 'n9'"):
        trials_of_cell(study, "n9")


def test_fresh_seeds_of_a_named_network_have_its_name(tmp_path: Path) -> None:
    curve = [0.1, 0.2, 0.3, 0.4]
    study, fresh = searched_study(tmp_path / "study", Made(2, curve)), Made(2, curve, seed=7)
    with study.writing():
        study.plan(run_of(fresh, space="s-confirmed", design="confirm"), threads=1, data_dir=None)
        take_in(study, fresh)
    assert fresh.config.key not in study.plans.names
    assert short_names_of_cells(study) == {fresh.config.cell: "n1"}
    planned = [Planned(one.config, {"model.width": str(one.width)}, 1, 1) for one in (fresh, Made(3, ()))]
    assert list(trial_labels(study, planned).values()) == ["n1", "width=3"]
