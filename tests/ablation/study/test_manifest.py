"""`study.yaml`: never believed when it is not what was written, and never the end of a study."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest
import yaml
from made_studies import Trained, made_study, run_of, trained, trivial

from ablate.errors import InputError
from ablate.study.manifest import COPY, MANIFEST, is_kept_twice, read_manifest, write_manifest
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
    return Study.open(path).manifest.planned()


def damages(content: bytes) -> list[bytes | None]:
    """The file deleted, emptied, cut at every tenth byte, and with a bit flipped at every tenth."""
    places = range(0, len(content) - 1, 10)
    flips = (content[:at] + bytes([content[at] ^ (1 << at % 7)]) + content[at + 1 :] for at in places)
    return [None, *(content[:at] for at in places), *flips]


def put(file: Path, content: bytes | None) -> None:
    file.unlink(missing_ok=True)
    if content is not None:
        file.write_bytes(content)


def test_file_and_copy_are_the_same_and_the_first_line_seals_the_rest(path):
    assert is_kept_twice(path)
    assert read_manifest(path).lost == ""
    assert yaml.safe_load((path / MANIFEST).read_text())["schema_version"] == 3


def test_a_damaged_manifest_is_read_from_its_copy_and_said(path):
    whole, expected = (path / MANIFEST).read_bytes(), Study.open(path).manifest
    for content in damages(whole):
        put(path / MANIFEST, content)
        study = Study.open(path)
        assert study.manifest == expected
        assert study.lost.startswith("study.yaml ")
        assert study.lost.endswith(": read from study.yaml.copy")
        assert ("study.yaml", "plan") in [(problem.subject, problem.remedy) for problem in verify(study)]


def test_a_damaged_copy_is_named(path):
    whole = (path / COPY).read_bytes()
    for content in (None, b"", whole[:100], whole.replace(b"widths", b"depths")):
        put(path / COPY, content)
        assert Study.open(path).lost == ""
        assert [(problem.subject, problem.remedy) for problem in verify(Study.open(path))] == [(COPY, "plan")]


def test_with_both_damaged_it_is_made_again_from_the_trials_and_said(path, trials):
    whole, expected = (path / MANIFEST).read_bytes(), Study.open(path).manifest
    for content in damages(whole)[::7]:
        put(path / MANIFEST, content)
        put(path / COPY, content)
        study = Study.open(path)
        assert study.manifest.planned() == expected.planned()
        assert (study.manifest.id, study.manifest.data_dir) == (expected.id, expected.data_dir)
        assert [run.question for run in study.manifest.runs] == [run.question for run in expected.runs]
        assert "made again from the folders of 2 trials" in study.lost


def test_a_run_or_a_repair_writes_it_anew(path):
    whole = (path / MANIFEST).read_bytes()
    for name in (MANIFEST, COPY):
        (path / name).write_bytes(whole[:200])
        with Study.open(path).writing() as study:
            assert (study.lost, "study.yaml" in study.mended) == ("", name == MANIFEST)
        assert (path / name).read_bytes() == whole
        (path / name).unlink()
        study = Study.open(path)
        with study.holding():
            repair(study, verify(study))
        assert (path / name).read_bytes() == whole
        assert verify(Study.open(path)) == []


@pytest.mark.parametrize("renames", [0, 1, 2, 3])
def test_a_kill_while_it_is_written_leaves_the_new_or_the_old(path, trials, monkeypatch, renames):
    old = Study.open(path).manifest
    new = old.model_copy(update={"runs": old.with_run(run_of(trials[0].trial, space="another"))})
    real, done = os.fsync, []

    def killed(descriptor: int) -> None:
        if len(done) == renames:
            raise KeyboardInterrupt
        done.append(descriptor)
        real(descriptor)

    monkeypatch.setattr("ablate.files.os.fsync", killed)
    with pytest.raises(KeyboardInterrupt):
        write_manifest(path, new)
    monkeypatch.undo()
    assert read_manifest(path).manifest in (old, new)
    assert read_manifest(path).lost == ""
    with Study.open(path).writing():
        pass
    assert is_kept_twice(path)
    assert not list(path.glob("*.partial"))


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
    for name in (MANIFEST, COPY):
        (path / name).unlink()
    assert planned(path) == {trials[1].trial.key: {"widths.seed": "1"}}


# Of an earlier version -----------------------------------------------------------------------------------------------


@pytest.fixture
def unsealed(path) -> bytes:
    """As earlier versions wrote it: without seal and copy."""
    body = (path / MANIFEST).read_bytes().partition(b"\n")[2]
    (path / MANIFEST).write_bytes(body)
    (path / COPY).unlink()
    return body


def test_an_earlier_versions_manifest_is_believed_and_sealed_by_the_next_run(path, unsealed):
    before = Study.open(path)
    assert before.lost == ""
    with before.writing():
        assert before.mended == ""
    assert is_kept_twice(path)
    assert Study.open(path).manifest == before.manifest


def test_an_earlier_versions_manifest_that_was_cut_is_not_believed(path, unsealed):
    expected = Study.open(path).manifest
    for at in range(len(unsealed)):
        (path / MANIFEST).write_bytes(unsealed[:at])
        found = read_manifest(path)
        assert found.lost != "", at
        assert found.manifest.planned() == expected.planned()


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
        for name in (MANIFEST, COPY):
            (path / name).write_bytes(choose.randbytes(choose.randrange(2000)))
        assert planned(path) == expected
