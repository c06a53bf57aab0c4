"""`study.yaml` and `plans.jsonl`: never believed when they are not what was written, and never the end of a study."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
from pathlib import Path

import pytest
import yaml
from made_studies import Trained, made_study, run_of, trained, trivial

from ablate.errors import InputError
from ablate.study.manifest import COPY, MANIFEST, is_kept_twice
from ablate.study.plans import COPY as PLANS_COPY
from ablate.study.plans import PLANS, are_kept_twice
from ablate.study.recovery import read_study
from ablate.study.study import Study
from ablate.study.verify import repair, verify


@pytest.fixture(scope="module")
def trials() -> list[Trained]:
    first = trained()
    return [first, trained(first.dataset, seed=1), *trivial(first)]


@pytest.fixture(scope="module")
def sound(trials, tmp_path_factory) -> Path:
    return made_study(tmp_path_factory.mktemp("sound") / "study", *trials, data_dir=Path("/images")).path


@pytest.fixture
def path(sound, tmp_path) -> Path:
    return shutil.copytree(sound, tmp_path / "study")


def planned(path: Path) -> dict[str, dict[str, str]]:
    return Study.open(path).plans.levels


def damages(content: bytes) -> list[bytes | None]:
    """The file deleted, emptied, cut at every tenth byte, and with a bit flipped at every tenth."""
    places = range(0, len(content) - 1, 10)
    flips = (content[:at] + bytes([content[at] ^ (1 << at % 7)]) + content[at + 1 :] for at in places)
    return [None, *(content[:at] for at in places), *flips]


def put(file: Path, content: bytes | None) -> None:
    file.unlink(missing_ok=True)
    if content is not None:
        file.write_bytes(content)


BOTH = [(MANIFEST, COPY), (PLANS, PLANS_COPY)]


def facts(path: Path) -> dict:
    return Study.open(path).manifest.model_dump()


def test_file_and_copy_are_the_same_and_the_first_line_seals_the_rest(path):
    assert is_kept_twice(path)
    assert are_kept_twice(path)
    assert read_study(path).lost == ""
    assert yaml.safe_load((path / MANIFEST).read_text())["schema_version"] == 4


@pytest.mark.parametrize(("name", "copy"), BOTH)
def test_a_damaged_file_is_read_from_its_copy_and_said(path, name, copy):
    whole, expected = (path / name).read_bytes(), facts(path)
    for content in damages(whole):
        put(path / name, content)
        study = Study.open(path)
        assert study.manifest.model_dump() == expected
        assert study.lost.startswith(f"{name} ")
        assert study.lost.endswith(f": read from {copy}")
        assert (name, "plan") in [(problem.subject, problem.remedy) for problem in verify(study)]


@pytest.mark.parametrize(("name", "copy"), BOTH)
def test_a_damaged_copy_is_named(path, name, copy):
    whole = (path / copy).read_bytes()
    for content in (None, b"", whole[:100], whole.replace(b"data_dir" if name == MANIFEST else b"widths", b"depths")):
        put(path / copy, content)
        assert Study.open(path).lost == ""
        assert [(problem.subject, problem.remedy) for problem in verify(Study.open(path))] == [(copy, "plan")]


def test_with_both_damaged_it_is_made_again_from_the_trials_and_said(path, trials):
    """Whether that is the manifest, the plans, or both."""
    expected = facts(path)
    contents = {name: (path / name).read_bytes() for name, _ in BOTH}
    for which in (BOTH[:1], BOTH[1:], BOTH):
        for at in (None, *range(0, 200, 13)):
            for name, copy in BOTH:
                put(path / name, contents[name])
                put(path / copy, contents[name])
            for name, copy in which:
                damaged = None if at is None else damages(contents[name])[at % len(damages(contents[name]))]
                put(path / name, damaged)
                put(path / copy, damaged)
            study = Study.open(path)
            assert study.manifest.model_dump() == expected
            for name, _ in which:
                assert name in study.lost
            assert ("made again from the folders of 2 trials" in study.lost) == (BOTH[0] in which)
            assert ("2 trials were added from their folders" in study.lost) == (BOTH[1] in which)
            assert ("run each space again" in study.lost) == (BOTH[1] in which)


@pytest.mark.parametrize(("name", "copy"), BOTH)
def test_a_run_or_a_repair_writes_it_anew(path, name, copy):
    whole = (path / name).read_bytes()
    for one in (name, copy):
        (path / one).write_bytes(whole[: len(whole) // 2])
        with Study.open(path).writing() as study:
            assert (study.lost, name in study.mended) == ("", one == name)
        assert (path / one).read_bytes() == whole
        (path / one).unlink()
        study = Study.open(path)
        with study.holding():
            repair(study, verify(study))
        assert (path / one).read_bytes() == whole
        assert verify(Study.open(path)) == []


@pytest.mark.parametrize("syncs", range(6))
def test_a_kill_while_it_is_planned_leaves_the_new_or_the_old(path, trials, monkeypatch, syncs):
    old = facts(path)
    real, done = os.fsync, []

    def killed(descriptor: int) -> None:
        if len(done) == syncs:
            raise KeyboardInterrupt
        done.append(descriptor)
        real(descriptor)

    study = Study.open(path)
    with study.holding():
        monkeypatch.setattr("os.fsync", killed)
        with contextlib.suppress(KeyboardInterrupt):
            study.plan(run_of(trials[0].trial, space="another"), threads=1, data_dir=Path("/elsewhere"))
        assert len(done) == syncs
    monkeypatch.undo()
    found = read_study(path)
    assert found.lost == ""
    assert found.manifest.data_dir in (old["data_dir"], "/elsewhere")
    assert [run.space for run in found.plans.runs] in (["widths"], ["widths", "another"])
    with Study.open(path).writing():
        pass
    assert is_kept_twice(path)
    assert are_kept_twice(path)
    assert not list(path.glob("*.partial"))


def test_a_line_that_a_kill_cut_short_is_not_there_and_costs_no_other(path, trials):
    """The writer had not been told that it was planned."""
    with (path / PLANS).open("ab") as file:
        file.write(b'{"seal":"0123456789abcdef","space":"ano')
    study = Study.open(path)
    assert study.lost == ""
    with study.holding():
        study.plan(run_of(trials[1].trial, space="third"), threads=1, data_dir=None)
    assert [run.space for run in Study.open(path).plans.runs] == ["widths", "third"]
    assert are_kept_twice(path)


def test_a_damaged_line_in_the_middle_costs_neither_its_own_nor_what_follows(path, trials):
    study = Study.open(path)
    with study.holding():
        for space in ("second", "third"):
            study.plan(run_of(trials[0].trial, space=space), threads=1, data_dir=None)
    whole = (path / PLANS).read_bytes()
    (path / PLANS).write_bytes(whole.replace(b'"second"', b'"sekond"', 1))
    (path / PLANS_COPY).write_bytes(whole.replace(b'"third"', b'"thirt"', 1))
    study = Study.open(path)
    assert {run.space for run in study.plans.runs} == {"widths", "second", "third"}
    assert "and so is its copy" in study.lost


def test_what_is_added_to_a_run_is_written_without_what_it_says_already(path, trials):
    """A search adds to its run at each proposal."""
    first, second = (one.trial for one in trials[:2])
    study = Study.open(path)
    run = run_of(first, space="search").model_copy(
        update={"definition": {"factors": {"width": {"low": 1, "high": 9}}}, "factors": {"width": ["1"]}}
    )
    with study.holding():
        study.plan(run, threads=1, data_dir=None)
        before = (path / PLANS).stat().st_size
        more = run.model_copy(update={"trials": {second.key: {"width": "2"}}, "factors": {"width": ["2"]}})
        study.plan(more, threads=1, data_dir=None)
    assert (path / PLANS).stat().st_size - before < len(more.model_dump_json())
    (found,) = [run for run in Study.open(path).plans.runs if run.space == "search"]
    assert found == study.plans.runs[-1]
    assert (found.definition, found.question) == (run.definition, run.question)
    assert (set(found.trials), found.factors) == ({first.key, second.key}, {"width": ["1", "2"]})
    (own,) = [run for run in study.plans.of(second.key) if run.space == "search"]
    assert (set(own.trials), own.factors) == ({second.key}, {"width": ["2"]})


def test_what_cannot_be_made_again_is_refused_in_one_line(path):
    for name in (MANIFEST, COPY):
        (path / name).write_text("schema_version: 2\nid: 5")
    shutil.rmtree(path / "trials")
    with pytest.raises(InputError, match=r"study\.yaml' ") as error:
        Study.open(path)
    assert "\n" not in str(error.value)


def test_a_plan_in_a_folder_that_is_not_whole_is_not_believed(path, trials):
    key = trials[0].trial.key
    plan = path / "trials" / key / "plan.json"
    plan.write_text(plan.read_text().replace("widths", "depths"))
    for name in (MANIFEST, COPY, PLANS, PLANS_COPY):
        (path / name).unlink()
    assert planned(path) == {trials[1].trial.key: {"widths.seed": "1"}}


# Of an earlier version -----------------------------------------------------------------------------------------------


@pytest.fixture
def unsealed(path) -> bytes:
    """As schema 2 wrote it: without seal and copy, and with the runs."""
    manifest = Study.open(path).manifest.model_copy(update={"schema_version": 2})
    without = {"runs": {"__all__": {"data"}}}  # which it had not
    body = yaml.safe_dump(manifest.model_dump(exclude=without), sort_keys=False, width=120).encode()
    (path / MANIFEST).write_bytes(body)
    for name in (COPY, PLANS, PLANS_COPY):
        (path / name).unlink()
    return body


def test_an_earlier_versions_manifest_is_believed_and_sealed_by_the_next_run(path, unsealed):
    before = Study.open(path)
    expected = before.manifest
    assert before.lost == ""
    with before.writing():
        assert "from study schema 2 to 4" in before.mended
    assert is_kept_twice(path)
    assert Study.open(path).manifest == expected.model_copy(update={"schema_version": 4})


def test_an_earlier_versions_manifest_that_was_cut_is_not_believed(path, unsealed):
    expected = planned(path)
    for at in range(len(unsealed)):
        (path / MANIFEST).write_bytes(unsealed[:at])
        found = read_study(path)
        assert found.lost != "", at
        assert found.plans.levels == expected


@pytest.mark.parametrize(
    "text",
    [
        "schema_version: 2\nid: &a [*a]\n",
        "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nruns: []\n",
        "[" * 3000,
        "{" * 3000,
        f"schema_version: {'9' * 5000}\n",
        "schema_version: .inf\nruns: []\n",
        "schema_version: true\nid: ../..\nruns: []\n",
        "schema_version: 2\nthreads: 1000000000\nruns: []\n",
        "!!python/object/apply:os.system ['true']\n",
        "\x00\x01",
    ],
)
def test_a_hostile_manifest_is_one_line(path, text):
    shutil.rmtree(path / "trials")
    for name in (MANIFEST, COPY):
        (path / name).write_text(text)
    with pytest.raises(InputError) as error:
        Study.open(path)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 600


def test_random_bytes_are_never_believed(path, trials):
    choose, expected = random.Random(0), planned(path)
    for _ in range(20):
        for name in (MANIFEST, COPY, PLANS, PLANS_COPY):
            (path / name).write_bytes(choose.randbytes(choose.randrange(2000)))
        assert planned(path) == expected
