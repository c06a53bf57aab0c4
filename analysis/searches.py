"""What a study's searches spent on what, how far that brought them, and why they ended."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ablate.analysis.confirmation import candidates, searched_and_fresh
from ablate.analysis.names import Named
from ablate.analysis.pareto import MARGIN, hypervolume
from ablate.study.searches import Search, Step, searches

if TYPE_CHECKING:
    import pandas as pd

    from ablate.analysis.frames import Frames
    from ablate.study.study import Study

FRONT, FINISHED, FAILED = "on the front", "finished, off the front", "failed"
"""What became of networks; others were stopped at some epoch."""


class Network(NamedTuple):
    """A network that a search proposed, and what its trials took: `epochs` and `seconds` of training, over all seeds.

    `val_dice` is the mean over seeds of their best so far, `dice` that of their test scores; NaN where there is none.
    """

    cell: str
    named: Named
    fate: str
    """FRONT, FINISHED, FAILED, or `stopped at epoch 4`."""
    stopped_at: int
    """The epoch that it came to, where it was stopped; else 0."""
    seeds: int
    params: float
    macs: float
    val_dice: float
    dice: float
    epochs: int
    seconds: float


class Moment(NamedTuple):
    """After a trial of `network` had come to an epoch: `seconds` and `epochs` spent so far, and the hypervolume then as
    a share of that at the end."""

    network: str
    epoch: int
    seconds: float
    epochs: int
    share: float


class Spending(NamedTuple):
    """A search with the networks whose training it paid for, in the order of their names, and its path.

    `kept`: configurations that the study had already and that cost it nothing. `under_way`: those of which no trial
    has ended yet.
    """

    search: Search
    networks: tuple[Network, ...]
    path: tuple[Moment, ...]
    kept: int = 0
    under_way: int = 0

    @property
    def seconds(self) -> float:
        return sum(one.seconds for one in self.networks)

    @property
    def epochs(self) -> int:
        return sum(one.epochs for one in self.networks)

    @property
    def by_fate(self) -> dict[str, list[Network]]:
        """The networks of each fate: the front first, those that were stopped from the last epoch to the first."""
        found: dict[str, list[Network]] = defaultdict(list)
        for one in sorted(self.networks, key=_by_fate):
            found[one.fate].append(one)
        return dict(found)


def _by_fate(one: Network) -> tuple[int, int]:
    order = {FRONT: 0, FINISHED: 1, FAILED: 3}
    return order.get(one.fate, 2), -one.stopped_at


def searched_networks(study: Study, frames: Frames) -> tuple[Network, ...]:
    """Every network that a search was the first to propose and of which a trial has ended, in the order of names."""
    own = frames.trials[frames.trials["key"].isin(study.plans.names.keys())]
    front = _front(study, frames) if len(own) else set()
    seconds = frames.epochs.groupby("key")["seconds"].sum()
    found = {}
    for cell, rows in own.groupby("cell", sort=False):
        states, reached = set(rows["state"]), int(rows["epochs"].max())
        stopped = 0 if "failed" in states or states == {"complete"} else reached
        ended = FRONT if cell in front else FINISHED
        means = rows[["params", "macs", "val_dice", "dice"]].astype(float).mean()
        found[str(cell)] = Network(
            cell=str(cell),
            named=frames.named[str(cell)],
            fate=FAILED if "failed" in states else f"stopped at epoch {stopped}" if stopped else ended,
            stopped_at=stopped,
            seeds=len(rows),
            **{str(name): float(value) for name, value in means.items()},
            epochs=int(rows["epochs"].sum()),
            seconds=float(seconds.reindex(rows["key"]).fillna(0.0).sum()),
        )
    return tuple(found[cell] for cell in frames.named if cell in found)


def _front(study: Study, frames: Frames) -> set[str]:
    """What `ablate confirm` would train again: by validation Dice, parameters and MACs, among all that was trained."""
    searched, _ = searched_and_fresh(study.manifest.runs)
    if not ((frames.trials["state"] == "complete") & frames.trials["key"].isin(searched)).any():
        return set()
    return {one.cell for one in candidates(frames.trials, searched, rivals=0) if one.on_front}


def spendings(study: Study, frames: Frames) -> tuple[Spending, ...]:
    """What each search spent, in the order in which they began; what two proposed was paid for by the first."""
    known = {one.cell: one for one in searched_networks(study, frames)}
    begun = {cell: at for at, cell in enumerate(frames.named)}
    found, paid = [], set[str]()

    def first(search: Search) -> int:
        return min((begun[cell] for cell in search.cells if cell in begun), default=len(begun))

    for search in sorted(searches(study), key=first):
        own = [known[cell] for cell in search.cells if cell in known and cell not in paid]
        own.sort(key=lambda one: begun[one.cell])
        paid |= {one.cell for one in own}
        there = set(frames.trials["cell"])
        ended = sum(cell in there for cell in search.cells)
        path = _path(search, own, frames, study.plans.names.keys())
        found.append(Spending(search, tuple(own), path, ended - len(own), len(search.cells) - ended))
    return tuple(found)


class _Walk:
    """What had been trained by some time: scores by cell and trial, seconds and epochs."""

    def __init__(self, trials: pd.DataFrame, epochs: pd.DataFrame, bar: float) -> None:
        self.cell = dict(zip(trials["key"], trials["cell"], strict=True))
        self.seeds = trials.groupby("cell").size().to_dict()
        costs = trials.groupby("cell")[["params", "macs"]].mean().astype(float)
        costs = costs[(costs > 0).all(axis=1)].map(math.log)
        self._costs = dict(zip(costs.index, costs.itertuples(index=False, name=None), strict=True))
        self._worst = [float(one) + math.log(MARGIN) for one in costs.max()]
        self._bar = bar
        self._curves = {
            str(key): rows.sort_values("epoch")[["val_dice", "seconds"]].to_numpy(dtype=float)
            for key, rows in epochs[epochs["key"].isin(list(self.cell))].groupby("key")
        }
        self._reached: dict[str, int] = {}
        self._scores: dict[str, dict[str, float]] = defaultdict(dict)

    def last(self, key: str) -> int:
        return len(self._curves.get(key, ()))

    def go(self, key: str, epoch: int) -> tuple[int, float]:
        """Train a trial up to an epoch: how many that takes, and seconds."""
        start, end = self._reached.get(key, 0), min(epoch, self.last(key))
        if end <= start:
            return 0, 0.0
        curve = self._curves[key]
        self._reached[key] = end
        self._scores[self.cell[key]][key] = float(np.nanmax(np.append(curve[:end, 0], 0.0)))
        return end - start, float(np.nansum(curve[start:end, 1]))

    def hypervolume(self) -> float:
        """Of the cells all of whose seeds have a score, above the bar, by the logarithms of parameters and MACs."""
        points = [
            (float(np.mean(list(scores.values()))), *self._costs[cell])
            for cell, scores in self._scores.items()
            if len(scores) == self.seeds[cell] and cell in self._costs
        ]
        return hypervolume(points, (self._bar, *self._worst), (True, False, False)) if points else 0.0


def _path(search: Search, own: Sequence[Network], frames: Frames, proposed: Iterable[str]) -> tuple[Moment, ...]:
    cells = {one.cell: one for one in own}
    trials = frames.trials[frames.trials["cell"].isin(list(cells)) & frames.trials["key"].isin(list(proposed))]
    trivial = frames.trials.loc[frames.trials["state"] == "trivial", "dice"].astype(float)
    walk = _Walk(trials, frames.epochs, max(trivial.max(), 0.0) if len(trivial) else 0.0)
    found: list[tuple[Step, int, float, float]] = []
    epochs, seconds, area = 0, 0.0, 0.0
    for step in (*search.steps, *_ends(search, walk)):  # what is in no rung, as of one that failed, comes last
        if step.key not in walk.cell:
            continue
        of_step, took = walk.go(step.key, step.epoch)
        if of_step:
            epochs, seconds, area = epochs + of_step, seconds + took, walk.hypervolume()
            found.append((step, epochs, seconds, area))
    whole = max((area for *_, area in found), default=0.0)
    if not whole > 0:
        return ()
    return tuple(
        Moment(cells[walk.cell[step.key]].named.name, step.epoch, at, count, area / whole)
        for step, count, at, area in found
    )


def _ends(search: Search, walk: _Walk) -> list[Step]:
    """The last epoch of every trial, in the order in which the search began them."""
    place = {cell: at for at, cell in enumerate(search.cells)}
    keys = sorted(walk.cell, key=lambda key: place[walk.cell[key]])
    return [Step(key, walk.last(key)) for key in keys if walk.last(key)]


def seconds_of(value: float) -> str:
    """Seconds, as people read them: `0.9`, `21.9`, `1,234`."""
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"
