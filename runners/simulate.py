"""Searchers and schedulers on recorded curves, in simulated time.

The searcher and the scheduler are the very objects that a real run has. A small controller offers them what Ray's
`TuneController` would, in the same order, and trials tell what `ablate.runners.execution.trainable` has them tell;
training an epoch takes the seconds that it took when it was recorded.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from ablate.runners.replay.curves import Curve

if TYPE_CHECKING:
    from ray.tune.execution.tune_controller import TuneController


class Step(NamedTuple):
    """An epoch of the trial `key` that ended `time` simulated seconds after the start.

    `starts`: how often, up to then, a worker had begun with a trial, anew or after a pause.
    """

    time: float
    key: str
    epoch: int
    starts: int = 0


def simulate(
    curves: Mapping[str, Curve],
    searcher: Searcher,
    scheduler: TrialScheduler,
    workers: int = 1,
    *,
    restart: float = 0.0,
    process: float = 0.0,
    ahead: bool = True,
) -> tuple[Step, ...]:
    """The epochs that a run with `workers` workers would have trained, in the order in which they end.

    The searcher suggests {"key": one of `curves`}. One that was stopped may be suggested again, as a new trial under
    the same key, and goes on from its last epoch. The scheduler must not have been used before.

    Args:
        restart: seconds that pass before a worker that begins with a trial trains.
        process: seconds more where it is a new process. Ray starts one for a trial that waits, throws it away when the
            trial gets another one that has become free before it is there, and ends those that nobody waits for.
        ahead: whether a trial more is asked for than there are workers. Ray does so where nothing limits how many run
            at a time, as with schedulers that pause trials; else it asks when a worker is free.
    """
    controller = _Controller(curves, searcher, scheduler, workers, (restart, process), ahead)
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

    As there, a trial that the scheduler chose waits for the next worker, and what a trial tells that was stopped
    meanwhile is not heard.
    """

    def __init__(
        self,
        curves: Mapping[str, Curve],
        searcher: Searcher,
        scheduler: TrialScheduler,
        workers: int,
        seconds: tuple[float, float],
        ahead: bool,
    ) -> None:
        self.steps: list[Step] = []
        self._as_ray = cast("TuneController", self)
        self.search_alg = _Suggestions(searcher)
        self._curves = curves
        self._searcher = searcher
        self._scheduler = scheduler
        self._workers = self._missing = workers
        self._restart, self._process = seconds
        self._idle = 0
        """Processes that wait for a trial; of those that are `_missing`, some are being started."""
        self._ahead = ahead
        self._time = 0.0
        self._starts = 0
        self._trials: list[Trial] = []
        self._live: dict[str, Trial] = {}
        """Those that have not ended, by their keys, in the order in which they were asked for."""
        self._trained: dict[str, int] = {}
        """Epochs of each key."""
        self._told: dict[str, int] = {}
        """Epochs that a running trial has told since its worker began with it, by its id."""
        self._beginning: set[str] = set()
        """The ids of trials that have a process, and will train soon. To Ray they are pending."""
        self._events: list[tuple[float, int, Trial, bool]] = []
        """When something comes of a trial: a process for it (true), or that it begins or tells something (false)."""
        self._due: dict[str, int] = {}
        """Which event is a trial's next, by its id."""
        self._coming: dict[str, int] = {}
        """Which event brings a process for a trial that waits for one, by its id."""
        self._scheduled = 0

    # What schedulers ask and do

    def get_trials(self) -> list[Trial]:
        return self._trials

    def get_live_trials(self) -> set[Trial]:
        return set(self._live.values())

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
        self._live.pop(trial.config["key"])

    # What Ray does

    def advance(self) -> bool:
        """Start what can start, and let the next event come; false when all is done."""
        while self._start_one():
            pass
        if not self._events:
            return False
        self._time, number, trial, is_process = heapq.heappop(self._events)
        if is_process:
            if self._coming.get(trial.trial_id) == number and self._waits(trial):
                self._missing -= 1
                self._start(trial)
            return True
        expected = self._due[trial.trial_id] == number
        begins = expected and trial.trial_id in self._beginning
        if begins:
            self._beginning.discard(trial.trial_id)
        if begins and trial.status == Trial.PENDING:
            self._begin(trial)
        elif expected and trial.status == Trial.RUNNING:
            self._tell(trial)
        else:
            self._free()  # it was stopped, or paused, meanwhile
        return True

    def _start_one(self) -> bool:
        """Give a trial a process, or see to it that one is started; false when nothing more can be done now."""
        self._ask()
        waiting = [trial for trial in self._live.values() if trial.status != Trial.RUNNING]
        if not waiting:
            return False
        chosen = self._scheduler.choose_trial_to_run(self._as_ray)
        if chosen is not None and chosen.trial_id not in self._beginning:
            chosen.set_status(Trial.PENDING)
        waiting = [trial for trial in waiting if self._waits(trial)]
        if chosen in waiting:
            waiting = [chosen, *(trial for trial in waiting if trial is not chosen)]
        if not waiting:
            return False
        if self._idle:
            self._idle -= 1
            self._start(waiting[0])
            return True
        if self._missing and not self._process:
            self._missing -= 1
            self._start(waiting[0])
            return True
        return self._order_process(waiting, chosen)

    def _waits(self, trial: Trial) -> bool:
        return trial.status == Trial.PENDING and trial.trial_id not in self._beginning

    def _order_process(self, waiting: list[Trial], chosen: Trial | None) -> bool:
        """Start a process for a trial that waits. Where Ray asks for one trial ahead, it starts one at a time, unless
        the scheduler chose the trial."""
        without = [trial for trial in waiting if trial.trial_id not in self._coming]
        coming = len(waiting) - len(without)
        if self._ahead and coming:
            without = [trial for trial in without if trial is chosen]
        if not without or coming >= self._missing:
            return False
        self._scheduled += 1
        self._coming[without[0].trial_id] = self._scheduled
        heapq.heappush(self._events, (self._time + self._process, self._scheduled, without[0], True))
        return True

    def _free(self) -> None:
        """A process has no trial any more. Ray keeps as many as trials wait for; or one, while trials may come."""
        waiting = sum(trial.status == Trial.PENDING for trial in self._live.values())
        if self._idle < waiting or not (self._idle or waiting or self.search_alg.is_finished()) or not self._process:
            self._idle += 1
        else:
            self._missing += 1

    def _ask(self) -> None:
        """Ask for new trials: up to one that waits, or up to one a worker."""
        while self._has_room() and (fresh := self.search_alg.next_trial()):
            key = fresh.config["key"]
            if key in self._live:
                raise ValueError(f"trial {key} is suggested again before it has ended")
            self._trials.append(fresh)
            self._live[key] = fresh
            self._scheduler.on_trial_add(self._as_ray, fresh)

    def _has_room(self) -> bool:
        if self._ahead:
            return all(trial.status != Trial.PENDING for trial in self._live.values())
        return len(self._live) < self._workers

    # What a trial does

    def _start(self, trial: Trial) -> None:
        self._told[trial.trial_id] = 0
        self._coming.pop(trial.trial_id, None)
        self._starts += 1
        if self._restart:
            self._beginning.add(trial.trial_id)
            self._wait(trial, self._restart)
        else:
            self._begin(trial)

    def _begin(self, trial: Trial) -> None:
        trial.set_status(Trial.RUNNING)
        if self._trained.get(trial.config["key"], 0):  # it tells its earlier epochs again, in no time
            self._wait(trial, 0.0)
        else:
            self._go_on(trial)

    def _go_on(self, trial: Trial) -> None:
        """Train the next epoch, or end."""
        seconds, told = self._curves[trial.config["key"]].seconds, self._told[trial.trial_id]
        if told < len(seconds):
            self._wait(trial, seconds[told])
        else:
            self._end(trial)

    def _wait(self, trial: Trial, seconds: float) -> None:
        self._scheduled += 1
        self._due[trial.trial_id] = self._scheduled
        heapq.heappush(self._events, (self._time + seconds, self._scheduled, trial, False))

    def _tell(self, trial: Trial) -> None:
        key = trial.config["key"]
        trained, decision = self._trained.get(key, 0), TrialScheduler.CONTINUE
        if self._told[trial.trial_id] < trained:
            while self._told[trial.trial_id] < trained and decision == TrialScheduler.CONTINUE:
                decision = self._report_epoch(trial, restored=True)
        elif trained < len(self._curves[key].scores):
            self._trained[key] = trained + 1
            self.steps.append(Step(self._time, key, trained + 1, self._starts))
            decision = self._report_epoch(trial, restored=False)
        if decision == TrialScheduler.CONTINUE and not trial.is_finished():
            self._go_on(trial)
            return
        if decision == TrialScheduler.PAUSE and not trial.is_finished():
            self.pause_trial(trial)
        else:
            self.stop_trial(trial)
        self._free()

    def _report_epoch(self, trial: Trial, *, restored: bool) -> str:
        curve = self._curves[trial.config["key"]]
        self._told[trial.trial_id] = epoch = self._told[trial.trial_id] + 1
        score, seconds = curve.scores[epoch - 1], curve.seconds[epoch - 1]
        return self._report(
            trial, {"epoch": epoch, "val_dice": score, "seconds": seconds, "restored": restored, "ended": False}
        )

    def _end(self, trial: Trial) -> None:
        """A trial whose curve is at its end says so, unless it was stopped when it was recorded."""
        state = self._curves[trial.config["key"]].state
        if state != "stopped":
            self._report(trial, {"ended": True, "state": state})
        self.stop_trial(trial)
        self._free()

    def _report(self, trial: Trial, said: dict[str, Any]) -> str:
        """What Ray makes of a trial's report: its configuration beside it, with flat names."""
        result = said | {"trial_id": trial.trial_id, "config/key": trial.config["key"]}
        decision: str = self._scheduler.on_trial_result(self._as_ray, trial, result)
        if decision != TrialScheduler.STOP:
            self._searcher.on_trial_result(trial.trial_id, result)
        trial.run_metadata.last_result = result  # `update_last_result` computes running means that nobody asks for
        return decision
