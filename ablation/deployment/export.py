"""A trial's network as a file that is known to compute what the network does."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ablate.cost.measured import check
from ablate.data.fit import at_least
from ablate.deployment.convert import converted
from ablate.deployment.formats import Format
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

    Raises `InputError` for a trial without weights, a size that its network cannot take, an operation that the format
    does not have, data that are not there, and a file that computes something else.
    """
    if int8 and form.name != "onnx":
        raise InputError(f"--int8 with format {form.name}: only onnx is quantised")
    trial = study.config(key)
    if size is not None:
        check(trial.model, trial.data.channels, trial.data.classes, size, 1)
    dataset = dataset_of(trial.data, size)
    trial = trial.model_copy(update={"data": dataset.config})
    network = Predictor.of_trial(study, key, trial, torch.device("cpu")).network
    content = converted(network, form, trial.data.channels, trial.data.size)
    held = held_against(network, Exported(form, content), trial, dataset)
    if not held.is_equal:
        raise InputError(
            f"the exported file computes something else: a logit is off by {held.difference:.1e} of the greatest, "
            f"{TOLERANCE:.0e} is allowed, and {held.others} of {held.pixels} pixels are of another class"
        )
    if not int8:
        return Made(content, trial, held)
    train = dataset.split(trial.protocol.split).train
    images = (_cut(dataset.images[train[at]], trial.data.size) for at in calibration_images(len(train)))
    small = quantised(content, images)
    return Made(small, trial, held_against(network, Exported(form, small), trial, dataset), held)


def _cut(image: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """The middle of an image, where patches are drawn of it; else the image."""
    wide, _ = at_least(image, size)
    top, left = ((had - side) // 2 for had, side in zip(wide.shape[1:], size, strict=True))
    return wide[:, top : top + size[0], left : left + size[1]]
