"""A search on a recorded grid, in simulated time."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from statistics import mean
from typing import TYPE_CHECKING, Any

import numpy as np
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from ablate.errors import InputError
from ablate.foreign import missing
from ablate.runners.search.encoding import are_numbers, placed
from ablate.runners.search.freeze_thaw.cells import LEAST_SECONDS, Offered
from ablate.runners.search.freeze_thaw.conductor import Conductor
from ablate.runners.search.freeze_thaw.decider import Decider
from ablate.runners.search.freeze_thaw.earlier import Earlier, EarlierCurve, earlier_curve, evenly
from ablate.runners.search.freeze_thaw.gains import Prices, box_of
from ablate.runners.search.freeze_thaw.in_tune import ThawQueue
from ablate.search_spaces.designs import Choice
from ablate.search_spaces.promising import Promising, doubt

if TYPE_CHECKING:
    from ablate.runners.replay.curves import Grid


def search(
    grid: Grid,
    workers: int,
    repeat: int,
    *,
    promising: Mapping[str, tuple[str, ...]] | None = None,
    earlier: Sequence[Grid] = (),
) -> tuple[Searcher, TrialScheduler]:
    """As `ablate.runners.replay.strategy.Search` has it. What an epoch takes is known to it: the mean of what it took.

    Args:
        promising: levels of factors that are believed to be good, as of `Space.promising`.
        earlier: what it learns from.

    Raises `InputError` where the table has fewer than two cells.
    """
    offers = _Recorded(grid, dict(promising or {}))
    offered = list(offers.cells.values())
    if len(offered) < 2:
        raise InputError("fewer than two trained configurations: there is nothing to search")
    learnt = [earlier_curves(one) for one in earlier]
    params = grid.costs.index("params") if "params" in grid.costs else None
    decider = Decider(
        np.append(offers.factors, [False] * len(grid.costs)),
        Prices(*box_of([one.costs for one in offered])),
        bar=grid.bar,
        last=max(one.epochs for one in offered),
        restart=grid.restart,
        seed=repeat,
        earlier=Earlier(learnt, offers.place, offers.factors, params) if learnt else None,
    )
    queue = ThawQueue(Conductor(decider, offers, workers=workers), lambda key: None)
    assert queue.scheduler is not None
    return queue, queue.scheduler


def earlier_curves(grid: Grid) -> tuple[EarlierCurve, ...]:
    """What a search may learn from a grid: its configurations that did not fail."""
    levels = _levels(grid)
    found = []
    for keys in grid.cells.values():
        curves = [grid.curves[key] for key in keys]
        if all(curve.state != "failed" for curve in curves):
            best = [dict(enumerate(np.maximum.accumulate(curve.scores).tolist(), start=1)) for curve in curves]
            params = int(curves[0].costs[grid.costs.index("params")]) if "params" in grid.costs else 1
            found.append(earlier_curve(levels[keys[0]], params, best, grid.max_epochs))
    return tuple(evenly(found, grid.max_epochs, of=lambda curve: curve))


def _levels(grid: Grid) -> dict[str, dict[str, str]]:
    """The levels of each trial, as text, by factor."""
    columns = [str(name) for name in grid.trials if str(name).startswith("factor.")]
    rows = zip(*(grid.trials[name] for name in columns), strict=True) if columns else ((),) * len(grid.curves)
    return {
        key: {
            name.removeprefix("factor."): str(level)
            for name, level in zip(columns, row, strict=True)
            if not missing(level) and str(level) != ""
        }
        for key, row in zip(grid.curves, rows, strict=True)
    }


class _Recorded:
    """The cells of a grid; a conductor's `Offering`."""

    def __init__(self, grid: Grid, promising: Promising) -> None:
        levels = _levels(grid)
        known: dict[str, list[str]] = {}
        for name in dict.fromkeys(name for of_trial in levels.values() for name in of_trial):
            found = [of_trial.get(name) for of_trial in levels.values()]
            if len(set(found)) > 1:
                known[name] = sorted({level for level in found if level is not None})
        self._known = known
        self.factors = np.array([not are_numbers(of_factor) for of_factor in known.values()], dtype=bool)
        """Of each whether its levels have no order."""
        self.cells: dict[str, Offered] = {}
        for cell, keys in grid.cells.items():
            curves = [grid.curves[key] for key in keys]
            costs, own = curves[0].costs, levels[keys[0]]
            features = (*self.place(own), *(math.log10(max(cost, 1e-12)) for cost in costs))
            took = [second for curve in curves for second in curve.seconds]
            seconds = max(mean(took), LEAST_SECONDS) if took else LEAST_SECONDS
            whole = [len(curve.scores) for curve in curves if curve.state != "failed"]
            epochs = min(whole, default=grid.max_epochs)
            doubted = doubt(promising, dict.fromkeys(promising), own)
            self.cells[cell] = Offered(cell, features, costs, seconds, epochs, tuple(keys), doubt=doubted)
        self.choices: dict[str, Choice] = {cell: {"cell": cell} for cell in self.cells}

    def place(self, levels: Mapping[str, str]) -> list[float]:
        """Levels in the factors' columns; NaN where there is none."""
        return [placed(levels[name], of) if name in levels else math.nan for name, of in self._known.items()]

    def of(self, choice: Mapping[str, Any]) -> Offered:
        return self.cells[choice["cell"]]

    def fresh(self, started: Collection[str], front: Sequence[str]) -> dict[str, Offered]:
        return {cell: offered for cell, offered in self.cells.items() if cell not in started}
