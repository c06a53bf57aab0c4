"""Phantoms: exact masks, and levels of blur and noise that differ in nothing else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ablate.data import phantom
from ablate.data.load import load_data
from ablate.data.settings import Phantom


def arrays(**fields: object) -> tuple[np.ndarray, np.ndarray]:
    """Native images and masks."""
    samples = phantom.read(Phantom(count=8, **{"size": (48, 64), **fields}))  # type: ignore[arg-type]
    return np.stack([sample.image for sample in samples]), np.stack([sample.mask for sample in samples])


def test_levels_of_blur_and_noise_are_paired() -> None:
    sharp, masks = arrays(blur=0, noise=0)
    for fields in ({"blur": 3, "noise": 0}, {"blur": 0, "noise": 1}, {"blur": 3, "noise": 1}):
        np.testing.assert_array_equal(arrays(**fields)[1], masks)
    noise = arrays(blur=0, noise=1)[0] - sharp
    np.testing.assert_allclose(arrays(blur=0, noise=0.5)[0] - sharp, noise / 2, atol=2e-4)
    np.testing.assert_allclose(arrays(blur=3, noise=1)[0] - arrays(blur=3, noise=0)[0], noise, atol=2e-4)


def test_noise_is_in_units_of_the_contrast_and_is_not_clipped() -> None:
    sharp, masks = arrays(noise=0)
    noise = arrays(noise=2)[0] - sharp
    for image, mask, pattern in zip(sharp, masks, noise, strict=True):
        contrast = image.max() - image.min()
        inside, outside = pattern[mask == 1].std(), pattern[mask == 0].std()
        assert inside == pytest.approx(2 * contrast, rel=0.2)
        assert outside == pytest.approx(2 * contrast, rel=0.1)


def test_grey_values_do_not_depend_on_the_noise_level() -> None:
    """A stretch to each image's extremes would make the ellipses fainter as the noise rises."""
    quiet, loud = (load_data(Phantom(count=8, noise=noise)) for noise in (0.0, 1.0))
    for image, noisy, mask in zip(quiet.images[:, 0], loud.images[:, 0], quiet.masks, strict=True):
        assert noisy[mask == 1].mean() == pytest.approx(image[mask == 1].mean(), abs=0.05)
        assert noisy[mask == 0].mean() == pytest.approx(image[mask == 0].mean(), abs=0.05)


def test_blur_widens_the_boundary_and_keeps_the_mass() -> None:
    sharp, blurred = (arrays(blur=blur, noise=0)[0] for blur in (0, 2))
    steepest = [np.abs(np.diff(stack, axis=2)).max(axis=(1, 2)) for stack in (sharp, blurred)]
    assert (steepest[1] < 0.5 * steepest[0]).all()
    np.testing.assert_allclose(blurred.mean(axis=(1, 2)), sharp.mean(axis=(1, 2)), rtol=1e-3)


def test_the_boundary_is_anti_aliased_and_the_mask_is_its_half() -> None:
    sharp, masks = arrays(noise=0)
    for image, mask in zip(sharp, masks, strict=True):
        coverage = (image - image.min()) / (image.max() - image.min())
        assert ((coverage > 0.01) & (coverage < 0.99)).any()
        clear = np.abs(coverage - 0.5) > 0.01
        np.testing.assert_array_equal((coverage >= 0.5)[clear], mask[clear] == 1)


def test_an_image_depends_on_seed_and_index_alone() -> None:
    few, many = phantom.read(Phantom(count=5)), phantom.read(Phantom(count=9))
    for a, b in zip(few, many, strict=False):
        assert a.id == b.id == a.group
        np.testing.assert_array_equal(a.image, b.image)
    assert not np.array_equal(arrays(seed=1)[1], arrays(seed=0)[1])
    assert not np.array_equal(few[0].mask, few[1].mask)


def test_default_images_lie_within_the_nominal_range() -> None:
    data = load_data(Phantom())
    assert data.images.min() >= -1
    assert data.images.max() <= 1
    assert 0.1 < data.masks.mean() < 0.35


@given(size=st.tuples(st.integers(8, 40), st.integers(8, 40)), seed=st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_ellipses_are_inside_the_image_at_any_size(size: tuple[int, int], seed: int) -> None:
    _, masks = arrays(size=size, seed=seed, noise=0)
    assert masks.any(axis=(1, 2)).all()
    assert not masks.all(axis=(1, 2)).any()
