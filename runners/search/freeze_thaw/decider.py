"""What a search does next: which configuration is started, or goes on, and up to which epoch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple

import moocore
import numpy as np
from numpy.typing import NDArray

from ablate.runners.search.freeze_thaw.curves import Curves, Observed, Parameters, fitted, weighed
from ablate.runners.search.freeze_thaw.gains import Prices, expected, volume
from ablate.runners.search.surrogate import Floats, fit

BUDGET = "the budget is spent"
STARTUP = 4
"""Configurations that are spread over factors and prices before curves are modelled."""
_HOPED, _GROWN, _SHARE = 0.002, 0.005, 0.25
"""When it is enough: see `Decider.is_enough`."""
_FANTASIES = 8
"""Ways in which what is under way may end."""
_POWER = 0.5
_PATIENCE = 0.1
"""Of the worth of what is under way: for less than this share of it, no worker is taken."""
_HIGHEST = 1 - 1e-4
"""Scores above count as this: −log(1 − score) stays finite."""
_REFIT = 1.25


class Offered(NamedTuple):
    """A configuration as the search knows it before it trains."""

    cell: str
    features: tuple[float, ...]
    """From 0 to 1, or a level's number; NaN where it has none."""
    costs: tuple[float, ...]
    seconds: float
    """Of an epoch of one of its trials."""
    epochs: int
    """Of each of its trials, at most."""
    keys: tuple[str, ...]
    """Its trials: a seed and fold each."""


class Price(NamedTuple):
    """What steps take: epochs, seconds of one worker, and the seconds of the trial that takes longest."""

    epochs: int
    seconds: float
    longest: float


class Step(NamedTuple):
    """All trials of `cell` are to be trained up to epoch `until`."""

    cell: str
    until: int


@dataclass
class Cell:
    """A configuration that was started."""

    offered: Offered
    best: dict[str, dict[int, float]] = field(default_factory=dict)
    """Of each trial the best score so far at each rung that it reached."""
    measured: dict[str, float] = field(default_factory=dict)
    """Seconds an epoch of each trial, where they are known."""
    failed: bool = False
    until: int = 0
    """Up to where it was asked to train."""

    @property
    def reached(self) -> int:
        """The rung that all its trials reached."""
        return min((max(self.best.get(key, {0: 0.0})) for key in self.offered.keys), default=0)

    @property
    def pending(self) -> bool:
        return not self.failed and self.reached < self.until

    @property
    def finished(self) -> bool:
        return self.reached >= self.offered.epochs

    def score(self) -> float:
        """The mean of its trials' best scores so far, as far as all have one."""
        reached = self.reached
        return float(np.mean([rungs[reached] for rungs in self.best.values()])) if reached else 0.0


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
    """What the best of what is under way is worth: its gain over a power of its seconds."""

    @property
    def worth(self) -> Floats:
        return self.gains / self.seconds**_POWER


class Decider:
    """Knows what was started and what came of it; nothing of it is drawn, or timed."""

    def __init__(
        self, named: NDArray[np.bool_], prices: Prices, *, bar: float, last: int, restart: float, seed: int = 0
    ) -> None:
        """
        Args:
            named: which factors' levels have no order.
            bar: the score above which hypervolume counts.
            last: the most epochs of any trial.
            restart: seconds that a trial takes to start, or to go on.
            seed: draws the place in the space that the first configurations are far from.
        """
        self.cells: dict[str, Cell] = {}
        self.parameters: Parameters | None = None
        self.fitted_at = 0
        """How many observations there were."""
        self._prices, self._bar, self._last, self._restart = prices, bar, last, restart
        self._named, self._seed = named, seed
        self._gained: list[tuple[float, str, float]] = []
        """At each rung that was reached: seconds spent by then, the cell, and what it scored."""

    def start(self, offered: Offered, until: int) -> None:
        self.cells[offered.cell] = Cell(offered, until=until)

    def rungs(self, epochs: int) -> tuple[int, ...]:
        """1, 2, 4, … and the last epoch."""
        return (*(2**power for power in range(epochs.bit_length()) if 2**power < epochs), epochs)

    def next_rung(self, cell: Cell) -> int:
        return next(rung for rung in self.rungs(cell.offered.epochs) if rung > cell.reached)

    # ---------------------------------------------------------------------------------------------------------------

    def outlook(self, fresh: Iterable[Offered]) -> Outlook:
        """Of everything that could be started, or go on."""
        going_on = [c for c in self.cells.values() if not (c.failed or c.pending or c.finished)]
        fresh = list(fresh)
        options = [*(c.offered for c in going_on), *fresh]
        seconds = np.array([*(self._left(c) for c in going_on), *(self._whole(o) for o in fresh)])
        names = [offered.cell for offered in options]
        if not options:
            return Outlook([], np.zeros(0), np.zeros(0), seconds, 0.0)
        everything = [*(c.offered for c in self.cells.values() if c not in going_on), *options]
        features = np.array([offered.features for offered in everything])
        rows = {offered.cell: row for row, offered in enumerate(everything)}
        observed = self._observed(rows)
        prices = self._prices.within(np.log([offered.costs for offered in everything]))
        had = np.zeros(len(everything))
        for cell in self.cells.values():
            had[rows[cell.offered.cell]] = 0.0 if cell.failed else cell.score()
        reached = volume(self._prices.levels(prices, had, self._bar), self._bar)
        if len(np.unique(observed.cells)) < STARTUP:
            gains = self._spread(features, rows, names)
            return Outlook(names, gains, gains, seconds, reached)
        if self.parameters is None or self._seen >= _REFIT * self.fitted_at:
            self.take(fitted(features, self._named, observed, self.parameters))
        assert self.parameters is not None
        curves = Curves.given(features, self._named, observed, self.parameters)
        ends = np.array([math.log(offered.epochs) / self._scale for offered in everything])
        at = np.array([rows[name] for name in names], dtype=np.intp)
        pending = np.array([rows[c.offered.cell] for c in self.cells.values() if c.pending], dtype=np.intp)
        gains, hoped = self._gains(curves, prices, had, ends, at, pending)
        under_way = self._worth_under_way(curves, prices, had, ends, rows)
        chances = self._chances(features, rows)[at]
        gains, hoped = gains * chances, hoped * chances
        return Outlook(names, gains, hoped, seconds, reached, under_way)

    def _gains(
        self,
        curves: Curves,
        prices: NDArray[np.float32],
        had: Floats,
        ends: Floats,
        at: NDArray[np.intp],
        pending: NDArray[np.intp],
    ) -> tuple[Floats, Floats]:
        """What the cells in rows `at` are expected to add, and might. What is `pending` is taken to end in one of
        several ways, drawn together, and the mean is taken over these: so what is under way is not tried twice."""
        if not len(pending):
            mean, deviation = curves.at(at, ends[at])
            levels = self._prices.levels(prices, had, self._bar)
            gains, hoped = (expected(mean, times * deviation, prices[at], levels) for times in (1, 2))
            return gains, hoped
        rng = np.random.default_rng([self._seed, len(self._gained), len(self.cells)])
        drawn = curves.drawn(pending, ends[pending], _FANTASIES, rng)
        means, deviation = curves.believing(pending, ends[pending], drawn).at(at, ends[at])
        gains, hoped = np.zeros(len(at)), np.zeros(len(at))
        for values, mean in zip(drawn.T, means.T, strict=True):
            then = had.copy()
            then[pending] = np.maximum(then[pending], -np.expm1(-values))
            levels = self._prices.levels(prices, then, self._bar)
            gains += expected(mean, deviation, prices[at], levels) / _FANTASIES
            hoped += expected(mean, 2 * deviation, prices[at], levels) / _FANTASIES
        return gains, hoped

    def _worth_under_way(
        self, curves: Curves, prices: NDArray[np.float32], had: Floats, ends: Floats, rows: Mapping[str, int]
    ) -> float:
        pending = [cell for cell in self.cells.values() if cell.pending]
        if not pending:
            return 0.0
        at = np.array([rows[cell.offered.cell] for cell in pending], dtype=np.intp)
        gains = expected(*curves.at(at, ends[at]), prices[at], self._prices.levels(prices, had, self._bar))
        return float((gains / np.array([self._left(cell) for cell in pending]) ** _POWER).max())

    def decide(
        self, fresh: Mapping[str, Offered], fits: Callable[[Price], bool] = lambda price: True
    ) -> tuple[Step | None, str]:
        """The next step; or None and why there is none, as long as nothing else is seen.

        Args:
            fresh: what may be started, by cell.
            fits: whether what takes so much more is within the budget.
        """
        outlook = self.outlook(fresh.values())
        if not outlook.cells:
            return None, "everything is trained"
        why = "little is left to gain" if self.is_enough(outlook) else ""
        worth = outlook.worth
        if not why:
            if worth.max() < _PATIENCE * outlook.under_way:
                return None, "nothing compares with what is under way"
            for at in np.argsort(-worth, kind="stable"):
                step = self._step(outlook.cells[at], fresh)
                if fits(self._price([step, *self._to_finish(but=step.cell)], fresh)):
                    return step, ""
            why = BUDGET
        for step in self._to_finish():
            step = self._step(step.cell, fresh)
            if fits(self._price([step], fresh)):
                return step, ""
        return None, why

    def is_enough(self, outlook: Outlook) -> bool:
        """Whether what is still to be gained is small.

        It is where nothing that could be done promises 0.2 % of the hypervolume, were its deviation doubled, and the
        last three quarters of the seconds spent brought less than 0.5 %. The model alone is sometimes sure too early,
        and what was gained lately alone says nothing of what was never tried.
        """
        if outlook.hoped.max() >= _HOPED * outlook.reached:
            return False
        early = [(name, score) for spent, name, score in self._gained if spent <= _SHARE * self._gained[-1][0]]
        if not early:
            return False
        names, scores = zip(*early, strict=True)
        within = self._prices.within(np.log([self.cells[name].offered.costs for name in names]))
        before = volume(self._prices.levels(within, np.array(scores), self._bar), self._bar)
        return outlook.reached - before < _GROWN * outlook.reached

    def front(self) -> list[str]:
        """The cells that score best so far at their prices, in the order in which they were started."""
        had = [cell for cell in self.cells.values() if not cell.failed and cell.score() > self._bar]
        if not had:
            return []
        points = np.array([(-cell.score(), *cell.offered.costs) for cell in had])
        return [cell.offered.cell for cell, on in zip(had, moocore.is_nondominated(points), strict=True) if on]

    def _to_finish(self, but: str = "") -> list[Step]:
        """What is on the front so far is trained to its end, so that it has test scores."""
        cells = [self.cells[name] for name in self.front() if name != but]
        return [Step(c.offered.cell, c.offered.epochs) for c in cells if not (c.finished or c.pending)]

    def _step(self, name: str, fresh: Mapping[str, Offered]) -> Step:
        """Up to its next rung."""
        cell = self.cells.get(name)
        return Step(name, self.rungs(fresh[name].epochs)[0] if cell is None else self.next_rung(cell))

    def _price(self, steps: Iterable[Step], fresh: Mapping[str, Offered]) -> Price:
        epochs, seconds, longest = 0, 0.0, 0.0
        for step in steps:
            cell = self.cells.get(step.cell)
            offered = cell.offered if cell else fresh[step.cell]
            more = step.until - (cell.reached if cell else 0)
            one = more * self._seconds(offered) + self._restart
            epochs += len(offered.keys) * more
            seconds += len(offered.keys) * one
            longest = max(longest, one)
        return Price(epochs, seconds, longest)

    def take(self, parameters: Parameters) -> None:
        """Go by parameters that were fitted to what was seen so far."""
        self.parameters = parameters
        self.fitted_at = self._seen

    def see(self, name: str, key: str, epoch: int, score: float, seconds: float) -> None:
        """A trial of a cell reached a rung with this best score so far, at so many seconds an epoch (0: not known)."""
        cell = self.cells[name]
        rungs = cell.best.setdefault(key, {})
        more = epoch - max(rungs, default=0)
        rungs[epoch] = score
        if seconds > 0:
            cell.measured[key] = seconds
            spent = more * self._seconds(cell.offered)
        else:
            spent = 0.0
        self._gained.append(((self._gained[-1][0] if self._gained else 0.0) + spent, name, cell.score()))

    @property
    def _seen(self) -> int:
        """Observations: rungs that cells reached."""
        return sum(len(set().union(*cell.best.values())) for cell in self.cells.values())

    def _seconds(self, offered: Offered) -> float:
        """Of an epoch of one trial: as foretold, unless what was measured differs by a power of two.

        What is proposed would otherwise hang on a machine's noise, and a search that goes on after a kill would not
        propose what it would have.
        """
        cell = self.cells.get(offered.cell)
        own = [seconds / offered.seconds for seconds in cell.measured.values()] if cell else []
        ratios = own or [
            seconds / other.offered.seconds for other in self.cells.values() for seconds in other.measured.values()
        ]
        return offered.seconds * 2.0 ** round(math.log2(median(ratios))) if ratios else offered.seconds

    @property
    def _scale(self) -> float:
        return math.log(max(self._last, 2))

    def _left(self, cell: Cell) -> float:
        offered = cell.offered
        return len(offered.keys) * ((offered.epochs - cell.reached) * self._seconds(offered) + self._restart)

    def _whole(self, offered: Offered) -> float:
        return len(offered.keys) * (offered.epochs * self._seconds(offered) + self._restart)

    def _observed(self, rows: Mapping[str, int]) -> Observed:
        found = []
        for name, cell in self.cells.items():
            for rung in self.rungs(cell.offered.epochs):
                scores = [best[rung] for best in cell.best.values() if rung in best]
                if scores:
                    value = -math.log1p(-min(float(np.mean(scores)), _HIGHEST))
                    found.append((rows[name], math.log(rung) / self._scale, value, len(scores)))
        columns = np.array(found, dtype=np.float64).reshape(-1, 4).T
        return Observed(columns[0].astype(np.intp), columns[1], columns[2], columns[3])

    def _spread(self, features: Floats, rows: Mapping[str, int], names: list[str]) -> Floats:
        """Far from what was started: of each option, its distance from the nearest."""
        at = [rows[name] for name in names]
        begun = [rows[name] for name in self.cells]
        start = np.random.default_rng(self._seed).integers(len(features))
        apart = weighed(features[at], features[begun or [start]], self._named, np.ones(len(self._named)))
        nearest: Floats = apart.min(axis=1)
        return np.where([name in self.cells for name in names], 0.0, nearest) + 1e-9

    def _chances(self, features: Floats, rows: Mapping[str, int]) -> Floats:
        """How likely each is not to fail, from what failed and what did not."""
        tried = [cell for cell in self.cells.values() if cell.failed or cell.reached]
        if not any(cell.failed for cell in tried):
            return np.ones(len(features))
        from scipy.special import ndtr

        at = [rows[cell.offered.cell] for cell in tried]
        ended = np.array([-1.0 if cell.failed else 1.0 for cell in tried])
        mean, deviation = fit(features[at], ended, self._named).posterior(features)
        return np.asarray(ndtr(mean / deviation))
