"""`ablate predict` adds masks: it replaces no image, nobody's files and nothing of a study."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from commands import ablate
from PIL import Image
from safetensors.torch import load, save

from ablate.data.load import load_data
from ablate.data.settings import Phantom
from ablate.errors import InputError
from ablate.models.settings import UNet
from ablate.study.records import Record
from ablate.study.runs import Run
from ablate.study.study import Study
from ablate.study.trial_folder import pack
from ablate.trial import Protocol, TrialConfig


class Made(NamedTuple):
    """A study with one trial, in a folder with images to segment."""

    folder: Path
    key: str


@pytest.fixture(scope="module")
def trial() -> tuple[TrialConfig, bytes]:
    """A trial and its packed folder."""
    import torch

    from ablate.training.loop import train

    dataset = load_data(Phantom(size=(16, 16), count=10))
    config = TrialConfig(
        model=UNet(width=4, stages=2), data=dataset.config, protocol=Protocol(epochs=1, augment=()), seed=0
    )
    result = train(config, dataset, device=torch.device("cpu"))
    best = result.epochs[0]
    scores = {"val_dice": best.val_dice, "val_iou": best.val_iou, "val_miou": best.val_miou}
    record = Record(
        key=config.key, cell=config.cell, model="unet", seed=0, state="complete", params=1, macs=1, epochs=1,
        best_epoch=1, **scores,
    )  # fmt: skip
    return config, pack(config, record, result.epochs, result)


@pytest.fixture
def made(trial, tmp_path) -> Made:
    config, packed = trial
    study = Study.open_or_new(tmp_path / "study")
    run: Run = Run(
        space="one", question="?", profile="quick", design="grid", factors={}, definition={}, trials={config.key: {}}
    )
    with study.writing():
        study.plan(run, threads=1, data_dir=None)
        study.accept(config.key, packed)
    rng = np.random.default_rng(0)
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
        for name in ("a.png", "b.png"):
            Image.fromarray(rng.integers(0, 255, (20, 24), dtype=np.uint8)).save(tmp_path / folder / name)
    np.save(tmp_path / "images" / "volume.npy", rng.integers(0, 255, (3, 20, 24), dtype=np.uint8))
    return Made(tmp_path, config.key)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


@pytest.fixture
def refused(made) -> Callable[..., str]:
    """What is said by a prediction that is refused, and leaves every file as it was."""

    def refused(*arguments: str) -> str:
        before = contents(made.folder)
        done = ablate("predict", "study", made.key, *arguments, cwd=made.folder, check=False)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
        assert contents(made.folder) == before
        return done.stderr

    return refused


def test_each_image_becomes_a_mask_of_its_own_kind_and_size(made):
    names = ["a.png", "b.png", "volume.npy"]
    images = [f"images/{name}" for name in names]
    done = ablate("predict", "study", made.key, *images, "-o", "predicted", cwd=made.folder)
    assert done.stdout.splitlines() == [f"predicted/{name}" for name in names]
    assert sorted(path.name for path in (made.folder / "predicted").iterdir()) == names
    for name in names[:2]:
        mask = np.asarray(Image.open(made.folder / "predicted" / name))
        assert mask.shape == (20, 24)
        assert set(np.unique(mask)) <= {0, 255}
    volume = np.load(made.folder / "predicted" / "volume.npy")
    assert (volume.shape, volume.dtype) == ((3, 20, 24), np.uint8)
    assert set(np.unique(volume)) <= {0, 1}


def test_images_are_never_written_over_whatever_the_folder_is_called(made, refused):
    (made.folder / "linked").symlink_to("images")
    (made.folder / "hard").mkdir()
    (made.folder / "hard" / "a.png").hardlink_to(made.folder / "images" / "a.png")
    for output in ("images", "images/", "./masks/../images", "linked", "hard", str(made.folder / "images")):
        for overwrite in ((), ("--overwrite",)):
            said = refused("images/b.png", "images/a.png", "-o", output, *overwrite)
            assert "is itself to be segmented" in said or "exists" in said


def test_files_that_are_there_stay_unless_masks_are_to_be_replaced(made, refused):
    assert "'masks/a.png' exists: predict into another folder" in refused("images/a.png", "-o", "masks")
    before = contents(made.folder)
    ablate("predict", "study", made.key, "images/a.png", "-o", "masks", "--overwrite", cwd=made.folder)
    after = contents(made.folder)
    assert {name for name in after if after[name] != before.get(name)} == {"masks/a.png"}


def test_earlier_masks_are_seen_before_anything_is_segmented(made, refused):
    (made.folder / "out").mkdir()
    (made.folder / "out" / "volume.npy").write_text("mine")
    (made.folder / "images" / "broken.png").write_text("no image")
    said = refused("images/broken.png", "images/volume.npy", "-o", "out")
    assert "'out/volume.npy' exists" in said


@pytest.mark.parametrize("name", ["a_prob.tif", "volume_prob.npy"])
def test_any_probabilities_that_are_there_stay(name, made, refused):
    (made.folder / "out").mkdir()
    (made.folder / "out" / name).write_text("mine")
    assert f"'out/{name}' exists" in refused("images/a.png", "images/volume.npy", "-o", "out", "--probabilities")


def test_two_masks_never_have_one_name(made, refused):
    (made.folder / "images" / "A.PNG").write_bytes((made.folder / "images" / "a.png").read_bytes())
    grey = Image.open(made.folder / "images" / "a.png")
    for name in ("a.jpg", "a_prob.tif", "\u00e9.png", "e\u0301.png"):
        grey.save(made.folder / "images" / name)
    for images in (
        ("images/a.png", "masks/a.png"),
        ("images/a.png", "images/A.PNG"),
        ("images/a.png", "images/a.jpg"),
        ("images/a.png", "images/a.png"),
        ("images/a_prob.tif", "images/a.png"),
        ("images/\u00e9.png", "images/e\u0301.png"),
    ):
        assert "two of the images would both become 'out/" in refused(*images, "-o", "out", "--probabilities")


def test_links_and_what_is_no_folder_are_refused(made, refused):
    (made.folder / "out").mkdir()
    (made.folder / "out" / "a.png").symlink_to("../images/b.png")
    (made.folder / "out" / "b.png").symlink_to("nothing")
    for name in ("a", "b"):
        for overwrite in ((), ("--overwrite",)):
            assert "is a link" in refused(f"images/{name}.png", "-o", "out", *overwrite)
    assert "'images/a.png/x/b.png' cannot be written: Not a directory" in refused(
        "images/b.png", "-o", "images/a.png/x"
    )


def test_nothing_is_written_into_a_study(made, refused):
    (made.folder / "through").symlink_to("study/trials")
    for output in ("study", "study/predicted", "study/data", "through", f"through/{made.key}/samples"):
        assert "would be among the files of study" in refused("images/a.png", "-o", output, "--overwrite")


def test_one_bad_image_leaves_nothing_half_done(made, refused):
    (made.folder / "images" / "broken.png").write_text("no image")
    assert "broken.png" in refused("images/a.png", "images/broken.png", "-o", "out")
    assert not (made.folder / "out").exists()


@pytest.mark.parametrize("key", ["../../images", "/etc", "", "0" * 12, "\x1b[2J", "x" * 5000])
def test_a_key_that_the_study_does_not_have_is_refused(made, key):
    done = ablate("predict", "study", key, "images/a.png", "-o", "out", cwd=made.folder, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "unknown trial" in done.stderr
    assert "\x1b" not in done.stderr
    assert not (made.folder / "out").exists()


def test_weights_that_were_changed_are_not_used(made, refused):
    weights = made.folder / "study" / "trials" / made.key / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert "model.safetensors" in refused("images/a.png", "-o", "out")
    weights.unlink()
    weights.symlink_to("/dev/zero")
    assert "model.safetensors" in refused("images/a.png", "-o", "out")


def test_weights_of_another_network_are_said_not_to_fit(trial):
    from ablate.prediction import Predictor

    config, packed = trial
    weights = zipfile.ZipFile(io.BytesIO(packed)).read("model.safetensors")
    names = load(weights)
    del names[sorted(names)[0]]
    for wrong in (save(names), b"", b"\xff" * 100, weights[:-1]):
        with pytest.raises(InputError, match=f"the weights of trial {config.key} do not fit its network: "):
            Predictor(config, wrong)
