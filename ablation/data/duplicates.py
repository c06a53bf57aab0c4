"""Images that are there twice, or look alike, in different parts of a split: judged on what was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ablate.data.facts import THUMBNAIL, ImageFacts
from ablate.data.splits import Parts

_ONE_PICTURE = 0.9995
"""Correlation of two thumbnails from which on they are one picture. Saved as JPEG of quality 40, or with noise of 10
grey levels of 256, an image of cells has 0.9997 with itself; neighbouring slices of a brain, 1 mm apart, 0.998 (at most
0.9993), those of tissue 50 nm thick 0.7."""
_OUTLIERS = 4
"""Pixels of a thumbnail that may differ in any way, as one pixel of the image touches at most so many: but not those
that hold most of what there is to be seen, a small object say."""
_APART = 8
"""Images so far from each other in the order are taken to have nothing in common but what all have."""
_MOST_ALIKE, _LEAST_SERIES = 0.95, 1 / 3
"""In a series, a third of all neighbours at least are more alike than 95 % of the images that are apart. Of unrelated
images 5 % are; of stacks that were measured (tissue, brain) all."""
_FEWEST = 8
_COARSE = THUMBNAIL // 2
"""A side of what the nearest is looked for by."""
_BLOCK, _SAMPLED = 512, 20_000


class Pair(NamedTuple):
    """Two images of different parts: the one of the earlier part (train, val, test) first."""

    first: int
    second: int


def part_of_each(parts: Parts, count: int) -> np.ndarray:
    """(count,) 0, 1, 2 for train, validation and test, -1 for none; the later where two parts share images."""
    found = np.full(count, -1)
    for place, indices in enumerate(parts):
        found[list(indices)] = place
    return found


def exact(facts: Sequence[ImageFacts], parts: Parts) -> list[Pair]:
    """Every image that is, as a trial reads it, one of an earlier part too. Those of one value are not asked."""
    place = part_of_each(parts, len(facts))
    first: dict[bytes, int] = {}
    pairs = []
    for index in sorted(range(len(facts)), key=lambda i: (place[i], i)):
        if place[index] >= 0 and not facts[index].constant:
            earlier = first.setdefault(facts[index].digest, index)
            if place[earlier] != place[index]:
                pairs.append(Pair(earlier, index))
    return pairs


def nearly(thumbnails: np.ndarray, parts: Parts, cases: Sequence[str]) -> list[Pair]:
    """Every image that looks just like one of an earlier part and another case: saved anew, or a pixel changed.

    Also those that are one pixel for pixel. `thumbnails`: as of `ablate.data.facts.Facts`.
    """
    place, pictures = part_of_each(parts, len(thumbnails)), _pictures(thumbnails)
    unit = _unit(pictures.reshape(-1, _COARSE, 2, _COARSE, 2).mean(axis=(2, 4)).reshape(len(pictures), -1))
    pairs = []
    for later, earlier in ((1, 0), (2, 0), (2, 1)):
        these, those = (np.flatnonzero(place == part) for part in (later, earlier))
        for start in range(0, len(these), _BLOCK) if len(those) else ():
            block = these[start : start + _BLOCK]
            best = those[(unit[block] @ unit[those].T).argmax(axis=1)]
            pairs += [
                Pair(int(j), int(i))
                for i, j in zip(block, best, strict=True)
                if cases[i] != cases[j] and _one_picture(pictures[i], pictures[j])
            ]
    return pairs


def neighbours(thumbnails: np.ndarray, parts: Parts, cases: Sequence[str]) -> list[Pair]:
    """Neighbours in the order that are in different parts and cases, and alike, where the images are a series.

    They are one where neighbours are far more alike than other images: slices of a stack, frames of a film, several
    images of each patient. What all images have in common (the same organ, in the same place) is taken off first.
    """
    if len(thumbnails) < _FEWEST:
        return []
    own = _unit(_pictures(thumbnails))
    own = _unit(own - own.mean(axis=0))
    beside = np.array([float(own[i] @ own[i + 1]) for i in range(len(own) - 1)])
    least = float(np.quantile(_apart(own), _MOST_ALIKE))
    alike = beside > max(least, 0)
    loose = np.array([one != other for one, other in pairwise(cases)])
    if not loose.any() or alike[loose].mean() < _LEAST_SERIES:
        return []
    place = part_of_each(parts, len(thumbnails))
    divided = (place[:-1] != place[1:]) & (place[:-1] >= 0) & (place[1:] >= 0)
    return [Pair(int(i), int(i) + 1) for i in np.flatnonzero(alike & loose & divided)]


def _apart(own: np.ndarray) -> np.ndarray:
    """How alike images are that are far from each other in the order; of many pairs, a sample."""
    count, apart = len(own), min(_APART, len(own) // 2)
    if count * count <= _SAMPLED:
        first, second = np.triu_indices(count, apart)
    else:
        rng = np.random.default_rng(0)
        first, second = rng.integers(0, count, (2, 2 * _SAMPLED))
        far = np.abs(first - second) >= apart
        first, second = first[far], second[far]
    return np.einsum("ij,ij->i", own[first], own[second])


def _pictures(thumbnails: np.ndarray) -> np.ndarray:
    """(N, pixels) float32."""
    return thumbnails.reshape(len(thumbnails), -1).astype(np.float32)


def _unit(pictures: np.ndarray) -> np.ndarray:
    """Each without its mean and of length 1, so that a product is a correlation; 0 for what has one value."""
    centred = pictures - pictures.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.divide(centred, length, out=np.zeros_like(centred), where=length > 0)


def _one_picture(one: np.ndarray, other: np.ndarray) -> bool:
    kept = np.argsort(np.abs(one - other))[:-_OUTLIERS]
    if any(picture[kept].var() < picture.var() / 2 for picture in (one, other)):
        return False
    left = _unit(np.stack([one[kept], other[kept]]))
    return bool(left[0] @ left[1] >= _ONE_PICTURE)
