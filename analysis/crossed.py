"""The crossed model of seeds and images: a mean, its variance, and how many seeds would tell it from zero.

A matrix of seeds by images holds the scores of one cell, or the paired difference of two. Both are samples: of the
seeds one could have trained with, and of the images one could have tested on. So the model is the crossed one,

    D[s, i] = mean + S[s] + I[i] + E[s, i],

and the variance of the mean is that of seeds, images and residual, each over how many there are. Every interval and
p-value of `significance` comes from it; `docs/statistics.md` says why, and how well it covers.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MOST_SEEDS = 100
"""Beyond this, more seeds are no advice."""


class Interval(NamedTuple):
    """A two-sided confidence interval; `low` and `high` are NaN where the spread over seeds is unknown."""

    estimate: float
    low: float
    high: float
    level: float


class Components(NamedTuple):
    """The mean of a matrix of seeds by images, and the variances of a seed's, an image's and a residual's effect."""

    mean: float
    seeds: int
    images: int
    seed: float
    image: float
    residual: float


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
    can hardly show that seeds make no difference, so they always count.
    """
    seeds = found.seeds if seeds is None else seeds
    of_seed, of_image = found.residual + found.images * found.seed, found.residual + seeds * found.image
    both = found.seed > 0 and found.image > 0
    if found.images > 1 and (both or seeds == 2):
        variance = of_seed + of_image - found.residual
        weights = of_seed / (seeds - 1) + of_image / (found.images - 1)
        df = (of_seed + of_image) / weights if weights > 0 else found.images - 1
    elif found.seed:
        variance, df = of_seed, seeds - 1
    elif found.image:
        variance, df = of_image, found.images - 1
    else:
        variance, df = found.residual, seeds * found.images - 1
    return math.sqrt(variance / (seeds * found.images)), float(df)


def seeds_needed(found: Components, distance: float, level: float = 0.95) -> int | None:
    """The smallest number of seeds at which the expected two-sided interval is narrower than `distance` either way.

    The images stay as they are: `None` where they alone make the interval wider than that (`images_prevent`), where
    more than `MOST_SEEDS` would be needed, and where one seed tells nothing of the spread over seeds.
    """
    if found.seeds < 2 or images_prevent(found, distance, level):
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
    return stats.t.ppf((1 + level) / 2, found.images - 1) * math.sqrt(found.image / found.images) >= abs(distance)


def interval_of(found: Components, level: float = 0.95) -> Interval:
    """The two-sided interval of the mean."""
    if found.seeds < 2:
        return Interval(found.mean, math.nan, math.nan, level)
    from scipy import stats

    error, df = standard_error(found)
    half = float(stats.t.ppf((1 + level) / 2, df)) * error
    return Interval(found.mean, found.mean - half, found.mean + half, level)


def p_value_of(found: Components) -> float | None:
    """Two-sided, of a mean of zero; `None` with a single seed."""
    if found.seeds < 2:
        return None
    from scipy import stats

    error, df = standard_error(found)
    return float(2 * stats.t.sf(abs(found.mean) / error, df)) if error > 0 else float(found.mean == 0)
