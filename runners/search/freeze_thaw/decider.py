"""What a search does next: which configuration is started, or goes on, and up to which epoch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from statistics import median

import moocore
import numpy as np
from numpy.typing import NDArray

from ablate.runners.search.freeze_thaw.cells import Cell, Offered, Price, Step, rungs
from ablate.runners.search.freeze_thaw.curves import Beforehand, Observed, Parameters, fitted
from ablate.runners.search.freeze_thaw.earlier import Earlier
from ablate.runners.search.freeze_thaw.gains import Prices, volume
from ablate.runners.search.freeze_thaw.outlook import Outlook, View
from ablate.runners.search.surrogate import Floats

BUDGET = "the budget is spent"
_HOPED, _GROWN, _SHARE = 0.002, 0.005, 0.25
"""When it is enough: see `Decider.is_enough`."""
_LEAST_BEGUN = 32
"""Configurations from which the model's parameters are believed when it says that it is."""
_PATIENCE = 0.05
"""Of the worth of what is under way: for less than this share of it, no worker is taken."""
_REFIT = 1.25
"""The model's parameters are fitted again when there are so many times as many observations."""


class Decider:
    """Knows what was started and what came of it; the same decides the same."""

    def __init__(
        self,
        named: NDArray[np.bool_],
        prices: Prices,
        *,
        bar: float,
        last: int,
        restart: float,
        seed: int = 0,
        earlier: Earlier | None = None,
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
        self._named, self._seed, self._earlier = named, seed, earlier
        self._gained: list[tuple[float, str, float]] = []
        """At each rung that was reached: seconds spent by then, the cell, and what it scored."""

    def start(self, offered: Offered, until: int) -> None:
        self.cells[offered.cell] = Cell(offered, until=until)

    def outlook(self, fresh: Iterable[Offered]) -> Outlook:
        """Of everything that could be started, or go on."""
        view = View(
            self.cells, list(fresh), self._prices, self._named, bar=self._bar, last=self._last, earlier=self._earlier
        )
        rng = np.random.default_rng([self._seed, len(self._gained), len(self.cells)])
        start = int(np.random.default_rng(self._seed).integers(2**31))
        return view.outlook(self._to_end, self._fitted, rng, start)

    def _fitted(self, features: Floats, observed: Observed, beforehand: Beforehand | None) -> Parameters:
        if self.parameters is None or self._seen >= _REFIT * self.fitted_at:
            self.take(fitted(features, self._named, observed, self.parameters, beforehand))
        assert self.parameters is not None
        return self.parameters

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
            return None, "all that is left would fail, or exceed a bound" if fresh else "everything is trained"
        why = "little is left to gain" if self.is_enough(outlook) else ""
        worth = outlook.worth
        if not why:
            if worth.max() < _PATIENCE * outlook.under_way:
                return None, "nothing compares with what is under way"
            for at in np.argsort(-worth * outlook.beliefs, kind="stable"):
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
        and what was gained lately alone says nothing of what was never tried. With fewer than `_LEAST_BEGUN` begun the
        model's own parameters are too uncertain for either.
        """
        if len(self.cells) < _LEAST_BEGUN and any(cell not in self.cells for cell in outlook.cells):
            return False
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
        return Step(name, rungs(fresh[name].epochs)[0] if cell is None else cell.next_rung)

    def _price(self, steps: Iterable[Step], fresh: Mapping[str, Offered]) -> Price:
        epochs, seconds, longest, pace = 0, 0.0, 0.0, self._pace
        for step in steps:
            cell = self.cells.get(step.cell)
            offered = cell.offered if cell else fresh[step.cell]
            more = step.until - (cell.reached if cell else 0)
            one = more * self._seconds(offered) * pace + self._restart
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
        """Of an epoch of one trial, as decisions go by it: as foretold, where that is by layers.

        What is measured would add a machine's noise, and a search that goes on after a kill would not propose what it
        would have. Where only MACs are known, what is measured counts, by whole powers of four over the others' median.
        """
        if offered.by_layers:
            return offered.seconds
        cell = self.cells.get(offered.cell)
        own = self._ratios([cell]) if cell else []
        return offered.seconds * 4.0 ** round(math.log(median(own) / self._pace, 4)) if own else offered.seconds

    def _ratios(self, cells: Iterable[Cell]) -> list[float]:
        return [seconds / cell.offered.seconds for cell in cells for seconds in cell.measured.values()]

    @property
    def _pace(self) -> float:
        """What was measured over what was foretold."""
        ratios = self._ratios(self.cells.values())
        return median(ratios) if ratios else 1.0

    def _to_end(self, offered: Offered) -> float:
        """Seconds to train a cell from where it is to its end."""
        cell = self.cells.get(offered.cell)
        left = offered.epochs - (cell.reached if cell else 0)
        return len(offered.keys) * (left * self._seconds(offered) + self._restart)
