"""The crossed model of seeds and images: a mean, its variance, and how many seeds would tell it from zero.

A matrix of seeds by images holds the scores of one cell, or the paired difference of two. Both are samples: of the
seeds one could have trained with, and of the images one could have tested on. So the model is the crossed one,

    D[s, i] = mean + S[s] + I[i] + E[s, i],

and the variance of the mean is that of seeds, images and residual, each over how many there are. Where images are not
independent (slices of patients, or of one volume), the columns are what is: `ablate.analysis.independent` makes them.
Every interval and p-value of `significance` comes from it; `docs/statistics.md` says why, and how well it covers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ablate.analysis.format import several
from ablate.analysis.independent import Units, Word, few_of
from ablate.analysis.scales import PLAIN, Scale

MOST_SEEDS = 100
"""Beyond this, more seeds are no advice."""


class Interval(NamedTuple):
    """A two-sided confidence interval; `low` and `high` are NaN where there is none, and `why` says why.

    It is over `seeds` (0: of what has none) and `units`, which are cases, images or slices (`unit`), of which
    `effective` are independent (None: all); 0 where that was not said, and where it is of these images alone.
    """

    estimate: float
    low: float
    high: float
    level: float
    seeds: int = 0
    units: int = 0
    unit: Word = "image"
    effective: float | None = None
    why: str = ""

    @property
    def over(self) -> str:
        """`3 seeds and 12 cases`; `3 seeds and 30 slices (as 7.2)`; '' where it was not said."""
        if not self.units:
            return ""
        counted = several(self.units, self.unit)
        if self.effective is not None:
            counted += f" (as {self.effective:.1f})"
        return f"{several(self.seeds, 'seed')} and {counted}" if self.seeds else counted

    @property
    def plus_minus(self) -> str:
        """Half its width, `± 0.012`; where that would reach beyond the interval's own bounds, `[0.921, 0.998]`; ''
        where there is none."""
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            return ""
        half = (self.high - self.low) / 2
        within = self.estimate >= half and not self.high <= 1 < self.estimate + half
        return f"± {half:.3f}" if within else f"[{self.low:.3f}, {self.high:.3f}]"


def counted(intervals: Iterable[Interval]) -> str:
    """What intervals are over, `3 seeds and 12 cases`: of each unit the least and the most; '' where nothing is."""
    known = [one for one in intervals if one.units and math.isfinite(one.low)]
    if not known:
        return ""
    seeds = _from_to({one.seeds for one in known if one.seeds}, "seed")
    units = [
        _from_to({one.units for one in known if one.unit == unit}, unit) for unit in {one.unit: 0 for one in known}
    ]
    fewer = [one.effective for one in known if one.effective is not None]
    alike = f" (as few as {min(fewer):.1f} of which are independent)" if fewer else ""
    return " and ".join(filter(None, [seeds, ", ".join(units)])) + alike


def _from_to(counts: set[int], noun: str) -> str:
    if not counts:
        return ""
    low, high = min(counts), max(counts)
    return several(low, noun) if low == high else f"{low} to {several(high, noun)}"


class Components(NamedTuple):
    """The mean of a matrix of seeds by images, and the variances of a seed's, an image's and a residual's effect.

    Of what has no seeds (a trivial predictor), `seeds` is 1 and their variance 0. `effective`: as how many independent
    images the mean is sure; None: all of them; infinite where it is of these very images. `unit`: what an image is.
    """

    mean: float
    seeds: int
    images: int
    seed: float
    image: float
    residual: float
    effective: float | None = None
    unit: Word = "image"

    @property
    def df_images(self) -> float:
        return (self.images if self.effective is None else self.effective) - 1


def components_of(units: Units, trivial: bool = False) -> Components:
    """The components of a matrix by independent units; `trivial`: of a predictor that has no seeds."""
    matrix = units.matrix
    if trivial:
        mean, spread = float(matrix.mean()), float(matrix[0].var(ddof=1)) if matrix.shape[1] > 1 else 0.0
        found = Components(mean, 1, matrix.shape[1], 0.0, spread, 0.0)
    else:
        found = components(matrix)
    whole = units.effective == matrix.shape[1]
    return found._replace(effective=None if whole else units.effective, unit=units.word)


def components(matrix: NDArray[np.float64]) -> Components:
    """The mean and variance components of `matrix` (seeds, images), without NaN, by analysis of variance.

    A component whose mean square is no larger than the residual's is taken for zero and pooled with the residual. With
    one seed the variances are NaN; with one image all variance is the seeds'.
    """
    seeds, images = matrix.shape
    mean = float(matrix.mean())
    if seeds < 2:
        return Components(mean, seeds, images, math.nan, math.nan, math.nan)
    by_seed, by_image = matrix.mean(axis=1) - mean, matrix.mean(axis=0) - mean
    if images < 2:
        return Components(mean, seeds, images, float(by_seed @ by_seed) / (seeds - 1), 0.0, 0.0)
    of_seed, of_image = images * float(by_seed @ by_seed), seeds * float(by_image @ by_image)
    rest = matrix - mean - by_seed[:, None] - by_image
    squares, df = float((rest * rest).sum()), (seeds - 1) * (images - 1)
    residual = squares / df
    seed_counts, image_counts = of_seed / (seeds - 1) > residual, of_image / (images - 1) > residual
    if not seed_counts:
        squares, df = squares + of_seed, df + seeds - 1
    if not image_counts:
        squares, df = squares + of_image, df + images - 1
    residual = squares / df
    seed = (of_seed / (seeds - 1) - residual) / images if seed_counts else 0.0
    image = (of_image / (images - 1) - residual) / seeds if image_counts else 0.0
    return Components(mean, seeds, images, seed, image, residual)


def standard_error(found: Components, seeds: int | None = None) -> tuple[float, float]:
    """The standard error of the mean, and the degrees of freedom of its t distribution.

    With `seeds`, those that could be expected with as many seeds and the same images.

    Where seeds and images both count, the degrees of freedom are between seeds - 1 and images - 1: their harmonic mean,
    weighted by the mean squares. Satterthwaite's weights are the squares of these; with three seeds they trust a seed
    variance that came out small by chance, and the interval is too narrow (`benchmarks/coverage.py`). Linear weights
    are those that Cochran and Cox (Experimental Designs, 1950) give the t quantiles of two unequal variances. Two seeds
    can hardly show that seeds make no difference, so they always count. Of images that are worth no more than one
    independent one there are no degrees of freedom, and no interval (`why_none`).
    """
    seeds = found.seeds if seeds is None else seeds
    of_seed, of_image = found.residual + found.images * found.seed, found.residual + seeds * found.image
    both = found.seed > 0 and found.image > 0
    if found.images > 1 and (both or seeds == 2):
        variance = of_seed + of_image - found.residual
        weights = of_seed / (seeds - 1) + (of_image / found.df_images if found.df_images else math.inf)
        df = (of_seed + of_image) / weights if weights > 0 else found.df_images
    elif found.seed:
        variance, df = of_seed, seeds - 1
    elif found.image:
        variance, df = of_image, found.df_images
    else:
        variance, df = found.residual, seeds * found.images - 1
    return math.sqrt(variance / (seeds * found.images)), float(df)


def why_none(found: Components) -> str:
    """Why no interval can be given of other seeds and other images, and what would help; '' where one can."""
    said = ["one seed"] if math.isnan(found.seed) else []
    if found.effective != math.inf:
        said.append(few_of(found.images, found.unit, found.df_images + 1))
    return "; ".join(filter(None, said))


def seeds_needed(found: Components, distance: float, level: float = 0.95) -> int | None:
    """The smallest number of seeds at which the expected two-sided interval is narrower than `distance` either way.

    The images stay as they are: `None` where they alone make the interval wider than that (`images_prevent`), where
    more than `MOST_SEEDS` would be needed, and where there is no interval (`why_none`).
    """
    if why_none(found) or images_prevent(found, distance, level):
        return None
    from scipy import stats

    numbers = range(found.seeds + 1, MOST_SEEDS + 1)
    errors = np.array([standard_error(found, number) for number in numbers]).reshape(-1, 2)
    enough = stats.t.ppf((1 + level) / 2, errors[:, 1]) * errors[:, 0] < abs(distance)
    return numbers[int(enough.argmax())] if enough.any() else None


def images_prevent(found: Components, distance: float, level: float = 0.95) -> bool:
    """Whether not even endless seeds would make the interval narrower than `distance` either way, on these images."""
    from scipy import stats

    if not found.image:
        return False
    return stats.t.ppf((1 + level) / 2, found.df_images) * math.sqrt(found.image / found.images) >= abs(distance)


def interval_of(found: Components, level: float = 0.95, scale: Scale = PLAIN) -> Interval:
    """The two-sided interval of the mean, within what `scale` says that it can be."""
    seeds = 0 if found.seeds == 1 and not math.isnan(found.seed) else found.seeds
    count, effective = (0, None) if found.effective == math.inf else (found.images, found.effective)
    none = Interval(found.mean, math.nan, math.nan, level, seeds, count, found.unit, effective, why_none(found))
    if none.why:
        return none
    half = half_width(found, level)
    low, high = scale.ends(found.mean, half)
    why = scale.why(found.mean, half)
    return none._replace(low=low, high=high, why=f"{why}: more seeds or {found.unit}s would help" if why else "")


def half_width(found: Components, level: float = 0.95) -> float:
    """Half the width of the t interval."""
    from scipy import stats

    error, df = standard_error(found)
    return float(stats.t.ppf((1 + level) / 2, df)) * error


def p_value_of(found: Components) -> float | None:
    """Two-sided, of a mean of zero; `None` where there is no interval."""
    if why_none(found):
        return None
    from scipy import stats

    error, df = standard_error(found)
    return float(2 * stats.t.sf(abs(found.mean) / error, df)) if error > 0 else float(found.mean == 0)


def of_seeds_alone(found: Components) -> Components:
    """The same mean, of other seeds on these very images: what can be said where they stand for no others."""
    spread = found.seed + found.residual / found.images
    return found._replace(seed=spread, image=0.0, residual=0.0, effective=math.inf)
