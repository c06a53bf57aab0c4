"""HD95, ASSD and NSD: as MONAI's where both are defined, and by geometry elsewhere."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ablate.data.source import IGNORED
from ablate.metrics.base import measure
from ablate.metrics.boundary import ASSD, HD95, NSD, SurfaceDice, boundary_distances
from ablate.training.judging import measured_all

Pixel = tuple[float, float]
PIXELS: list[Pixel | None] = [None, (1.0, 1.0), (0.7, 0.7), (2.5, 0.4), (0.1, 3.0)]


def monai_of(name: str, predicted: np.ndarray, masks: np.ndarray, classes: int, pixel: Pixel | None) -> np.ndarray:
    from monai import metrics

    pair = [torch.from_numpy(np.stack([m == c for c in range(classes)], axis=1)).float() for m in (predicted, masks)]
    how = {"include_background": True, "spacing": None if pixel is None else list(pixel)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes that are nowhere
        if name == "hd95":
            return metrics.compute_hausdorff_distance(*pair, percentile=95, **how).numpy()
        if name == "assd":
            return metrics.compute_average_surface_distance(*pair, symmetric=True, **how).numpy()
        return metrics.compute_surface_dice(*pair, [2.1] * classes, **how).numpy()


METRICS = {"hd95": HD95(), "assd": ASSD(), "nsd": NSD(tolerance=2.1)}


def blobs(rng: np.random.Generator, classes: int, size: tuple[int, int]) -> np.ndarray:
    """Masks of noise, of blocks, and of objects at the image's edge."""
    height, width = size
    masks = np.zeros((4, height, width), dtype=np.uint8)
    masks[0] = rng.integers(0, classes, size)
    for image in (1, 2):
        for of_class in range(1, classes):
            top, left = rng.integers(0, height - 3), rng.integers(0, width - 3)
            masks[image, top : top + rng.integers(1, height), left : left + rng.integers(1, width)] = of_class
    masks[3, :, : width // 2] = classes - 1
    return masks


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("pixel", PIXELS)
@pytest.mark.parametrize("classes", [2, 3, 5])
def test_they_are_as_monai_s(name: str, pixel: Pixel | None, classes: int):
    rng = np.random.default_rng(classes)
    for size in ((16, 16), (9, 31)):
        predicted, masks = blobs(rng, classes, size), blobs(rng, classes, size)
        spacings = None if pixel is None else [pixel] * len(masks)
        found = measure("x", METRICS[name].build(), predicted, masks, classes, spacings)
        expected = monai_of(name, predicted, masks, classes, pixel)
        both = [
            [(m == c).any() and (p == c).any() for c in range(classes)] for p, m in zip(predicted, masks, strict=True)
        ]
        assert np.mean(both) > 0.5
        np.testing.assert_allclose(found[both], expected[both], rtol=1e-5)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(PIXELS), st.floats(0.02, 0.98))
def test_they_are_as_monai_s_of_any_masks(seed: int, pixel: Pixel | None, share: float):
    rng = np.random.default_rng(seed)
    predicted, masks = (rng.random((1, *rng.integers(2, 12, 2))) < share for _ in range(2))
    masks = np.resize(masks, predicted.shape)
    pair = predicted.astype(np.uint8), masks.astype(np.uint8)
    if all((one == value).any() for one in pair for value in (0, 1)):
        for name, metric in METRICS.items():
            found = measure("x", metric.build(), *pair, 2, None if pixel is None else [pixel])
            np.testing.assert_allclose(found, monai_of(name, *pair, 2, pixel), rtol=1e-5)


def square(top: int, left: int, side: int = 4, size: tuple[int, int] = (20, 30)) -> np.ndarray:
    mask = np.zeros((1, *size), dtype=np.uint8)
    mask[:, top : top + side, left : left + side] = 1
    return mask


@pytest.mark.parametrize(("down", "across"), [(3, 0), (0, 3), (3, 4)])
def test_two_pixels_are_as_far_apart_as_the_ruler_says(down: int, across: int):
    one, other = square(5, 5, 1), square(5 + down, 5 + across, 1)
    for pixel in PIXELS[1:]:
        far = float(np.hypot(down * pixel[0], across * pixel[1]))
        for metric in (HD95(), ASSD()):
            assert measure("x", metric.build(), one, other, 2, [pixel])[0, 1] == pytest.approx(far)
        for tolerance, share in ((far * 0.99, 0.0), (far * 1.01, 1.0)):
            assert measure("x", NSD(tolerance=tolerance).build(), one, other, 2, [pixel])[0, 1] == share


@pytest.mark.parametrize("steps", range(1, 30))
def test_a_tolerance_of_whole_pixels_holds_whatever_the_last_digit_says(steps: int):
    """0.1 + 0.1 + 0.1 is more than 0.3 to a computer."""
    one, other = square(0, 0, 1, (1, 40)), square(0, steps, 1, (1, 40))
    assert measure("x", NSD(tolerance=round(steps * 0.1, 1)).build(), one, other, 2, [(0.1, 0.1)])[0, 1] == 1


def test_a_class_that_one_of_them_has_is_as_far_as_the_image_s_corners():
    nothing, something = np.zeros((1, 20, 30), dtype=np.uint8), square(5, 5)
    for predicted, masks in ((nothing, something), (something, nothing)):
        for pixel, far in ((None, np.hypot(19, 29)), ((2.0, 0.5), np.hypot(38, 14.5))):
            spacings = None if pixel is None else [pixel]
            for metric in (HD95(), ASSD()):
                assert measure("x", metric.build(), predicted, masks, 2, spacings)[0, 1] == pytest.approx(far)
            assert measure("x", NSD(tolerance=50).build(), predicted, masks, 2, spacings)[0, 1] == 0
    corner = np.zeros((1, 20, 30), dtype=np.uint8)
    corner[0, 0, 0] = 1
    opposite = corner[:, ::-1, ::-1]
    assert measure("x", HD95().build(), corner, opposite, 2)[0, 1] == pytest.approx(np.hypot(19, 29))  # none is farther


def test_of_a_class_that_neither_has_a_distance_is_not_defined():
    nothing = np.zeros((1, 20, 30), dtype=np.uint8)
    for metric, expected in ((HD95(), np.nan), (ASSD(), np.nan), (NSD(tolerance=1), 1.0)):
        np.testing.assert_equal(measure("x", metric.build(), nothing, nothing, 3)[0, 1:], [expected] * 2)


def test_pixels_that_nobody_decided_are_background_in_both():
    rng = np.random.default_rng(0)
    predicted, masks = blobs(rng, 3, (16, 16)), blobs(rng, 3, (16, 16))
    unknown = rng.random(masks.shape) < 0.3
    for metric in (*METRICS.values(), SurfaceDice()):
        found = measure("x", metric.build(), predicted, np.where(unknown, IGNORED, masks), 3)
        cleared = (np.where(unknown, 0, one).astype(np.uint8) for one in (predicted, masks))
        np.testing.assert_array_equal(found, measure("x", metric.build(), *cleared, 3))


def test_nsd_in_pixels_is_surface_dice():
    rng = np.random.default_rng(0)
    predicted, masks = blobs(rng, 3, (16, 16)), blobs(rng, 3, (16, 16))
    for tolerance in (0, 1, 2.5):
        one, other = (metric(tolerance=tolerance).build()(predicted, masks, 3) for metric in (NSD, SurfaceDice))
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_each_image_has_its_own_spacing_and_its_name_says_the_unit():
    rng = np.random.default_rng(0)
    predicted, masks = blobs(rng, 3, (12, 12)), blobs(rng, 3, (12, 12))
    metrics = {"hd95": HD95().build(), "nsd_2": NSD(tolerance=1.5).build(), "surface_dice": SurfaceDice().build()}
    spacings: list[Pixel] = [(1.0, 1.0), (2.0, 0.5), (0.1, 0.1), (3.0, 3.0)]
    found = measured_all(metrics, predicted, masks, 3, spacings)
    assert list(found) == ["hd95_mm", "nsd_2_at_1_5mm", "surface_dice"]
    for at, pixel in enumerate(spacings):
        alone = measured_all(metrics, predicted[[at]], masks[[at]], 3, [pixel])
        for name in found:
            np.testing.assert_array_equal(alone[name][0], found[name][at])
    assert list(measured_all(metrics, predicted, masks, 3)) == ["hd95_px", "nsd_2_at_1_5px", "surface_dice"]


def test_the_directions_are_those_of_their_arguments():
    near, wide = square(5, 5, 4)[0] > 0, square(5, 5, 9)[0] > 0
    to_wide, to_near = boundary_distances(near, wide)
    assert len(to_wide) == 12
    assert len(to_near) == 32
    assert to_near.max() == pytest.approx(np.hypot(5, 5))
    assert to_wide.max() == 3
