"""Confusion counts, and the scores that follow from them.

Everything a study keeps of a prediction is TP, FP, FN and TN, per image and class; every score is derived from those.
A class that neither mask nor prediction contains scores 1: nothing was there and nothing was claimed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ablate.data.source import IGNORED

COUNTS = ("tp", "fp", "fn", "tn")


def class_count(classes: int) -> int:
    """How many classes are counted for a network with `classes` output channels: a sigmoid tells two apart."""
    return max(classes, 2)


def confusion(predicted: NDArray[np.integer], mask: NDArray[np.integer], classes: int) -> NDArray[np.int64]:
    """Confusion counts of each image and class.

    Args:
        predicted: class indices, shape (N, H, W).
        mask: class indices, shape (N, H, W); pixels that are `IGNORED` in it are not counted.
        classes: number of classes, background (0) included.

    Returns:
        Shape (N, classes, 4), the last axis as in `COUNTS`.
    """
    if predicted.shape != mask.shape:
        raise ValueError(f"prediction {predicted.shape} and mask {mask.shape} differ in shape")
    pixels: Any = mask[0].size if len(mask) else 0
    joint = mask.astype(np.int64) * classes + predicted + np.arange(len(mask))[:, None, None] * classes**2
    counted = mask != IGNORED
    if not counted.all():
        joint, pixels = joint[counted], counted.sum(axis=(1, 2))[:, None]
    table = np.bincount(joint.ravel(), minlength=len(mask) * classes**2).reshape(len(mask), classes, classes)
    tp = np.diagonal(table, axis1=1, axis2=2)
    fp = table.sum(axis=1) - tp
    fn = table.sum(axis=2) - tp
    return np.stack([tp, fp, fn, pixels - tp - fp - fn], axis=-1).astype(np.int64)


def dice(tp: ArrayLike, fp: ArrayLike, fn: ArrayLike) -> NDArray[np.float64]:
    """Dice coefficient 2TP / (2TP + FP + FN), the paper's Eq. (4), elementwise."""
    tp, fp, fn = (np.asarray(count, dtype=np.float64) for count in (tp, fp, fn))
    return _ratio(2 * tp, 2 * tp + fp + fn)


def iou(tp: ArrayLike, fp: ArrayLike, fn: ArrayLike) -> NDArray[np.float64]:
    """Intersection over union TP / (TP + FP + FN), elementwise."""
    tp, fp, fn = (np.asarray(count, dtype=np.float64) for count in (tp, fp, fn))
    return _ratio(tp, tp + fp + fn)


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.ones_like(whole), where=whole > 0)


MetricName = str
"""One of `METRICS`, or the label of a metric of the trials' own (`ablate.trial.TrialConfig.metric_labels`)."""


class Metric(NamedTuple):
    """A score of a prediction, from 0 to 1, the larger the better: the mean over images of the mean over classes."""

    name: MetricName
    """That of its column in the tables; of the validation images it has a `val_` before it."""
    label: str
    of_class: Callable[[ArrayLike, ArrayLike, ArrayLike], NDArray[np.float64]] | None
    """What TP, FP and FN of one image and class give, elementwise; None where the score is kept by itself."""
    background: bool
    """Whether the mean over classes has the background too."""


class _Metrics(dict[MetricName, Metric]):
    def __missing__(self, name: MetricName) -> Metric:
        return Metric(name, name, None, background=False)


METRICS = _Metrics(
    dice=Metric("dice", "Dice", dice, background=False),
    miou=Metric("miou", "MIoU", iou, background=True),
    iou=Metric("iou", "IoU", iou, background=False),
)
"""What every study has, for it follows from confusion counts. Any other name is looked up as a metric of the trials'
own, of the foreground as Dice is; which of those a study has, its tables say (`ablate.study.tables.own_metrics`)."""


class Scores(NamedTuple):
    """Means over images. `dice` and `iou` are of the foreground, as the paper's Table 2 has them; `miou` is Eq. (1)."""

    dice: float
    iou: float
    miou: float


def scores(counts: NDArray[np.integer]) -> Scores:
    """Scores of confusion counts of shape (N, classes, 4): per image and class, then averaged."""
    tp, fp, fn = counts[..., 0], counts[..., 1], counts[..., 2]

    def mean(metric: Metric) -> float:
        assert metric.of_class is not None
        by_class = metric.of_class(tp, fp, fn)
        return float((by_class if metric.background else by_class[:, 1:]).mean())

    return Scores(**{name: mean(metric) for name, metric in METRICS.items()})
