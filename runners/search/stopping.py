"""Which trials go on: early stopping that knows what each network costs.

Ordinary early stopping keeps whose score is best so far: the networks that learn fast, which are the large ones as a
rule. Here a trial is held against those only that cost no more than it does, so that each price range keeps its best.
Costs are known before training, so they need no model.

What competes is a cell: all seeds and folds of one configuration. It stands where the mean of its trials does, none of
which is held against another; and what is decided of one of them is decided of all.

Both schedulers here stand on Ray Tune's interface. Trials have {"key": …} in their configuration and report
{"epoch": from 1, "val_dice": …} after each epoch; other reports are passed over. Ray starts a paused trial anew: it
must go on from a checkpoint of its own, and may report its earlier epochs again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import moocore
import numpy as np
from numpy.typing import NDArray
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from ablate.foreign import LARGEST

if TYPE_CHECKING:
    from ray.tune.execution.tune_controller import TuneController

SCORE, TIME = "val_dice", "epoch"
NEIGHBOURS = 3
"""How many finished trials say what a trial of about their cost may still become."""
FEWEST = 10
"""How many finished trials it takes to call another one hopeless."""
MARGIN = math.log(1.1)
"""The hypervolume's reference is 1.1 times the largest cost."""

Points = NDArray[np.float64]
"""(trials, 1 + costs): scores, to be large, and logarithms of costs, to be small."""


# Points --------------------------------------------------------------------------------------------------------------


def places(points: Points) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The place of each point, 0 the first, and the front it is on, 0 that of the best: both (points,).

    Fronts follow one another (non-dominated sorting; Deb et al. 2002); within one, the point comes first that adds most
    hypervolume to it.
    """
    maximise = [True] + [False] * (points.shape[1] - 1)
    fronts = np.asarray(moocore.pareto_rank(points, maximise=maximise), dtype=np.intp)
    reference = [points[:, 0].min() - 1e-6, *(points[:, 1:].max(axis=0) + MARGIN)]
    adds = np.zeros(len(points))
    for front in range(fronts.max() + 1):
        on = np.flatnonzero(fronts == front)
        adds[on] = moocore.hv_contributions(points[on], ref=reference, maximise=maximise)
    found = np.empty(len(points), dtype=np.intp)
    found[np.lexsort((-adds, fronts))] = np.arange(len(points))
    return found, fronts


def dominated(score: float, prices: NDArray[np.float64], points: Points) -> bool:
    """Whether a point costs no more than `prices` (costs,) in anything and scores no less than `score`."""
    return bool(((points[:, 0] >= score) & (points[:, 1:] <= prices).all(axis=1)).any())


def gain(score: float, prices: NDArray[np.float64], points: Points) -> float:
    """The hypervolume that a trial of `score` at `prices` (costs,) would add to that of `points`."""
    if dominated(score, prices, points):
        return 0.0
    reference = [0.0, *(np.maximum(points[:, 1:].max(axis=0), prices) + MARGIN)]
    maximise = [True] + [False] * len(prices)
    with_it = moocore.hypervolume(np.vstack([points, [score, *prices]]), ref=reference, maximise=maximise)
    return float(with_it - moocore.hypervolume(points, ref=reference, maximise=maximise))


class Standings:
    """What is known of the cells of a run: their costs, and their best score after each epoch.

    A cell's is the mean over those of its trials that have had the epoch.
    """

    def __init__(self, costs: Mapping[str, Sequence[float]], max_epochs: int) -> None:
        self.cells: Mapping[str, str] = {}
        """Of trials, by key; one that is not in it is a cell of its own."""
        self._costs = costs
        self._epochs = max_epochs
        self._trials: dict[str, dict[str, NDArray[np.float64]]] = {}
        """By cell and key: the best score after each epoch, NaN for those to come."""
        self._rows: dict[str, int] = {}
        self._best = np.empty((0, max_epochs))
        self._prices = np.empty((0, 0))

    def cell(self, key: str) -> str:
        return self.cells.get(key, key)

    def add(self, key: str, epoch: int, score: float) -> None:
        """The score in [0, 1] of a trial after `epoch` (from 1); what is no such score counts as 0, and so do epochs
        that were never reported."""
        score, cell = score if 0 <= score <= 1 else 0.0, self.cell(key)
        if cell not in self._rows:
            prices = np.log([min(max(cost, 1.0), LARGEST) for cost in self._costs[key]])
            self._rows[cell] = len(self._rows)
            self._best = np.vstack([self._best, np.full(self._epochs, np.nan)])
            self._prices = np.vstack([self._prices.reshape(-1, len(prices)), prices])
        trials = self._trials.setdefault(cell, {})
        row, length = trials.setdefault(key, np.full(self._epochs, np.nan)), self.length(key)
        row[length : epoch - 1] = before = row[length - 1] if length else 0.0
        row[length:epoch][-1:] = np.fmax(before, score)
        every = np.array(list(trials.values()))
        had = np.isfinite(every).sum(axis=0)
        self._best[self._rows[cell]] = np.where(had > 0, np.nansum(every, axis=0) / np.maximum(had, 1), np.nan)

    def length(self, key: str) -> int:
        """Epochs that a trial has had."""
        return _length(self._trials.get(self.cell(key), {}).get(key))

    def reach(self, cell: str, but: str | None = None) -> int:
        """The most epochs that any trial of a cell has had; without the trial `but`."""
        return max((_length(row) for key, row in self._trials.get(cell, {}).items() if key != but), default=0)

    def after(self, epochs: int) -> tuple[list[str], Points]:
        """The cells that have had so many epochs, and how they stood then."""
        rows = np.isfinite(self._best[:, epochs - 1])
        return [cell for cell, row in self._rows.items() if rows[row]], self._points(self._best[rows, epochs - 1], rows)

    def achieved(self, but: str | None = None) -> Points:
        """How all cells stand at best, without the cell `but`."""
        rows = np.arange(len(self._best)) != self._rows.get(but or "", -1)
        return self._points(np.fmax.reduce(self._best[rows], axis=1), rows)

    def _points(self, scores: NDArray[np.float64], rows: NDArray[np.bool_]) -> Points:
        return np.column_stack([scores, self._prices[rows]])

    def prices(self, cell: str) -> NDArray[np.float64]:
        return self._prices[self._rows[cell]]

    def optimistic(self, cell: str, neighbours: int | None = None) -> float:
        """What a cell ends with if from now on it improves like the best of the finished ones nearest in cost.

        An improvement is a factor on the error, 1 - score. `neighbours`: how many of the nearest, or all. Where fewer
        have finished, everything is possible: 1.
        """
        row, length = self._rows[cell], self.reach(cell)
        finished = self._finished()
        if len(finished) < (neighbours or 1):
            return 1.0
        distances = np.abs(self._prices[finished] - self._prices[row]).sum(axis=1)
        near = finished[np.argsort(distances, kind="stable")[:neighbours]]
        errors = 1 - self._best[near]
        factor = (errors[:, -1] / np.maximum(errors[:, length - 1], 1e-9)).min()
        return float(1 - (1 - self._best[row, length - 1]) * factor)

    def hopeless(self, cell: str) -> bool:
        """Whether a cell stays behind a cheaper one even if it improves like the most improved of all finished ones.

        Nobody can say before `FEWEST` have finished, and one among them that costs as much: larger networks may learn
        more slowly, and improve for longer.
        """
        prices, finished = self.prices(cell), self._finished()
        if len(finished) < FEWEST or not (self._prices[finished] >= prices).all(axis=1).any():
            return False
        return dominated(self.optimistic(cell), prices, self.achieved(but=cell))

    def _finished(self) -> NDArray[np.intp]:
        return np.flatnonzero(np.isfinite(self._best[:, -1]))


def _length(row: NDArray[np.float64] | None) -> int:
    return 0 if row is None else int(np.isfinite(row).sum())


# Schedulers -----------------------------------------------------------------------------------------------------------


class ParetoStopping(FIFOScheduler):
    """Asynchronous successive halving among networks of a price, in the form that stops (as Ray's ASHA does).

    At each rung (`grace`, `grace` x `reduction_factor`, … epochs) the cells that came so far are ordered by fronts of
    (best score so far, costs) and, within a front, by the hypervolume they add. A cell goes on if it is on the first
    front or among the first 1/`reduction_factor`. Between rungs too, one is stopped that is hopeless: even if it
    improves from here on like the most improved finished one did, a cheaper one has its score already.

    What is decided of a cell when the first of its trials gets to a rung holds for the others. One that is given up
    stops wherever it is; none is, of which a trial is about to end.

    Halving: Li et al. 2020, "A system for massively parallel hyperparameter tuning". Fronts instead of scores:
    Schmucker et al. 2021, "Multi-objective asynchronous successive halving"; there, costs are outcomes.
    """

    def __init__(
        self, costs: Mapping[str, Sequence[float]], max_epochs: int, grace: int = 1, reduction_factor: float = 2.0
    ) -> None:
        super().__init__()
        self._last = max_epochs
        self.reduction_factor = reduction_factor
        self._rungs = rungs(max_epochs, grace, reduction_factor)
        self.standings = Standings(costs, max_epochs)
        self._passed: dict[str, int] = {}
        """Of cells, the last rung that they go past."""
        self._given_up: set[str] = set()

    def know_cells(self, cells: Mapping[str, str]) -> None:
        """Tell which cell each trial is of, by key; it may grow in a run."""
        self.standings.cells = cells

    def observe(self, key: str, scores: Iterable[float]) -> None:
        """Tell what a trial of an earlier run scored after each of its epochs, so that this run can judge by it."""
        for epoch, score in enumerate(scores, start=1):
            self.standings.add(key, epoch, score)

    def observe_stopped(self, key: str, scores: Iterable[float], *, goes_on: bool) -> None:
        """The same of one that was stopped. `goes_on`: not for want of promise, and this run trains it further."""
        self.observe(key, scores)
        if not goes_on:
            self._given_up.add(self.standings.cell(key))

    def on_trial_result(self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]) -> str:
        key, epoch = trial.config["key"], result.get(TIME, 0)
        if epoch <= self.standings.length(key):  # no epoch's, or one's that a trial started anew reports again
            return self._again(key, epoch)
        self.standings.add(key, epoch, result[SCORE])
        if epoch >= self._last:
            return TrialScheduler.CONTINUE
        cell = self.standings.cell(key)
        if self._is_given_up(cell):
            return TrialScheduler.STOP
        if self.standings.reach(cell, but=key) < self._last - 1 and self.standings.hopeless(cell):
            self._given_up.add(cell)
            return TrialScheduler.STOP
        if epoch not in self._rungs or self._goes_past(cell, epoch):
            return TrialScheduler.CONTINUE
        return self._at_rung(key, cell, epoch)

    def _again(self, key: str, epoch: int) -> str:
        return TrialScheduler.CONTINUE

    def _is_given_up(self, cell: str) -> bool:
        return cell in self._given_up and self.standings.reach(cell) < self._last

    def _goes_past(self, cell: str, rung: int) -> bool:
        """Whether that was decided, here or in an earlier run."""
        return self._passed.get(cell, 0) >= rung or self.standings.reach(cell) > rung

    def _at_rung(self, key: str, cell: str, epoch: int) -> str:
        cells, points = self.standings.after(epoch)
        at = cells.index(cell)
        place, front = (found[at] for found in places(points))
        if front == 0 or place < math.ceil(len(cells) / self.reduction_factor):
            self._passed[cell] = epoch
            return TrialScheduler.CONTINUE
        self._given_up.add(cell)
        return TrialScheduler.STOP


class ParetoPromotion(ParetoStopping):
    """The form that promotes, which the ASHA paper has and Ray has not: a trial pauses at each rung until its turn.

    When a worker is free, the highest rung with room (fewer than 1/`reduction_factor` of its cells went on) promotes
    the cell that promises most: the hypervolume that it would add to what all have reached if it improves like the best
    of its `NEIGHBOURS` in cost. All its trials go on, at once or when they get there. Where no rung has room a new
    trial starts. When there are no new ones, paused cells go on: the most promising; then, of those that promise
    nothing but are not hopeless, the most expensive, which tells most about the others. The run ends when all that are
    left are hopeless; it may be ended at any time.

    Ray's `max_concurrent_trials` counts paused trials too: beside this scheduler it would leave workers idle.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._pausing: set[str] = set()

    def _again(self, key: str, epoch: int) -> str:
        """One that an earlier run paused and did not let go on pauses where it was."""
        is_last = epoch == self.standings.length(key) and epoch in self._rungs
        if is_last and not self._goes_past(cell := self.standings.cell(key), epoch):
            return self._at_rung(key, cell, epoch)
        return TrialScheduler.CONTINUE

    def _at_rung(self, key: str, cell: str, epoch: int) -> str:
        self._pausing.add(key)
        return TrialScheduler.PAUSE

    def choose_trial_to_run(self, tune_controller: TuneController) -> Trial | None:
        chosen = self._choose(tune_controller)
        if chosen is not None:
            key = chosen.config["key"]
            self._pausing.discard(key)
            if chosen.status == Trial.PAUSED:
                self._passed[self.standings.cell(key)] = self.standings.length(key)
        return chosen

    def _choose(self, tune_controller: TuneController) -> Trial | None:
        trials = [trial for trial in tune_controller.get_trials() if not trial.is_finished()]
        pending = [trial for trial in trials if trial.status == Trial.PENDING]
        for trial in pending:
            if self._length(trial):  # it was promoted, and waits for a worker: one at a time
                return trial
        running = [trial for trial in trials if trial.status == Trial.RUNNING]
        if any(trial.config["key"] in self._pausing for trial in running):  # Ray takes a moment: it may be the best
            return None
        for trial in trials:
            if trial.status == Trial.PAUSED and self._is_given_up(self._cell(trial)):
                tune_controller.stop_trial(trial)
        paused = [trial for trial in trials if trial.status == Trial.PAUSED]
        for trial in paused:
            if self._goes_past(self._cell(trial), self._length(trial)):
                return trial
        for rung in reversed(self._rungs):
            here = [trial for trial in paused if self._length(trial) == rung]
            if here and self._has_room(rung, running) and (best := self._most_promising(here)):
                return best
        if pending:
            return pending[0]
        if running and not tune_controller.search_alg.is_finished():
            return None
        if best := self._most_promising(paused):
            return best
        for trial in paused:
            if self.standings.hopeless(self._cell(trial)):
                self._given_up.add(self._cell(trial))
                tune_controller.stop_trial(trial)
        left = [trial for trial in paused if trial.status == Trial.PAUSED]
        return max(left, key=lambda trial: self.standings.prices(self._cell(trial)).sum(), default=None)

    def _length(self, trial: Trial) -> int:
        return self.standings.length(trial.config["key"])

    def _cell(self, trial: Trial) -> str:
        return self.standings.cell(trial.config["key"])

    def _has_room(self, rung: int, running: list[Trial]) -> bool:
        """Whether fewer than 1/`reduction_factor` of the cells that came to a rung went on."""
        came = self.standings.after(rung)[0]
        went_on = {cell for cell in came if self._goes_past(cell, rung)}
        went_on |= {self._cell(trial) for trial in running if self._length(trial) == rung}
        return len(went_on) < len(came) // self.reduction_factor

    def _most_promising(self, trials: list[Trial]) -> Trial | None:
        """The trial whose cell may add most hypervolume, unless none may add any."""
        achieved = self.standings.achieved()

        def promise(trial: Trial) -> float:
            cell = self._cell(trial)
            return gain(self.standings.optimistic(cell, NEIGHBOURS), self.standings.prices(cell), achieved)

        best, most = max(((trial, promise(trial)) for trial in trials), key=lambda pair: pair[1], default=(None, 0.0))
        return best if most > 0 else None


def rungs(max_epochs: int, grace: int, reduction_factor: float) -> tuple[int, ...]:
    """The epochs at which trials are compared: `grace` times powers of the factor, below `max_epochs`."""
    found: list[int] = []
    at = float(grace)
    while round(at) < max_epochs:
        found.append(round(at))
        at *= reduction_factor
    return tuple(dict.fromkeys(found))
