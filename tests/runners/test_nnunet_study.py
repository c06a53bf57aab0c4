"""A data set in nnU-Net's layout, four channels, three classes, anisotropic, from its files to a report: what the
study says of it is what MONAI says of the predictions it kept, and predicted volumes lie on their scans."""

from __future__ import annotations

import io
import json
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest
import torch
from commands import ablate
from monai.metrics import compute_dice, compute_hausdorff_distance
from PIL import Image

from ablate.analysis.frames import load
from ablate.study.study import Study

SPACING = (0.8, 1.3, 3.0)
"""Of voxels, along the file's axes: left, posterior, superior."""
SHAPE = (30, 24, 4)
SPACE = """\
name: widths
question: Do wider networks pay?
design: grid
base:
  model: {name: unet, stages: 2}
  protocol: {epochs: 12, learning_rate: 0.01, batch_size: 4}
  metrics: [hd95]
factors:
  model.width: [4, 8]
"""


def scan(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Four channels (x, y, z, channel) and labels (x, y, z): an organ, in three of four slices with a tumour."""
    rng = np.random.default_rng(seed)
    x, y = np.mgrid[: SHAPE[0], : SHAPE[1]]
    labels = np.zeros(SHAPE, np.uint8)
    for z in range(SHAPE[2]):
        centre = rng.uniform(11, 18), rng.uniform(9, 14)
        away = np.hypot(x - centre[0], y - centre[1])
        labels[..., z][away < 8] = 1
        labels[..., z][(away < 3.5) & (z > 0)] = 2
    contrast = np.array([[0, 40, 40], [0, -30, 50], [0, 10, 10], [0, 60, -20]])
    channels = np.stack([100 + of_class[labels] + rng.normal(0, 8, SHAPE) for of_class in contrast], axis=-1)
    return channels.astype(np.int16), labels


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data set in `Dataset001_Liver`, and a study of it that was run."""
    folder = tmp_path_factory.mktemp("nnunet")
    root = folder / "Dataset001_Liver"
    affine = np.diag([-SPACING[0], -SPACING[1], SPACING[2], 1.0])
    affine[:3, 3] = 12, -7, 30
    for kind in ("imagesTr", "labelsTr"):
        (root / kind).mkdir(parents=True)
    for case in range(7):
        channels, labels = scan(case)
        for n in range(4):
            nibabel.save(nibabel.Nifti1Image(channels[..., n], affine), root / "imagesTr" / f"p_{case}_{n:04d}.nii.gz")
        nibabel.save(nibabel.Nifti1Image(labels, affine), root / "labelsTr" / f"p_{case}.nii.gz")
    names = {str(n): name for n, name in enumerate(("T1", "T1c", "T2", "FLAIR"))}
    about = {
        "channel_names": names, "labels": {"background": 0, "organ": 1, "tumour": 2}, "numTraining": 7,
        "file_ending": ".nii.gz",
    }  # fmt: skip
    (root / "dataset.json").write_text(json.dumps(about))
    (folder / "widths.yaml").write_text(SPACE)
    ran = ablate(
        "run", "--space", "widths.yaml", "--data", "nnunet", "--data-dir", root.name, "--profile", "quick",
        "--set", "data.size=[32,32]", "--study", "study", cwd=folder,
    )  # fmt: skip
    assert "Dataset001_Liver at 4x32x32" in " ".join(ran.stdout.split())
    return folder


def kept(folder: Path, key: str, image: str) -> tuple[np.ndarray, np.ndarray]:
    """The prediction of a trial and the mask that it was held against, as class indices, from the study's pictures."""
    prediction = np.asarray(Image.open(folder / "study" / "trials" / key / "samples" / f"{image}.png"))
    [picture] = (folder / "study" / "data").glob(f"*/{image}_mask.png")
    return prediction // 127, np.asarray(Image.open(picture)) // 127


def test_dice_and_hd95_in_millimetres_are_monais_on_the_predictions_that_were_kept(place):
    frames = load(Study.open(place / "study"))
    trained = set(frames.trials.loc[frames.trials["state"] == "complete", "key"])
    assert len(trained) == 2
    rows = frames.images[frames.images["key"].isin(trained)]
    assert set(rows["case"]) <= {f"p_{case}" for case in range(7)}
    assert rows.groupby("case")["image"].nunique().eq(4).all()
    # A slice's front is up: its rows run from front to back, its columns from right to left.
    spacing = (SPACING[1], SPACING[0])
    compared = 0
    for (key, image), of_image in rows.groupby(["key", "image"]):
        predicted, mask = kept(place, str(key), str(image))
        assert mask.shape == (SHAPE[1], SHAPE[0])  # the image's own size
        pair = [torch.from_numpy(np.stack([one == c for c in range(3)])[None]) for one in (predicted, mask)]
        dice = compute_dice(*(one.float() for one in pair), include_background=True)[0].numpy()
        hd95 = compute_hausdorff_distance(*pair, include_background=True, percentile=95, spacing=spacing)[0].numpy()
        for row in of_image.itertuples():
            index = int(row[of_image.columns.get_loc("class") + 1])
            if mask[mask == index].size and predicted[predicted == index].size:
                ours = 2 * row.tp / (2 * row.tp + row.fp + row.fn)
                assert ours == pytest.approx(dice[index], abs=1e-6)
                distance = of_image.loc[row.Index, "metric.hd95_mm"]
                assert distance == pytest.approx(hd95[index], abs=1e-4)
                compared += 1
    assert compared >= 15


def test_a_tumour_is_asked_for_by_its_name(place):
    said = ablate("table", "study", "--class", "tumour", "--metrics", "dice,hd95", cwd=place).stdout
    assert "tumour" in said
    assert "mm" in said
    wrong = ablate("pareto", "study", "--class", "tumor", cwd=place, check=False)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert "tumour" in wrong.stderr


def test_predicted_volumes_lie_on_their_scans(place):
    scans = sorted((place / "Dataset001_Liver" / "imagesTr").glob("p_0_*.nii.gz"))
    done = ablate(
        "predict", "study", "best", "--all", "Dataset001_Liver/imagesTr", "-o", "masks", cwd=place, check=False
    )
    assert done.returncode == 0, done.stderr
    made = sorted(path.name for path in (place / "masks").iterdir())
    assert made == [f"p_{case}.nii.gz" for case in range(7)]
    first, mask = nibabel.load(scans[0]), nibabel.load(place / "masks" / "p_0.nii.gz")
    assert mask.shape == SHAPE
    np.testing.assert_array_equal(mask.affine, first.affine)
    found, labels = np.asarray(mask.dataobj), scan(0)[1]
    assert mask.get_data_dtype() == np.uint8
    assert set(np.unique(found)) <= {0, 1, 2}
    overlap = 2 * ((found > 0) & (labels > 0)).sum() / ((found > 0).sum() + (labels > 0).sum())
    turned = [np.flip(found, axis) for axis in (0, 1, 2)]
    others = [2 * ((t > 0) & (labels > 0)).sum() / ((t > 0).sum() + (labels > 0).sum()) for t in turned]
    assert overlap > max(*others, 0.8)


def test_the_report_names_the_data_and_its_classes(place):
    page = (place / "study" / "report.html").read_text()
    for word in ("Dataset001_Liver", "tumour", "organ"):
        assert word in page
    exported = ablate("export", "study", "--table", "trials", "--format", "csv", cwd=place).stdout
    assert "Dataset001_Liver" in exported
    assert len(pd.read_csv(io.StringIO(exported))) == 5
