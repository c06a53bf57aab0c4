"""A trial's network as a file that is known to compute what the network does."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ablate.cost.measured import check
from ablate.data.dataset import Dataset
from ablate.data.fit import at_least
from ablate.deployment.convert import converted
from ablate.deployment.formats import ExportError, Format
from ablate.deployment.held import TOLERANCE, Held, held_against
from ablate.deployment.quantised import calibration_images, quantised
from ablate.deployment.runtime import Exported
from ablate.errors import InputError
from ablate.prediction import Predictor
from ablate.study.study import Study
from ablate.study.where_data_are import DatasetOf
from ablate.trial import TrialConfig


class Made(NamedTuple):
    content: bytes
    trial: TrialConfig
    """With the size of images that the file takes."""
    held: Held
    whole: Held | None = None
    """Of an int8 file: that in float32 of which it was made."""


class Trained(NamedTuple):
    """A trial's network, in evaluation mode, with the data that it was judged on."""

    trial: TrialConfig
    """With the size of images that its file takes."""
    network: nn.Module
    dataset: Dataset


def export_network(
    study: Study,
    key: str,
    form: Format,
    dataset_of: DatasetOf,
    *,
    size: tuple[int, int] | None = None,
    int8: bool = False,
) -> Made:
    """The network of trial `key` as a file.

    In float32 it is made only if each logit of the test images is within `TOLERANCE` of the network's. In int8, whose
    ranges are calibrated on training images, it differs, and `Made.held` says by how much.

    Args:
        dataset_of: reads a trial's data.
        size: of the images (height, width), by default the trial's own.

    Raises `InputError` for a trial without weights, a size that its network cannot take and data that are not there,
    and `ExportError` for an operation that the format does not have, and a file that computes something else.
    """
    if int8 and form.name != "onnx":
        raise InputError(f"--int8 with format {form.name}: only onnx is quantised")
    own = trained(study, key, dataset_of, size)
    content = whole_file(own, form)
    held = checked(held_against(own.network, Exported(form, content), own.trial, own.dataset))
    if not int8:
        return Made(content, own.trial, held)
    small = int8_file(own, content)
    return Made(small, own.trial, held_against(own.network, Exported(form, small), own.trial, own.dataset), held)


def trained(study: Study, key: str, dataset_of: DatasetOf, size: tuple[int, int] | None = None) -> Trained:
    """The network of trial `key`, for images of its own size, or of `size`. Raises as `export_network` does."""
    trial = study.config(key)
    if size is not None:
        check(trial.model, trial.data.channels, trial.data.classes, size, 1)
    dataset = dataset_of(trial.data, size)
    trial = trial.model_copy(update={"data": dataset.config})
    return Trained(trial, Predictor.of_trial(study, key, trial, torch.device("cpu")).network, dataset)


def whole_file(own: Trained, form: Format, size: tuple[int, int] | None = None) -> bytes:
    """The network as a file in float32, for images of its trial's size or of `size`. Raises `ExportError`."""
    return converted(own.network, form, own.trial.data.channels, size or own.trial.data.size)


def checked(held: Held) -> Held:
    """Itself. Raises `ExportError` where a file in float32 computes something else than its network."""
    if not held.is_equal:
        raise ExportError(
            f"the exported file computes something else: a logit is off by {held.difference:.1e} of the greatest, "
            f"{TOLERANCE:.0e} is allowed, and {held.others} of {held.pixels} pixels are of another class"
        )
    return held


def int8_file(own: Trained, content: bytes, size: tuple[int, int] | None = None) -> bytes:
    """An ONNX file of the network's in int8, its ranges measured on training images. Raises `ExportError`."""
    train = own.dataset.split(own.trial.protocol.split).train
    sides = size or own.trial.data.size
    images = (_cut(own.dataset.images[train[at]], sides) for at in calibration_images(len(train)))
    return quantised(content, images)


def _cut(image: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """The middle of an image, where patches are drawn of it; else the image."""
    wide, _ = at_least(image, size)
    top, left = ((had - side) // 2 for had, side in zip(wide.shape[1:], size, strict=True))
    return wide[:, top : top + size[0], left : left + size[1]]
