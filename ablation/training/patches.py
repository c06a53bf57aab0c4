"""Patches drawn from whole images, to train on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ablate.data.fit import Size, at_least
from ablate.data.ragged import Arrays
from ablate.data.source import IGNORED

_STREAM = 0x7061746368
"""Tells this stream of random numbers from the others of a step."""


def draw_patches(
    images: Arrays, masks: Arrays, batch: Sequence[int], size: Size, foreground: float, step: tuple[int, int, int]
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """A patch of each image of `batch`, (n, C, H, W), and of its mask (n, H, W).

    With probability `foreground` it is about a foreground pixel, as far as it can be without leaving the image: a class
    is drawn of those in the mask, then one of its pixels. Otherwise, and where there is none, it lies anywhere.
    All follows from `step`: seed, epoch and step.
    """
    rng = np.random.default_rng([*step, _STREAM])
    drawn = [_patch(images[index], masks[index], size, foreground, rng) for index in batch]
    return np.stack([image for image, _ in drawn]), np.stack([mask for _, mask in drawn])


def _patch(
    image: NDArray[np.float32], mask: NDArray[np.uint8], size: Size, foreground: float, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    image, mask = at_least(image, size)[0], at_least(mask, size, IGNORED)[0]
    middle = _of_foreground(mask, rng) if rng.random() < foreground else None
    last = [whole - side for whole, side in zip(mask.shape, size, strict=True)]
    if middle is None:
        top, left = (int(rng.integers(most + 1)) for most in last)
    else:
        top, left = (min(max(0, at - side // 2), most) for at, side, most in zip(middle, size, last, strict=True))
    within = slice(top, top + size[0]), slice(left, left + size[1])
    return image[:, *within], mask[within]


def _of_foreground(mask: NDArray[np.uint8], rng: np.random.Generator) -> tuple[int, int] | None:
    """A pixel of a class, both drawn; None of a mask that has no foreground."""
    held = np.bincount(mask.ravel(), minlength=IGNORED + 1)
    classes = 1 + np.flatnonzero(held[1:IGNORED])
    if not len(classes):
        return None
    pixels = np.flatnonzero(mask == rng.choice(classes))
    row, column = divmod(int(rng.choice(pixels)), mask.shape[1])
    return row, column
