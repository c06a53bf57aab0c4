"""A network of the user's, from its file to its predictions; and what a change of its code means."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from commands import ablate
from PIL import Image

from ablate.study.study import Study

NETS = '''"""A network of mine."""

import torch
from torch import nn

import ablate
from mine.layers import conv


class LightNet(ablate.Network):
    """Two convolutions, with switches."""

    width: int = 4
    residual: bool = True
    deep: bool = True
    wide: bool = True

    def build(self, in_channels, classes):
        return Net(self, in_channels, classes)


class Net(nn.Module):
    def __init__(self, settings, in_channels, classes):
        super().__init__()
        width = settings.width * (2 if settings.wide else 1)
        self.residual = settings.residual
        self.first = conv(in_channels, width)
        self.body = nn.Sequential(conv(width, width), nn.ReLU(), conv(width, width)) if settings.deep else nn.Identity()
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, x):
        x = torch.relu(self.first(x))
        y = self.body(x)
        return self.head(torch.relu(x + y if self.residual else y))


def plain(in_channels, classes, width=4):
    return nn.Sequential(conv(in_channels, width), nn.ReLU(), conv(width, classes))
'''
SPACE = """
name: light
question: Which switch of LightNet earns its cost?
design: leave_one_out
base:
  model: {name: "mine.nets:LightNet"}
  data: {name: phantom, count: 15, size: [32, 32]}
  protocol: {epochs: 2}
factors:
  residual: {without: {model.residual: false}}
  deep: {without: {model.deep: false}}
  wide: {without: {model.wide: false}}
"""
LAYERS = "from torch import nn\n\n\ndef conv(a, b):\n    return nn.Conv2d(a, b, 3, padding=1)\n"


def made(tmp_path: Path) -> Path:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "__init__.py").write_text("")
    (tmp_path / "mine" / "nets.py").write_text(NETS)
    (tmp_path / "mine" / "layers.py").write_text(LAYERS)
    (tmp_path / "space.yaml").write_text(SPACE)
    Image.fromarray(np.arange(64 * 48, dtype=np.uint16).reshape(48, 64).astype(np.uint8)).save(tmp_path / "new.png")
    return tmp_path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return made(tmp_path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, with a study of one epoch."""
    folder = made(tmp_path_factory.mktemp("trained"))
    run(folder, "--epochs", "1")
    return folder


def run(folder: Path, *more: str) -> str:
    return ablate("run", "--space", folder / "space.yaml", "--study", folder / "study", *more, cwd=folder).stdout


def test_it_is_planned_trained_judged_and_asked_and_only_what_changed_is_trained_again(folder):
    study = folder / "study"
    planned = ablate("plan", "--space", folder / "space.yaml", cwd=folder).stdout
    assert "4 configurations x 1 seed = 4 trials" in planned
    assert "4 trials trained" in run(folder)
    # In another place, with nothing of the user's, whatever only reads works.
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    for command in (("effects",), ("report",), ("status",), ("verify",), ("table",), ("pareto",)):
        ablate(command[0], study, *command[1:], cwd=elsewhere)
    key = next(key for key, record in Study.open(study).records().items() if record.state == "complete")
    ask = ("predict", study, key, folder / "new.png", "-o", folder / "masks")
    lost = ablate(*ask, cwd=elsewhere, check=False)
    assert lost.returncode == 2
    assert "there is no module mine" in lost.stderr
    assert "--code" in lost.stderr
    found = ablate(*ask, "--code", folder, cwd=elsewhere)
    assert f"imports mine.nets ('{folder}/mine/nets.py', code " in found.stderr
    assert Image.open(folder / "masks" / "new.png").size == (64, 48)

    nets, layers = folder / "mine" / "nets.py", folder / "mine" / "layers.py"
    nets.write_text(
        NETS.replace("Two convolutions", "Some konvolutions").replace("        y = ", "        # deeper\n        y = ")
    )
    assert "none to train" in run(folder)
    nets.write_text(NETS.replace("nn.Conv2d(width, classes, 1)", "nn.Conv2d(width, classes, 3, padding=1)"))
    said = ablate("plan", "--space", folder / "space.yaml", "--study", study, cwd=folder).stdout
    assert "4 trials are new because mine.nets:LightNet changed (code " in " ".join(said.split())
    other = ablate(*ask[:-1], folder / "more", "--code", folder, check=False)
    assert other.returncode == 2
    assert "here, and this trial's is code" in other.stderr
    nets.write_text(NETS)
    layers.write_text(LAYERS.replace("padding=1", "padding=1, bias=False"))
    assert "4 trials are new because mine.nets:LightNet changed" in " ".join(run(folder).split())
    assert len(Study.open(study).records()) == 4 + 4 + 3


def test_a_change_makes_new_only_the_trials_that_name_it(folder):
    (folder / "mine" / "other.py").write_text("from mine.nets import plain\n")
    (folder / "separate.py").write_text(
        "from torch import nn\n\n\ndef net(in_channels, classes, width=4):\n"
        "    first, last = nn.Conv2d(in_channels, width, 3, padding=1), nn.Conv2d(width, classes, 1)\n"
        "    return nn.Sequential(first, nn.ReLU(), last)\n"
    )
    (folder / "space.yaml").write_text(
        """
name: several
question: Which network?
design: grid
base:
  data: {name: phantom, count: 15, size: [32, 32]}
  protocol: {epochs: 1}
factors:
  network:
    mine: {model: {name: "mine.nets:LightNet"}}
    function: {model: {name: "separate:net", width: 6}}
    unet: {model: {name: unet, width: 4, stages: 2}}
"""
    )
    assert "3 trials trained" in run(folder)
    (folder / "separate.py").write_text((folder / "separate.py").read_text().replace("nn.ReLU()", "nn.ELU()"))
    said = " ".join(run(folder).split())
    assert "1 trial is new because separate:net changed" in said
    assert "2 of them are in the study already; 1 to train" in said


@pytest.mark.parametrize("name", ["os:system", "builtins:eval", "evil:Net"])
def test_a_stranger_s_study_runs_nothing(trained, tmp_path, name):
    folder, study = tmp_path, tmp_path / "study"
    shutil.copytree(trained / "study", study)
    shutil.copy(trained / "new.png", folder)
    (study / "evil.py").write_text(f"import pathlib\npathlib.Path({str(folder / 'ran')!r}).touch()\n")
    key = next(key for key, record in Study.open(study).records().items() if record.state == "complete")
    place = study / "trials" / key
    config = json.loads((place / "config.json").read_text())
    config["model"]["name"] = name
    forge(study, key, config)
    opened = Study.open(study)
    key = next(key for key in opened.records() if opened.config(key).model.name == name)
    for command in ("report", "status", "effects", "table", "export", "pareto", "verify"):
        more = ("--table", "trials") if command == "export" else ()
        ablate(command, study, *more, cwd=study, check=command != "verify")
    for asked in (("predict", study, key, folder / "new.png", "-o", folder / "masks"), ("measure", study)):
        refused = ablate(*asked, cwd=study, check=False)
        assert refused.returncode == 2, refused.stdout
        if asked[0] == "predict":
            assert "of Python itself" in refused.stderr or "whose code is never run" in refused.stderr
    assert not (folder / "ran").exists()


def forge(study: Path, key: str, config: dict) -> None:
    """The trial under another configuration, as whoever sends a study may write it: with the key and sums that fit."""
    from ablate.study.trial_folder import write_checksums
    from ablate.trial import TrialConfig

    made = TrialConfig.model_validate_json(json.dumps(config))
    place = study / "trials" / made.key
    (study / "trials" / key).rename(place)
    (place / "config.json").write_bytes(made.to_file())
    record = json.loads((place / "record.json").read_text())
    record |= {"key": made.key, "cell": made.cell, "model": made.model.name}
    (place / "record.json").write_text(json.dumps(record))
    for table in ("epochs", "images"):
        import pandas as pd

        frame = pd.read_parquet(place / f"{table}.parquet")
        frame["key"] = made.key
        frame.to_parquet(place / f"{table}.parquet", index=False)
    (place / "plan.json").write_text((place / "plan.json").read_text().replace(key, made.key))
    for name in ("plans.jsonl", "plans.jsonl.copy"):
        (study / name).unlink()
    (place / "SHA256SUMS").unlink()
    write_checksums(place)
