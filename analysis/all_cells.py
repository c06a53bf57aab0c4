"""The crossed model of many cells at once, fitted and simulated: what `ablate.analysis.best` compares them by.

Seeds are a cell's own, cases are shared (`ablate.analysis.crossed`). The variance of a difference is that of the two
cells' seed means, each over its seeds, and that of the paired profile over cases. Three seeds say little of a variance,
so a cell's is at least the typical one's (the median over cells), and a pair's over cases is half its own, half the
mean over pairs. In simulated studies a cell's variance is the larger of its own and its empirical Bayes estimate
(Smyth, Stat. Appl. Genet. Mol. Biol. 3, 2004).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ablate.analysis.independent import FEWEST, effective_number, in_order, units_of
from ablate.analysis.scores import CellScores
from ablate.analysis.shared import of_images, shared_columns, shared_images

_BLOCK = 2_000_000
"""Numbers that are worked on at once, to bound memory."""

Array = NDArray[np.float64]


class Fitted(NamedTuple):
    """What the data say of each cell; arrays are (cells,) unless said.

    `of_seeds`, `of_cases`: variances of seed means and of a cell's profile over cases, as the statistic has them.
    `drawn_seeds`, `drawn_cases`: as the simulation draws them, the second without what all cells share, `common`.
    `residual` is in both, of a seed and a case. `profiles` (cells, cases) are seed means of the cases. `known`: whether
    anything is known of other cases; `freedom` of a variance over cases of what is a cell's own, and of scores.
    """

    cells: tuple[str, ...]
    sign: int
    seeds: NDArray[np.int64]
    cases: int
    means: Array
    of_seeds: Array
    of_cases: Array
    drawn_seeds: Array
    drawn_cases: Array
    common: float
    residual: Array
    profiles: Array
    known: bool
    freedom: float
    freedom_of_whole: float


class Simulated(NamedTuple):
    """Some draws: cells' own deviations, their squared errors, and deviations of means in standard errors."""

    own: Array
    squares: Array
    deviations: Array


def fitted(scores: Mapping[str, CellScores], sign: int) -> Fitted:
    images = shared_images(list(scores.values()))
    known = {cell: found for cell, found in scores.items() if images}
    seeds = np.array([len(found.values) for found in known.values()], dtype=np.int64)
    count = len(known)
    if not count:
        none, profiles = np.zeros(0), np.zeros((0, 0))
        return Fitted((), sign, seeds, 0, none, none, none, none, none, 0.0, none, profiles, False, 1.0, 1.0)
    columns = _independent(known, images, sign)
    matrices, cases = columns.matrices, columns.matrices[0].shape[1]
    means, of_seeds, residual = np.empty(count), np.zeros(count), np.zeros(count)
    profiles = np.empty((count, cases))
    for place, matrix in enumerate(matrices):
        profiles[place], means[place] = matrix.mean(axis=0), matrix.mean()
        if len(matrix) > 1:
            by_seed = matrix.mean(axis=1)
            of_seeds[place] = by_seed.var(ddof=1)
            rest = matrix - by_seed[:, None] - profiles[place] + means[place]
            residual[place] = (rest * rest).sum() / ((len(matrix) - 1) * max(cases - 1, 1))
    several = seeds > 1
    typical, drawn = np.zeros(count), of_seeds.copy()
    if several.any():
        typical[several] = _typical(of_seeds[several], seeds[several] - 1)
        drawn[several] = np.maximum(of_seeds, moderated_variances(of_seeds, seeds - 1, several))[several]
    spread = profiles.var(axis=1, ddof=1) if cases > 1 else np.zeros(count)
    whole = columns.longer * spread
    own = (profiles - profiles.mean(axis=0)).var(axis=1, ddof=1) * count / max(count - 1, 1) if cases > 1 else spread
    return Fitted(
        cells=tuple(known),
        sign=sign,
        seeds=seeds,
        cases=cases,
        means=means,
        of_seeds=np.maximum(of_seeds, typical),
        of_cases=(whole + whole.mean()) / 2,
        drawn_seeds=drawn,
        drawn_cases=moderated_variances(own, np.full(count, max(columns.own - 1, 1.0)), np.full(count, count > 1)),
        common=max(float((whole - own).mean()), 0.0),
        residual=residual,
        profiles=profiles,
        known=cases >= FEWEST and min(columns.own, columns.whole) > 1,
        freedom=max(columns.own - 1, 1.0),
        freedom_of_whole=max(columns.whole - 1, 1.0),
    )


class _Columns(NamedTuple):
    """Each cell's scores, (seeds, units), by columns that are independent, or stretched to be as uncertain.

    `own` and `whole`: as how many independent ones the columns are, in what is a cell's own and in scores themselves,
    in which neighbours may be more alike. `longer`: by how much more the variance of the second must then be.
    """

    matrices: list[Array]
    own: float
    whole: float
    longer: float


def _independent(known: Mapping[str, CellScores], images: tuple[str, ...], sign: int) -> _Columns:
    """As `units_of` makes columns independent, in one way for all cells: of a series, as the typical cell's is."""
    cells = list(known.values())
    columns = shared_columns(cells, images)
    matrices = [sign * of_images(found, images) for found in cells]
    count = len(images)
    if columns is not None and len(set(columns.cases)) < count:
        units = [units_of(matrix, columns) for matrix in matrices]
        return _Columns([one.matrix for one in units], units[0].effective, units[0].effective, 1.0)
    if columns is None or columns.by_case or columns.stack is False:
        return _Columns(matrices, count, count, 1.0)
    profiles = np.array([matrix.mean(axis=0) for matrix in matrices])[:, in_order(images)]
    own, whole = (
        float(np.median([effective_number(series, known=bool(columns.stack)) for series in found]))
        for found in (profiles - profiles.mean(axis=0), profiles)
    )
    by, longer = (math.sqrt((count - 1) / (one - 1)) if 1 < one < count else 1.0 for one in (own, whole))
    if by > 1:
        means = [matrix.mean(axis=1, keepdims=True) for matrix in matrices]
        matrices = [mean + by * (matrix - mean) for mean, matrix in zip(means, matrices, strict=True)]
    return _Columns(matrices, own, whole, (longer / by) ** 2)


def _typical(variances: Array, freedom: NDArray[np.int64]) -> Array:
    """The typical of `variances` (…, cells), by their median: some wild ones do not move it."""
    from scipy import stats

    return np.asarray(np.median(variances * (freedom / stats.chi2.median(freedom)), axis=-1))


def moderated_variances(variances: Array, freedom: NDArray[np.int64], counts: NDArray[np.bool_]) -> Array:
    """Empirical Bayes estimates of variances, drawn towards what they have in common; as they are where not `counts`.

    The prior is a scaled inverse chi-squared law, fitted by the moments of the logarithms (Smyth 2004, section 6.2).
    """
    from scipy import special

    chosen = counts & (variances > 0)
    if chosen.sum() < 2:
        return variances
    half = freedom[chosen] / 2
    logs = np.log(variances[chosen]) - special.digamma(half) + np.log(half)
    spread = float(logs.var(ddof=1) - special.polygamma(1, half).mean())
    if spread <= 1e-6:
        moderated = np.exp(logs.mean())
        return np.where(counts, moderated, variances)
    half_prior = _inverse_trigamma(spread)
    centre = math.exp(float(logs.mean()) + float(special.digamma(half_prior)) - math.log(half_prior))
    moderated = (2 * half_prior * centre + freedom * variances) / (2 * half_prior + freedom)
    return np.where(counts, moderated, variances)


def _inverse_trigamma(value: float) -> float:
    """Where the trigamma function has this value, above 0.

    Newton's method on its reciprocal, which is nearly linear, so that it converges from above (Smyth 2004, appendix).
    `scipy.optimize` takes a fifth of a second to load.
    """
    from scipy import special

    found, step = 0.5 + 1 / value, -math.inf
    while -step > 1e-8 * found:
        reached = float(special.polygamma(1, found))
        step = reached * (1 - reached / value) / float(special.polygamma(2, found))
        found += step
    return found


def simulated(found: Fitted, draws: int, rng: np.random.Generator) -> Iterator[Simulated]:
    """The statistic's parts in studies as the fitted model has them, all true means equal.

    A pair's variance over cases has cases - 1 degrees of freedom; of two cells' independent ones each has half of them.
    """
    count, seeds, cases = len(found.cells), found.seeds, found.cases
    by_seed, by_case = found.drawn_seeds / seeds, found.drawn_cases / cases
    spread = np.sqrt(np.maximum.reduce([by_seed + by_case - found.residual / (seeds * cases), by_seed, by_case]))
    freedom, several = np.maximum(seeds - 1, 1), seeds > 1
    for rows in pieces(draws, count):
        shape = (rows.stop - rows.start, count)
        own = rng.normal(size=shape) * spread
        of_seeds = found.drawn_seeds * rng.chisquare(freedom, shape) / freedom
        if several.any():
            typical = _typical(of_seeds[:, several], freedom[several])
            of_seeds[:, several] = np.maximum(of_seeds[:, several], typical[:, None])
        shape_of_case = found.freedom / 4
        of_cases = (
            found.drawn_cases * rng.gamma(shape_of_case, 1 / shape_of_case, shape) if cases > 1 else np.zeros(shape)
        )
        common = rng.normal(size=(shape[0], 1)) * math.sqrt(found.common / cases)
        shared = found.common * (
            rng.chisquare(found.freedom_of_whole, (shape[0], 1)) / found.freedom_of_whole if cases > 1 else 0.0
        )
        halved = (of_cases + of_cases.mean(axis=1, keepdims=True)) / 2
        squares = of_seeds / seeds + halved / cases
        yield Simulated(own, squares, divided(own + common, squares + shared / cases))


def pieces(rows: int, width: int) -> list[slice]:
    step = max(1, _BLOCK // max(width, 1))
    return [slice(at, min(at + step, rows)) for at in range(0, rows, step)]


def divided(differences: Array, squares: Array) -> Array:
    """Differences in units of their errors; without any error a difference is endless, and none is nothing."""
    endless = np.where(differences == 0, 0.0, np.copysign(np.inf, differences))
    return np.divide(differences, np.sqrt(squares), out=endless, where=squares > 0)


def studentised(found: Fitted, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Array:
    """How far each cell of `rows` is ahead of each of `columns`, in errors of their difference: (rows, columns).

    The variance over cases is of the paired profiles: whatever both cells find hard is in neither.
    """
    means, of_seeds, cases = found.means, found.of_seeds / found.seeds, found.cases
    centred = found.profiles - found.profiles.mean(axis=0)
    centred = (centred - centred.mean(axis=1, keepdims=True)) / math.sqrt(cases - 1)
    squares = (centred * centred).sum(axis=1)
    pairs = squares[rows][:, None] + squares[columns] - 2 * centred[rows] @ centred[columns].T
    count = len(means)
    typical = 2 * float(squares.sum()) / max(count - 1, 1)  # the mean over all pairs: profiles are centred
    of_cases = (np.maximum(pairs, 0.0) + typical) / 2
    return divided(
        means[rows][:, None] - means[columns], of_seeds[rows][:, None] + of_seeds[columns] + of_cases / cases
    )
