"""What a metric must do: `build()` gives a function of predicted masks, true ones, and the number of classes.

Both are (N, H, W) uint8 class indices; it gives (N, classes), each in [0, 1], the higher the better. A distance of
the project's own is held to the same with its sign turned, and has no upper bound.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablate.contracts.contract import Contract, Doubt
from ablate.kinds import KINDS, make
from ablate.metrics.base import sign
from ablate.part import Part

_SIDE = 24
_CLASSES = (2, 3)


class TriedMetric:
    def __init__(self, part: Part, classes: tuple[int, ...] = _CLASSES) -> None:
        """`classes`: each number of them with which it is tried."""
        self.metric = make(KINDS["metric"], part)
        self.classes = classes

    @property
    def best(self) -> float:
        """What a perfect prediction scores; of a distance, everything else scores less, below 0."""
        return 0.0 if sign(self.metric.build()) < 0 else 1.0

    def of(self, predicted: NDArray[np.uint8], masks: NDArray[np.uint8], classes: int) -> Any:
        metric = self.metric.build()
        found = metric(predicted.copy(), masks.copy(), classes)
        # Of a class that neither has, a distance is as good as can be.
        return found if sign(metric) > 0 else -np.nan_to_num(found, nan=0.0)


def _masks(classes: int) -> NDArray[np.uint8]:
    """(4, H, W): three images of blocks of every class, and one that is empty."""
    masks = np.zeros((4, _SIDE, _SIDE), dtype=np.uint8)
    for image in range(3):
        for label in range(1, classes):
            start = 2 + 8 * (label - 1) + image
            masks[image, start : start + 6, 4 + image : 16] = label
    return masks


def _shifted(masks: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.roll(masks, 4, axis=2)


def it_gives_a_score_of_each_image_and_class(tried: TriedMetric) -> str:
    for classes in tried.classes:
        found = np.asarray(tried.of(_shifted(_masks(classes)), _masks(classes), classes))
        if found.shape != (4, classes):
            return f"it gives {found.shape} of 4 images and {classes} classes: expected (4, {classes})"
    return ""


def scores_are_between_0_and_1(tried: TriedMetric) -> str:
    for classes in tried.classes:
        masks = _masks(classes)
        for predicted in (masks, _shifted(masks), np.zeros_like(masks), np.full_like(masks, classes - 1)):
            found = np.asarray(tried.of(predicted, masks, classes), dtype=float)
            odd = found[~((found >= 0) & (found <= 1))] if tried.best else found[~(np.isfinite(found) & (found <= 0))]
            if odd.size:
                said = "one that is not known is to be decided, not NaN" if np.isnan(odd[0]) else "scale it"
                return f"it gives {odd[0]:g}: expected scores from 0 to 1; {said}"
    return ""


def a_perfect_prediction_scores_highest(tried: TriedMetric) -> str:
    for classes in tried.classes:
        masks = _masks(classes)
        perfect = np.asarray(tried.of(masks, masks, classes), dtype=float)
        shifted = np.asarray(tried.of(_shifted(masks), masks, classes), dtype=float)
        if (shifted > perfect).any() or not (shifted[:3] < perfect[:3]).any():
            return (
                f"a perfect prediction scores {perfect[0, -1]:g} and a shifted one {shifted[0, -1]:g}: a higher score "
                "must be a better one; subtract a distance or an error from 1"
            )
    if (perfect == tried.best).all():
        return ""
    return Doubt(f"a perfect prediction scores {perfect.min():g}, not {tried.best:g}")


def an_image_is_scored_by_itself(tried: TriedMetric) -> str:
    masks = _masks(3)
    together = np.asarray(tried.of(_shifted(masks), masks, 3), dtype=float)
    alone = np.concatenate([np.asarray(tried.of(_shifted(masks)[[i]], masks[[i]], 3), dtype=float) for i in range(4)])
    if alone.shape == together.shape and np.allclose(alone, together):
        return ""
    return "an image's score depends on the others: score each image alone, intervals are made of single images"


def it_is_not_random(tried: TriedMetric) -> str:
    masks = _masks(3)
    one, other = (np.asarray(tried.of(_shifted(masks), masks, 3)) for _ in range(2))
    return "" if np.array_equal(one, other) else "the same masks give two scores: a metric draws nothing"


CONTRACT = Contract(
    TriedMetric,
    first=(it_gives_a_score_of_each_image_and_class, scores_are_between_0_and_1, it_is_not_random),
    then=(a_perfect_prediction_scores_highest, an_image_is_scored_by_itself),
)
