"""Schedulers that know nothing of this project, Ray's and users', held to what its trials are."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ray.tune.experiment import Trial
from ray.tune.result import DEFAULT_METRIC
from ray.tune.schedulers import TrialScheduler

from ablate.calls import said
from ablate.errors import InputError
from ablate.runners.search.stopping import SCORE, TIME

if TYPE_CHECKING:
    from ray.tune.execution.tune_controller import TuneController

RULE: dict[str, Any] = {"time_attr": TIME, "metric": SCORE, "mode": "max"}
"""By what Ray's schedulers judge."""


class OfEpochs(TrialScheduler):
    """Tells a scheduler of epochs alone, and hears it up to a trial's last: then only its test images are left to do.

    Ray demands a scheduler's metric in each report, and not each of a trial's is of an epoch. Where the last one is
    not, a trial that ended is said to have ended with its last epoch.
    """

    metric = DEFAULT_METRIC  # what Ray demands in no report

    def __init__(self, scheduler: TrialScheduler, last: int, called: str = "") -> None:
        """`called`: the name of one that others wrote, whose failures are said in one line."""
        super().__init__()
        self.scheduler = scheduler
        self.failed: InputError | None = None
        """What it raised; Ray raises a whole traceback in its place."""
        self._called = called
        self._last_epoch = last
        self._reports: dict[str, dict[str, Any]] = {}
        scheduler.set_search_properties(SCORE, "max")  # of one that has none yet

    @property
    def supports_buffered_results(self) -> bool:
        return bool(self.scheduler.supports_buffered_results)

    def observe(self, key: str, scores: Iterable[float]) -> None:
        """What a trial of an earlier run scored after each of its epochs, for a scheduler that can be told."""
        if tell := getattr(self.scheduler, "observe", None):
            tell(key, scores)

    def observe_stopped(self, key: str, scores: Iterable[float], *, goes_on: bool) -> None:
        if tell := getattr(self.scheduler, "observe_stopped", None):
            tell(key, scores, goes_on=goes_on)

    def on_trial_result(self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]) -> str:
        if TIME not in result:
            return TrialScheduler.CONTINUE
        self._reports[trial.trial_id] = result
        with self._explained():
            decision: str = self.scheduler.on_trial_result(tune_controller, trial, result)
        return TrialScheduler.CONTINUE if result[TIME] >= self._last_epoch else decision

    def on_trial_complete(self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]) -> None:
        last = self._reports.pop(trial.trial_id, result)
        with self._explained():
            self.scheduler.on_trial_complete(tune_controller, trial, result if TIME in result else last)

    def on_trial_add(self, tune_controller: TuneController, trial: Trial) -> None:
        with self._explained():
            self.scheduler.on_trial_add(tune_controller, trial)

    def on_trial_error(self, tune_controller: TuneController, trial: Trial) -> None:
        self.scheduler.on_trial_error(tune_controller, trial)

    def on_trial_remove(self, tune_controller: TuneController, trial: Trial) -> None:
        self.scheduler.on_trial_remove(tune_controller, trial)

    def choose_trial_to_run(self, tune_controller: TuneController) -> Trial | None:
        with self._explained():
            return self.scheduler.choose_trial_to_run(tune_controller)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if self._called:
                self.failed = InputError(f"scheduler {self._called} fails: {said(error)}")
                raise self.failed from error
            raise

    def debug_string(self) -> str:
        return str(self.scheduler.debug_string())


@contextlib.contextmanager
def failing_in_a_line(scheduler: TrialScheduler) -> Iterator[None]:
    """Where others' scheduler ends a run by what it raises, that is said in a line, without Ray's traceback of it."""
    try:
        yield
    except Exception:
        failed = getattr(scheduler, "failed", None)
        if failed is not None:
            raise failed from None
        raise
