"""Augmentation: image and mask move together, each operation on half of the images, in the paper's order."""

import numpy as np
import pytest
import torch
from torch import Tensor

from ablate.training.augmentation import augment

ALL = ("hflip", "vflip", "rot90", "rot180")
BY_HAND = {
    "hflip": lambda a: a[:, ::-1],
    "vflip": lambda a: a[::-1],
    "rot90": lambda a: np.rot90(a),
    "rot180": lambda a: np.rot90(a, 2),
}


def batch(count: int, height: int = 5, width: int = 5) -> tuple[Tensor, Tensor]:
    """Images whose every pixel is unique, and masks that say the same."""
    grid = torch.arange(height * width).reshape(1, height, width)
    masks = grid.repeat(count, 1, 1).to(torch.uint8)
    return masks[:, None].repeat(1, 3, 1, 1).float(), masks


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("names", [(), ("hflip",), ("rot90",), ("hflip", "rot90"), ALL])
def test_image_and_mask_move_together(names: tuple[str, ...]) -> None:
    images, masks = augment(*batch(64), names, generator())
    assert (images == masks[:, None]).all()
    assert images.dtype == torch.float32
    assert masks.dtype == torch.uint8
    for image in masks:
        assert sorted(image.flatten().tolist()) == list(range(25))


@pytest.mark.parametrize("name", ALL)
def test_one_operation_changes_half_of_the_images_and_as_numpy_does(name: str) -> None:
    _, original = batch(1)
    expected = BY_HAND[name](original[0].numpy())
    _, masks = augment(*batch(4000), (name,), generator())
    changed = np.array([np.array_equal(mask, expected) for mask in masks.numpy()])
    unchanged = np.array([np.array_equal(mask, original[0]) for mask in masks.numpy()])
    assert (changed ^ unchanged).all()
    assert changed.mean() == pytest.approx(0.5, abs=0.04)  # five standard errors


def test_operations_are_independent_and_in_order_whatever_the_order_of_the_names() -> None:
    grid = batch(1)[1][0].numpy()
    flip, turn = BY_HAND["hflip"], BY_HAND["rot90"]
    expected = [grid, flip(grid), turn(grid), turn(flip(grid))]
    for names in (("hflip", "rot90"), ("rot90", "hflip")):
        _, masks = augment(*batch(4000), names, generator())
        shares = [np.mean([np.array_equal(mask, e) for mask in masks.numpy()]) for e in expected]
        assert shares == pytest.approx([0.25] * 4, abs=0.035)


@pytest.mark.parametrize("name", ["hflip", "vflip", "rot180"])
def test_twice_the_same_is_nothing(name: str) -> None:
    images, masks = batch(32, 4, 6)
    once = augment(images, masks, (name,), generator(5))
    assert not torch.equal(once[0], images)
    again = augment(*once, (name,), generator(5))
    assert torch.equal(again[0], images)
    assert torch.equal(again[1], masks)


def test_four_quarter_turns_are_nothing() -> None:
    images, masks = turned = batch(32)
    for _ in range(4):
        turned = augment(*turned, ("rot90",), generator(5))
    assert torch.equal(turned[0], images)
    assert torch.equal(turned[1], masks)


def test_the_generator_decides_and_is_drawn_from_once_an_image_and_operation() -> None:
    first, second, other = (augment(*batch(16), ALL, generator(seed))[0] for seed in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    used, reference = generator(3), generator(3)
    augment(*batch(16), ALL, used)
    torch.rand(16, 4, generator=reference)
    assert torch.equal(used.get_state(), reference.get_state())


def test_the_inputs_stay_as_they_are() -> None:
    images, masks = batch(16)
    before = images.clone(), masks.clone()
    augment(images, masks, ALL, generator())
    assert torch.equal(images, before[0])
    assert torch.equal(masks, before[1])


def test_no_operation_draws_nothing() -> None:
    used = generator(3)
    images, masks = batch(4)
    assert torch.equal(augment(images, masks, (), used)[0], images)
    assert torch.equal(used.get_state(), generator(3).get_state())


def test_float_masks_and_channels_last_survive() -> None:
    images, masks = batch(8)
    out, _ = augment(images.contiguous(memory_format=torch.channels_last), masks.float(), ALL, generator(1))
    assert torch.equal(out, augment(images, masks, ALL, generator(1))[0])
