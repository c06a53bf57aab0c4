"""Strategies on a recorded grid: schedulers and samplers by their names, or a search that is both in one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from ablate.runners.replay.curves import Curve, Grid
from ablate.runners.search.schedulers.base import make_scheduler, pauses, scheduler_part
from ablate.runners.simulate import Keys, Step, simulate
from ablate.search_spaces.schedule import shuffled

Search = Callable[[Grid, int, int], tuple[Searcher, TrialScheduler]]
"""A search that chooses what begins and what goes on: of a grid, for so many workers, in the repeat of this number. It
gives both as Ray asks for them, for one run. What its scheduler stops, its searcher may suggest again under its key."""


class Strategy(NamedTuple):
    """A way to search a recorded grid. `sampler`: `plan` (all trials, in the order in which `ablate run` starts them),
    `shuffled` (all, in random order), or a sampler, which proposes `trials` configurations. Both are named as in
    `ablate run`: by name, or by a name with settings. With `search`, which is called `called`, they say nothing."""

    scheduler: str | Mapping[str, Any] = "none"
    sampler: str | Mapping[str, Any] = "shuffled"
    workers: int = 1
    trials: int | None = None
    search: Search | None = None
    called: str = "search"


def replay(strategy: Strategy, grid: Grid, repeat: int) -> tuple[Step, ...]:
    """One simulated run; `repeat` seeds the order, the sampler, or the search.

    Raises `InputError` for a scheduler or sampler that does not exist or does not apply.
    """
    searcher, scheduler = searcher_and_scheduler(strategy, grid, repeat)
    ahead = trials_pause(strategy)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # it has words for epochs that are told again
    return simulate(grid.curves, searcher, scheduler, strategy.workers, restart=grid.restart, ahead=ahead)


def searcher_and_scheduler(strategy: Strategy, grid: Grid, repeat: int) -> tuple[Searcher, TrialScheduler]:
    """What a strategy is to Ray, for one run. Raises as `replay` does."""
    if strategy.search is not None:
        return strategy.search(grid, strategy.workers, repeat)
    scheduler = make_scheduler(strategy.scheduler, costs=grid.prices, max_epochs=grid.max_epochs, cells=grid.cell_of)
    return _searcher(strategy, grid, repeat), scheduler


def trials_pause(strategy: Strategy) -> bool:
    """Whether trials pause, so that Ray is not limited in how many it asks for (`ablate.runners.execution.tune`)."""
    return strategy.search is None and pauses(strategy.scheduler)


def _searcher(strategy: Strategy, grid: Grid, repeat: int) -> Searcher:
    if strategy.sampler == "plan":
        return Keys(plan(grid, strategy.scheduler))
    if strategy.sampler == "shuffled":
        cells = list(grid.cells.values())
        # Before it is shuffled, the order is one that a table's order makes no difference to.
        cells.sort(key=lambda keys: _macs_in_all(grid.curves[keys[0]]), reverse=True)
        return Keys(key for at in np.random.default_rng(repeat).permutation(len(cells)) for key in cells[at])
    from ablate.runners.search.catalogue import recorded_catalogue
    from ablate.runners.search.proposer import make_proposer
    from ablate.runners.search.search_queue import SearchQueue

    offered = recorded_catalogue(grid.trials, grid.costs)
    most = min(strategy.trials or len(offered.keys), len(offered.keys))
    proposer = make_proposer(offered.catalogue, strategy.sampler, most, repeat)
    return SearchQueue(proposer, lambda proposal: [{"key": key} for key in offered.keys[proposal.cell]])


def plan(grid: Grid, scheduler: str | Mapping[str, Any]) -> list[str]:
    """The keys in the order in which `ablate run` would start their trials: the longest first, or, where a scheduler
    may stop some, the one order that is as good as random."""
    longest = sorted(grid.curves, key=lambda key: sum(grid.curves[key].seconds), reverse=True)
    if scheduler_part(scheduler).name == "none":
        return longest
    return shuffled(longest, cell=grid.cell_of.__getitem__)


def _macs_in_all(curve: Curve) -> float:
    return curve.costs[-1] * len(curve.scores)
