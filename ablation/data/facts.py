"""What an image and its mask are, measured once where a data set is made ready: what is looked at before anything is
spent is counted from these, without the images."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from ablate.data.fit import box_of
from ablate.data.source import IGNORED, Sample

THUMBNAIL = 32
"""A side of the small picture by which images are compared."""
_DIGEST = 12


class ClassFacts(NamedTuple):
    """A class in one mask. Objects are connected pixels, over corners too; of the background they are not counted."""

    drawn: int
    """Pixels as drawn."""
    kept: int
    """Pixels at the trial's size."""
    objects: int = 0
    """As drawn."""
    vanished: int = 0
    """Those of them of which no pixel is left at the trial's size."""
    lost: int = 0
    """Pixels of these, as drawn."""


class ImageFacts(NamedTuple):
    """An image and its mask, as stored and as a trial reads them; some 200 bytes."""

    size: tuple[int, int]
    """Height and width as stored."""
    stored: str
    """Type and channels as stored: `uint8`, `uint16 x3`."""
    classes: Mapping[int, ClassFacts]
    """By class index, those that the mask has as drawn."""
    ignored: int
    """Pixels of the mask, as drawn, of which nobody said what they are."""
    border: float
    """The share of the mask's outermost pixels that are no background."""
    constant: bool
    """Whether the image, as a trial reads it, has one value in each channel."""
    is_mask: bool
    """Whether the image is its mask: of one value where the mask is of one, of others elsewhere."""
    digest: bytes
    """Of the image as a trial reads it."""


class Facts(NamedTuple):
    """Of every image of a data set; nothing of one that was not assembled from samples."""

    images: tuple[ImageFacts, ...] = ()
    thumbnails: np.ndarray = np.empty((0, THUMBNAIL, THUMBNAIL), np.uint8)
    """(N, THUMBNAIL, THUMBNAIL) uint8, as of `thumbnail`: by these images are compared. May be read-only."""


NO_FACTS = Facts()


def image_facts(sample: Sample, image: np.ndarray, mask: np.ndarray, fit: str) -> ImageFacts:
    """Of a sample as decoded, its `image` (channels, H, W) and `mask` (H, W) as a trial reads them, by `data.fit`."""
    channels = sample.image.shape[2] if sample.image.ndim == 3 else 1
    height, width = sample.mask.shape
    edges = np.concatenate([sample.mask[0], sample.mask[-1], sample.mask[1:-1, 0], sample.mask[1:-1, -1]])
    return ImageFacts(
        size=(height, width),
        stored=f"{sample.image.dtype}" + (f" x{channels}" if channels > 1 else ""),
        classes=_classes(sample.mask, mask[box_of((height, width), mask.shape, fit).within]),
        ignored=int((sample.mask == IGNORED).sum()),
        border=float(((edges > 0) & (edges != IGNORED)).mean()),
        constant=bool((np.ptp(image, axis=(1, 2)) == 0).all()),
        is_mask=_is_mask(sample.image, sample.mask),
        digest=hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=_DIGEST).digest(),
    )


def _classes(drawn: np.ndarray, kept: np.ndarray) -> dict[int, ClassFacts]:
    counts, left = np.bincount(drawn.ravel(), minlength=256), np.bincount(kept.ravel(), minlength=256)
    found = {}
    for value in np.flatnonzero(counts):
        if value != IGNORED:
            objects = _objects(drawn, kept, int(value)) if value else (0, 0, 0)
            found[int(value)] = ClassFacts(int(counts[value]), int(left[value]), *objects)
    return found


def _objects(drawn: np.ndarray, kept: np.ndarray, value: int) -> tuple[int, int, int]:
    """Objects of a class as drawn; those that have no pixel of it where they lie at the size, and the area of these."""
    from scipy.ndimage import label

    labels, count = label(drawn == value, structure=np.ones((3, 3)))
    if drawn.shape == kept.shape:
        return count, 0, 0
    rows, columns = (
        np.minimum((np.arange(old) + 0.5) * new / old, new - 1).astype(int)
        for old, new in zip(drawn.shape, kept.shape, strict=True)
    )
    areas = np.bincount(labels.ravel(), minlength=count + 1)
    areas[np.unique(labels[kept[np.ix_(rows, columns)] == value])] = 0
    return count, int((areas[1:] > 0).sum()), int(areas[1:].sum())


def _is_mask(image: np.ndarray, mask: np.ndarray) -> bool:
    """Whether an image says what its mask says, and nothing else."""
    planes = image if image.ndim == 3 else image[..., None]
    if (planes != planes[..., :1]).any():
        return False
    plane, values = planes[..., 0], []
    for value in np.unique(mask):
        within = plane[mask == value]
        if (within != within[0]).any():
            return False
        values.append(within[0])
    return 2 <= len(values) == len(set(values))


def thumbnail(image: np.ndarray) -> np.ndarray:
    """(channels, H, W) to (THUMBNAIL, THUMBNAIL) uint8: means over areas, from their 1st to their 99th percentile.

    So neither a bright pixel nor another depth or contrast makes it another picture.
    """
    small = _means(_means(image.mean(axis=0, dtype=np.float32)).T).T
    low, high = np.percentile(small, (1, 99))
    scaled = (small - low) / ((high - low) or 1.0)
    return (np.clip(scaled, 0, 1) * 255).round().astype(np.uint8)


def _means(plane: np.ndarray) -> np.ndarray:
    """(rows, width) to (THUMBNAIL, width): of nearly equal stretches of rows; few rows are repeated."""
    edges = (np.arange(THUMBNAIL) * len(plane)) // THUMBNAIL
    ends = np.maximum(((np.arange(THUMBNAIL) + 1) * len(plane)) // THUMBNAIL, edges + 1)
    if len(plane) < THUMBNAIL:
        return plane[edges]
    sums: np.ndarray = np.add.reduceat(plane, edges, axis=0)
    return sums / (ends - edges)[:, None].astype(np.float32)
