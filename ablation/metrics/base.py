"""What every metric is that is computed from masks, beside those that follow from confusion counts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ablate.errors import TrialError, brief
from ablate.settings import Config

MetricFunction = Callable[[NDArray[np.uint8], NDArray[np.uint8], int], NDArray[np.float64]]
"""From class indices predicted (N, H, W), the masks' (N, H, W) and the number of classes to values (N, classes)."""


class ImageMetric(Config):
    """Base of the metrics of an image and class: from 0 to 1, the larger the better."""

    def build(self) -> MetricFunction:
        """The metric. A class that neither mask nor prediction has scores 1, as in `ablate.metrics.counts`."""
        raise NotImplementedError


def measure(
    label: str, metric: MetricFunction, predicted: NDArray[np.uint8], masks: NDArray[np.uint8], classes: int
) -> NDArray[np.float64]:
    """The values (N, classes) of metric `label`. Raises `TrialError` for what no such metric gives."""
    values = np.asarray(metric(predicted, masks, classes))
    expected = (len(masks), classes)
    if values.shape != expected or values.dtype.kind not in "fiub":
        raise TrialError(f"metric {brief(label)} gave {values.dtype} {values.shape}: expected numbers {expected}")
    found = values.astype(np.float64)
    if not ((found >= 0) & (found <= 1)).all():
        worst = found[~((found >= 0) & (found <= 1))][0]
        raise TrialError(f"metric {brief(label)} gave {worst:g}: expected values from 0 to 1")
    return found


def fill_undefined(
    values: NDArray[np.floating], predicted: NDArray[np.uint8], masks: NDArray[np.uint8]
) -> NDArray[np.float64]:
    """Values (N, classes) where NaN became 1 for a class that neither mask nor prediction has, and 0 otherwise."""
    filled = values.astype(np.float64)
    for image, of_class in np.argwhere(np.isnan(filled)):
        filled[image, of_class] = not ((predicted[image] == of_class).any() or (masks[image] == of_class).any())
    return filled
