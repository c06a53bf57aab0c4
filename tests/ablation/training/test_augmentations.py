"""Augmentations: images and masks move alike, labels stay labels, and the generator decides."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
import torch
from torch import Tensor

from ablate.data.source import IGNORED
from ablate.errors import InputError, TrialError
from ablate.settings import parse
from ablate.training.augmentation import augment
from ablate.training.augmentations.adapt import adapt, data_names
from ablate.training.augmentations.base import Augmentation
from ablate.training.augmentations.intensity import BiasField, Blur, Brightness, Contrast, Cutout, Noise
from ablate.training.augmentations.spatial import Elastic, Rotate, Shift, Zoom

SPATIAL = [Rotate(p=1, degrees=30), Zoom(p=1, low=0.7, high=0.8), Shift(p=1), Elastic(p=1, magnitude=0.05)]
INTENSITY = [Noise(p=1), Blur(p=1), Contrast(p=1), Brightness(p=1), BiasField(p=1), Cutout(p=1, holes=3)]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(count: int = 4, channels: int = 1) -> tuple[Tensor, Tensor]:
    """Smooth images of −1 to 1 and masks of three classes, 0 to 2, by their values."""
    y, x = torch.meshgrid(torch.linspace(0, 6, 32), torch.linspace(0, 9, 48), indexing="ij")
    images = torch.stack([torch.sin(x + i) * torch.cos(y - i) for i in range(count)])
    masks = (images > -0.3).to(torch.uint8) + (images > 0.3).to(torch.uint8)
    return images[:, None].repeat(1, channels, 1, 1), masks


@pytest.mark.parametrize("channels", [1, 2, 4, 7])
@pytest.mark.parametrize("part", [*SPATIAL, *INTENSITY], ids=lambda part: part.name)
def test_what_is_ignored_stays_ignored_and_as_many_channels_are_moved_alike(part: Augmentation, channels: int):
    images, classes = batch(channels=channels)
    masks = torch.where(classes == 2, torch.tensor(IGNORED, dtype=torch.uint8), classes)
    found, moved = part.build()(images, masks, generator())
    assert found.shape == images.shape
    assert set(moved.unique().tolist()) <= {0, 1, IGNORED}
    without, of_class = part.build()(images, torch.where(classes == 2, 2, classes), generator())
    assert torch.equal(moved == IGNORED, of_class == 2)
    assert torch.equal(without, found)
    if part.name in ("rotate", "zoom", "shift", "elastic"):
        assert torch.equal(found[:, :1].expand_as(found), found)


def test_the_papers_flips_and_turns_keep_what_is_ignored():
    images, masks = torch.zeros(8, 5, 16, 16), torch.zeros(8, 16, 16, dtype=torch.uint8)
    masks[:, 2:5, 3] = IGNORED
    _, moved = augment(images, masks, ("hflip", "vflip", "rot90", "rot180"), generator())
    assert ((moved == IGNORED).sum(dim=(1, 2)) == 3).all()
    assert set(moved.unique().tolist()) == {0, IGNORED}


@pytest.mark.parametrize("part", [*SPATIAL, *INTENSITY], ids=lambda part: part.name)
def test_shapes_types_and_labels_stay_and_the_generator_decides(part: Augmentation):
    images, masks = batch(channels=3)
    before, state = (images.clone(), masks.clone()), torch.get_rng_state()
    first, again, other = (part.build()(images, masks, generator(seed)) for seed in (1, 1, 2))
    assert (first[0].shape, first[0].dtype, type(first[0])) == (images.shape, torch.float32, Tensor)
    assert (first[1].shape, first[1].dtype, type(first[1])) == (masks.shape, torch.uint8, Tensor)
    assert first[0].isfinite().all()
    assert set(first[1].unique().tolist()) <= {0, 1, 2}
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])
    for image, was in zip(first[0], images, strict=True):
        assert not torch.equal(image, was)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(images, before[0])
    assert torch.equal(masks, before[1])


@pytest.mark.parametrize("part", [*SPATIAL, *INTENSITY], ids=lambda part: part.name)
def test_the_second_call_is_as_the_first(part: Augmentation):
    """Nothing is kept between steps, so a resumed training sees what an uninterrupted one did."""
    function = part.build()
    images, masks = batch()
    function(images, masks, generator(3))
    for found, fresh in zip(
        function(images, masks, generator(4)), part.build()(images, masks, generator(4)), strict=True
    ):
        assert torch.equal(found, fresh)


@pytest.mark.parametrize("part", [*SPATIAL, *INTENSITY], ids=lambda part: part.name)
def test_p_is_how_often(part: Augmentation):
    images, masks = batch(200)
    half = part.model_copy(update={"p": 0.5}).build()(images, masks, generator())[0]
    changed = [not torch.equal(found, was) for found, was in zip(half, images, strict=True)]
    assert np.mean(changed) == pytest.approx(0.5, abs=0.15)
    never = part.model_copy(update={"p": 0.0}).build()(images, masks, generator())
    assert torch.equal(never[0], images)
    assert torch.equal(never[1], masks)


@pytest.mark.parametrize("part", SPATIAL, ids=lambda part: part.name)
def test_a_mask_moves_as_its_image_does(part: Augmentation):
    """An image that says what its mask says still says so, but at edges, where it is interpolated."""
    _, masks = batch()
    images, moved = part.build()(masks[:, None].float(), masks, generator())
    assert not torch.equal(moved, masks)
    agree = (images[:, 0] - moved).abs() <= 0.5
    assert agree.float().mean() > 0.98
    plain = images[:, 0].round() == images[:, 0]
    assert torch.equal(images[:, 0][plain & agree], moved[plain & agree].float())


@pytest.mark.parametrize("part", INTENSITY, ids=lambda part: part.name)
def test_an_intensity_leaves_the_mask(part: Augmentation):
    images, masks = batch()
    assert torch.equal(part.build()(images, masks, generator())[1], masks)


def test_strengths_are_what_they_say():
    images, masks = torch.zeros(50, 1, 32, 48), torch.zeros(50, 32, 48, dtype=torch.uint8)
    offsets = Brightness(p=1, offset=0.3).build()(images, masks, generator())[0]
    assert offsets.abs().max() <= 0.3
    assert offsets.abs().amax() > 0.25
    noise = Noise(p=1, std=0.2).build()(images, masks, generator())[0].std(dim=(1, 2, 3))
    assert 0.15 < noise.max() < 0.22
    holes = Cutout(p=1, fraction=0.25).build()(images + 1, masks, generator())[0] == 0
    assert holes.sum(dim=(1, 2, 3)).min() >= 1
    assert holes.sum(dim=(1, 2, 3)).max() <= 8 * 12
    images, masks = batch(50)
    least, most = images.amin(dim=(1, 2, 3)), images.amax(dim=(1, 2, 3))
    contrast = Contrast(p=1).build()(images, masks, generator())[0]
    torch.testing.assert_close(contrast.amin(dim=(1, 2, 3)), least)
    torch.testing.assert_close(contrast.amax(dim=(1, 2, 3)), most)
    biased = BiasField(p=1, strength=0.1).build()(images, masks, generator())[0]
    factor = ((biased - least[:, None, None, None]) / (images - least[:, None, None, None]))[images > -0.5]
    assert (factor > 0).all()
    assert factor.log().abs().max() < 10 * 0.1  # ten coefficients of 0 to 0.1, of polynomials within −1 and 1
    for cls, fields in ((Blur, {"low": 2, "high": 1}), (Zoom, {"low": 2}), (Contrast, {"low": 2})):
        with pytest.raises(InputError, match="low 2 is above high"):
            parse(cls, fields, "augmentation x")


def test_a_shift_is_by_so_many_pixels():
    images = torch.arange(48.0).repeat(1, 1, 32, 1).repeat(100, 1, 1, 1)
    masks = images[:, 0].to(torch.uint8)
    moved, labels = Shift(p=1, fraction=0.25).build()(images, masks, generator())
    by = moved[:, 0, 16, 24] - 24
    assert 11 < by.abs().max() <= 12
    assert ((labels[:, 16, 24] - moved[:, 0, 16, 24]).abs() <= 0.51).all()


# Of others ------------------------------------------------------------------------------------------------------------


def monai(name: str):
    import monai.transforms

    return getattr(monai.transforms, name)


@pytest.mark.parametrize(
    ("name", "settings", "moves"),
    [
        ("RandAffined", {"prob": 1, "rotate_range": 0.5}, True),
        ("RandFlipd", {"prob": 1, "spatial_axis": 0}, True),
        ("RandGridDistortiond", {"prob": 1}, True),
        ("Rand2DElasticd", {"prob": 1, "spacing": [8, 8], "magnitude_range": [2, 3]}, True),
        ("RandGaussianNoised", {"prob": 1}, False),
        ("RandGaussianNoised", {"prob": 1, "keys": "image"}, False),
        ("RandGibbsNoised", {"prob": 1}, False),
        ("RandGaussianNoise", {"prob": 1}, False),
        ("RandBiasField", {"prob": 1}, False),
        ("GaussianSmooth", {"sigma": 2}, False),
    ],
)
def test_a_transform_of_monai_s_as_it_is(name: str, settings: dict, moves: bool):
    function = adapt(monai(name), settings, "augmentation x").build()
    images, masks = batch()
    state = torch.get_rng_state(), np.random.get_state()[1].copy()
    one, again = (function(images, masks, generator(5)) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state[0])
    np.testing.assert_array_equal(np.random.get_state()[1], state[1])
    assert not torch.equal(one[0], images)
    assert torch.equal(one[1], masks) != moves
    assert set(one[1].unique().tolist()) <= {0, 1, 2}
    for a, b in zip(one, again, strict=True):
        assert torch.equal(a, b)


def test_a_zoom_of_monai_s_moves_a_mask_as_its_image():
    _, masks = batch()
    function = adapt(monai("RandZoomd"), {"prob": 1, "min_zoom": 1.4, "max_zoom": 1.5}, "augmentation x").build()
    images, moved = function(masks[:, None].float(), masks, generator())
    assert ((images[:, 0] - moved).abs() <= 0.5).float().mean() > 0.98


def test_an_array_transform_that_moves_images_alone_is_refused():
    with pytest.raises(InputError, match="augmentation x would move images and not their masks: use RandRotated"):
        adapt(monai("RandRotate"), {}, "augmentation x").build()


def test_a_mask_that_is_interpolated_is_an_error():
    function = adapt(monai("RandRotated"), {"prob": 1, "range_x": 0.5, "mode": "bilinear"}, "augmentation x").build()
    with pytest.raises(TrialError, match="augmentation x made a mask of other numbers than classes"):
        function(*batch(), generator())


def flip_batch(images, masks, generator, p=0.5):
    heads = torch.rand(len(images), generator=generator) < p
    return torch.where(heads[:, None, None, None], images.flip(-1), images), torch.where(
        heads[:, None, None], masks.flip(-1), masks
    )


def flip_pair(image, mask, rng, axis):
    return (image.flip(axis), mask.flip(axis)) if rng.random() < 0.5 else (image, mask)


def flip_dict(image, mask=None):
    if random.random() < 0.5:
        return {"image": image.flip(-1).numpy(), "mask": mask.flip(-1).numpy()}
    return {"image": image, "mask": mask}


class Flip:
    def __init__(self, p: float = 0.5):
        self.p = p

    def __call__(self, image, mask):
        return (image.flip(-1), mask.flip(-1)) if np.random.random() < self.p else (image, mask)


class FlipModule(torch.nn.Module):
    def forward(self, image, mask):
        return (image.flip(-1), mask.flip(-1)) if torch.rand(()) < 0.5 else (image, mask)


@pytest.mark.parametrize(
    ("target", "settings"),
    [(flip_batch, {"p": 0.4}), (flip_pair, {"axis": -1}), (flip_dict, {}), (Flip, {"p": 0.4}), (FlipModule, {})],
)
def test_a_callable_of_others_gets_what_it_asks_for_and_its_randomness(target, settings):
    images, masks = batch(64)
    function = adapt(target, settings, "augmentation x").build()
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    one, again, other = (function(images, masks, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])
    assert random.getstate() == before[2]
    flipped = [torch.equal(image, was.flip(-1)) for image, was in zip(one[0], images, strict=True)]
    assert flipped == [torch.equal(mask, was.flip(-1)) for mask, was in zip(one[1], masks, strict=True)]
    assert 15 < sum(flipped) < 49
    assert torch.equal(one[0], again[0])
    assert torch.equal(one[1], again[1])
    assert not torch.equal(one[0], other[0])


def jitter(image, strength):
    return image + strength * torch.randn(())


def test_a_function_of_an_image_leaves_the_mask():
    images, masks = batch()
    found = adapt(jitter, {"strength": 0.5}, "augmentation x").build()(images, masks, generator())
    assert torch.equal(found[1], masks)
    by = (found[0] - images)[:, 0, 0, 0]
    assert len(set(by.tolist())) == 4  # an image has a number of its own
    torch.testing.assert_close(found[0] - images, by[:, None, None, None].expand_as(images))


def test_what_an_augmentation_of_others_must_not_do():
    images, masks = batch()
    for bad, reason in (
        (lambda image: image[:, 1:], r"augmentation x made images of \(1, 31, 48\): expected \(1, 32, 48\)"),
        (lambda image, mask: (image, mask[1:]), r"made masks of \(31, 48\): expected \(32, 48\)"),
        (lambda images, masks: (images[1:], masks), r"made images of \(3, 1, 32, 48\)"),
        (lambda image: image * math.nan, "made an image that is not finite"),
        (lambda image, mask: (image, mask / 2), "made a mask of other numbers than classes"),
        (lambda image, mask: (image, mask.float() - 1), "made a mask of other numbers than classes"),
    ):
        with pytest.raises(TrialError, match=reason):
            adapt(bad, {}, "augmentation x").build()(images, masks, generator())
    with pytest.raises(InputError, match=r"augmentation x takes a, b, c: expected \(images, masks\)"):
        adapt(lambda a, b, c: a, {}, "augmentation x").build()


def test_settings_are_checked_by_name():
    assert data_names(flip_pair) == ("image", "mask", "rng")
    assert data_names(jitter) == ("image",)
    with pytest.raises(InputError, match="augmentation x: setting 'strenght': did you mean 'strength'"):
        adapt(jitter, {"strenght": 1}, "augmentation x")
    with pytest.raises(InputError, match="setting 'rng'"):
        adapt(flip_pair, {"rng": 1}, "augmentation x")
    with pytest.raises(InputError, match="setting 'degres'"):
        adapt(monai("RandRotated"), {"degres": 1}, "augmentation x")
