"""What is read from one image file, before anything is made of it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ablate.data.nifti import Volume

UPRIGHT = 1
"""The orientation (EXIF's, TIFF's) of what is stored as it is to be seen."""


class Picture(NamedTuple):
    """An image, or a volume's slices."""

    slices: np.ndarray
    """(slices, H, W, channels), in the file's dtype; without alpha, and every other channel there is."""
    spacing: tuple[float, float] | None = None
    """Millimetres from one row to the next, and from one column to the next, where the file says it."""
    orientation: int = UPRIGHT
    """How it is to be turned to be seen upright, 1 to 8, as EXIF numbers it; `upright` does."""
    volume: Volume | None = None
    """Of a NIfTI file, what leads back to it."""
    stored: tuple[int, ...] = ()
    """The shape of an array whose file does not name its axes."""


def upright(picture: Picture) -> Picture:
    """Turned as its orientation says."""
    turned = _turned(picture.slices, picture.orientation)
    swapped = picture.orientation > 4 and picture.spacing is not None
    spacing = picture.spacing[::-1] if swapped and picture.spacing else picture.spacing
    return picture._replace(slices=turned, spacing=spacing, orientation=UPRIGHT)


def stored_again(slices: np.ndarray, orientation: int) -> np.ndarray:
    """Slices that are upright, (slices, H, W, …), as their file has them."""
    return _turned(slices, {6: 8, 8: 6}.get(orientation, orientation))


def _turned(slices: np.ndarray, orientation: int) -> np.ndarray:
    down, right = 1, 2
    if orientation in (5, 7):
        slices = slices.swapaxes(down, right)
    if orientation in (2, 4):
        return np.flip(slices, axis=right if orientation == 2 else down)
    if orientation in (3, 7):
        return np.flip(slices, axis=(down, right))
    if orientation in (6, 8):
        return np.rot90(slices, -1 if orientation == 6 else 1, axes=(down, right))
    return slices
