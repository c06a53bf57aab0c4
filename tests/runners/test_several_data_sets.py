"""Folders as levels of one factor: each is read, trained on, and judged for itself; and what a plan says of data."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import ablate
from PIL import Image

SPACE = """\
name: places
question: Does it hold at each of three places?
design: grid
base:
  model: {name: unet, stages: 2, width: 4}
  data.size: [16, 16]
  protocol: {epochs: 1}
factors:
  place:
    a: {data.name: folder, data.root: a/}
    b: {data: {name: folder, root: b/, size: [16, 16]}}
    c: {data.name: folder, data.root: c/}
    c again: {data.name: folder, data.root: ./c}
"""


@pytest.fixture
def places(tmp_path: Path) -> Path:
    """A folder with three data sets of eight images each, `c` in colour."""
    for seed, place in enumerate("abc"):
        rng = np.random.default_rng(seed)
        for i in range(8):
            image = rng.integers(0, 256, (20, 20, 3) if place == "c" else (20, 20), dtype=np.uint8)
            mask = np.zeros((20, 20), np.uint8)
            mask[4 : 10 + i, 5:15] = 255
            for kind, array in (("images", image), ("masks", mask)):
                (tmp_path / place / kind).mkdir(parents=True, exist_ok=True)
                Image.fromarray(array).save(tmp_path / place / kind / f"{i}.png")
    (tmp_path / "places.yaml").write_text(SPACE)
    return tmp_path


def test_three_folders_as_levels_are_three_data_sets(places):
    first = ablate("run", "--space", "places.yaml", "--profile", "quick", "--study", "study", cwd=places)
    said = " ".join(first.stdout.split())
    assert "3 trials of 3 configurations, 1 epochs, folder 'a' at 1x16x16" in said
    assert "folder 'b' at 1x16x16 and folder 'c' at 1x16x16" in said
    assert "place=c and place=c again are one configuration: trained once" in said
    assert "8 of 8 images of folder 'c' are in colour and were made grey" in said
    table = pd.read_csv(io.StringIO(ablate("export", "study", "--table", "trials", cwd=places).stdout))
    trained = table[table["model"] == "unet"]
    assert (trained["state"] == "complete").all()
    assert sorted(trained["factor.place"]) == ["a", "b", "c"]
    assert trained["data"].nunique() == 3
    assert all(ablate("pareto", "study", cwd=places).stdout.count(f"place={place} ") for place in "abc")
    again = ablate("run", "--space", "places.yaml", "--profile", "quick", "--study", "study", cwd=places)
    assert "3 of them are in the study already; none to train" in " ".join(again.stdout.split())


def test_a_plan_says_the_same_as_json(places):
    found = json.loads(ablate("plan", "--space", "places.yaml", "--profile", "quick", "--json", cwd=places).stdout)
    assert found["same"] == [[{"place": "c"}, {"place": "c again"}]]
    assert len({trial["cell"] for trial in found["trials"]}) == 3
    assert [note.split(":")[0] for note in found["notes"][:1]] == ["place=c and place=c again are one configuration"]
    assert sum("are in colour" in note for note in found["notes"]) == 1


@pytest.mark.parametrize("option", [("--data", "phantom"), ("--data-dir", "a"), ("--set", "data.root=a")])
def test_options_do_not_replace_the_folders(places, option):
    done = ablate("plan", "--space", "places.yaml", *option, cwd=places, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("ablate: ")
    assert done.stderr.count("\n") == 1
    assert "space places varies" in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--set", "model.width=4", "--set", "model.width=8"), "--set model.width is given twice"),
        (("--set", "model.x={a: 1}", "--set", "model.x.a=2"), "field 'model.x.a' is given twice"),
        (("--epochs", "3", "--set", "protocol.epochs=4"), "--epochs 3: --set protocol.epochs gives them too"),
        (("--set", f"model.stages={'[' * 400}"), "nested more than 24 deep"),
        (("--set", "protocol.learning_rate=.nan"), "'.nan' is not a finite number"),
        (("--set", "data.size={width: 4, width: 5}"), "the key 'width' is given twice"),
        (("--set", "model..width=4"), "field 'model..width' is no path"),
        (("--seeds", "1000000000"), "--seeds 1000000000: at most 1,000 are trained"),
    ],
)
def test_settings_pass_the_same_gate(places, options, message):
    done = ablate("plan", "--space", "places.yaml", *options, cwd=places, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert message in done.stderr
