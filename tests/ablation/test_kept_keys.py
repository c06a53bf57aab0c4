"""Keys are for good: whatever this project learns, what was trained once keeps its name."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Annotated, Any, get_args

import pytest
from pydantic import Field

from ablation.config import NETWORKS, SOURCES, TRIVIAL, Config, Number, Phantom, Since, Split, TrialConfig, UNet
from ablation.study import Study

ASSETS = Path(__file__).parent / "assets"
KEPT = json.loads((ASSETS / "keys.json").read_text())
"""What version 0.1 called some trials. Add to it; a line that is there never changes."""


def configuration(kept: dict[str, Any]) -> TrialConfig:
    parts = {name: kept[name] for name in ("model", "protocol", "seed")}
    return TrialConfig.model_validate(parts | {"data": {"fingerprint": "0123456789ab", **kept["data"]}})


@pytest.mark.parametrize("kept", KEPT, ids=lambda kept: kept["key"])
def test_a_key_is_what_it_was(kept):
    config = configuration(kept)
    assert (config.key, config.cell) == (kept["key"], kept["cell"])
    assert TrialConfig.model_validate_json(config.to_file()) == config


def test_keys_of_every_network_source_and_split_are_kept():
    assert {kept["model"]["name"] for kept in KEPT} == {*NETWORKS, *TRIVIAL}
    assert {kept["data"]["name"] for kept in KEPT} == {*SOURCES}
    methods = get_args(Split.model_fields["method"].annotation)
    assert {kept["protocol"].get("split", {}).get("method", "fractions") for kept in KEPT} == {*methods}


class _Inner(Config):
    rate: Number = 0.0


class _LaterUNet(UNet):
    dropout: Annotated[Number, Since("9.0")] = Field(0.0, ge=0, lt=1)
    inner: Annotated[_Inner, Since("9.1")] = _Inner()


class _LaterTrial(TrialConfig):
    model: _LaterUNet
    note: Annotated[str | None, Since("9.2")] = None


def later(**changes: Any) -> TrialConfig:
    note = changes.pop("note", None)
    return _LaterTrial(model=_LaterUNet(**changes), data=Phantom(fingerprint="abc"), note=note)


def test_a_later_field_counts_only_where_it_changes_something():
    before = TrialConfig(model=UNet(), data=Phantom(fingerprint="abc"))
    assert (later().key, later().cell, later().to_file()) == (before.key, before.cell, before.to_file())
    changed = [later(dropout=0.1), later(inner={"rate": 0.5}), later(note="x")]
    assert len({trial.key for trial in [before, *changed]}) == 4
    assert len({trial.cell for trial in [before, *changed]}) == 4
    for trial in [later(), *changed]:
        assert _LaterTrial.model_validate_json(trial.to_file()) == trial
    assert _LaterTrial.model_validate_json(before.to_file()) == later()
    assert later().model_dump()["model"]["dropout"] == 0.0  # it is shown, if not hashed


def _studies() -> list[Path]:
    return sorted(ASSETS.glob("schema-*.zip"))


@pytest.fixture(params=_studies(), ids=lambda path: path.stem)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A study of an earlier version: two widths, two seeds."""
    with zipfile.ZipFile(request.param) as packed:
        packed.extractall(tmp_path / "study")
    return tmp_path / "study"


def keys(study: Path) -> set[str]:
    return {folder.name for folder in (study / "trials").iterdir()}


OLD_SPACE = """\
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
PACKAGES = Path(__file__).parents[2]


def command(*arguments: object, source: Path = PACKAGES) -> str:
    """A command of the project whose packages are in `source`, with what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", "from runners.cli.main import main; main()", *map(str, arguments)],
        cwd=source, capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "PYTHONPATH": str(source)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_study_of_an_earlier_version_is_sound_and_complete(old, tmp_path):
    before = keys(old)
    space = tmp_path / "widths.yaml"
    space.write_text(OLD_SPACE)
    assert "none to train" in command("run", "--space", space, "--study", old, "--seeds", 2)
    assert keys(old) == before
    assert "all sound" in command("verify", old)
    assert len(Study.open(old).records()) == len(before) == 7


@pytest.fixture(scope="module")
def next_version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This project with a field more in a network and in the protocol."""
    source = tmp_path_factory.mktemp("next")
    for package in ("ablation", "search_spaces", "runners", "analysis"):
        shutil.copytree(PACKAGES / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    config = source / "ablation" / "config.py"
    text = config.read_text()
    for line in ('    name: Literal["unet"] = "unet"\n', "    split: Split = Split()\n"):
        assert text.count(line) == 1
        text = text.replace(line, f'{line}    haste: Annotated[Number, Since("9.0")] = 0.0\n')
    config.write_text(text)
    return source


def test_a_version_with_more_fields_keeps_the_keys_and_tells_its_own_apart(next_version, tmp_path):
    study, space = tmp_path / "study", tmp_path / "widths.yaml"
    with zipfile.ZipFile(ASSETS / "schema-2-sealed.zip") as packed:
        packed.extractall(study)
    before = keys(study)
    space.write_text(OLD_SPACE)
    run = ("run", "--space", space, "--study", study, "--seeds", 2)
    assert "all sound" in command("verify", study, source=next_version)
    assert "none to train" in command(*run, source=next_version)
    assert "4 trials trained" in command(*run, "--set", "model.haste=0.5", source=next_version)
    assert keys(study) > before
    assert "all sound" in command("verify", study, source=next_version)
