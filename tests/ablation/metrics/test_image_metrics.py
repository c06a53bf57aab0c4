"""Metrics from masks: the project's own, and those of others."""

from __future__ import annotations

import numpy as np
import pytest

from ablate.errors import InputError, TrialError
from ablate.metrics.adapt import adapt, data_names
from ablate.metrics.base import measure
from ablate.metrics.boundary import SurfaceDice
from ablate.metrics.counts import confusion, dice


def pair(classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return tuple(rng.integers(0, classes, (4, 12, 10)).astype(np.uint8) for _ in range(2))


def square(top: int, left: int) -> np.ndarray:
    mask = np.zeros((1, 32, 32), dtype=np.uint8)
    mask[:, top : top + 10, left : left + 10] = 1
    return mask


def test_surface_dice_is_the_share_of_the_boundaries_within_reach():
    for tolerance, moved, expected in ((0, 0, 1), (1, 1, 1), (2, 2, 1)):
        found = SurfaceDice(tolerance=tolerance).build()(square(5, 5 + moved), square(5, 5), 2)
        assert found[0, 1] == expected
    # Of 36 pixels of each boundary, those of the top and bottom stay near, and the two sides are 3 off but at corners.
    far = SurfaceDice(tolerance=1).build()(square(5, 8), square(5, 5), 2)[0, 1]
    assert far == pytest.approx(2 * (2 * 8) / (2 * 36), abs=0.06)


def test_a_class_that_neither_has_scores_1_and_one_that_only_one_has_0():
    nothing, something = np.zeros((1, 32, 32), dtype=np.uint8), square(5, 5)
    metric = SurfaceDice().build()
    assert metric(nothing, nothing, 3)[0].tolist() == [1, 1, 1]
    assert metric(something, nothing, 2)[0, 1] == metric(nothing, something, 2)[0, 1] == 0


def accuracy(predicted, masks, classes, ignored=()):
    return np.stack([((predicted == c) == (masks == c)).mean(axis=(1, 2)) for c in range(classes)], axis=1)


def foreground(predicted, masks):
    return np.stack([(predicted == masks).mean(axis=(1, 2))] * 3, axis=1)


class Accuracy:
    def __init__(self, power: float):
        self.power = power

    def __call__(self, predicted, masks, classes):
        return accuracy(predicted, masks, classes) ** self.power


@pytest.mark.parametrize(
    ("target", "settings", "expected"),
    [
        (accuracy, {}, lambda p, m: accuracy(p, m, 3)),
        (accuracy, {"ignored": [1]}, lambda p, m: accuracy(p, m, 3)),
        (foreground, {}, foreground),
        (Accuracy, {"power": 2}, lambda p, m: accuracy(p, m, 3) ** 2),
    ],
)
def test_a_metric_of_others_gets_class_indices(target, settings, expected):
    predicted, masks = pair()
    found = measure("x", adapt(target, settings, "metric x").build(), predicted, masks, 3)
    np.testing.assert_array_equal(found, expected(predicted, masks))


@pytest.mark.parametrize("name", ["DiceMetric", "compute_dice"])
def test_one_of_monai_s_gets_one_hot_masks_and_is_as_ours(name):
    import monai.metrics

    predicted, masks = pair()
    masks[0][masks[0] == 2] = 1  # a class that only the prediction has, and one that neither has
    predicted[1][predicted[1] == 2] = masks[1][masks[1] == 2] = 0
    metric = adapt(getattr(monai.metrics, name), {}, "metric x").build()
    for _ in range(2):
        found = measure("x", metric, predicted, masks, 3)
        tp, fp, fn, _ = np.moveaxis(confusion(predicted, masks, 3), -1, 0)
        np.testing.assert_allclose(found, dice(tp, fp, fn), atol=1e-6)
    assert found[1, 2] == 1


def test_settings_and_values_are_checked():
    assert data_names(accuracy) == ("predicted", "masks", "classes")
    assert data_names(Accuracy) == ()
    predicted, masks = pair()
    with pytest.raises(InputError, match="metric x: setting 'ignord': did you mean 'ignored'"):
        adapt(accuracy, {"ignord": 1}, "metric x")
    with pytest.raises(InputError, match=r"metric x takes a: expected \(predicted, masks, classes\)"):
        adapt(lambda a: a, {}, "metric x").build()
    for bad, reason in (
        (lambda p, m, c: np.full((4, 3), 1.5), "metric x gave 1.5: expected values from 0 to 1"),
        (lambda p, m, c: np.ones(4), r"metric x gave float64 \(4,\): expected numbers \(4, 3\)"),
    ):
        with pytest.raises(TrialError, match=reason):
            measure("x", adapt(bad, {}, "metric x").build(), predicted, masks, 3)
