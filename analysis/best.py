"""Which cells are told apart when every cell is compared with every other, so that the best may be chosen.

A test against the best *of the data* is not the test that it looks like: of many equal cells one comes out best by
luck, and the luck is in every comparison with it. So all pairs are compared at once: the statistic is the largest
studentised difference of any two cells, and one critical value serves all (Tukey's way; what it leaves is Hsu's set of
the best, Multiple Comparisons, 1996, and holds for several cells that tie). It serves every choice: the best of a
table, who can be on a front, who cannot.

The model is the crossed one, of all cells at once (`ablate.analysis.all_cells`). Cells may differ in how stable they
are, so no table of critical values fits: the same statistic is simulated in the fitted model (parametric bootstrap).
Variances that came out small by chance make that quantile somewhat small; 3.5 % in the place of 5 % makes up for it.
`docs/statistics.md` has how well all of this holds, by `benchmarks/chosen.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ablate.analysis.all_cells import Array, divided, fitted, pieces, simulated, studentised
from ablate.analysis.crossed import Interval
from ablate.analysis.scales import Scale, scale_of
from ablate.analysis.scores import CellScores
from ablate.metrics.counts import METRICS, MetricName

LEVEL = 0.95
_DRAWS, _FEWEST_DRAWS, _NUMBERS = 1000, 500, 1_000_000
"""Simulated studies; of many cells fewer, for together they have about so many numbers."""
_STRICTER = 0.7
"""The share of the error that is asked of the simulated quantile."""


class AllPairs(NamedTuple):
    """All cells of one data set against each other by one metric; arrays are by `cells`, means the larger the better.

    `p_values`: of each cell, that no other is better, corrected for all pairs; 1 where nothing can be said.
    `better[a, b]`, of the cells numbered `able` alone: a is told apart from b as better at `level`, all pairs at once.
    `known`: whether anything is known of other cases than these; without, there are no intervals.
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
    scale: Scale
    cases: int
    known: bool

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
        low, high = self.scale.ends(plain.estimate, reach * float(self.errors[cell]))
        if not (self.known and math.isfinite(plain.low)):
            return plain
        if self.sign > 0:
            return plain._replace(low=min(plain.low, low if math.isfinite(low) else self.scale.least))
        return plain._replace(high=max(plain.high, high if math.isfinite(high) else self.scale.most))


def all_pairs(
    scores: Mapping[str, CellScores],
    metric: MetricName,
    *,
    level: float = LEVEL,
    seed: int = 0,
) -> AllPairs:
    """Compare all cells of `scores`, which are of one data set, at once. The same `seed` gives the same numbers.

    Means are over the test images that every cell has with every seed. Cells with one seed, and all where too few
    independent images are shared (`ablate.analysis.independent`), are told apart from none.
    """
    found = fitted(scores, METRICS[metric].sign)
    count = len(found.cells)
    draws = _draws(count)
    empty = np.zeros(0, dtype=np.intp)
    if not count:
        none, pairs, of_draws = np.zeros(0), np.zeros((0, 0), dtype=bool), np.zeros((draws, 0), dtype=np.float32)
        return AllPairs((), level, none, none, none, empty, pairs, of_draws, found.sign, scale_of(metric), 0, False)
    able = np.flatnonzero(found.seeds > 1) if found.known else empty
    largest, deviations = np.zeros(draws), np.empty((draws, count), dtype=np.float32)
    rng, at = np.random.default_rng(seed), 0
    for block in simulated(found, draws, rng):
        rows = slice(at, at + len(block.own))
        largest[rows] = _largest(block.own[:, able], block.squares[:, able])
        deviations[rows] = block.deviations
        at += len(block.own)
    p_values, better = np.ones(count), np.zeros((len(able), len(able)), dtype=bool)
    if len(able) > 1:
        critical = float(np.quantile(largest, 1 - _STRICTER * (1 - level)))
        largest.sort()
        for columns in pieces(len(able), len(able)):
            statistic = studentised(found, able, able[columns])
            better[:, columns] = statistic > critical
            p_values[able[columns]] = _tail(largest, statistic.max(axis=0))
    errors = np.sqrt(found.of_seeds / found.seeds + found.of_cases / max(found.cases, 1))
    return AllPairs(
        cells=found.cells,
        level=level,
        means=found.means,
        errors=errors,
        p_values=p_values,
        able=able,
        better=better,
        deviations=deviations,
        sign=found.sign,
        scale=scale_of(metric),
        cases=found.cases,
        known=found.known,
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
    found = fitted(scores, METRICS[metric].sign)
    at = {name: place for place, name in enumerate(found.cells)}
    rivals = np.array([at[name] for name in others if name in at and found.seeds[at[name]] > 1], dtype=np.intp)
    if cell not in at or found.seeds[at[cell]] < 2 or not found.known or not len(rivals):
        return 1.0
    own, largest = at[cell], []
    for block in simulated(found, _draws(len(found.cells)), np.random.default_rng(seed)):
        ahead = block.own[:, rivals] - block.own[:, [own]]
        largest.append(divided(ahead, block.squares[:, rivals] + block.squares[:, [own]]).max(axis=1))
    statistic = studentised(found, rivals, np.array([own])).max()
    return float(_tail(np.sort(np.concatenate(largest)), np.array([statistic]))[0])


def _draws(cells: int) -> int:
    return int(np.clip(_NUMBERS // max(cells, 1), _FEWEST_DRAWS, _DRAWS))


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
    return np.asarray(divided(ahead, up_squares[:, :, None] + down_squares[:, None, :]).max(axis=(1, 2)))


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


def _tail(drawn: Array, statistic: Array) -> Array:
    """P-values of `statistic` among the sorted `drawn`, with what is asked more strictly of these (`_STRICTER`)."""
    beyond = len(drawn) - np.searchsorted(drawn, statistic, side="left")
    return np.asarray(np.minimum(1.0, (beyond + 1) / (len(drawn) + 1) / _STRICTER))
