"""Predictions held against masks: confusion counts, and a trial's own metrics; ignored pixels are in neither.

Predictions and masks are stacked, (N, H, W), or a sequence of arrays (h, w) where each image is judged at its own size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ablate.metrics.base import MetricFunction, Spacings, measure, named
from ablate.metrics.counts import confusion

Masks = NDArray[np.uint8] | Sequence[NDArray[np.uint8]]


def counts_of(predicted: Masks, masks: Masks, classes: int) -> NDArray[np.int64]:
    """As `confusion`: (N, classes, 4)."""
    found = [confusion(one, mask, classes) for one, mask in _batches(predicted, masks)]
    return np.concatenate(found) if found else np.empty((0, classes, 4), dtype=np.int64)


def measured(
    label: str, metric: MetricFunction, predicted: Masks, masks: Masks, classes: int, spacings: Spacings = None
) -> NDArray[np.float64]:
    """The values (N, classes) of metric `label`. Raises as `measure` does."""
    found, done = [np.empty((0, classes))], 0
    for one, mask in _batches(predicted, masks):
        own = None if spacings is None else spacings[done : done + len(mask)]
        found.append(measure(label, metric, one, mask, classes, own))
        done += len(mask)
    return np.concatenate(found)


def measured_all(
    metrics: Mapping[str, MetricFunction], predicted: Masks, masks: Masks, classes: int, spacings: Spacings = None
) -> dict[str, NDArray[np.float64]]:
    """The values of several metrics by their labels, each by its name in tables. Raises as `measure` does."""
    return {
        named(label, metric, spacings): measured(label, metric, predicted, masks, classes, spacings)
        for label, metric in metrics.items()
    }


def _batches(predicted: Masks, masks: Masks) -> list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """All at once where all are of one shape, else each by itself."""
    if isinstance(predicted, np.ndarray) and isinstance(masks, np.ndarray):
        return [(predicted, masks)]
    return [(one[None], mask[None]) for one, mask in zip(predicted, masks, strict=True)]
