"""A scheduler that is any callable: one of Ray Tune's trial schedulers, or a function that gives one."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from ablate.calls import call, check_settings
from ablate.errors import InputError
from ablate.runners.search.schedulers.base import Costs

if TYPE_CHECKING:
    from ray.tune.schedulers import TrialScheduler

CONSTANTS: dict[str, Any] = {"metric": "val_dice", "mode": "max"}
"""What is judged by, unless it is set: any column of a trial's epochs."""
_TIME = ("time_attr",)
_EPOCHS = ("max_t", "max_epochs", "total_epochs")
_COSTS = ("costs",)


def data_names(target: Callable[..., Any]) -> tuple[str, ...]:
    """Arguments that are no settings: time is in epochs, and ends with the trials' own."""
    return (*_TIME, *_EPOCHS, *_COSTS)


class CalledScheduler(NamedTuple):
    """A scheduler as its class or function gives it; see `ablate.runners.search.schedulers.base.Scheduler`."""

    target: Callable[..., Any]
    settings: dict[str, Any]
    called: str
    pauses: bool

    def build(self, costs: Costs, max_epochs: int) -> TrialScheduler:
        known = CONSTANTS | dict.fromkeys(_TIME, "epoch") | dict.fromkeys(_EPOCHS, max_epochs)
        found: TrialScheduler = call(self.target, self.settings, known | dict.fromkeys(_COSTS, costs), self.called)
        return found


def adapt(target: Callable[..., Any], settings: dict[str, Any], what: str) -> CalledScheduler:
    """`target` called with `settings`. Raises `InputError` for a class that is no scheduler, or changes what trains."""
    from ray.tune import schedulers

    check_settings(target, settings, what, data_names(target))
    if not inspect.isclass(target):
        return CalledScheduler(target, settings, what, pauses=False)
    if not issubclass(target, schedulers.TrialScheduler):
        raise InputError(
            f"{what} is a class, and no ray.tune.schedulers.TrialScheduler: expected one, or a function giving one"
        )
    changing = (
        schedulers.PopulationBasedTraining,
        schedulers.PopulationBasedTrainingReplay,
        schedulers.ResourceChangingScheduler,
    )
    if issubclass(target, changing):
        raise InputError(f"{what} changes a trial while it trains, and here a trial is its configuration")
    pausing = (schedulers.HyperBandScheduler, schedulers.MedianStoppingRule)
    return CalledScheduler(target, settings, what, issubclass(target, pausing))
