"""What is made of which files: names, folders, and images whose channels are files of their own."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from safetensors.torch import save

from ablate.data.settings import Folder
from ablate.errors import InputError
from ablate.models.build import build_model
from ablate.models.settings import UNet
from ablate.part import DataPart
from ablate.prediction import Ensemble, Predictor
from ablate.runners.cli.mask_files import Job, jobs
from ablate.trial import Protocol, TrialConfig

OUT = Path("out")


def by_channel(channels: int = 2, classes: int = 1) -> DataPart:
    fields = {"name": "nnunet", "size": [16, 16], "channels": channels, "fingerprint": "", "n_classes": classes}
    return DataPart(fields)


def paths(*names: str) -> list[Path]:
    return [Path(name) for name in names]


def test_an_image_is_a_mask_and_a_file_for_each_class():
    (one,) = jobs([Path("a/b.nii.gz")], None, OUT, DataPart.of(Folder(n_classes=3)), probabilities=True)
    assert one == Job(Path("a/b.nii.gz"), OUT / "b.nii.gz", tuple(OUT / f"b_prob_{n}.nii.gz" for n in range(3)))
    (two,) = jobs([Path("a/b.c.JPG")], Path("a"), OUT, DataPart.of(Folder()), probabilities=True)
    assert two.targets == (OUT / "b.c.png", OUT / "b.c_prob.tif")
    (three,) = jobs([Path("a/x/y/b.tif")], Path("a"), OUT, DataPart.of(Folder()))
    assert three.targets == (OUT / "x" / "y" / "b.tif",)


def test_a_file_for_each_channel_is_one_image():
    given = paths("c_0001.nii.gz", "c_0000.nii.gz", "d_0000.nii.gz", "d_0001.nii.gz", "s/c_0000.nii.gz", "s/c_0001.nii")
    first, second, third = jobs(given, Path(), OUT, by_channel())
    assert (first.sources, first.mask) == (tuple(paths("c_0000.nii.gz", "c_0001.nii.gz")), OUT / "c.nii.gz")
    assert (second.image, second.others) == (Path("d_0000.nii.gz"), (Path("d_0001.nii.gz"),))
    assert (third.sources, third.mask) == (tuple(paths("s/c_0000.nii.gz", "s/c_0001.nii")), OUT / "s" / "c.nii.gz")
    (alone,) = jobs(paths("c_0000.nii.gz"), None, OUT, by_channel(1))
    assert alone.targets == (OUT / "c.nii.gz",)


def test_names_like_channels_mean_nothing_to_other_data():
    assert len(jobs(paths("c_0000.png", "c_0001.png"), None, OUT, DataPart.of(Folder()))) == 2


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("c_0000.nii.gz", "c_0002.nii.gz"), "image 'c' has no file of channel 1: give 'c_0001' too"),
        (("c_0001.nii.gz",), "image 'c' has no file of channel 0: give 'c_0000' too"),
        (("c.nii.gz",), "'c.nii.gz' does not end in its channel: expected names such as case_0000.nii.gz"),
        (("c_000.nii.gz",), "does not end in its channel"),
        (("c_0000.nii.gz", "c_0000.nii"), "'c_0000.nii.gz' and 'c_0000.nii' are one channel of one image"),
    ],
)
def test_channels_that_are_missing_or_not_said(names, said):
    with pytest.raises(InputError, match=said):
        jobs(paths(*names), None, OUT, by_channel())


def test_files_of_channels_are_segmented_as_one_file_of_all(tmp_path):
    trial = TrialConfig(
        model=UNet(width=4, stages=2), data=Folder(size=(16, 16), channels=2), protocol=Protocol(batch_size=2)
    )
    torch.manual_seed(0)
    ensemble = Ensemble([Predictor(trial, save(build_model(trial.model, 2, 1).state_dict()))])
    array = np.random.default_rng(0).integers(0, 2000, (12, 14, 3, 2)).astype(np.int16)
    affine = np.diag([-1.0, 2, 3, 1])
    for name, part in (
        ("both", array),
        ("c_0000", array[..., 0]),
        ("c_0001", array[..., 1]),
        ("short", array[:9, ..., 1]),
    ):
        nibabel.save(nibabel.Nifti1Image(part, affine), tmp_path / f"{name}.nii.gz")
    both, first, second, short = (tmp_path / f"{name}.nii.gz" for name in ("both", "c_0000", "c_0001", "short"))
    whole = ensemble.segment(both, probabilities=True)
    apart = ensemble.segment(first, [second], probabilities=True)
    assert whole.probabilities is not None
    assert apart.probabilities is not None
    np.testing.assert_array_equal(whole.probabilities, apart.probabilities)
    assert np.ptp(whole.probabilities) > 0
    for files, said in (((first, [short]), "is .* but"), ((first, []), "1 channel"), ((both, [second]), "3 channels")):
        with pytest.raises(InputError, match=said):
            ensemble.segment(*files)
