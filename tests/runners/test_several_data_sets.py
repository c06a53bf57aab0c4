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
    assert "3 trials of 3 configurations, 1 epochs, a at 1x16x16, b at 1x16x16 and c at 1x16x16" in said
    assert "place=c and place=c again are one configuration: trained once" in said
    assert "8 of 8 images of folder 'c' are stored in colour and were made grey" in said
    table = pd.read_csv(io.StringIO(ablate("export", "study", "--table", "trials", cwd=places).stdout))
    trained = table[table["model"] == "unet"]
    assert (trained["state"] == "complete").all()
    assert sorted(trained["factor.place"]) == ["a", "b", "c"]
    assert sorted(trained["data"]) == ["a", "b", "c"]
    assert all(ablate("pareto", "study", cwd=places).stdout.count(f"place={place} ") for place in "abc")
    again = ablate("run", "--space", "places.yaml", "--profile", "quick", "--study", "study", cwd=places)
    assert "3 of them are in the study already; none to train" in " ".join(again.stdout.split())
    (places / "b" / "masks" / "3.png").write_bytes((places / "b" / "masks" / "4.png").read_bytes())
    changed = json.loads(ablate("verify", "study", "--json", cwd=places, check=False).stdout)["problems"]
    assert [problem["subject"] for problem in changed] == ["b"]  # each was looked at in its own folder


def test_a_plan_says_the_same_as_json(places):
    found = json.loads(ablate("plan", "--space", "places.yaml", "--profile", "quick", "--json", cwd=places).stdout)
    assert found["same"] == [[{"place": "c"}, {"place": "c again"}]]
    assert len({trial["cell"] for trial in found["trials"]}) == 3
    assert [note.split(":")[0] for note in found["notes"][:1]] == ["place=c and place=c again are one configuration"]
    assert sum("are stored in colour" in note for note in found["notes"]) == 1


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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--data-dir", "a"), "data in 'a': nothing says what is in it; give --data folder"),
        (("--set", "data.root=a"), "data in 'a': nothing says what is in it; give --data folder"),
        (("--data", "mni152", "--data-dir", "a"), "data in 'a': mni152 is built in and reads no files"),
        (("--data", "phantom", "--set", "data.root=a"), "data in 'a': phantom is built in and reads no files"),
    ],
)
def test_a_folder_is_never_passed_over_for_what_is_built_in(places, options, message):
    (places / "tiny.yaml").write_text(TINY)
    done = ablate("plan", "--space", "tiny.yaml", *options, cwd=places, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert message in done.stderr


TINY = """\
name: tiny
question: Does it train?
design: grid
base: {model: {name: unet, stages: 2}, data.size: [16, 16], protocol.epochs: 1}
factors:
  model.width: [4]
"""


def test_two_folders_are_two_studies_called_as_they_are(places):
    (places / "tiny.yaml").write_text(TINY)
    for place in "ab":
        ablate("run", "--space", "tiny.yaml", "--data", "folder", "--data-dir", place, "--profile", "quick", cwd=places)
    assert sorted(path.name for path in (places / "studies").iterdir()) == ["tiny-a-quick", "tiny-b-quick"]
    ablate("verify", "studies/tiny-a-quick", cwd=places)


def test_what_an_earlier_version_began_by_the_data_sets_name_goes_on_there(places):
    (places / "tiny.yaml").write_text(TINY)
    asked = ("run", "--space", "tiny.yaml", "--data", "folder", "--profile", "quick", "--data-dir")
    ablate(*asked, "a", "--study", "studies/tiny-folder-quick", cwd=places)
    again = ablate(*asked, "a", cwd=places)
    assert "1 of them are in the study already; none to train" in " ".join(again.stdout.split())
    ablate(*asked, "b", cwd=places)  # other images
    assert sorted(path.name for path in (places / "studies").iterdir()) == ["tiny-b-quick", "tiny-folder-quick"]


def test_what_is_said_beside_the_files_holds_under_what_is_asked(places):
    (places / "tiny.yaml").write_text(TINY)
    (places / "a" / "dataset.yaml").write_text("title: Hospital A\nsize: [8, 8]\nlabels: {tissue: 0, lesion: 255}\n")
    asked = ("plan", "--space", "tiny.yaml", "--profile", "quick", "--data-dir", "a", "--json")
    plain = json.loads(
        ablate(
            "plan",
            "--space",
            "tiny.yaml",
            "--profile",
            "quick",
            "--data",
            "folder",
            "--data-dir",
            "b",
            "--json",
            cwd=places,
        ).stdout
    )
    found = json.loads(ablate(*asked, cwd=places).stdout)
    assert len(found["trials"]) == len(plain["trials"]) == 1
    assert found["trials"][0]["macs"] == plain["trials"][0]["macs"]  # the space's size, not the file's
    done = ablate("run", "--space", "tiny.yaml", "--profile", "quick", "--data-dir", "a", cwd=places)
    assert "Hospital A at 1x16x16" in " ".join(done.stdout.split())
    assert (places / "studies" / "tiny-Hospital_A-quick").is_dir()
    renamed = (places / "a" / "dataset.yaml").read_text().replace("Hospital A", "A").replace("lesion", "tumour")
    (places / "a" / "dataset.yaml").write_text(renamed)
    assert json.loads(ablate(*asked, cwd=places).stdout)["trials"] == found["trials"]  # names are no part of the key


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title: [1]\n", "data folder: title: "),
        ("titel: x\n", "data folder: there is no field 'titel', did you mean 'title'? (see also 'a/dataset.yaml')"),
        ("name: my:reader\n", "data do not say which code reads them"),
        ("name: nowhere\n", "nowhere"),
        ("title: x\ntitle: y\n", "line 2: the key 'title' is given twice"),
        ("[1, 2]\n", "a/dataset.yaml"),
        ("name: isbi2012\n", "'a/dataset.yaml' describes isbi2012, and folder is asked for: give one"),
        ("labels: {a: 0}\n", "labels: expected a value for the background and for each class"),
        ("labels: {a: 0, b: 1, c: 1}\n", "labels: 1 stands for two classes"),
        ("labels: {a: 0, b: '#12'}\n", "expected a number, or a colour"),
        ("spacing: [0, 1]\n", "expected millimetres above 0"),
    ],
)
def test_a_slip_in_what_is_said_of_data_is_one_line(places, text, message):
    (places / "tiny.yaml").write_text(TINY)
    (places / "a" / "dataset.yaml").write_text(text)
    name = ("--data", "folder") if "isbi" in text else ()
    done = ablate("plan", "--space", "tiny.yaml", "--data-dir", "a", *name, cwd=places, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert message in done.stderr
