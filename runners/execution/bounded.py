"""That nothing trains once a budget is spent, whatever the scheduler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from ablate.runners.execution.budget import Budget
from ablate.runners.search.of_epochs import TIME

if TYPE_CHECKING:
    from ray.tune.execution.tune_controller import TuneController


class Bounded(TrialScheduler):
    """A scheduler within a budget: once that is over, each trial stops at its next epoch, and what waits at once.

    What is stopped so was not judged, and goes on in a run with more (`Budget.cut`). A trial that has had its last
    epoch comes to its end.
    """

    def __init__(self, scheduler: TrialScheduler, budget: Budget, max_epochs: int) -> None:
        """`max_epochs`: of a trial that does not say its own."""
        super().__init__()
        self.scheduler, self.budget = scheduler, budget
        self._max_epochs = max_epochs

    @property
    def metric(self) -> Any:
        return self.scheduler.metric

    @property
    def failed(self) -> Any:
        return getattr(self.scheduler, "failed", None)

    @property
    def supports_buffered_results(self) -> bool:
        return bool(self.scheduler.supports_buffered_results)

    def on_trial_result(self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]) -> str:
        key, epoch = trial.config["key"], result.get(TIME, 0)
        restores = result.get("restored", False) or epoch < self.budget.had(key)
        if epoch:  # the scheduler may go by what is left
            self.budget.trained(key, epoch)
        decision: str = self.scheduler.on_trial_result(tune_controller, trial, result)
        if not epoch:
            return decision
        if not self.budget.is_over or decision == TrialScheduler.STOP or epoch >= self._last(trial) or restores:
            return decision
        self.budget.cut.add(key)
        return TrialScheduler.STOP

    def _last(self, trial: Trial) -> int:
        job = trial.config.get("job")
        return job.planned.config.protocol.epochs if job else self._max_epochs

    def choose_trial_to_run(self, tune_controller: TuneController) -> Trial | None:
        if not self.budget.is_over:
            return self.scheduler.choose_trial_to_run(tune_controller)
        for trial in tune_controller.get_trials():
            if trial.status in (Trial.PENDING, Trial.PAUSED):
                self.budget.cut.add(trial.config["key"])
                if not trial.last_result:  # Ray prints that such a one ended, whatever its verbosity
                    trial.run_metadata.last_result = {TIME: 0}
                tune_controller.stop_trial(trial)
        return None

    def on_trial_add(self, tune_controller: TuneController, trial: Trial) -> None:
        self.scheduler.on_trial_add(tune_controller, trial)

    def on_trial_complete(self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]) -> None:
        self.budget.ended(trial.config["key"])
        self.scheduler.on_trial_complete(tune_controller, trial, result)

    def on_trial_error(self, tune_controller: TuneController, trial: Trial) -> None:
        self.budget.ended(trial.config["key"])
        self.scheduler.on_trial_error(tune_controller, trial)

    def on_trial_remove(self, tune_controller: TuneController, trial: Trial) -> None:
        self.budget.ended(trial.config["key"])
        self.scheduler.on_trial_remove(tune_controller, trial)

    def debug_string(self) -> str:
        return str(self.scheduler.debug_string())
