"""What a strategy would have found, and at what cost: searchers and schedulers on recorded curves, in simulated time.

The searcher and the scheduler are the very objects that a real run has. A small controller offers them what Ray's
`TuneController` would, in the same order; training an epoch takes the seconds that it took when it was recorded.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import moocore
import numpy as np
from numpy.typing import NDArray
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from ablation.errors import InputError
from runners.schedulers import make_scheduler

if TYPE_CHECKING:
    import pandas as pd
    from ray.tune.execution.tune_controller import TuneController

COSTS = ("params", "macs")
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

    Of the tables of `analysis.frames`, `trials` needs `key, params, macs` (and `state`, unless all are complete) and
    `epochs` needs `key, epoch, val_dice` (and `seconds`, unless all take one).
    Raises `InputError` where a column is missing, there is no trial, or an epoch is missing or has no score.
    """
    for name, table, needed in (
        ("trials", trials, ("key", *COSTS)),
        ("epochs", epochs, ("key", "epoch", "val_dice")),
    ):
        missing = [column for column in needed if column not in table]
        if missing:
            raise InputError(f"table {name} lacks {', '.join(missing)}: expected {', '.join(needed)}")
    complete = trials[trials["state"] == "complete"] if "state" in trials else trials
    timed = epochs if "seconds" in epochs else epochs.assign(seconds=1.0)
    by_key = {str(key): rows.sort_values("epoch") for key, rows in timed.groupby("key")}
    curves = {}
    for key, *costs in zip(complete["key"], *(complete[cost] for cost in COSTS), strict=True):
        rows = by_key.get(str(key))
        if rows is None or list(rows["epoch"]) != list(range(1, len(rows) + 1)) or rows["val_dice"].isna().any():
            raise InputError(f"trial {key} has no whole curve in table epochs: expected val_dice of epochs 1, 2, …")
        if not all(cost > 0 for cost in costs):
            raise InputError(f"trial {key} has {' and '.join(COSTS)} {costs}: expected numbers over 0")
        scores, seconds = (tuple(map(float, rows[name])) for name in ("val_dice", "seconds"))
        curves[str(key)] = Curve(tuple(map(float, costs)), scores, seconds)
    if not curves:
        raise InputError("no complete trial has a curve to replay: give a study that has finished trials")
    return curves


def trivial_bar(trials: pd.DataFrame) -> float:
    """The score of the best trivial predictor, above which hypervolume counts: 0 without any.

    It is their Dice on the test images, for they have no validation score.
    """
    trivial = trials[trials["state"] == "trivial"] if "state" in trials else trials[:0]
    scores = trivial["dice"].dropna() if "dice" in trivial else ()
    return float(max(scores, default=0.0))


# Hypervolume ---------------------------------------------------------------------------------------------------------


def reference(curves: Mapping[str, Curve], bar: float = 0.0) -> Reference:
    """The reference of a finished grid: `bar` (a score, that of the best trivial predictor say), 1.1 times each of the
    largest costs, and what all curves reach in the end."""
    largest = np.max([curve.costs for curve in curves.values()], axis=0)
    point = (bar, *(math.log(MARGIN * cost) for cost in largest))
    whole = _hypervolume(np.array([(max(curve.scores), *np.log(curve.costs)) for curve in curves.values()]), point)
    if not whole > 0:
        raise InputError(f"no curve gets above a validation Dice of {bar:g}: there is no hypervolume to reach")
    return Reference(point, whole)


def _hypervolume(points: NDArray[np.float64], at: tuple[float, ...]) -> float:
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
            share = _hypervolume(points, against.point) / against.whole
        shares.append(share)
        seconds.append(time)
    return Path(np.array(shares), np.array(seconds))


# Strategies ----------------------------------------------------------------------------------------------------------


class Strategy(NamedTuple):
    """A way to search a recorded grid. `sampler`: `plan` (all trials, the most expensive first, as `ablate run` without
    a sampler), `shuffled` (all, in random order), or a sampler by name, which proposes `trials` configurations."""

    scheduler: str = "none"
    sampler: str = "shuffled"
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
    keys = sorted(curves, key=lambda key: curves[key].costs[-1] * len(curves[key].scores), reverse=True)
    if strategy.sampler == "plan":
        return Keys(keys)
    if strategy.sampler == "shuffled":
        return Keys(keys[at] for at in np.random.default_rng(repeat).permutation(len(keys)))
    from runners.catalogue import recorded_catalogue
    from runners.samplers import SamplerSearcher, make_proposer

    offered = recorded_catalogue(trials)
    proposer = make_proposer(offered.catalogue, strategy.sampler, strategy.trials or len(offered.keys), repeat)
    return SamplerSearcher(proposer, lambda proposal: [{"key": key} for key in offered.keys[proposal.cell]])


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
