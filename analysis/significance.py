"""Whether one cell scores better than another: intervals, tests, and how many seeds would decide.

Scores come as a matrix of seeds by images, of one cell or of the paired difference of two, and every interval and
p-value of one is that of the crossed model (`ablate.analysis.crossed`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ablate.analysis.crossed import (
    MOST_SEEDS,
    Components,
    Interval,
    components,
    images_prevent,
    interval_of,
    p_value_of,
    seeds_needed,
    standard_error,
)
from ablate.analysis.format import several
from ablate.analysis.scores import CellScores, paired
from ablate.errors import InputError
from ablate.metrics.counts import METRICS, MetricName

_CELLS_AT_ONCE = 512


class Difference(NamedTuple):
    """The mean score of cell `a` less that of `b`, paired by seed and image."""

    a: str
    b: str
    metric: MetricName
    interval: Interval
    """Low and high are NaN with a single seed."""
    p_value: float | None
    """Two-sided, of the interval's model; `None` with a single seed."""
    p_holm: float | None
    """`p_value` corrected for its family by `holm`; `None` before."""
    wilcoxon: float | None
    """Signed-rank test over images, of differences averaged over seeds: of these trainings only, not of others."""
    seeds: int
    images: int
    seeds_needed: int | None
    """Seeds that would likely decide it, where it is inconclusive; `None` otherwise, and where none would."""
    note: str
    """What must be said of it, or ''."""
    error: float = math.nan
    """The standard error of the estimate; NaN with a single seed."""

    @property
    def gain(self) -> float:
        """How much better `a` is: the estimate, of a metric that is to be small its negative."""
        return METRICS[self.metric].sign * self.interval.estimate

    @property
    def significant(self) -> bool:
        """At 1 - level, Holm-corrected where `holm` has been; a single seed never is."""
        p = self.p_value if self.p_holm is None else self.p_holm
        return self.seeds > 1 and p is not None and p <= 1 - self.interval.level


class Bound(NamedTuple):
    """A one-sided lower confidence bound of mean(a) - mean(b); `low` is NaN with a single seed."""

    estimate: float
    low: float
    level: float
    components: Components
    note: str

    def not_below(self, margin: float) -> bool:
        """Whether `a` is non-inferior to `b`: surely less than `margin` (a positive score) below it."""
        return self.low > -margin

    def p_value(self, margin: float) -> float | None:
        """One-sided, of the hypothesis that `a` is `margin` or more below `b`; `None` with a single seed."""
        if self.components.seeds < 2:
            return None
        from scipy import stats

        error, df = standard_error(self.components)
        distance = self.estimate + margin
        return float(stats.t.sf(distance / error, df)) if error > 0 else float(distance <= 0)

    def seeds_needed(self, margin: float) -> int | None:
        """Seeds at which the bound would likely fall on the estimate's side of the margin, as `seeds_needed`."""
        return seeds_needed(self.components, self.estimate + margin, 2 * self.level - 1)


# Cells ---------------------------------------------------------------------------------------------------------------


def mean_interval(scores: CellScores, level: float = 0.95) -> Interval:
    """The interval of a cell's mean score. A trivial predictor has no seeds: its interval is over images alone.

    Raises `InputError` where no score is finite.
    """
    matrix, _ = complete_part(scores.values)
    if not matrix.size:
        raise InputError(f"{scores.label} has no test score: train it, or leave it out")
    if scores.trivial:
        matrix = matrix.T  # the t interval over what varies, the images
    return interval_of(components(matrix), level)


def difference(a: CellScores, b: CellScores, metric: MetricName, level: float = 0.95) -> Difference:
    """The mean score of `a` less that of `b`, on the seeds and images that both have.

    Raises `InputError` where they share none, and where they were judged on different data.
    """
    matrix, note = _shared(a, b)
    return difference_of(matrix, a.cell, b.cell, metric, level, note)


def difference_of(
    matrix: NDArray[np.float64], a: str, b: str, metric: MetricName, level: float = 0.95, note: str = ""
) -> Difference:
    """The `Difference` that a matrix of differences (seeds, images), without NaN, amounts to."""
    found = components(matrix)
    interval, p = interval_of(found, level), p_value_of(found)
    notes = [note] if note else []
    if found.seeds == 1:
        notes.append("one seed")
    elif found.seeds == 2:
        notes.append("two seeds: the interval may be too narrow")
    if found.images == 1:
        notes.append("one image: nothing is known of others")
    needed = None
    if p is not None and p > 1 - level:
        needed = seeds_needed(found, found.mean, level)
        if needed is None and images_prevent(found, found.mean, level):
            notes.append("more seeds would not decide it: the images vary too much")
        elif needed is None:
            notes.append(f"more than {MOST_SEEDS} seeds would be needed to decide it")
    return Difference(
        a=a,
        b=b,
        metric=metric,
        interval=interval,
        p_value=p,
        p_holm=None,
        wilcoxon=_wilcoxon(matrix.mean(axis=0)),
        seeds=found.seeds,
        images=found.images,
        seeds_needed=needed,
        note="; ".join(notes),
        error=standard_error(found)[0] if found.seeds > 1 else math.nan,
    )


def one_sided_bound(a: CellScores, b: CellScores, level: float = 0.95, sign: int = 1) -> Bound:
    """The lower confidence bound of mean(a) - mean(b), for a non-inferiority test at 1 - level: see `Bound.not_below`.

    `sign`: that of the metric, -1 where less is better; then it is of mean(b) - mean(a). Raises `InputError` as
    `difference`.
    """
    matrix, note = _shared(a, b)
    return bound_of(components(sign * matrix), level, note)


def bound_of(found: Components, level: float = 0.95, note: str = "") -> Bound:
    """The one-sided lower bound of the mean."""
    if found.seeds < 2:
        return Bound(found.mean, math.nan, level, found, note)
    from scipy import stats

    error, df = standard_error(found)
    return Bound(found.mean, found.mean - float(stats.t.ppf(level, df)) * error, level, found, note)


def holm(differences: Sequence[Difference]) -> list[Difference]:
    """The differences, in their order, with p-values corrected for being one family (Holm 1979).

    The chance that any difference of the family is called significant though there is none stays at 1 - level.
    Those without a p-value are not of the family.
    """
    tested = [place for place, found in enumerate(differences) if found.p_value is not None]
    corrected = list(differences)
    p_values = [p for found in differences if (p := found.p_value) is not None]
    for place, p in zip(tested, holm_corrected(p_values), strict=True):
        corrected[place] = differences[place]._replace(p_holm=p)
    return corrected


def holm_corrected(p_values: Sequence[float]) -> list[float]:
    """The p-values of one family, in their order, corrected (Holm 1979)."""
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda at: p_values[at])):
        largest = max(largest, min(1.0, p_values[place] * (len(p_values) - rank)))
        corrected[place] = largest
    return corrected


def complete_part(matrix: NDArray[np.float64]) -> tuple[NDArray[np.float64], bool]:
    """`matrix` without the seeds and images that lack scores, and whether any did.

    The seed or image that lacks the largest share goes first, so that one seed without scores costs no image.
    """
    part = matrix
    while part.size and np.isnan(part).any():
        missing = np.isnan(part)
        by_seed, by_image = missing.mean(axis=1), missing.mean(axis=0)
        axis = 0 if by_seed.max() >= by_image.max() else 1
        part = np.delete(part, int((by_image if axis else by_seed).argmax()), axis=axis)
    return part, part.shape != matrix.shape


def _shared(a: CellScores, b: CellScores) -> tuple[NDArray[np.float64], str]:
    """The differences on what both have, and what must be said of it."""
    if a.task != b.task:
        raise InputError(f"{a.label} is judged on {a.task}, {b.label} on {b.task}: scores compare on one data set only")
    try:
        matrix = paired(a, b)
    except ValueError as error:
        raise InputError(str(error)) from None
    part, missing = complete_part(matrix)
    if not part.size:
        raise InputError(f"{a.label} and {b.label} have no image that both were scored on: they cannot be compared")
    notes = []
    if not (a.trivial or b.trivial) and a.seeds != b.seeds:
        notes.append(f"seeds differ ({len(a.seeds)} and {len(b.seeds)}): the {matrix.shape[0]} they share")
    if a.images != b.images:
        notes.append(f"images differ: the {matrix.shape[1]} they share")
    if missing:
        notes.append(f"scores are missing: {several(part.shape[0], 'seed')} and {several(part.shape[1], 'image')} left")
    return part, "; ".join(notes)


def _wilcoxon(by_image: NDArray[np.float64]) -> float | None:
    if len(by_image) < 2:
        return None
    if not by_image.any():
        return 1.0
    from scipy import stats

    return float(stats.wilcoxon(by_image).pvalue)


# Many cells at once --------------------------------------------------------------------------------------------------


def hierarchical_bootstrap(
    matrices: Sequence[NDArray[np.float64]], resamples: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Resampled mean scores of several cells, (resamples, cells): for what has no formula, such as who is on a front.

    Each resample draws images, the same for all cells and seeds, and for each cell its own seeds: images are paired,
    seeds are not, for seed 0 of one network has nothing in common with seed 0 of another. One fewer than there are is
    drawn of each, with replacement, which makes the variance of the mean unbiased (McCarthy and Snowden 1985); drawing
    all n makes it (n - 1)/n of what it is, two thirds for three seeds. Of a single seed or image there is nothing to
    draw. See Owen, The pigeonhole bootstrap, Ann. Appl. Stat. 1 (2007).

    Args:
        matrices: a cell's scores each, (seeds, images): the same images for all, as many seeds as each has. NaN where a
            score is missing; a resample that drew none that a seed has keeps the seed's mean.
    """
    images = {matrix.shape[1] for matrix in matrices}
    if len(images) != 1 or 0 in images or any(len(matrix) == 0 for matrix in matrices):
        raise ValueError("hierarchical_bootstrap needs matrices of the same images, each with a seed")
    count = images.pop()
    draws = max(count - 1, 1)
    weights = rng.multinomial(draws, np.full(count, 1 / count), size=resamples) / draws if count > 1 else None
    means = np.empty((resamples, len(matrices)))
    by_seeds: dict[int, list[int]] = {}
    for place, matrix in enumerate(matrices):
        by_seeds.setdefault(len(matrix), []).append(place)
    for seeds, places in by_seeds.items():
        for start in range(0, len(places), _CELLS_AT_ONCE):
            block = places[start : start + _CELLS_AT_ONCE]
            scores = np.stack([matrices[place] for place in block], axis=1)
            means[:, block] = _resampled(scores, weights, resamples, seeds, rng)
    return means


def _resampled(
    scores: NDArray[np.float64],
    weights: NDArray[np.float64] | None,
    resamples: int,
    seeds: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Means (resamples, cells) of `scores` (seeds, cells, images), with `weights` (resamples, images) that sum to 1."""
    cells = scores.shape[1]
    if weights is None:
        by_seed = np.broadcast_to(scores[:, None, :, 0], (seeds, resamples, cells))
    else:
        by_seed = weights @ np.nan_to_num(scores).transpose(0, 2, 1)
        there = np.isfinite(scores)
        if not there.all():
            share = weights @ there.transpose(0, 2, 1).astype(np.float64)
            sums, numbers = np.nan_to_num(scores).sum(axis=2), there.sum(axis=2)
            own = np.divide(sums, numbers, out=np.full(sums.shape, np.nan), where=numbers > 0)[:, None, :]
            by_seed = np.divide(by_seed, share, out=np.broadcast_to(own, share.shape).copy(), where=share > 0)
    if seeds == 1:
        return by_seed[0]
    drawn = rng.integers(seeds, size=(seeds - 1, resamples, cells), dtype=np.uint8 if seeds < 256 else np.int64)
    return np.take_along_axis(by_seed, drawn, axis=0).mean(axis=0)
