"""How many independent test images there are: cases where several images are of one, fewer where neighbours are alike.

The model of `crossed` wants columns that are independent. Slices of one patient are not: they look alike, and react
alike to a seed. So the columns become *units*:

- **Cases** (images of one patient or volume): a column each, the mean of the case's images, weighted so that the mean
  over all stays the mean over images. Patient, slices within patients and what a seed does to a patient are then the
  column's effect and the residual, whatever their ratios; nothing has to be known of how alike slices are.
- **Slices of one volume**, in its order: as many units as their autocorrelation leaves. Of n values with the first
  autocorrelation r the mean is as uncertain as of n (1 - r) / (1 + r) independent ones (a first-order autoregression;
  Priestley, Spectral Analysis and Time Series, 1981, 5.3). r is estimated with its bias (Marriott and Pope 1954) taken
  off and one standard error added, for it is uncertain itself, and more than is seen would be too narrow. Below 20
  slices it cannot be seen at all: they count as one.
- **Images of which nobody said** whether they are a series: as above, where r is beyond what independent images show in
  one study of twenty. The others are left as they are, so independent images lose next to nothing.

Deviations from a seed's mean are stretched to what as many independent columns would show; a seed's mean is not moved.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ablate.analysis.format import several

FEWEST = 4
"""Cases, or images that are each a case: of fewer nothing is said of others."""
FEWEST_SLICES = 20
"""Of one volume: below it, their autocorrelation cannot be told from none."""
_LEAST_KNOWN, _LEAST_SEEN = 3.0, 4.0
"""Units that slices count as at least: where they are known to be of one volume, and where that is only seen."""
_SURE, _MORE = 1.645, (1.0, 0.5)
"""Standard errors: what r must pass where no order is known; what is added to it where one is, and where none is."""

Word = Literal["image", "case", "slice"]


class Columns(NamedTuple):
    """What the columns of a matrix of scores are."""

    images: tuple[str, ...]
    cases: tuple[str, ...]
    """Of each image; the image itself where no other is of its case."""
    stack: bool | None = False
    """Whether they are slices of one volume, in the order of their names; None where nobody said."""
    by_case: bool = False
    """Whether each is a case's score, its images pooled."""

    @property
    def word(self) -> Word:
        """What is counted of them."""
        if self.by_case or len(set(self.cases)) < len(self.images):
            return "case"
        return "slice" if self.stack else "image"

    def at(self, places: Sequence[int]) -> Columns:
        """Those of these places."""
        return self._replace(
            images=tuple(self.images[at] for at in places), cases=tuple(self.cases[at] for at in places)
        )


class Units(NamedTuple):
    """A matrix of scores whose columns are independent, or are stretched to be as uncertain as if they were."""

    matrix: NDArray[np.float64]
    """(seeds, units)."""
    means: NDArray[np.float64]
    """(seeds, units): as `matrix`, the scores of units as they are."""
    effective: float
    """How many independent units of equal weight there are."""
    word: Word
    note: str
    """What must be said of it, or ''."""


def units_of(matrix: NDArray[np.float64], columns: Columns | None = None) -> Units:
    """`matrix` (seeds, images), without NaN, by independent units. Without `columns`, each image is one."""
    images = matrix.shape[1]
    if columns is None:
        return Units(matrix, matrix, float(images), "image", "")
    if len(set(columns.cases)) < images:
        return _by_case(matrix, columns.cases)
    word = columns.word
    if columns.stack is False or columns.by_case:
        return Units(matrix, matrix, float(images), word, "")
    effective = effective_number(matrix.mean(axis=0)[in_order(columns.images)], known=bool(columns.stack))
    note = ""
    if effective < images and columns.stack:
        note = f"{several(images, 'slice')} of one volume count as {effective:.1f}"
    elif effective < images:
        note = f"images next to each other score alike: {images} count as {effective:.1f}"
    return Units(_stretched(matrix, np.full(images, _stretch(images, effective))), matrix, effective, word, note)


def too_few(columns: Columns) -> str:
    """Why these images tell nothing of others, and what would help; '' where they do."""
    return few_of(len(set(columns.cases)), columns.word, math.inf)


def few_of(units: int, word: Word, effective: float) -> str:
    """As `too_few`, of so many units of which `effective` are independent."""
    if word == "slice" and units < FEWEST_SLICES:
        return (
            f"{several(units, word)} of one volume are too few to see how alike neighbours are, at least "
            f"{FEWEST_SLICES}: folds, or more volumes, would help"
        )
    if units < FEWEST:
        are = "is" if units == 1 else "are"
        return (
            f"{several(units, word)} {are} too few to speak of others, at least {FEWEST}: more {word}s, or folds, "
            "would help"
        )
    if effective >= 2:
        return ""
    if word in ("slice", "image"):
        alike = f"{several(units, word)} are so alike that they count as {effective:.1f}"
        return f"{alike}: folds, or more volumes, would help"
    return f"nearly all images are of one {word}"


def in_order(names: Sequence[str]) -> list[int]:
    """The places of names in their order, numbers within them by value: `slice-2` before `slice-10`."""

    def key(at: int) -> list[tuple[int, str]]:
        return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", names[at]) if part]

    return sorted(range(len(names)), key=key)


def effective_number(series: NDArray[np.float64], known: bool) -> float:
    """As how many independent values a mean of `series` (n,), in its order, is sure.

    `known`: that it is a series; else it is taken for one only where its first autocorrelation says so.
    """
    count = len(series)
    if known and count < FEWEST_SLICES:
        return 1.0
    centred = series - series.mean()
    square = float(centred @ centred)
    if count < FEWEST + 1 or square <= 0:
        return float(count)
    found = float(centred[1:] @ centred[:-1]) / square
    if not known and found <= _SURE / math.sqrt(count) - 1 / count:
        return float(count)
    own = min(max((found + 1 / count) / (1 - 3 / count), -0.99), 0.99)
    error = math.sqrt(max(1 - own * own, 0.05) / count)
    own = min(max(own + _MORE[0 if known else 1] * error, 0.0), 0.99)
    least = _LEAST_KNOWN if known else _LEAST_SEEN
    return min(float(count), max(least, count * (1 - own) / (1 + own)))


def _by_case(matrix: NDArray[np.float64], cases: Sequence[str]) -> Units:
    """A column a case. Its weight is its share of the images; deviations carry it, with the correction that keeps the
    variance of so weighted a mean unbiased, and as many units are counted as equal weights would have."""
    names = list(dict.fromkeys(cases))
    place = {name: at for at, name in enumerate(names)}
    member = np.zeros((len(cases), len(names)))
    member[np.arange(len(cases)), [place[case] for case in cases]] = 1.0
    sizes = member.sum(axis=0)
    means, weights, count = matrix @ member / sizes, sizes / sizes.sum(), len(names)
    squares = float(weights @ weights)
    left = float(weights**2 @ (1 - 2 * weights + squares))
    more = (count - 1) / count * squares / left if count > 1 else 1.0
    own = matrix.mean(axis=1, keepdims=True)
    stretched = own + count * weights * math.sqrt(more) * (means - own)
    effective = float(count) if (sizes == sizes[0]).all() else 1 / squares
    return Units(stretched, means, effective, "case", "")


def _stretch(count: int, effective: float) -> float:
    return math.sqrt((count - 1) / (effective - 1)) if 1 < effective < count else 1.0


def _stretched(matrix: NDArray[np.float64], by: NDArray[np.float64]) -> NDArray[np.float64]:
    own = matrix.mean(axis=1, keepdims=True)
    return own + by * (matrix - own) if (by != 1).any() else matrix
