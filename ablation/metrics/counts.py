"""Confusion counts, and the scores that follow from them.

Everything a study keeps of a prediction is TP, FP, FN and TN, per image and class; every score is derived from those.
A class that neither mask nor prediction contains scores 1, nothing was there and nothing was claimed, unless the
analysis is asked for another choice (`Empty`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ablate.data.source import IGNORED

COUNTS = ("tp", "fp", "fn", "tn")
_AT_A_TIME = 2**22
"""Pixels that are counted together: each takes some 30 bytes meanwhile."""


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
    at_a_time = max(1, _AT_A_TIME // max(1, mask[:1].size))
    starts = range(0, max(1, len(mask)), at_a_time)
    blocks = ((predicted[i : i + at_a_time], mask[i : i + at_a_time]) for i in starts)
    return np.concatenate([_confusion(one, other, classes) for one, other in blocks])


def _confusion(predicted: NDArray[np.integer], mask: NDArray[np.integer], classes: int) -> NDArray[np.int64]:
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
    return METRICS["dice"].of_counts(tp, fp, fn, 0)


def iou(tp: ArrayLike, fp: ArrayLike, fn: ArrayLike) -> NDArray[np.float64]:
    """Intersection over union TP / (TP + FP + FN), elementwise."""
    return METRICS["iou"].of_counts(tp, fp, fn, 0)


Empty = Literal["one", "skip", "zero"]
"""What an image scores in a class that neither its mask nor its prediction has: 1, nothing (it is left out of means),
or 0. A class that only one of them has scores 0 in each case."""
EMPTY: tuple[Empty, ...] = get_args(Empty)
_OF_NOTHING = {"one": 1.0, "skip": np.nan, "zero": 0.0}

MetricName = str
"""One of `METRICS` or `ON_REQUEST`, or the name of a metric of the trials' own (`ablate.metrics.base.named`); of one
class alone, with a dot and the class's name or index after it: `dice.liver`, `hd95_mm.2`."""
_Array = NDArray[np.float64]
_Fraction = Callable[[_Array, _Array, _Array, _Array], tuple[_Array, _Array, _Array]]
"""From TP, FP, FN and TN: what is divided, by what, and how many pixels either has of what it is about."""


class Metric(NamedTuple):
    """A score of a prediction: the mean over images of the mean over classes, or of one class.

    From 0 to 1 and the larger the better; of a distance (`unit` is mm or px) not bounded, and the smaller the better.
    """

    name: MetricName
    """That of its column in the tables; of the validation images it has a `val_` before it."""
    label: str
    fraction: _Fraction | None
    """None where the score is kept by itself."""
    background: bool
    """Whether the mean over classes has the background too."""
    unit: str = ""
    only: str = ""
    """The class that it is of, by name or index."""

    @property
    def sign(self) -> int:
        """1 where the larger is the better, -1 where the smaller is: a score times this is to be large."""
        return -1 if self.unit else 1

    @property
    def stem(self) -> str:
        """Its name without class and unit: what a trial calls it."""
        whole = self.name.partition(".")[0]
        found = _WITHIN.fullmatch(whole) or _DISTANCE.fullmatch(whole)
        return found[1] if found else whole

    @property
    def heading(self) -> str:
        """Its label over a column: an arrow says that the smaller is the better."""
        return f"{self.label} ↓" if self.unit else self.label

    def of_counts(self, tp: ArrayLike, fp: ArrayLike, fn: ArrayLike, tn: ArrayLike, empty: Empty = "one") -> _Array:
        """The score of one image and class, elementwise."""
        assert self.fraction is not None
        counts = (np.asarray(count, dtype=np.float64) for count in (tp, fp, fn, tn))
        part, whole, there = self.fraction(*counts)
        found = np.divide(part, whole, out=np.zeros_like(whole), where=whole > 0)
        return np.where(there > 0, found, _OF_NOTHING[empty])

    def of_nothing(self, empty: Empty) -> float:
        """What one image scores in a class that neither its mask nor its prediction has.

        A distance that is as good as can be is 0; there is none that is as bad as can be, so `zero` leaves it out.
        """
        return {"one": 0.0}.get(empty, np.nan) if self.unit else _OF_NOTHING[empty]


_DISTANCE = re.compile(r"(\w+)_(mm|px)", re.ASCII)
_WITHIN = re.compile(r"(\w+)_at_([0-9_]+)(mm|px)", re.ASCII)
_TITLES = {"hd95": "HD95", "assd": "ASSD", "nsd": "NSD"}


class _Metrics(dict[MetricName, Metric]):
    def __missing__(self, name: MetricName) -> Metric:
        whole, dot, of_class = name.partition(".")
        if dot:
            one = self["iou" if whole == "miou" else whole]  # of one class there is no mean
            said = f"class {of_class}" if of_class.isdecimal() else of_class
            return one._replace(name=name, label=f"{one.label} of {said}", only=of_class)
        if name in ON_REQUEST:
            return ON_REQUEST[name]
        if within := _WITHIN.fullmatch(name):
            reach = within[2].replace("_", ".")
            return Metric(name, f"{_title(within[1])} at {reach} {within[3]}", None, background=False)
        if distance := _DISTANCE.fullmatch(name):
            return Metric(name, f"{_title(distance[1])} ({distance[2]})", None, background=False, unit=distance[2])
        return Metric(name, _title(name), None, background=False)


def says_unit(name: MetricName) -> bool:
    """Whether a name ends in the unit of what it measures: `hd95_mm`, `nsd_at_2px`."""
    return bool(_DISTANCE.fullmatch(name) or _WITHIN.fullmatch(name))


def _title(label: str) -> str:
    return _TITLES.get(label, label)


METRICS = _Metrics(
    dice=Metric("dice", "Dice", lambda tp, fp, fn, tn: (2 * tp, 2 * tp + fp + fn, tp + fp + fn), background=False),
    miou=Metric("miou", "MIoU", lambda tp, fp, fn, tn: (tp, tp + fp + fn, tp + fp + fn), background=True),
    iou=Metric("iou", "IoU", lambda tp, fp, fn, tn: (tp, tp + fp + fn, tp + fp + fn), background=False),
)
"""What every study's tables have, for it follows from confusion counts. Any other name is looked up as one that is
derived when asked for, or as a metric of the trials' own, of the foreground as Dice is; which of those a study has, its
tables say (`ablate.study.tables.own_metrics`)."""
ON_REQUEST = {
    one.name: one
    for one in (
        Metric("sensitivity", "Sensitivity", lambda tp, fp, fn, tn: (tp, tp + fn, tp + fp + fn), background=False),
        Metric("precision", "Precision", lambda tp, fp, fn, tn: (tp, tp + fp, tp + fp + fn), background=False),
        # The sensitivity of all that the class is not.
        Metric("specificity", "Specificity", lambda tp, fp, fn, tn: (tn, tn + fp, tn + fp + fn), background=False),
    )
}
"""What follows from confusion counts, too, and has a column where it is asked for."""


class Scores(NamedTuple):
    """Means over images. `dice` and `iou` are of the foreground, as the paper's Table 2 has them; `miou` is Eq. (1)."""

    dice: float
    iou: float
    miou: float


def scores(counts: NDArray[np.integer]) -> Scores:
    """Scores of confusion counts of shape (N, classes, 4): per image and class, then averaged."""

    def mean(metric: Metric) -> float:
        by_class = metric.of_counts(*np.moveaxis(counts, -1, 0))
        return float((by_class if metric.background else by_class[:, 1:]).mean())

    return Scores(**{name: mean(metric) for name, metric in METRICS.items()})
