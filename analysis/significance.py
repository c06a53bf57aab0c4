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
    components_of,
    half_width,
    images_prevent,
    interval_of,
    of_seeds_alone,
    p_value_of,
    seeds_needed,
    standard_error,
    why_none,
)
from ablate.analysis.format import several
from ablate.analysis.independent import Columns, Units, effective_number, in_order, units_of
from ablate.analysis.scales import scale_of, scale_of_differences
from ablate.analysis.scores import CellScores, paired, shared_images
from ablate.errors import InputError
from ablate.metrics.counts import METRICS, MetricName

_CELLS_AT_ONCE = 512


class Difference(NamedTuple):
    """The mean score of cell `a` less that of `b`, paired by seed and image."""

    a: str
    b: str
    metric: MetricName
    interval: Interval
    """Low and high are NaN where there is none; it says why, and what it is over."""
    p_value: float | None
    """Two-sided, of the interval's model; `None` with a single seed, and of too few images."""
    p_holm: float | None
    """`p_value` corrected for its family by `holm`; `None` before."""
    wilcoxon: float | None
    """Signed-rank test over images, or cases, of differences averaged over seeds: of these trainings only, not of
    others. `None` where neighbouring images are not independent."""
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
    """A one-sided lower confidence bound of mean(a) - mean(b); `low` is NaN where there is none, as of intervals."""

    estimate: float
    low: float
    level: float
    components: Components
    note: str

    def not_below(self, margin: float) -> bool:
        """Whether `a` is non-inferior to `b`: surely less than `margin` (a positive score) below it."""
        return self.low > -margin

    def p_value(self, margin: float) -> float | None:
        """One-sided, of the hypothesis that `a` is `margin` or more below `b`; `None` where there is no bound."""
        if why_none(self.components):
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
    """The interval of a cell's mean score, within what the metric can be (`ablate.analysis.scales`). A trivial
    predictor has no seeds: its interval is over images alone.

    Raises `InputError` where no score is finite.
    """
    rows, columns = complete_places(scores.values)
    if not rows or not columns:
        raise InputError(f"{scores.label} has no test score: train it, or leave it out")
    units = units_of(scores.values[np.ix_(rows, columns)], scores.columns.at(columns))
    return interval_of(components_of(units, scores.trivial), level, scale_of(scores.metric))


def difference(a: CellScores, b: CellScores, metric: MetricName, level: float = 0.95) -> Difference:
    """The mean score of `a` less that of `b`, on the seeds and images that both have.

    Raises `InputError` where they share none, and where they were judged on different data.
    """
    matrix, columns, note = _shared(a, b)
    return difference_of(matrix, a.cell, b.cell, metric, level, note, columns)


def difference_of(
    matrix: NDArray[np.float64],
    a: str,
    b: str,
    metric: MetricName,
    level: float = 0.95,
    note: str = "",
    columns: Columns | None = None,
) -> Difference:
    """The `Difference` that a matrix of differences (seeds, images), without NaN, amounts to.

    `columns`: what its columns are; each an independent image where that is not said.
    """
    units = units_of(matrix, columns)
    found = components_of(units)
    interval, p = interval_of(found, level, scale_of_differences(metric)), p_value_of(found)
    notes = [note, interval.why or units.note]
    if interval.why and found.seeds > 1:
        notes.append(_on_these(found, metric, level))
    elif found.seeds == 2:
        notes.append("two seeds: the interval may be too narrow")
    needed = None
    if p is not None and p > 1 - level:
        needed = seeds_needed(found, found.mean, level)
        if needed is None and images_prevent(found, found.mean, level):
            notes.append(f"more seeds would not decide it: the {found.unit}s vary too much")
        elif needed is None:
            notes.append(f"more than {MOST_SEEDS} seeds would be needed to decide it")
    return Difference(
        a=a,
        b=b,
        metric=metric,
        interval=interval,
        p_value=p,
        p_holm=None,
        wilcoxon=_wilcoxon(units),
        seeds=found.seeds,
        images=matrix.shape[1],
        seeds_needed=needed,
        note="; ".join(filter(None, notes)),
        error=standard_error(found)[0] if found.seeds > 1 else math.nan,
    )


def _on_these(found: Components, metric: MetricName, level: float) -> str:
    """What can be said where images stand for no others: what other seeds would give on these; '' of nothing."""
    alone = interval_of(of_seeds_alone(found), level, scale_of_differences(metric))
    if alone.why:
        return ""
    return f"on these {found.unit}s alone, of other seeds: {alone.low:+.4f} to {alone.high:+.4f}"


def one_sided_bound(a: CellScores, b: CellScores, level: float = 0.95, sign: int = 1) -> Bound:
    """The lower confidence bound of mean(a) - mean(b), for a non-inferiority test at 1 - level: see `Bound.not_below`.

    `sign`: that of the metric, -1 where less is better; then it is of mean(b) - mean(a). Raises `InputError` as
    `difference`.
    """
    matrix, columns, note = _shared(a, b)
    return bound_of(components_of(units_of(sign * matrix, columns)), level, note)


def bound_of(found: Components, level: float = 0.95, note: str = "") -> Bound:
    """The one-sided lower bound of the mean."""
    if why := why_none(found):
        return Bound(found.mean, math.nan, level, found, "; ".join(filter(None, [note, why])))
    return Bound(found.mean, found.mean - half_width(found, 2 * level - 1), level, found, note)


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
    """`matrix` without the seeds and images that lack scores, and whether any did: what `complete_places` keeps."""
    rows, columns = complete_places(matrix)
    return matrix[np.ix_(rows, columns)], (len(rows), len(columns)) != matrix.shape


def complete_places(matrix: NDArray[np.float64]) -> tuple[list[int], list[int]]:
    """The rows and columns of `matrix` (seeds, images) that together lack no score.

    The seed or image that lacks the largest share goes first, so that one seed without scores costs no image.
    """
    kept = np.arange(matrix.shape[0]), np.arange(matrix.shape[1])
    missing = np.isnan(matrix)
    while missing.any():
        by_seed, by_image = missing.mean(axis=1), missing.mean(axis=0)
        axis = 0 if by_seed.max() >= by_image.max() else 1
        gone = int((by_image if axis else by_seed).argmax())
        missing = np.delete(missing, gone, axis=axis)
        kept = (np.delete(kept[0], gone), kept[1]) if axis == 0 else (kept[0], np.delete(kept[1], gone))
    rows, columns = (places.tolist() for places in kept)
    return (rows, columns) if rows and columns else ([], [])


def _shared(a: CellScores, b: CellScores) -> tuple[NDArray[np.float64], Columns, str]:
    """The differences on what both have, what their columns are, and what must be said of it."""
    if a.task != b.task:
        raise InputError(f"{a.label} is judged on {a.task}, {b.label} on {b.task}: scores compare on one data set only")
    try:
        matrix = paired(a, b)
    except ValueError as error:
        raise InputError(str(error)) from None
    rows, places = complete_places(matrix)
    if not rows:
        raise InputError(f"{a.label} and {b.label} have no image that both were scored on: they cannot be compared")
    notes = []
    if not (a.trivial or b.trivial) and a.seeds != b.seeds:
        notes.append(f"seeds differ ({len(a.seeds)} and {len(b.seeds)}): the {matrix.shape[0]} they share")
    if a.images != b.images:
        notes.append(f"images differ: the {matrix.shape[1]} they share")
    if (len(rows), len(places)) != matrix.shape:
        notes.append(f"scores are missing: {several(len(rows), 'seed')} and {several(len(places), 'image')} left")
    at = {image: place for place, image in enumerate(a.images)}
    columns = a.columns.at([at[image] for image in shared_images(a, b)]).at(places)
    return matrix[np.ix_(rows, places)], columns, "; ".join(notes)


def _wilcoxon(units: Units) -> float | None:
    by_unit = units.means.mean(axis=0)
    if len(by_unit) < 2 or (units.word != "case" and units.effective < len(by_unit)):
        return None
    if not by_unit.any():
        return 1.0
    from scipy import stats

    return float(stats.wilcoxon(by_unit).pvalue)


# Many cells at once --------------------------------------------------------------------------------------------------


def hierarchical_bootstrap(
    matrices: Sequence[NDArray[np.float64]],
    resamples: int,
    rng: np.random.Generator,
    columns: Columns | None = None,
) -> NDArray[np.float64]:
    """Resampled mean scores of several cells, (resamples, cells): for what has no formula, such as who is on a front.

    Each resample draws images, the same for all cells and seeds, and for each cell its own seeds: images are paired,
    seeds are not, for seed 0 of one network has nothing in common with seed 0 of another. One fewer than there are is
    drawn of each, with replacement, which makes the variance of the mean unbiased (McCarthy and Snowden 1985); drawing
    all n makes it (n - 1)/n of what it is, two thirds for three seeds. Of a single seed or image there is nothing to
    draw. See Owen, The pigeonhole bootstrap, Ann. Appl. Stat. 1 (2007). Where images are of cases, cases are drawn with
    all their images; of slices that count as fewer, as many as they count as less one (that of the median cell).

    Args:
        matrices: a cell's scores each, (seeds, images): the same images for all, as many seeds as each has. NaN where a
            score is missing; a resample that drew none that a seed has keeps the seed's mean.
        columns: what the images are; independent ones where that is not said.
    """
    images = {matrix.shape[1] for matrix in matrices}
    if len(images) != 1 or 0 in images or any(len(matrix) == 0 for matrix in matrices):
        raise ValueError("hierarchical_bootstrap needs matrices of the same images, each with a seed")
    weights = _image_weights(matrices, images.pop(), resamples, rng, columns)
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


def _image_weights(
    matrices: Sequence[NDArray[np.float64]],
    images: int,
    resamples: int,
    rng: np.random.Generator,
    columns: Columns | None,
) -> NDArray[np.float64] | None:
    """(resamples, images), each resample's sum is 1; None where there is nothing to draw."""
    places = np.arange(images)
    draws = images - 1
    if columns is not None:
        places = np.unique(columns.cases, return_inverse=True)[1]
        draws = int(places.max())
    if columns is not None and draws == images - 1 and columns.stack is not False:
        means = np.array([np.nan_to_num(matrix.mean(axis=0), nan=float(np.nanmean(matrix))) for matrix in matrices])
        known, order = bool(columns.stack), in_order(columns.images)
        counted = np.median([effective_number(mean[order], known) for mean in means[:_CELLS_AT_ONCE]])
        draws = min(draws, max(round(float(counted)) - 1, 1))
    units = int(places.max()) + 1
    if units < 2:
        return None
    drawn = rng.multinomial(max(draws, 1), np.full(units, 1 / units), size=resamples)[:, places].astype(np.float64)
    return drawn / drawn.sum(axis=1, keepdims=True)


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
