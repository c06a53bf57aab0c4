"""`ablate predict` for folders, by several trials, with probabilities: what is made, said, and left alone."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import tifffile
from click.testing import CliRunner, Result
from made_studies import Trained, made_study, trained, trivial
from PIL import Image

from ablate.data.load import load_data
from ablate.data.settings import Folder, Phantom
from ablate.errors import InputError
from ablate.prediction import Ensemble
from ablate.runners.cli.predict import predict
from ablate.study.study import Study

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def three() -> list[Trained]:
    one = trained()
    return [one, *(trained(one.dataset, seed=seed) for seed in (1, 2)), *trivial(one)]


@pytest.fixture
def folder(three, tmp_path, monkeypatch) -> Path:
    """The current one: a study of three seeds, and scans of every kind."""
    made_study(tmp_path / "study", *three)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scans" / "b" / "deep").mkdir(parents=True)
    Image.fromarray(noise(20, 24)).save(tmp_path / "scans" / "a.png")
    np.save(tmp_path / "scans" / "b" / "a.npy", noise(3, 20, 24))
    tifffile.imwrite(tmp_path / "scans" / "b" / "deep" / "c.tiff", noise(2, 20, 24), photometric="minisblack")
    affine = np.array([[0, -2.0, 0, 7], [0, 0, 3.0, -4], [-1.0, 0, 0, 90], [0, 0, 0, 1]])
    nibabel.save(nibabel.Nifti1Image(noise(6, 20, 4), affine), tmp_path / "scans" / "d.nii.gz")
    return tmp_path


def noise(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def run(*arguments: object) -> Result:
    """The command's result; what it cannot use is raised."""
    return CliRunner().invoke(predict, ["study", *map(str, arguments)], catch_exceptions=False)


def files(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


def test_every_image_below_a_folder_keeps_its_place(folder):
    for name in ("notes.txt", "b/a.json", ".hidden.png"):
        (folder / "scans" / name).write_text("no image")
    (folder / "scans" / "linked").symlink_to("b")
    done = run("best", "--all", "scans", "-o", "out")
    expected = ["out/a.png", "out/d.nii.gz", "out/b/a.npy", "out/b/deep/c.tiff"]
    assert (done.exit_code, done.stdout.splitlines()) == (0, expected)
    assert sorted(files(folder / "out")) == sorted(name.removeprefix("out/") for name in expected)
    said = done.stderr.splitlines()[0]
    assert said.startswith("Passed over, no images: 3 below 'scans' (")
    assert all(f"'scans/{name}'" in said for name in ("notes.txt", "b/a.json", "linked"))
    scan: Any = nibabel.load("scans/d.nii.gz")
    mask: Any = nibabel.load("out/d.nii.gz")
    assert mask.shape == scan.shape
    np.testing.assert_array_equal(mask.affine, scan.affine)


def test_masks_beside_their_images_are_not_segmented_the_next_time(folder):
    first = run("best", "--all", "scans", "-o", "scans/masks").stdout
    before = files(folder)
    assert run("best", "--all", "scans", "-o", "scans/masks", "--force").stdout == first
    assert files(folder) == before


def test_a_folder_without_an_image_and_what_is_no_folder(folder):
    (folder / "empty").mkdir()
    for where, said in (
        ("empty", "no image is below it"),
        ("none", "is not a folder"),
        ("scans/a.png", "not a folder"),
    ):
        with pytest.raises(InputError, match=f"--all '{where}'.*{said}"):
            run("best", "--all", where, "-o", "out")
    with pytest.raises(InputError, match="'scans' is a folder: give images, or --all 'scans'"):
        run("best", "scans", "-o", "out")
    with pytest.raises(InputError, match=r"--all 'scans' and 'scans/a.png': give a folder or images, not both"):
        run("best", "scans/a.png", "--all", "scans", "-o", "out")
    assert not (folder / "out").exists()


def test_what_is_asked_for_must_be_said(folder):
    for arguments, said in (
        ((), "no trial is given"),
        (("best",), "there is nothing to segment"),
        (("best", "scans/a.png", "--force", "--skip-existing"), "leave one out"),
        (("best", "scans/none.png"), "'scans/none.png' is not there: expected an image"),
        (("best", "study/study.yaml"), "expected one of .png"),
        (("", "scans/a.png"), "unknown trial ''"),
        (("best,", "scans/a.png"), "unknown trial ''"),
    ):
        with pytest.raises(InputError, match=said):
            run(*arguments, "-o", "out")
    assert not (folder / "out").exists()


def test_one_trial_is_named_in_many_ways_and_said(three, folder):
    best = max(three[:3], key=lambda one: max(epoch.val_dice for epoch in one.result.epochs)).trial
    made = set()
    for number, names in enumerate((["best"], [best.key], [best.key[:5]], ["--key", "best"], ["--key", best.key[:4]])):
        done = run(*names, "scans/a.png", "-o", f"out{number}")
        assert f"Trial {best.key} (unet, seed {best.seed}): validation Dice 0." in done.stderr
        made.add((folder / f"out{number}" / "a.png").read_bytes())
    assert len(made) == 1


def probability(one: Trained) -> np.ndarray:
    """(slices, H, W) of the foreground of a volume, by one trial."""
    found = Ensemble.of_trials(Study.open("study"), [one.trial.key]).segment(Path("scans/b/a.npy"), probabilities=True)
    assert found.probabilities is not None
    return found.probabilities[:, 0]


def test_the_probabilities_of_several_trials_are_averaged(three, folder):
    alone = [probability(one) for one in three[:3]]
    assert not np.allclose(alone[0], alone[1])
    keys = [one.trial.key for one in three[:3]]
    asked = ("scans/b/a.npy", "--probabilities", "-o")
    by_commas = run(",".join(keys), *asked, "out0")
    run("--key", keys[0], "--key", f"{keys[1]}, {keys[2]}", "--key", keys[0], *asked, "out1")
    run("--cell", three[0].trial.cell[:6], *asked, "out2")
    assert by_commas.stderr.splitlines()[0] == "The mean of 3 trials:"
    for number in range(3):
        mean = np.load(folder / f"out{number}" / "a_prob.npy")
        assert (mean.dtype, mean.shape) == (np.float32, (3, 20, 24))
        np.testing.assert_allclose(mean, np.mean(alone, axis=0), atol=1e-6)
        np.testing.assert_array_equal(np.load(folder / f"out{number}" / "a.npy"), mean >= 0.5)


def test_trials_of_other_data_are_not_averaged(three, folder):
    small = trained(load_data(Phantom(size=(24, 24), count=10)))  # at another size they can be
    noisy = trained(load_data(Phantom(size=(16, 16), count=10, noise=0.5)))
    made_study(folder / "more", three[0], small, noisy)
    keys = {one.trial.key: one for one in (small, noisy)}
    for key in keys:
        arguments = ["more", f"{three[0].trial.key},{key}", "scans/a.png", "-o", "out"]
        if keys[key] is small:
            assert CliRunner().invoke(predict, arguments, catch_exceptions=False).exit_code == 0
        else:
            with pytest.raises(InputError, match=r"cannot be averaged: their data.noise differ; average trials of one"):
                CliRunner().invoke(predict, [*arguments, "--force"], catch_exceptions=False)
    for name in (three[-1].trial.key, "all_foreground"):
        with pytest.raises(InputError, match=r"has no weights|unknown trial"):
            run(name, "scans/a.png", "-o", "out", "--force")


def test_an_interrupted_folder_is_gone_on_with(folder):
    """A file that only its pixels show to be broken ends the work; what was made is kept, and made only once."""
    volume = folder / "scans" / "b" / "a.npy"
    whole = volume.read_bytes()
    np.save(volume, np.full((20, 24), np.nan))
    ended = r"a\.npy' has values .*; the 2 of 4 images before it are done, and --skip-existing does the rest"
    with pytest.raises(InputError, match=ended):
        run("best", "--all", "scans", "-o", "out")
    assert sorted(files(folder / "out")) == ["a.png", "d.nii.gz"]
    with pytest.raises(InputError, match=r"'out/a\.png' exists: .* with --force, or keep it with --skip-existing"):
        run("best", "--all", "scans", "-o", "out")
    volume.write_bytes(whole)
    (folder / "out" / "a.png").write_text("mine")
    done = run("best", "--all", "scans", "-o", "out", "--skip-existing")
    assert done.stdout.splitlines() == ["out/b/a.npy", "out/b/deep/c.tiff"]
    assert (folder / "out" / "a.png").read_text() == "mine"
    assert run("best", "--all", "scans", "-o", "out", "--skip-existing").stdout == ""
    run("best", "--all", "scans", "-o", "whole")
    assert files(folder / "out") | {"a.png": b""} == files(folder / "whole") | {"a.png": b""}


def test_probabilities_are_added_to_masks_that_are_there(folder):
    run("best", "scans/d.nii.gz", "-o", "out")
    before = files(folder / "out")
    added = run("best", "scans/d.nii.gz", "-o", "out", "--probabilities", "--skip-existing")
    assert added.stdout.splitlines() == ["out/d_prob.nii.gz"]
    assert files(folder / "out")["d.nii.gz"] == before["d.nii.gz"]
    mask, found = (np.asanyarray(nibabel.load(f"out/d{e}.nii.gz").dataobj) for e in ("", "_prob"))  # type: ignore[attr-defined]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(mask, found >= 0.5)


def test_one_document_says_what_was_made(three, folder):
    run("best", "scans/a.png", "-o", "out")
    done = run("best", "--all", "scans", "-o", "out", "--skip-existing", "--probabilities", "--json")
    document = json.loads(done.stdout)
    assert document["study"] == "study"
    assert [trial["key"] for trial in document["trials"]] == [one.trial.key for one in three[:3] if one is best(three)]
    assert document["values"] == [0, 1]
    assert [(image["image"], image["mask"], image["written"]) for image in document["images"]] == [
        ("scans/a.png", "out/a.png", False),
        ("scans/d.nii.gz", "out/d.nii.gz", True),
        ("scans/b/a.npy", "out/b/a.npy", True),
        ("scans/b/deep/c.tiff", "out/b/deep/c.tiff", True),
    ]
    assert document["images"][0]["probabilities"] == ["out/a_prob.tif"]


def best(three: list[Trained]) -> Trained:
    return max(three[:3], key=lambda one: one.result.epochs[one.result.best_epoch - 1].val_dice)


@pytest.mark.parametrize("settings", [{}, {"slices": "coronal"}, {"intensity": ["zscore"], "use_channels": [1]}])
def test_a_trial_s_own_test_volumes_get_the_masks_it_was_judged_by(settings, tmp_path, monkeypatch):
    """At the trial's size, where nothing is resized: pixel for pixel, so they were prepared alike."""
    from ablate.data.axes import Reading
    from ablate.data.images import read_mask

    monkeypatch.chdir(tmp_path)
    channels = (2,) if "use_channels" in settings else ()
    for number in range(6):
        scan = RNG.normal(50 * number, 30, (16, 16, 16, *channels)).astype(np.int16)
        mask = (scan[..., -1] if channels else scan) > 50 * number + 10
        for kind, array in (("images", scan), ("masks", mask.astype(np.uint8))):
            (tmp_path / "data" / kind).mkdir(parents=True, exist_ok=True)
            affine = np.diag([-1.0, 1, 2, 1])[[2, 0, 1, 3]]
            nibabel.save(nibabel.Nifti1Image(array, affine), tmp_path / "data" / kind / f"v{number}.nii.gz")
    source = Folder(root=tmp_path / "data", size=(16, 16), **settings)
    one = trained(load_data(source))
    study = made_study(tmp_path / "study", one)
    test = one.dataset.split(one.trial.protocol.split).test
    volumes = sorted({one.dataset.groups[index] for index in test})
    run("best", *(f"data/images/{name}.nii.gz" for name in volumes), "-o", "out")
    assert volumes
    for name in volumes:
        found = read_mask(tmp_path / "out" / f"{name}.nii.gz", Reading.of(source)).slices[..., 0]
        for z, plane in enumerate(found):
            kept = study.sample(one.trial.key, f"{name}_z{z:03d}")
            assert kept
            np.testing.assert_array_equal(plane * 255, np.asarray(Image.open(io.BytesIO(kept))))
    assert 0 < found.mean() < 1


@pytest.mark.parametrize("fit", ["stretch", "pad", "patches"])
def test_images_of_any_size_get_the_masks_they_were_judged_by(fit, tmp_path, monkeypatch):
    """Where test images are scored at their own size, whatever brought them to the trial's."""
    monkeypatch.chdir(tmp_path)
    for number in range(10):
        shape = (20 + 3 * number, 40 - 2 * number)
        image = noise(*shape)
        for kind, array in (("images", image), ("masks", (image > 120).astype(np.uint8))):
            (tmp_path / "data" / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(tmp_path / "data" / kind / f"{number}.png")
    one = trained(load_data(Folder(root=tmp_path / "data", size=(16, 16), fit=fit, scored_at="image")))
    study = made_study(tmp_path / "study", one)
    names = [one.dataset.ids[index] for index in one.dataset.split(one.trial.protocol.split).test]
    run("best", *(f"data/images/{name}.png" for name in names), "-o", "out")
    for name in names:
        kept = study.sample(one.trial.key, name)
        assert kept
        expected = np.asarray(Image.open(io.BytesIO(kept)))
        assert expected.shape == np.asarray(Image.open(f"data/images/{name}.png")).shape
        np.testing.assert_array_equal(np.asarray(Image.open(f"out/{name}.png")), expected)


def test_a_case_of_files_for_each_channel_comes_back_as_one_volume(tmp_path, monkeypatch):
    """nnU-Net's layout: three classes, two channels, spacing of its own; cut coronally."""
    from ablate.data.layouts import NnUNet

    monkeypatch.chdir(tmp_path)
    affine = np.diag([-0.8, 0.9, 3.0, 1])[[1, 2, 0, 3]]
    affine[:3, 3] = 10, -20, 30
    for kind in ("imagesTr", "labelsTr"):
        (tmp_path / "data" / kind).mkdir(parents=True)
    for number in range(6):
        labels = RNG.integers(0, 3, (16, 12, 14)).astype(np.uint8)
        for channel in range(2):
            scan = nibabel.Nifti1Image((labels * 100 + RNG.normal(0, 20, labels.shape)).astype(np.int16), affine)
            nibabel.save(scan, tmp_path / "data" / "imagesTr" / f"case{number}_{channel:04d}.nii.gz")
        nibabel.save(nibabel.Nifti1Image(labels, affine), tmp_path / "data" / "labelsTr" / f"case{number}.nii.gz")
    said = {"channel_names": {"0": "T1", "1": "T2"}, "labels": {"background": 0, "liver": 1, "tumour": 2}}
    (tmp_path / "data" / "dataset.json").write_text(json.dumps(said | {"numTraining": 6, "file_ending": ".nii.gz"}))
    one = trained(load_data(NnUNet(root=tmp_path / "data", size=(16, 16), slices="coronal")))
    study = made_study(tmp_path / "study", one)
    done = run("best", "--all", "data/imagesTr", "-o", "out", "--probabilities")
    files = [f"out/case{n}{end}.nii.gz" for n in range(6) for end in ("", *(f"_prob_{c}" for c in range(3)))]
    assert done.stdout.splitlines() == files
    for name in files:
        found: Any = nibabel.load(name)
        assert found.shape == (16, 12, 14)
        np.testing.assert_array_equal(found.affine, affine.astype(np.float32))
    mask = np.asanyarray(nibabel.load("out/case3.nii.gz").dataobj)  # type: ignore[attr-defined]
    each = [np.asanyarray(nibabel.load(f"out/case3_prob_{c}.nii.gz").dataobj) for c in range(3)]  # type: ignore[attr-defined]
    np.testing.assert_array_equal(mask, np.argmax(each, axis=0))
    np.testing.assert_allclose(np.sum(each, axis=0), 1, atol=1e-5)
    assert study.config(one.trial.key).data.channels == 2


def test_masks_in_colour_are_such_as_could_be_learnt_from(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    colours = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 128]], dtype=np.uint8)
    for number in range(8):
        classes = RNG.integers(0, 3, (16, 16))
        for kind, array in (("images", (classes * 90).astype(np.uint8)), ("masks", colours[classes])):
            (tmp_path / "data" / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(tmp_path / "data" / kind / f"{number}.png")
    labels = {"nothing": "#000000", "liver": "#ff0000", "tumour": "#00ff80"}
    source = Folder(root=tmp_path / "data", size=(16, 16), labels=labels)
    made_study(tmp_path / "study", trained(load_data(source)))
    run("best", "--all", "data/images", "-o", "out")
    for number in range(8):
        mask = tmp_path / "out" / f"{number}.png"
        seen = np.asarray(Image.open(mask).convert("RGB"))
        assert {tuple(colour) for colour in seen.reshape(-1, 3)} <= {tuple(colour) for colour in colours}
        np.testing.assert_array_equal(np.asarray(Image.open(mask)), (seen[..., None, :] == colours).all(-1).argmax(-1))
    pairs = tmp_path / "again"
    (pairs / "images").mkdir(parents=True)
    for file in (tmp_path / "data" / "images").iterdir():
        (pairs / "images" / file.name).write_bytes(file.read_bytes())
    (tmp_path / "out").rename(pairs / "masks")
    again = load_data(Folder(root=pairs, size=(16, 16), labels=labels))
    expected = np.stack([np.asarray(Image.open(pairs / "masks" / f"{number}.png")) for number in range(8)])
    np.testing.assert_array_equal(again.masks, expected)


def spoiled(folder: Path) -> dict[str, str]:
    """Files that are no image, or not such as were learnt from, with what is said of each."""
    scan = nibabel.Nifti1Image(noise(6, 5, 4), np.eye(4))
    nibabel.save(scan, folder / "whole.nii.gz")
    content = (folder / "whole.nii.gz").read_bytes()
    (folder / "cut.nii.gz").write_bytes(content[: len(content) // 2])
    (folder / "text.nii.gz").write_text("no image")
    (folder / "text.nii").write_text("no image")
    (folder / "text.tif").write_text("no image")
    (folder / "text.npy").write_text("no image")
    (folder / "empty.png").touch()
    (folder / "folder.png").mkdir()
    (folder / "other.jp2").write_text("no image")
    os.mkfifo(folder / "pipe.png")
    nibabel.save(nibabel.Nifti1Image(noise(6, 5, 4, 2), np.eye(4)), folder / "two.nii.gz")
    np.save(folder / "many.npy", noise(2, 3, 4, 5, 6))
    np.save(folder / "words.npy", np.array([["no", "image"], ["at", "all"]]))
    np.save(folder / "nan.npy", np.array([[0, np.nan], [1, 2]]))
    np.save(folder / "none.npy", np.zeros((0, 4)))
    with tifffile.TiffWriter(folder / "sizes.tif") as stack:
        stack.write(noise(6, 8), photometric="minisblack")
        stack.write(noise(7, 8), photometric="minisblack")
    (folder / "whole.nii.gz").unlink()
    return {
        "cut.nii.gz": "cannot be read", "text.nii.gz": "cannot be read", "text.nii": "cannot be read",
        "text.tif": "cannot be read", "text.npy": "cannot be read", "empty.png": r"is empty \(0 bytes\)",
        "folder.png": "is a folder", "other.jp2": "expected one of", "pipe.png": "is no file",
        "two.nii.gz": "2 channels", "many.npy": "has shape", "words.npy": "<U5 values", "nan.npy": "not finite",
        "none.npy": "is empty", "sizes.tif": "different sizes",
    }  # fmt: skip


def test_whatever_is_no_image_is_one_line_and_nothing_is_written(folder):
    (folder / "bad").mkdir()
    kinds = spoiled(folder / "bad")
    assert sorted(kinds) == sorted(path.name for path in (folder / "bad").iterdir())
    for name, said in kinds.items():
        with pytest.raises(InputError, match=rf"^'bad/{name}'.*({said})") as error:
            run("best", f"bad/{name}", "-o", "out")
        assert "\n" not in str(error.value)
        assert not (folder / "out").exists()
