"""What a search asks next, and which trials stop early."""

import optuna
from ray.tune.schedulers import FIFOScheduler

import ablate


def anything(seed):
    """Whatever comes, evenly spread."""
    return optuna.samplers.QMCSampler(seed=seed, scramble=True)


class OneEpoch(ablate.Scheduler):
    """Stops everything after `epochs`."""

    epochs: int = 1

    def build(self, costs, max_epochs):
        return StopsAfter(self.epochs)


class StopsAfter(FIFOScheduler):
    def __init__(self, epochs):
        super().__init__()
        self.epochs = epochs

    def on_trial_result(self, tune_controller, trial, result):
        return self.STOP if result["epoch"] >= self.epochs else self.CONTINUE
