"""How an image of its own size becomes one of the trial's, and what was found there comes back.

Three ways (`data.fit`). `stretch`: resized, whatever the aspect. `pad`: resized by one factor, in the middle; the rest
is as dark as the image's darkest pixel, and ignored in the mask. `patches`: left as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ablate.data.source import IGNORED

if TYPE_CHECKING:
    from torch import Tensor

Size = tuple[int, int]
"""Height and width in pixels."""


class Box(NamedTuple):
    """Where an image lies within the trial's size."""

    top: int
    left: int
    height: int
    width: int

    @property
    def within(self) -> tuple[slice, slice]:
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


def fit_of(data: Any) -> str:
    """`data.fit` of a data set or of its part: one of another version has none."""
    return str(getattr(data, "fit", "stretch"))


def is_scored_at_own_size(data: Any) -> bool:
    """Whether test images are scored at their own size, and not at the trial's; of a data set or its part."""
    return getattr(data, "scored_at", "size") == "image"


def box_of(own: Size, size: Size, fit: str) -> Box:
    """Where an image of its `own` size lies in one of `size`."""
    if fit != "pad":
        return Box(0, 0, *size)
    factor = min(size[0] / own[0], size[1] / own[1])
    height, width = (min(most, max(1, round(side * factor))) for side, most in zip(own, size, strict=True))
    return Box((size[0] - height) // 2, (size[1] - width) // 2, height, width)


def fit_image(planes: np.ndarray, size: Size, fit: str) -> np.ndarray:
    """(C, h, w) float32 to (C, H, W), or as it is (`patches`)."""
    if fit == "patches":
        return planes
    box = box_of((planes.shape[1], planes.shape[2]), size, fit)
    resized = resize_image(planes, (box.height, box.width))
    if resized.shape[1:] == size:
        return resized
    whole = np.empty((len(planes), *size), dtype=planes.dtype)
    whole[:] = planes.min(axis=(1, 2), keepdims=True)
    whole[:, *box.within] = resized
    return whole


def fit_mask(mask: np.ndarray, size: Size, fit: str) -> np.ndarray:
    """(h, w) class indices to (H, W), or as it is (`patches`)."""
    if fit == "patches":
        return mask
    box = box_of((mask.shape[0], mask.shape[1]), size, fit)
    resized = resize_mask(mask, (box.height, box.width))
    if resized.shape == size:
        return resized
    whole = np.full(size, IGNORED, dtype=mask.dtype)
    whole[box.within] = resized
    return whole


def unfit_image(planes: np.ndarray, own: Size, fit: str) -> np.ndarray:
    """What `fit_image` made of an image, (C, H, W), at the image's own size (C, h, w)."""
    if fit == "patches":
        return planes
    box = box_of(own, (planes.shape[1], planes.shape[2]), fit)
    return resize_image(planes[:, *box.within], own)


def back(values: Tensor, own: Size, fit: str) -> Tensor:
    """What was found at the trial's size, (n, C, H, W), at the image's own size: (n, C, h, w), bilinear.

    Of `patches` it is at that size already.
    """
    from torch.nn.functional import interpolate

    if fit == "patches":
        return values
    box = box_of(own, (values.shape[2], values.shape[3]), fit)
    inside = values[:, :, *box.within]
    if (box.height, box.width) == own:
        return inside
    return interpolate(inside, size=own, mode="bilinear", align_corners=False)


def at_least(image: np.ndarray, size: Size, value: Any = None) -> tuple[np.ndarray, Box]:
    """(…, h, w) with a border where it is smaller than `size`, and where in that it lies: at its middle.

    The border is of `value`, by default of each plane's least.
    """
    height, width = image.shape[-2:]
    box = Box(max(0, size[0] - height) // 2, max(0, size[1] - width) // 2, height, width)
    if height >= size[0] and width >= size[1]:
        return image, box
    whole = np.empty((*image.shape[:-2], max(height, size[0]), max(width, size[1])), dtype=image.dtype)
    whole[...] = image.min(axis=(-2, -1), keepdims=True) if value is None else value
    whole[..., *box.within] = image
    return whole, box


def resize_image(planes: np.ndarray, size: Size) -> np.ndarray:
    """(C, h, w) float32 to (C, H, W): bilinear, with antialiasing where it shrinks."""
    if planes.shape[1:] == size:
        return planes
    import torch
    from torch.nn import functional

    tensor = torch.from_numpy(np.ascontiguousarray(planes))[None]
    return functional.interpolate(tensor, size=size, mode="bilinear", antialias=True, align_corners=False)[0].numpy()


def resize_mask(mask: np.ndarray, size: Size) -> np.ndarray:
    """(h, w) class indices to (H, W): the class that covers most of a pixel's area, of equal ones the higher.

    So a binary pixel is foreground if at least half of it is, and a thin structure is not lost to sampling.
    """
    if mask.shape == size:
        return mask
    chosen, largest = np.zeros(size, dtype=np.uint8), np.zeros(size)
    for value in np.unique(mask):
        area = _summed(_summed(mask == value, size[0]).T, size[1]).T
        chosen[area >= largest] = value
        largest = np.maximum(largest, area)
    return chosen


def _summed(array: np.ndarray, new: int) -> np.ndarray:
    """(old, width) to (new, width): what the rows cover of each of `new` equal stretches, in old rows.

    A running sum and not a matrix product, whose threads wait for each other where trials share the cores.
    """
    old = len(array)
    running = np.concatenate([np.zeros((1, array.shape[1])), array.cumsum(axis=0)])
    edges = np.arange(new + 1) * (old / new)
    below = np.minimum(edges.astype(int), old - 1)
    part = (edges - below)[:, None]
    return np.diff(running[below] * (1 - part) + running[below + 1] * part, axis=0)
