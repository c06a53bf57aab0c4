"""Studies and versions of this project: an earlier one's study is complete, and what each made is told apart."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from commands import copied_package

from ablate.analysis import frames
from ablate.study.study import Study

ASSETS = Path(__file__).parents[1] / "assets"
SPACE = """\
name: widths
question: Do wider networks pay?
design: grid
base:
  model: {name: unet, stages: 2}
  data: {name: phantom, count: 10, size: [16, 16]}
  protocol: {epochs: 2}
factors:
  model.width: [4, 6]
"""
"""What the studies in the assets were made of, with two seeds."""
CLAIM = """\
name: wider
statement: Wider is no worse.
subject: {factor.model.width: 6}
against: [{factor.model.width: 4}]
hypotheses:
  - {kind: non_inferior, metric: dice, margin: 0.01}
"""


@pytest.fixture
def space(tmp_path: Path) -> Path:
    path = tmp_path / "widths.yaml"
    path.write_text(SPACE)
    return path


def old_study(name: str, folder: Path) -> Path:
    with zipfile.ZipFile(ASSETS / f"{name}.zip") as packed:
        packed.extractall(folder / "study")
    return folder / "study"


def another_version(folder: Path, *edits: tuple[str, str, str]) -> Path:
    """This project with some of its lines, each there once, changed: (file, line, what stands in its place)."""
    package = copied_package(folder)
    for name, line, other in edits:
        text = (package / name).read_text()
        assert text.count(line) == 1
        (package / name).write_text(text.replace(line, other))
    return folder


def ablate(*arguments: object, version: Path | None = None) -> str:
    """What a command prints, of this version of the project or the one in a folder."""
    done = subprocess.run(
        [sys.executable, "-c", "from ablate.runners.cli.main import main; main()", *map(str, arguments)],
        cwd=version, capture_output=True, text=True, timeout=300, check=False,
        env=os.environ | ({"PYTHONPATH": str(version)} if version else {}),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def keys(study: Path) -> set[str]:
    return {folder.name for folder in (study / "trials").iterdir()}


@pytest.mark.parametrize("name", sorted(file.stem for file in ASSETS.glob("schema-*.zip")))
def test_a_study_of_an_earlier_version_is_sound_and_complete(name, space, tmp_path):
    study = old_study(name, tmp_path)
    before = keys(study)
    assert "none to train" in ablate("run", "--space", space, "--study", study, "--seeds", 2)
    assert keys(study) == before
    assert "all sound" in ablate("verify", study)
    opened = Study.open(study)
    assert len(opened.records()) == len(before) == 7
    (made,) = {str(made) for made in opened.origins().values()}
    assert made.startswith("torch 2.13.0+cpu, code ")
    assert ("that was not recorded" in made) == (name != "schema-3")
    assert (study / "before-schema-4" / "study.yaml").exists()


def test_a_version_with_more_fields_keeps_the_keys_and_tells_its_own_apart(space, tmp_path, tmp_path_factory):
    field = '    haste: Annotated[Number, Since("9.0")] = 0.0\n'
    known = "from __future__ import annotations\n"
    named = f"{known}\nfrom typing import Annotated\n\nfrom ablate.settings import Since\n"
    edits = [
        (file, line, new)
        for file, own in (
            ("models/settings.py", '    name: Literal["unet"] = "unet"\n'),
            ("trial.py", "    split: Split = Split()\n"),
        )
        for line, new in ((own, own + field), (known, named))
    ]
    newer = another_version(tmp_path_factory.mktemp("newer"), *edits)
    study = old_study("schema-2-sealed", tmp_path)
    before = keys(study)
    run = ("run", "--space", space, "--study", study, "--seeds", 2)
    assert "all sound" in ablate("verify", study, version=newer)
    assert "none to train" in ablate(*run, version=newer)
    assert "4 trials trained" in ablate(*run, "--set", "model.haste=0.5", version=newer)
    assert keys(study) > before
    assert "all sound" in ablate("verify", study, version=newer)


def test_seeds_by_two_versions_of_a_block_are_never_one_mean_without_a_mark(space, tmp_path, tmp_path_factory):
    line = "return nn.Sequential(conv, norm(out_channels), nn.ReLU(inplace=True))"
    edit = ("models/blocks.py", line, line.replace("ReLU", "LeakyReLU"))
    newer = another_version(tmp_path_factory.mktemp("newer"), edit)
    study = tmp_path / "study"
    run = ("run", "--space", space, "--study", study, "--seeds")
    assert "are of" not in ablate(*run, 1)
    said = ablate(*run, 2, version=newer)
    assert "2 of the 4 trials are of code" in said
    assert "--retrain-other-versions trains them anew" in said
    opened = Study.open(study)
    assert sorted(Counter(made.code for made in opened.origins().values()).values()) == [2, 2]
    claim = tmp_path / "claim.yaml"
    claim.write_text(CLAIM)
    mark = "width=4 ‡: its seeds were made by several versions: 1 of torch 2.13.0"
    for command in (["pareto", study], ["table", study], ["claim", study, "--claim", claim]):
        assert mark in " ".join(ablate(*command).split())
    made_by = frames.load(opened)[0].made_by
    assert len(set(made_by[made_by.str.startswith("torch")])) == 3  # the trivial predictors' code is apart
    assert "width=4 ‡" in ablate("table", study)
    verified = ablate("verify", study)
    assert "were made by several versions" in verified
    assert "all sound" in verified
    page = (study / "report.html").read_text()
    assert "width=4 ‡" in page
    assert page.count("of ablate 0.1.0, numpy") >= 2  # the method section counts the trials of each

    # Train the older ones anew: nothing is mixed any more, and nothing else is trained.
    assert "2 trials trained" in ablate(*run, 2, "--retrain-other-versions", version=newer)
    assert "none to train" in ablate(*run, 2, "--retrain-other-versions", version=newer)
    assert "‡" not in ablate("table", study)
    assert "all sound" in ablate("verify", study)


def test_seeds_by_two_versions_of_torch_are_marked(space, tmp_path):
    """A study of an earlier version says which PyTorch its last run had, for all of its trials."""
    study = old_study("schema-2", tmp_path)
    manifest = (study / "study.yaml").read_text()
    (study / "study.yaml").write_text(manifest.replace("torch: 2.13.0+cpu", "torch: 2.12.1+cpu"))
    said = ablate("run", "--space", space, "--study", study, "--seeds", 3)
    assert "4 of the 6 trials are of torch 2.12.1+cpu and code that was not recorded" in said
    assert "2 of torch 2.12.1+cpu" in " ".join(ablate("table", study).split())


def test_a_trial_that_one_version_began_is_not_ended_by_another(space, tmp_path):
    from ablate.runners.execution.storage import PathStorage, StoredCheckpoint

    storage = PathStorage(str(tmp_path))
    StoredCheckpoint(storage, "checkpoint", "one").write(b"weights")
    assert StoredCheckpoint(storage, "checkpoint", "one").read() == b"weights"
    assert StoredCheckpoint(storage, "checkpoint", "another").read() is None
