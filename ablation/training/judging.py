"""Predictions held against masks: confusion counts, and a trial's own metrics; ignored pixels are in neither.

Predictions and masks are stacked, (N, H, W), or a sequence of arrays (h, w) where each image is judged at its own size.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ablate.data.source import IGNORED
from ablate.metrics.base import MetricFunction, measure
from ablate.metrics.counts import confusion

Masks = NDArray[np.uint8] | Sequence[NDArray[np.uint8]]


def counts_of(predicted: Masks, masks: Masks, classes: int) -> NDArray[np.int64]:
    """As `confusion`: (N, classes, 4)."""
    found = [confusion(one, mask, classes) for one, mask in _batches(predicted, masks)]
    return np.concatenate(found) if found else np.empty((0, classes, 4), dtype=np.int64)


def measured(label: str, metric: MetricFunction, predicted: Masks, masks: Masks, classes: int) -> NDArray[np.float64]:
    """The values (N, classes) of metric `label`, to which ignored pixels are background in both. Raises as `measure`
    does."""
    found = [measure(label, metric, *_decided(*pair), classes) for pair in _batches(predicted, masks)]
    return np.concatenate(found) if found else np.empty((0, classes))


def _batches(predicted: Masks, masks: Masks) -> list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """All at once where all are of one shape, else each by itself."""
    if isinstance(predicted, np.ndarray) and isinstance(masks, np.ndarray):
        return [(predicted, masks)]
    return [(one[None], mask[None]) for one, mask in zip(predicted, masks, strict=True)]


def _decided(predicted: NDArray[np.uint8], masks: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    ignored = masks == IGNORED
    if not ignored.any():
        return predicted, masks
    return np.where(ignored, np.uint8(0), predicted), np.where(ignored, np.uint8(0), masks)
