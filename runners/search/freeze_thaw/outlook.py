"""What is expected of everything that a search could do next."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from ablate.runners.search.beliefs import weights
from ablate.runners.search.freeze_thaw.cells import Cell, Offered, rungs
from ablate.runners.search.freeze_thaw.curves import HIGHEST, Beforehand, Curves, Observed, Parameters
from ablate.runners.search.freeze_thaw.earlier import Earlier
from ablate.runners.search.freeze_thaw.gains import Prices, expected, volume
from ablate.runners.search.surrogate import Floats, fit, weighed

STARTUP = 4
"""Configurations that are spread over factors and prices before curves are modelled."""
_POWER = 0.5
"""A gain counts over this power of its seconds."""
_FANTASIES = 8
"""Ways in which what is under way may end."""
_LEAST_CHANCE = 0.05


class Outlook(NamedTuple):
    """What is expected of what could be done next: of each cell in `cells`, started or not."""

    cells: list[str]
    gains: Floats
    """The hypervolume that its final score is expected to add."""
    hoped: Floats
    """The same, were its deviation twice what it is."""
    seconds: Floats
    """To train it to its end."""
    reached: float
    """The hypervolume that is had."""
    under_way: float = 0.0
    """The worth of the best of what is under way."""
    beliefs: Floats | float = 1.0
    """What worths count times, by what is believed beforehand: see `ablate.runners.search.beliefs`."""

    @property
    def worth(self) -> Floats:
        return self.gains / self.seconds**_POWER


class View:
    """All cells, those that were started first, and those that may be, in rows."""

    def __init__(
        self,
        cells: Mapping[str, Cell],
        fresh: Sequence[Offered],
        prices: Prices,
        named: NDArray[np.bool_],
        *,
        bar: float,
        last: int,
        earlier: Earlier | None = None,
    ) -> None:
        """`last`: the most epochs of any trial; the rest as of `decider.Decider`."""
        self._cells, self._prices, self._named, self._bar = cells, prices, named, bar
        self._everything = [*(cell.offered for cell in cells.values()), *fresh]
        self._features = np.array([offered.features for offered in self._everything])
        self._within = prices.within(np.log([offered.costs for offered in self._everything]))
        self._had = np.zeros(len(self._everything))
        self._had[: len(cells)] = [0.0 if cell.failed else cell.score() for cell in cells.values()]
        self._scale = math.log(max(last, 2))
        self._ends = np.array([math.log(offered.epochs) / self._scale for offered in self._everything])
        self._foreseen = earlier.foreseen(self._everything, last, len(cells)) if earlier else None
        self.options = [row for row, cell in enumerate(cells.values()) if cell.may_go_on]
        self.options += range(len(cells), len(self._everything))
        """Rows of what could be done."""
        self._pending = np.array([row for row, cell in enumerate(cells.values()) if cell.pending], dtype=np.intp)

    @property
    def reached(self) -> float:
        """The hypervolume that is had."""
        return volume(self._prices.levels(self._within, self._had, self._bar), self._bar)

    def observed(self) -> Observed:
        """Every rung that trials of a cell reached, by the mean of those that did."""
        found = []
        for row, cell in enumerate(self._cells.values()):
            for rung in rungs(cell.offered.epochs):
                scores = [best[rung] for best in cell.best.values() if rung in best]
                if scores:
                    value = -math.log1p(-min(float(np.mean(scores)), HIGHEST))
                    found.append((row, math.log(rung) / self._scale, value, len(scores)))
        columns = np.array(found, dtype=np.float64).reshape(-1, 4).T
        return Observed(columns[0].astype(np.intp), columns[1], columns[2], columns[3])

    def outlook(
        self,
        seconds: Callable[[Offered], float],
        fitted: Callable[[Floats, Observed, Beforehand | None], Parameters],
        rng: np.random.Generator,
        start: int,
    ) -> Outlook:
        """
        Args:
            seconds: to train a cell from where it is to its end.
            fitted: the model's parameters for features (cells, factors) and what was observed.
            rng: draws the ways in which what is under way may end.
            start: the row that the first configurations are far from.
        """
        observed = self.observed()
        chances = self._chances() * np.array([offered.chance for offered in self._everything])
        at = np.array([row for row in self.options if chances[row] >= _LEAST_CHANCE], dtype=np.intp)
        names = [self._everything[row].cell for row in at]
        took = np.array([seconds(self._everything[row]) for row in at])
        reached = self.reached
        if not len(at):
            return Outlook([], np.zeros(0), np.zeros(0), took, reached)
        beliefs = self._beliefs(at)
        if len(np.unique(observed.cells)) < STARTUP:
            gains = self._spread(at, start) * chances[at]
            return Outlook(names, gains, gains, took, reached, beliefs=beliefs)
        curves = Curves.given(
            self._features, self._named, observed, fitted(self._features, observed, self._foreseen), self._foreseen
        )
        gains, hoped = (found * chances[at] for found in self._gains(curves, at, rng))
        return Outlook(names, gains, hoped, took, reached, self._under_way(curves, seconds), beliefs)

    def _gains(self, curves: Curves, at: NDArray[np.intp], rng: np.random.Generator) -> tuple[Floats, Floats]:
        """What cells are expected to add, and would with twice the deviation. What is under way is taken to end in one
        of several ways, drawn together, and the mean is taken over these: so nothing is tried twice."""
        ends, pending = self._ends, self._pending
        ways = [(self._had, curves.at(at, ends[at]))]
        if len(pending):
            drawn = curves.drawn(pending, ends[pending], _FANTASIES, rng)
            means, deviation = curves.believing(pending, ends[pending], drawn).at(at, ends[at])
            ways = []
            for values, mean in zip(drawn.T, means.T, strict=True):
                had = self._had.copy()
                had[pending] = np.maximum(had[pending], -np.expm1(-values))
                ways.append((had, (mean, deviation)))
        gains, hoped = np.zeros(len(at)), np.zeros(len(at))
        for had, (mean, deviation) in ways:
            levels = self._prices.levels(self._within, had, self._bar)
            gains += expected(mean, deviation, self._within[at], levels) / len(ways)
            hoped += expected(mean, 2 * deviation, self._within[at], levels) / len(ways)
        return gains, hoped

    def _under_way(self, curves: Curves, seconds: Callable[[Offered], float]) -> float:
        """The worth of the best of what is under way."""
        at = self._pending
        if not len(at):
            return 0.0
        levels = self._prices.levels(self._within, self._had, self._bar)
        gains = expected(*curves.at(at, self._ends[at]), self._within[at], levels)
        took = np.array([seconds(self._everything[row]) for row in at])
        return float((gains / took**_POWER).max())

    def _spread(self, at: NDArray[np.intp], start: int) -> Floats:
        """Far from what was started: of each option, its distance from the nearest; those that were started last."""
        begun = list(range(len(self._cells))) or [start % len(self._features)]
        apart = weighed(self._features[at], self._features[begun], self._named, np.ones(len(self._named)))
        nearest: Floats = apart.min(axis=1)
        return np.where(at < len(self._cells), 0.0, nearest) + 1e-9

    def _beliefs(self, at: NDArray[np.intp]) -> Floats:
        """Of options that were started, what was seen of them speaks."""
        begun = len(self._cells)
        doubts = np.array([0.0 if row < begun else self._everything[row].doubt for row in at])
        return weights(doubts, begun)

    def _chances(self) -> Floats:
        """How likely each is not to fail: a Gaussian process of what did not, 1, and what did, −1, over 0.

        It is held back by the number of failures: two may be a chance, and what is never tried again is never known.
        """
        tried = [row for row, cell in enumerate(self._cells.values()) if cell.failed or cell.reached]
        failed = np.array([cell.failed for cell in self._cells.values()], dtype=bool)[tried]
        if failed.all() or not failed.any():
            return np.ones(len(self._features))
        mean, deviation = fit(self._features[tried], np.where(failed, -1.0, 1.0), self._named).posterior(self._features)
        return np.asarray(ndtr(mean / np.sqrt(deviation**2 + 1 / failed.sum())))
