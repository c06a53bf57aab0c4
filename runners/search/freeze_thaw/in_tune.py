"""A search as Ray Tune knows it: a searcher that gives trials, and a scheduler that ends them.

A trial that is to pause ends, to Ray Tune and to the study: its record says `stopped`, its checkpoint stays. Later the
same key is suggested again, and goes on from there. So nothing hangs on what Ray remembers of paused trials.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from ablate.runners.execution.budget import Budget
from ablate.runners.execution.queue import Queue
from ablate.runners.search.freeze_thaw.conductor import Conductor
from ablate.runners.search.freeze_thaw.decider import BUDGET
from ablate.runners.search.stopping import SCORE, TIME
from ablate.search_spaces.plan import Planned

if TYPE_CHECKING:
    from ray.tune.execution.tune_controller import TuneController
    from ray.tune.experiment import Trial


class ThawQueue(Queue):
    """Gives the trials that a conductor wants trained, each as often as it goes on."""

    def __init__(
        self, conductor: Conductor, planned: Callable[[str], Planned | None], budget: Budget | None = None
    ) -> None:
        """`planned`: a trial by its key; None where it is a recorded one that is replayed."""
        super().__init__(budget)
        self._conductor, self._planned = conductor, planned
        self.scheduler = ThawScheduler(conductor)
        self._running: dict[str, str] = {}

    def said(self) -> str:
        """How the search ended, for people."""
        return self._conductor.said()

    def suggest(self, trial_id: str) -> Any:
        key = self._conductor.next_key()
        if key is None:
            self.budget.held = self._conductor.over == BUDGET
            return Searcher.FINISHED if self._conductor.over and self._conductor.idle else None
        self._running[trial_id] = key
        planned = self._planned(key)
        return {"key": key} if planned is None else self.give(planned)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        key = self._running.pop(trial_id)
        self._conductor.ended(key, failed=error or (result or {}).get("state") == "failed")


class ThawScheduler(FIFOScheduler):
    """Asks the conductor at each epoch whether a trial goes on."""

    def __init__(self, conductor: Conductor) -> None:
        super().__init__()
        self._conductor = conductor
        self._seen: dict[str, tuple[int, float, float]] = {}
        """Of each trial its epochs, their best score, and their seconds."""

    def on_trial_result(self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]) -> str:
        key, epoch = trial.config["key"], result.get(TIME, 0)
        before, best, seconds = self._seen.get(key, (0, 0.0, 0.0))
        if epoch <= before:  # no epoch's, or one's that a trial which goes on tells again
            return TrialScheduler.CONTINUE
        score = float(result[SCORE])
        best = max(best, score) if 0 <= score <= 1 else best
        seconds += float(result.get("seconds", 0.0))
        self._seen[key] = epoch, best, seconds
        goes_on = self._conductor.reached(key, epoch, best, seconds / epoch)
        return TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP
