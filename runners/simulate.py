"""What a strategy would have found, and at what cost: searchers and schedulers on recorded curves, in simulated time.

The searcher and the scheduler are the very objects that a real run has. A small controller offers them what Ray's
`TuneController` would, in the same order; training an epoch takes the seconds that it took when it was recorded.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import moocore
import numpy as np
from numpy.typing import NDArray
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from ablate.errors import InputError
from ablate.foreign import keys, need, numbers_of, whole
from ablate.runners.search.schedulers.base import make_scheduler

if TYPE_CHECKING:
    import pandas as pd
    from ray.tune.execution.tune_controller import TuneController

COSTS = ("params", "macs")
_MOST_SECONDS = 1e12
"""Of an epoch: sums of many stay finite."""
MARGIN = 1.1
"""The reference point's costs, in units of the largest."""


class Curve(NamedTuple):
    """A recorded trial. `costs`: parameters and MACs. `scores` and `seconds`: of each epoch, the first first."""

    costs: tuple[float, ...]
    scores: tuple[float, ...]
    seconds: tuple[float, ...]


class Step(NamedTuple):
    """An epoch of the trial `key` that ended `time` simulated seconds after the start."""

    time: float
    key: str
    epoch: int


class Path(NamedTuple):
    """What one repeat reached, after each of its epochs: `hypervolume` (epochs,) as a share of the full grid's.

    `seconds` (epochs,) are simulated. The number of epochs spent is the position, counted from 1.
    """

    hypervolume: NDArray[np.float64]
    seconds: NDArray[np.float64]

    def epochs_to(self, share: float) -> float:
        """Epochs spent until `share` of the grid's hypervolume was reached; infinite if it never was."""
        reached = self.hypervolume >= share - 1e-12
        return float(reached.argmax() + 1) if reached.any() else math.inf

    def seconds_to(self, share: float) -> float:
        reached = self.hypervolume >= share - 1e-12
        return float(self.seconds[reached.argmax()]) if reached.any() else math.inf


class Reference(NamedTuple):
    """What hypervolume is measured against: a score and the largest costs, and the hypervolume of all curves whole.

    Costs count by their logarithms: a price range from 1 to 2 million is worth as much as one from 10 to 20.
    """

    point: tuple[float, ...]
    whole: float


def recorded(trials: pd.DataFrame, epochs: pd.DataFrame) -> dict[str, Curve]:
    """The curves of the complete trials of a study, by key.

    Of the tables of `ablate.analysis.frames`, `trials` needs `key, params, macs` (and `state`, unless all are complete)
    and `epochs` needs `key, epoch, val_dice` (and `seconds`, unless all take one). Epochs may count from 0, and keys
    may be numbers. Raises `InputError` where a column is missing, a number is none or out of bounds, there is no trial,
    or an epoch is missing, repeated or has no score.
    """
    need("trials", trials, ("key", *COSTS))
    need("epochs", epochs, ("key", "epoch", "val_dice"))
    complete = trials[trials["state"] == "complete"] if "state" in trials else trials
    names = keys("trials", complete)
    twice = next((key for key, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise InputError(f"table trials has trial {twice} twice: expected one row each")
    if not names:
        raise InputError("no complete trial has a curve to replay: give a study that has finished trials")
    priced = (numbers_of("trials", complete, cost, above=True).tolist() for cost in COSTS)
    costs = dict(zip(names, zip(*priced, strict=True), strict=True))
    rows = epochs.assign(key=keys("epochs", epochs))
    rows = rows[rows["key"].isin(costs)]
    rows = rows.assign(epoch=whole("epochs", rows, "epoch"))
    first = int(rows["epoch"].min()) if len(rows) else 1
    by_key = {str(key): of_key.sort_values("epoch") for key, of_key in rows.groupby("key")}
    curves = {}
    for key in names:
        of_key = by_key.get(key)
        if of_key is None or first > 1 or list(of_key["epoch"] - first) != list(range(len(of_key))):
            raise InputError(
                f"trial {key} has no whole curve in table epochs: expected val_dice of epochs 1, 2, …, each once"
            )
        scores = numbers_of("epochs", of_key, "val_dice", high=1).tolist()
        seconds = numbers_of("epochs", of_key, "seconds", high=_MOST_SECONDS).tolist() if "seconds" in of_key else None
        curves[key] = Curve(costs[key], tuple(scores), tuple(seconds or [1.0] * len(scores)))
    return curves


def trivial_bar(trials: pd.DataFrame) -> float:
    """The score of the best trivial predictor, above which hypervolume counts: 0 without any.

    It is their Dice on the test images, for they have no validation score. Raises `InputError` for one that is none.
    """
    trivial = trials[trials["state"] == "trivial"] if "state" in trials else trials[:0]
    scores = numbers_of("trials", trivial[trivial["dice"].notna()], "dice", high=1) if "dice" in trivial else ()
    return float(max(scores, default=0.0))


# Hypervolume ---------------------------------------------------------------------------------------------------------


def reference(curves: Mapping[str, Curve], bar: float = 0.0) -> Reference:
    """The reference of a finished grid: `bar` (a score, that of the best trivial predictor say), 1.1 times each of the
    largest costs, and what all curves reach in the end."""
    largest = np.max([curve.costs for curve in curves.values()], axis=0)
    point = (bar, *(math.log(MARGIN * cost) for cost in largest))
    area = _hypervolume(np.array([(max(curve.scores), *np.log(curve.costs)) for curve in curves.values()]), point)
    if not area > 0:
        raise InputError(f"no curve gets above a validation Dice of {bar:g}: there is no hypervolume to reach")
    return Reference(point, area)


def _hypervolume(points: NDArray[np.float64], at: tuple[float, ...]) -> float:
    if not (np.isfinite(points).all() and np.isfinite(at).all()):  # moocore would crash the process
        raise ValueError("hypervolume needs finite numbers")
    return float(moocore.hypervolume(points, ref=list(at), maximise=[True] + [False] * (len(at) - 1)))


def reached(steps: Iterable[Step], curves: Mapping[str, Curve], against: Reference) -> Path:
    """The hypervolume of (best score so far, costs) after each step; a trial stands at its best epoch so far."""
    rows = {key: row for row, key in enumerate(curves)}
    # Who was not trained stands at the reference, and so adds nothing.
    points = np.array([(against.point[0], *np.log(curve.costs)) for curve in curves.values()])
    shares, seconds = [], []
    share = 0.0
    for time, key, epoch in steps:
        score = curves[key].scores[epoch - 1]
        if score > points[rows[key], 0]:
            points[rows[key], 0] = score
            share = min(1.0, _hypervolume(points, against.point) / against.whole)  # of sums in another order
        shares.append(share)
        seconds.append(time)
    return Path(np.array(shares), np.array(seconds))


# Strategies ----------------------------------------------------------------------------------------------------------


class Strategy(NamedTuple):
    """A way to search a recorded grid. `sampler`: `plan` (all trials, the most expensive first, as `ablate run` without
    a sampler), `shuffled` (all, in random order), or a sampler, which proposes `trials` configurations. Both are named
    as in `ablate run`: by name, or by a name with settings."""

    scheduler: str | Mapping[str, Any] = "none"
    sampler: str | Mapping[str, Any] = "shuffled"
    workers: int = 1
    trials: int | None = None


def replay(strategy: Strategy, trials: pd.DataFrame, curves: Mapping[str, Curve], repeat: int) -> tuple[Step, ...]:
    """One simulated run; `repeat` seeds the order, or the sampler. `trials` is the table that `curves` are of.

    Raises `InputError` for a scheduler or sampler that does not exist or does not apply.
    """
    costs = {key: curve.costs for key, curve in curves.items()}
    longest = max(len(curve.scores) for curve in curves.values())
    scheduler = make_scheduler(strategy.scheduler, costs=costs, max_epochs=longest)
    return simulate(curves, _searcher(strategy, trials, curves, repeat), scheduler, strategy.workers)


def _searcher(strategy: Strategy, trials: pd.DataFrame, curves: Mapping[str, Curve], repeat: int) -> Searcher:
    order = sorted(curves, key=lambda key: curves[key].costs[-1] * len(curves[key].scores), reverse=True)
    if strategy.sampler == "plan":
        return Keys(order)
    if strategy.sampler == "shuffled":
        return Keys(order[at] for at in np.random.default_rng(repeat).permutation(len(order)))
    from ablate.runners.search.catalogue import recorded_catalogue
    from ablate.runners.search.proposer import make_proposer
    from ablate.runners.search.search_queue import SearchQueue

    offered = recorded_catalogue(trials)
    most = min(strategy.trials or len(offered.keys), len(offered.keys))
    proposer = make_proposer(offered.catalogue, strategy.sampler, most, repeat)
    return SearchQueue(proposer, lambda proposal: [{"key": key} for key in offered.keys[proposal.cell]])


# In simulated time ---------------------------------------------------------------------------------------------------


def simulate(
    curves: Mapping[str, Curve], searcher: Searcher, scheduler: TrialScheduler, workers: int = 1
) -> tuple[Step, ...]:
    """The epochs that a run with `workers` workers would have trained, in the order in which they end.

    The searcher suggests {"key": one of `curves`}. The scheduler must not have been used before.
    """
    controller = _Controller(curves, searcher, scheduler, workers)
    while controller.advance():
        pass
    return tuple(controller.steps)


class Keys(Searcher):
    """Suggests the given keys, in their order."""

    def __init__(self, keys: Iterable[str]) -> None:
        super().__init__()
        self._keys = iter(keys)

    def suggest(self, trial_id: str) -> Any:
        key = next(self._keys, None)
        return Searcher.FINISHED if key is None else {"key": key}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        pass


class _Suggestions:
    """What a scheduler may ask of Ray's search algorithm, around a searcher."""

    def __init__(self, searcher: Searcher) -> None:
        self._searcher = searcher
        self._finished = False

    def next_trial(self) -> Trial | None:
        if self._finished:
            return None
        trial_id = Trial.generate_id()
        suggested = self._searcher.suggest(trial_id)
        if suggested == Searcher.FINISHED:
            self._finished = True
            return None
        return Trial("replay", config=suggested, trial_id=trial_id, stub=True) if suggested else None

    def is_finished(self) -> bool:
        return self._finished


class _Controller:
    """Ray's TuneController as schedulers know it, with simulated workers.

    As there, one pending trial is asked for ahead, and a trial that the scheduler chose waits for the next worker.
    """

    def __init__(
        self, curves: Mapping[str, Curve], searcher: Searcher, scheduler: TrialScheduler, workers: int
    ) -> None:
        self.steps: list[Step] = []
        self._as_ray = cast("TuneController", self)
        self.search_alg = _Suggestions(searcher)
        self._curves = curves
        self._searcher = searcher
        self._scheduler = scheduler
        self._idle = workers
        self._time = 0.0
        self._trials: list[Trial] = []
        self._trained: dict[str, int] = {}
        self._running: list[tuple[float, int, Trial]] = []
        self._started = 0

    # What schedulers ask and do

    def get_trials(self) -> list[Trial]:
        return self._trials

    def get_live_trials(self) -> set[Trial]:
        return {trial for trial in self._trials if not trial.is_finished()}

    def pause_trial(self, trial: Trial, should_checkpoint: bool = True) -> None:
        trial.set_status(Trial.PAUSED)

    def stop_trial(self, trial: Trial) -> None:
        if trial.is_finished():
            return
        if trial.status == Trial.RUNNING:
            self._scheduler.on_trial_complete(self._as_ray, trial, trial.last_result)
            self._searcher.on_trial_complete(trial.trial_id, result=trial.last_result)
        else:
            self._scheduler.on_trial_remove(self._as_ray, trial)
            self._searcher.on_trial_complete(trial.trial_id)
        trial.set_status(Trial.TERMINATED)

    # What Ray does

    def advance(self) -> bool:
        """Start what can start, and let the next epoch end; false when all is done."""
        while self._start_one():
            pass
        if not self._running:
            return False
        self._time, _, trial = heapq.heappop(self._running)
        self._report(trial)
        return True

    def _start_one(self) -> bool:
        pending = [trial for trial in self._trials if trial.status == Trial.PENDING]
        if not pending and (fresh := self.search_alg.next_trial()):
            self._trials.append(fresh)
            self._scheduler.on_trial_add(self._as_ray, fresh)
            pending = [fresh]
        chosen = self._scheduler.choose_trial_to_run(self._as_ray)
        if chosen is not None:
            chosen.set_status(Trial.PENDING)
        elif pending:
            chosen = pending[0]
        if chosen is None or not self._idle:
            return False
        self._idle -= 1
        chosen.set_status(Trial.RUNNING)
        self._train(chosen)
        return True

    def _train(self, trial: Trial) -> None:
        key = trial.config["key"]
        seconds = self._curves[key].seconds[self._trained.get(key, 0)]
        heapq.heappush(self._running, (self._time + seconds, self._started, trial))
        self._started += 1

    def _report(self, trial: Trial) -> None:
        key = trial.config["key"]
        curve = self._curves[key]
        self._trained[key] = epoch = self._trained.get(key, 0) + 1
        self.steps.append(Step(self._time, key, epoch))
        result = {
            "epoch": epoch,
            "val_dice": curve.scores[epoch - 1],
            "trial_id": trial.trial_id,
            "config": trial.config,
        }
        decision = self._scheduler.on_trial_result(self._as_ray, trial, result)
        if decision != TrialScheduler.STOP:
            self._searcher.on_trial_result(trial.trial_id, result)
        trial.update_last_result(result)
        if decision == TrialScheduler.CONTINUE and epoch < len(curve.scores):
            self._train(trial)
            return
        self._idle += 1
        if decision == TrialScheduler.PAUSE and epoch < len(curve.scores):
            self.pause_trial(trial)
        else:
            self.stop_trial(trial)
