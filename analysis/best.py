"""Which cells are told apart when every cell is compared with every other, so that the best may be chosen.

A test against the best *of the data* is not the test that it looks like: of many equal cells one comes out best by
luck, and the luck is in every comparison with it. So all pairs are compared at once: the statistic is the largest
studentised difference of any two cells, and one critical value serves all (Tukey's way; what it leaves is Hsu's set of
the best, Multiple Comparisons, 1996, and holds for several cells that tie). It serves every choice: the best of a
table, who can be on a front, who cannot.

The model is the crossed one (`ablate.analysis.crossed`): seeds are a cell's own, cases are shared. The variance of a
difference is that of the two cells' seed means, each over its seeds, and that of the paired profile over cases. Three
seeds say little of a variance, so a cell's is at least the typical one's (the median over cells), and a pair's over
cases is half its own, half the mean over pairs. Cells may differ in how stable they are, so no table of critical values
fits: the same statistic is simulated in the fitted model (parametric bootstrap), a cell's variance there being the
larger of its own and its empirical Bayes estimate (Smyth, Stat. Appl. Genet. Mol. Biol. 3, 2004). Variances that came
out small by chance make that quantile somewhat small; 3.5 % in the place of 5 % makes up for it. `docs/statistics.md`
has how well all of this holds, by `benchmarks/chosen.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ablate.analysis.crossed import Interval
from ablate.analysis.scores import CellScores, cases_of
from ablate.metrics.counts import METRICS, MetricName

LEVEL = 0.95
_DRAWS, _FEWEST_DRAWS, _NUMBERS = 1000, 500, 1_000_000
"""Simulated studies; of many cells fewer, for together they have about so many numbers."""
FEWEST_CASES = 4
"""With fewer, nothing is known of other cases, and no cell is told apart from another."""
_STRICTER = 0.7
"""The share of the error that is asked of the simulated quantile."""
_BLOCK = 2_000_000
"""Numbers that are worked on at once, to bound memory."""

Array = NDArray[np.float64]


class AllPairs(NamedTuple):
    """All cells of one data set against each other by one metric; arrays are by `cells`, means the larger the better.

    `p_values`: of each cell, that no other is better, corrected for all pairs; 1 where nothing can be said.
    `better[a, b]`, of the cells numbered `able` alone: a is told apart from b as better at `level`, all pairs at once.
    `errors` are the standard errors of means; `deviations` (draws, cells) simulated deviations of means in their units.
    """

    cells: tuple[str, ...]
    level: float
    means: Array
    errors: Array
    p_values: Array
    able: NDArray[np.intp]
    better: NDArray[np.bool_]
    deviations: NDArray[np.float32]
    sign: int
    cases: int

    def worse(self, tests: int = 1) -> NDArray[np.bool_]:
        """The cells that cannot be the best; `tests` is how many tables of comparisons are one family (Bonferroni)."""
        return np.asarray(self.p_values * tests <= 1 - self.level + 1e-12)

    def reach(self, among: NDArray[np.bool_]) -> float:
        """How many standard errors the mean that is too high by most, of the cells `among`, may be too high by."""
        return float(np.quantile(self.deviations[:, among].max(axis=1), (1 + self.level) / 2))

    def chosen(self, cell: int, reach: float, plain: Interval) -> Interval:
        """The interval of the mean of a cell that was chosen for coming out best, `reach` being that of its rivals.

        What their means may be too high by is taken off at the end towards worse. Being chosen makes no mean too low,
        so the other end is that of the `plain` interval; it is nowhere narrower than that.
        """
        if not math.isfinite(plain.low):
            return plain
        end = plain.estimate - self.sign * reach * float(self.errors[cell])
        if self.sign > 0:
            return plain._replace(low=min(plain.low, max(end, 0.0)))
        return plain._replace(high=max(plain.high, end))


def all_pairs(
    scores: Mapping[str, CellScores],
    metric: MetricName,
    *,
    level: float = LEVEL,
    seed: int = 0,
) -> AllPairs:
    """Compare all cells of `scores`, which are of one data set, at once. The same `seed` gives the same numbers.

    Means are over the test images that every cell has with every seed. Cells with one seed, and all where fewer than
    `FEWEST_CASES` cases are shared, are told apart from none.
    """
    found = _fitted(scores, METRICS[metric].sign)
    count = len(found.cells)
    draws = _draws(count)
    empty = np.zeros(0, dtype=np.intp)
    if not count:
        return AllPairs((), level, *np.zeros((3, 0)), empty, np.zeros((0, 0), bool), np.zeros((draws, 0), np.float32),
                        found.sign, 0)  # fmt: skip
    able = np.flatnonzero(found.seeds > 1) if found.cases >= FEWEST_CASES else empty
    largest, deviations = np.zeros(draws), np.empty((draws, count), dtype=np.float32)
    rng, at = np.random.default_rng(seed), 0
    for block in _simulated(found, draws, rng):
        rows = slice(at, at + len(block.own))
        largest[rows] = _largest(block.own[:, able], block.squares[:, able])
        deviations[rows] = block.deviations
        at += len(block.own)
    p_values, better = np.ones(count), np.zeros((len(able), len(able)), dtype=bool)
    if len(able) > 1:
        critical = float(np.quantile(largest, 1 - _STRICTER * (1 - level)))
        largest.sort()
        for columns in _pieces(len(able), len(able)):
            statistic = _studentised(found, able, able[columns])
            better[:, columns] = statistic > critical
            p_values[able[columns]] = _tail(largest, statistic.max(axis=0))
    errors = np.sqrt(found.of_seeds / found.seeds + found.of_cases / max(found.cases, 1))
    return AllPairs(
        found.cells, level, found.means, errors, p_values, able, better, deviations, found.sign, found.cases
    )


def none_better(
    scores: Mapping[str, CellScores],
    metric: MetricName,
    cell: str,
    others: Sequence[str],
    *,
    seed: int = 0,
) -> float:
    """The p-value of "none of `others` is better than `cell`", which was named beforehand; 1 where nothing can be said.

    Dunnett's family, in the model of all `scores`: corrected for how many others there are, not for all their pairs.
    """
    found = _fitted(scores, METRICS[metric].sign)
    at = {name: place for place, name in enumerate(found.cells)}
    rivals = np.array([at[name] for name in others if name in at and found.seeds[at[name]] > 1], dtype=np.intp)
    if cell not in at or found.seeds[at[cell]] < 2 or found.cases < FEWEST_CASES or not len(rivals):
        return 1.0
    own, largest = at[cell], []
    for block in _simulated(found, _draws(len(found.cells)), np.random.default_rng(seed)):
        ahead = block.own[:, rivals] - block.own[:, [own]]
        largest.append(_divided(ahead, block.squares[:, rivals] + block.squares[:, [own]]).max(axis=1))
    statistic = _studentised(found, rivals, np.array([own])).max()
    return float(_tail(np.sort(np.concatenate(largest)), np.array([statistic]))[0])


def shared_images(scores: Sequence[CellScores]) -> tuple[str, ...]:
    """The images that every cell has a score for with every seed, ascending."""
    shared: set[str] | None = None
    by_columns: dict[tuple[str, ...], list[CellScores]] = {}
    for found in scores:
        by_columns.setdefault(found.images, []).append(found)
    for images, members in by_columns.items():
        missing = np.any([np.isnan(found.values).any(axis=0) for found in members], axis=0)
        complete = {image for image, gone in zip(images, missing, strict=True) if not gone}
        shared = complete if shared is None else shared & complete
    return tuple(sorted(shared or ()))


def of_images(found: CellScores, images: tuple[str, ...]) -> Array:
    """The scores of these images, (seeds, images)."""
    if found.images == images:
        return found.values
    at = {image: column for column, image in enumerate(found.images)}
    return found.values[:, [at[image] for image in images]]


# The model -----------------------------------------------------------------------------------------------------------


class _Fitted(NamedTuple):
    """What the data say of each cell; arrays are (cells,) unless said.

    `of_seeds`, `of_cases`: variances of seed means and of a cell's profile over cases, as the statistic has them.
    `drawn_seeds`, `drawn_cases`: as the simulation draws them, the second without what all cells share, `common`.
    `residual` is in both, of a seed and a case. `profiles` (cells, cases) are seed means of the cases.
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


class _Simulated(NamedTuple):
    """Some draws: cells' own deviations, their squared errors, and deviations of means in standard errors."""

    own: Array
    squares: Array
    deviations: Array


def _fitted(scores: Mapping[str, CellScores], sign: int) -> _Fitted:
    images = shared_images(list(scores.values()))
    known = {cell: found for cell, found in scores.items() if images}
    seeds = np.array([len(found.values) for found in known.values()], dtype=np.int64)
    count = len(known)
    if not count:
        return _Fitted((), sign, seeds, 0, *np.zeros((5, 0)), 0.0, np.zeros(0), np.zeros((0, 0)))
    matrices = _by_case(known, images, sign)
    cases = matrices[0].shape[1]
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
        drawn[several] = np.maximum(of_seeds, _moderated(of_seeds, seeds - 1, several))[several]
    whole = profiles.var(axis=1, ddof=1) if cases > 1 else np.zeros(count)
    own = (profiles - profiles.mean(axis=0)).var(axis=1, ddof=1) * count / max(count - 1, 1) if cases > 1 else whole
    return _Fitted(
        cells=tuple(known),
        sign=sign,
        seeds=seeds,
        cases=cases,
        means=means,
        of_seeds=np.maximum(of_seeds, typical),
        of_cases=(whole + whole.mean()) / 2,
        drawn_seeds=drawn,
        drawn_cases=_moderated(own, np.full(count, max(cases - 1, 1)), np.full(count, count > 1)),
        common=max(float((whole - own).mean()), 0.0),
        residual=residual,
        profiles=profiles,
    )


def _by_case(known: Mapping[str, CellScores], images: tuple[str, ...], sign: int) -> list[Array]:
    """Each cell's scores, (seeds, cases), whose mean over cases is that over images."""
    first = next(iter(known.values()))
    of_image = dict(zip(first.images, cases_of(first), strict=True))
    names, codes = np.unique([of_image[image] for image in images], return_inverse=True)
    matrices = [sign * of_images(found, images) for found in known.values()]
    if len(names) == len(images):
        return matrices
    belongs = np.eye(len(names))[codes] * len(names) / len(images)
    return [matrix.mean() + (matrix - matrix.mean()) @ belongs for matrix in matrices]


def _typical(variances: Array, freedom: NDArray[np.int64]) -> Array:
    """The typical of `variances` (…, cells), by their median: some wild ones do not move it."""
    from scipy import stats

    return np.asarray(np.median(variances * (freedom / stats.chi2.median(freedom)), axis=-1))


def _moderated(variances: Array, freedom: NDArray[np.int64], counts: NDArray[np.bool_]) -> Array:
    """Empirical Bayes estimates of variances, drawn towards what they have in common; as they are where not `counts`.

    The prior is a scaled inverse chi-squared law, fitted by the moments of the logarithms (Smyth 2004, section 6.2).
    """
    from scipy import optimize, special

    chosen = counts & (variances > 0)
    if chosen.sum() < 2:
        return variances
    half = freedom[chosen] / 2
    logs = np.log(variances[chosen]) - special.digamma(half) + np.log(half)
    spread = float(logs.var(ddof=1) - special.polygamma(1, half).mean())
    if spread <= 1e-6:
        moderated = np.exp(logs.mean())
        return np.where(counts, moderated, variances)
    prior = optimize.brentq(lambda log: float(special.polygamma(1, math.exp(log))) - spread, -20, 20)
    half_prior = math.exp(prior)
    centre = math.exp(float(logs.mean()) + float(special.digamma(half_prior)) - prior)
    moderated = (2 * half_prior * centre + freedom * variances) / (2 * half_prior + freedom)
    return np.where(counts, moderated, variances)


def _simulated(found: _Fitted, draws: int, rng: np.random.Generator) -> Iterator[_Simulated]:
    """The statistic's parts in studies as the fitted model has them, all true means equal.

    A pair's variance over cases has cases - 1 degrees of freedom; of two cells' independent ones each has half of them.
    """
    count, seeds, cases = len(found.cells), found.seeds, found.cases
    by_seed, by_case = found.drawn_seeds / seeds, found.drawn_cases / cases
    spread = np.sqrt(np.maximum.reduce([by_seed + by_case - found.residual / (seeds * cases), by_seed, by_case]))
    freedom, several = np.maximum(seeds - 1, 1), seeds > 1
    for rows in _pieces(draws, count):
        shape = (rows.stop - rows.start, count)
        own = rng.normal(size=shape) * spread
        of_seeds = found.drawn_seeds * rng.chisquare(freedom, shape) / freedom
        if several.any():
            typical = _typical(of_seeds[:, several], freedom[several])
            of_seeds[:, several] = np.maximum(of_seeds[:, several], typical[:, None])
        shape_of_case = (cases - 1) / 4
        of_cases = (
            found.drawn_cases * rng.gamma(shape_of_case, 1 / shape_of_case, shape) if cases > 1 else np.zeros(shape)
        )
        common = rng.normal(size=(shape[0], 1)) * math.sqrt(found.common / cases)
        shared = found.common * (rng.chisquare(cases - 1, (shape[0], 1)) / (cases - 1) if cases > 1 else 0.0)
        halved = (of_cases + of_cases.mean(axis=1, keepdims=True)) / 2
        squares = of_seeds / seeds + halved / cases
        yield _Simulated(own, squares, _divided(own + common, squares + shared / cases))


def _draws(cells: int) -> int:
    return int(np.clip(_NUMBERS // max(cells, 1), _FEWEST_DRAWS, _DRAWS))


def _pieces(rows: int, width: int) -> list[slice]:
    step = max(1, _BLOCK // max(width, 1))
    return [slice(at, min(at + step, rows)) for at in range(0, rows, step)]


def _divided(differences: Array, squares: Array) -> Array:
    """Differences in units of their errors; without any error a difference is endless, and none is nothing."""
    endless = np.where(differences == 0, 0.0, np.copysign(np.inf, differences))
    return np.divide(differences, np.sqrt(squares), out=endless, where=squares > 0)


def _largest(own: Array, squares: Array) -> Array:
    """The largest studentised difference of any two cells in each draw; both arguments are (draws, cells).

    For a cell below, one that is higher and less uncertain is at least as far off: only cells that no other beats in
    both need be tried, upwards and downwards, which are few.
    """
    if own.shape[1] < 2:
        return np.zeros(len(own))
    order = np.argsort(squares, axis=1)
    own, squares = np.take_along_axis(own, order, axis=1), np.take_along_axis(squares, order, axis=1)
    (up, up_squares), (down, down_squares) = _records(own, squares), _records(-own, squares)
    ahead = up[:, :, None] + down[:, None, :]
    return np.asarray(_divided(ahead, up_squares[:, :, None] + down_squares[:, None, :]).max(axis=(1, 2)))


def _records(values: Array, squares: Array) -> tuple[Array, Array]:
    """Of each row the values that rise above all before, with their squares: (rows, most records), -inf beyond."""
    highest = np.maximum.accumulate(values, axis=1)
    rises = np.ones(values.shape, dtype=bool)
    np.greater(highest[:, 1:], highest[:, :-1], out=rises[:, 1:])
    row, column = np.nonzero(rises)
    counts = rises.sum(axis=1)
    place = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    found, errors = np.full((len(values), int(counts.max())), -np.inf), np.ones((len(values), int(counts.max())))
    found[row, place], errors[row, place] = values[row, column], squares[row, column]
    return found, errors


def _studentised(found: _Fitted, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Array:
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
    return _divided(
        means[rows][:, None] - means[columns], of_seeds[rows][:, None] + of_seeds[columns] + of_cases / cases
    )


def _tail(drawn: Array, statistic: Array) -> Array:
    """P-values of `statistic` among the sorted `drawn`, with what is asked more strictly of these (`_STRICTER`)."""
    beyond = len(drawn) - np.searchsorted(drawn, statistic, side="left")
    return np.asarray(np.minimum(1.0, (beyond + 1) / (len(drawn) + 1) / _STRICTER))
