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
from ablate.runners.search.freeze_thaw.cells import LEAST_SECONDS, Offered
from ablate.runners.search.freeze_thaw.conductor import Conductor
from ablate.runners.search.freeze_thaw.decider import Decider
from ablate.runners.search.freeze_thaw.gains import Prices, box_of
from ablate.runners.search.freeze_thaw.in_tune import ThawQueue
from ablate.search_spaces.designs import Choice

if TYPE_CHECKING:
    from ablate.runners.replay.curves import Grid


def search(grid: Grid, workers: int, repeat: int) -> tuple[Searcher, TrialScheduler]:
    """As `ablate.runners.replay.strategy.Search` has it. What an epoch takes is known to it: the mean of what it took.

    Raises `InputError` where the table has fewer than two cells.
    """
    offers = _Recorded(grid)
    offered = list(offers.cells.values())
    if len(offered) < 2:
        raise InputError("fewer than two trained configurations: there is nothing to search")
    decider = Decider(
        np.array(offers.named),
        Prices(*box_of([one.costs for one in offered])),
        bar=grid.bar,
        last=max(one.epochs for one in offered),
        restart=grid.restart,
        seed=repeat,
    )
    queue = ThawQueue(Conductor(decider, offers, workers=workers), lambda key: None)
    assert queue.scheduler is not None
    return queue, queue.scheduler


class _Recorded:
    """The cells of a grid; a conductor's `Offering`."""

    def __init__(self, grid: Grid) -> None:
        self.cells: dict[str, Offered] = {}
        self.named: list[bool] = []
        """Which of the features have no order."""
        columns = [str(name) for name in grid.trials if str(name).startswith("factor.")]
        encoded = [_encoded(list(grid.trials[name])) for name in columns]
        encoded = [(column, named) for column, named in encoded if len(set(map(str, column))) > 1]
        self.named = [named for _, named in encoded] + [False] * len(grid.costs)
        table = [[column[row] for column, _ in encoded] for row in range(len(grid.curves))]
        rows = dict(zip(grid.curves, table, strict=True))
        for cell, keys in grid.cells.items():
            curves = [grid.curves[key] for key in keys]
            costs = curves[0].costs
            features = (*rows[keys[0]], *(math.log10(max(cost, 1e-12)) for cost in costs))
            took = [second for curve in curves for second in curve.seconds]
            seconds = max(mean(took), LEAST_SECONDS) if took else LEAST_SECONDS
            whole = [len(curve.scores) for curve in curves if curve.state != "failed"]
            epochs = min(whole, default=grid.max_epochs)
            self.cells[cell] = Offered(cell, features, costs, seconds, epochs, tuple(keys))
        self.choices: dict[str, Choice] = {cell: {"cell": cell} for cell in self.cells}

    def of(self, choice: Mapping[str, Any]) -> Offered:
        return self.cells[choice["cell"]]

    def fresh(self, started: Collection[str], front: Sequence[str]) -> dict[str, Offered]:
        return {cell: offered for cell, offered in self.cells.items() if cell not in started}


def _encoded(levels: list[Any]) -> tuple[list[float], bool]:
    """A factor's levels as numbers: by rank from 0 to 1 where they are numbers, else each level's own. NaN where there
    is none. And whether they have no order."""
    there = [level for level in levels if not missing(level) and str(level) != ""]
    try:
        ranks = sorted({float(level) for level in there})
    except ValueError:
        names = sorted({str(level) for level in there})
        return [names.index(str(level)) if level in there else math.nan for level in levels], True
    last = max(len(ranks) - 1, 1)
    return [ranks.index(float(level)) / last if level in there else math.nan for level in levels], False
