"""A new study of one's own data is scored at each image's own size; one that was begun otherwise goes on as it was."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from made_studies import made_study, trained, trivial
from PIL import Image

from ablate.data.fit import is_scored_at_own_size
from ablate.data.load import is_own, load_data
from ablate.data.settings import Folder
from ablate.part import DataPart
from ablate.runners.cli.plan import plan
from ablate.runners.cli.table import table
from ablate.runners.request import Request
from ablate.search_spaces.plan import make_plan

SPACE = {"name": "widths", "question": "?", "design": "grid", "base": {"model": {"name": "unet", "stages": 2}},
         "factors": {"model.width": [4, 8]}}  # fmt: skip
SMALL = {"data.size": [16, 16]}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "mine"
    for kind in ("images", "masks"):
        (root / kind).mkdir(parents=True)
    for i in range(8):
        draw = np.random.default_rng(i)
        image = draw.integers(0, 256, (24 + i, 32)).astype(np.uint8)
        Image.fromarray(image).save(root / "images" / f"{i}.png")
        Image.fromarray((image > 128).astype(np.uint8) * 255).save(root / "masks" / f"{i}.png")
    return root


def sizes(root: Path | None, study: Path | None = None, data: str = "folder", **settings: object) -> set[str]:
    """At which sizes the trials of a run are scored."""
    request = Request(
        space=SPACE, data=data, data_dir=root, profile="quick", study=study, settings={**SMALL, **settings}
    )
    found = request.basis()
    planned = make_plan(found.space, found.profile, dataset_of=found.dataset_of, **found.arguments)
    return {"image" if is_scored_at_own_size(trial.config.data) else "size" for trial in planned.trials}


def old_study(root: Path, path: Path) -> None:
    """As an earlier version made it: its trials are scored at the trial's size."""
    one = trained(load_data(Folder(root=root, size=(16, 16))))
    made_study(path, one, *trivial(one))


def test_a_new_study_of_ones_own_data_is_scored_at_own_size(folder):
    assert sizes(folder) == {"image"}
    assert sizes(folder, Path("elsewhere")) == {"image"}


def test_what_is_set_wins(folder):
    assert sizes(folder, **{"data.scored_at": "size"}) == {"size"}
    assert sizes(folder, **{"data.fit": "patches"}) == {"image"}
    old_study(folder, Path("old"))
    assert sizes(folder, Path("old"), **{"data.scored_at": "image"}) == {"image"}


def test_data_that_everybody_has_are_scored_as_ever():
    assert sizes(None, data="phantom", **{"data.count": 8}) == {"size"}
    for name in ("mni152", "isbi2012", "kaggle_lung", "liver", "phantom"):
        assert not is_own(DataPart({"name": name, "size": [8, 8], "channels": 1, "fingerprint": ""}))
    assert is_own(DataPart({"name": "my_data:read", "size": [8, 8], "channels": 1, "fingerprint": ""}))


def test_a_study_that_was_begun_at_the_trial_s_size_goes_on_so(folder):
    old_study(folder, Path("old"))
    assert sizes(folder, Path("old")) == {"size"}
    assert sizes(folder, Path("new")) == {"image"}


@pytest.mark.parametrize("place", ["widths-mine-quick", "widths-folder-quick"])
def test_so_does_one_at_its_default_place_or_that_of_earlier_versions(folder, place):
    old_study(folder, Path("studies") / place)
    assert sizes(folder) == {"size"}


def test_plan_says_at_which_size(folder):
    Path("space.yaml").write_text(json.dumps(SPACE))
    options = ["--space", "space.yaml", "--data", "folder", "--data-dir", str(folder), "--profile", "quick"]
    said = CliRunner().invoke(plan, [*options, "--set", "data.size=[16,16]"], catch_exceptions=False).output
    assert "scored at each image's own size" in " ".join(said.split())
    said = (
        CliRunner()
        .invoke(plan, [*options, "--set", "data.size=[16,16]", "--set", "data.scored_at=size"], catch_exceptions=False)
        .output
    )
    assert "own size" not in " ".join(said.split())


def test_a_study_s_outputs_say_at_which_size(folder):
    for path, more in (("at_size", {}), ("at_own", {"scored_at": "image"})):
        one = trained(load_data(Folder(root=folder, size=(16, 16), **more)))
        made_study(Path(path), one, *trivial(one))
        said = " ".join(CliRunner().invoke(table, [path], catch_exceptions=False).output.split())
        expected = "at each image's own size" if more else "at 16x16 pixels"
        assert f"Scores are {expected}." in said
