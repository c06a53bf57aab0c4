"""An image with its mask drawn on it: an outline in a colour each class, what is ignored hatched."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ablate.data.source import IGNORED

COLOURS = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (213, 94, 0), (204, 121, 167), (0, 114, 178),
)  # fmt: skip
"""Okabe and Ito's, for classes 1, 2, …, and again from the first."""
_HATCH, _APART = (200, 200, 200), 6
SIDE = 256
"""The longer side of what is shown, in pixels, at most; smaller images are enlarged by whole factors."""


def colour_of(index: int) -> tuple[int, int, int]:
    return COLOURS[(index - 1) % len(COLOURS)]


def outlined(image: NDArray[np.float32], mask: NDArray[np.uint8]) -> Image.Image:
    """`image` (channels, H, W), scaled from its least to its greatest value, with `mask` (H, W) of class indices.

    Three channels are shown as colour, of others the mean.
    """
    planes = image if len(image) == 3 else image.mean(axis=0, keepdims=True)
    low, high = float(planes.min()), float(planes.max())
    grey = ((planes - low) / ((high - low) or 1.0) * 255).round().astype(np.uint8)
    pixels = np.repeat(grey, 3, axis=0) if len(grey) == 1 else grey
    picture = Image.fromarray(np.ascontiguousarray(np.moveaxis(pixels, 0, -1)))
    size = _shown_size(mask.shape)
    shown = np.array(
        picture.resize(size, Image.Resampling.BICUBIC if size[0] > mask.shape[1] else Image.Resampling.BOX)
    )
    labels = np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))
    rows, columns = np.ogrid[: size[1], : size[0]]
    shown[(labels == IGNORED) & ((rows + columns) % _APART == 0)] = _HATCH
    edge = _edges(labels)
    for index in np.unique(labels[edge]):
        shown[edge & (labels == index)] = colour_of(int(index))
    return Image.fromarray(shown)


def _shown_size(shape: tuple[int, ...]) -> tuple[int, int]:
    """Width and height."""
    height, width = shape
    factor = SIDE / max(height, width)
    factor = max(1, int(factor)) if factor >= 1 else factor
    return max(1, round(width * factor)), max(1, round(height * factor))


def _edges(labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """The pixels of a class that have one of another beside them; at the image's border there is none."""
    edge = np.zeros(labels.shape, dtype=bool)
    down, across = labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1]
    edge[1:] |= down
    edge[:-1] |= down
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    return edge & (labels != 0) & (labels != IGNORED)


def png_of(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.quantize(128, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return file.getvalue()
