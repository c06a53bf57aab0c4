"""What every metric is that is computed from masks, beside those that follow from confusion counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ablate.data.source import IGNORED
from ablate.errors import TrialError, brief
from ablate.settings import Config

MetricFunction = Callable[[NDArray[np.uint8], NDArray[np.uint8], int], NDArray[np.float64]]
"""From class indices predicted (N, H, W), the masks' (N, H, W) and the number of classes to values (N, classes)."""
Spacings = Sequence[tuple[float, float]] | None
"""Millimetres from row to row and from column to column, of each image as it is scored; None where pixels are meant."""


@dataclass(frozen=True)
class LengthMetric:
    """A metric that goes by lengths: in millimetres where the spacing is known, and in pixels elsewhere.

    Its name in tables has the unit, after `before_unit`: `hd95_mm`, `nsd_at_2px`. A `distance` is not bounded, smaller
    is better, and it is NaN for a class that neither mask nor prediction has.
    """

    of_image: Callable[[NDArray[np.bool_], NDArray[np.bool_], tuple[float, float]], float]
    """From one class's prediction and mask (H, W), either of which may be empty, and what a pixel is long."""
    before_unit: str
    distance: bool

    def __call__(
        self, predicted: NDArray[np.uint8], masks: NDArray[np.uint8], classes: int, spacings: Spacings = None
    ) -> NDArray[np.float64]:
        found = np.empty((len(masks), classes))
        for at, of_class in np.ndindex(*found.shape):
            pixel = (1.0, 1.0) if spacings is None else spacings[at]
            found[at, of_class] = self.of_image(predicted[at] == of_class, masks[at] == of_class, pixel)
        return found


class ImageMetric(Config):
    """Base of the metrics of an image and class: from 0 to 1, the larger the better, or a `LengthMetric`."""

    def build(self) -> MetricFunction:
        """The metric. A class that neither mask nor prediction has scores 1, as in `ablate.metrics.counts`."""
        raise NotImplementedError


def named(label: str, metric: MetricFunction, spacings: Spacings) -> str:
    """What the values of metric `label` are called in tables: of lengths, their unit is part of it."""
    if not isinstance(metric, LengthMetric):
        return label
    return f"{label}{metric.before_unit}{'px' if spacings is None else 'mm'}"


def sign(metric: MetricFunction) -> int:
    """1 where the larger value is the better, -1 where the smaller is."""
    return -1 if isinstance(metric, LengthMetric) and metric.distance else 1


def measure(
    label: str,
    metric: MetricFunction,
    predicted: NDArray[np.uint8],
    masks: NDArray[np.uint8],
    classes: int,
    spacings: Spacings = None,
) -> NDArray[np.float64]:
    """The values (N, classes) of metric `label`. Raises `TrialError` for what no such metric gives.

    Pixels whose class is not known (`IGNORED`) are background in both, so a boundary may run along them.
    """
    known = masks != IGNORED
    if not known.all():
        predicted, masks = np.where(known, predicted, 0), np.where(known, masks, 0)
    lengths = isinstance(metric, LengthMetric)
    values = np.asarray(metric(predicted, masks, classes, *([spacings] if lengths else [])))
    expected = (len(masks), classes)
    if values.shape != expected or values.dtype.kind not in "fiub":
        raise TrialError(f"metric {brief(label)} gave {values.dtype} {values.shape}: expected numbers {expected}")
    found = values.astype(np.float64)
    if isinstance(metric, LengthMetric) and metric.distance:
        return found
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
