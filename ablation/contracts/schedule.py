"""What a schedule must do: `build(optimizer, steps)` gives a scheduler of torch's, or None where nothing changes."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from ablate.contracts.contract import Contract, Doubt, reason
from ablate.kinds import KINDS, make
from ablate.part import Part
from ablate.training.schedules.base import Steps

_RATE = 1e-2
_EPOCHS, _STEPS = 10, 4


class TriedSchedule:
    def __init__(self, part: Part) -> None:
        self.schedule = make(KINDS["schedule"], part)

    def begun(self) -> tuple[torch.optim.Optimizer, Any]:
        """An optimizer, with a scheduler of ten epochs of four steps."""
        optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(2))], lr=_RATE)
        return optimizer, self.schedule.build(optimizer, Steps(_EPOCHS, _STEPS))

    def rates(self) -> list[float]:
        """The learning rate of each step of a training."""
        optimizer, scheduler = self.begun()
        found = []
        for epoch in range(_EPOCHS):
            for _ in range(_STEPS):
                found.append(float(optimizer.param_groups[0]["lr"]))
                optimizer.step()
                if scheduler is not None and self.schedule.every == "step":
                    _step(scheduler, epoch)
            if scheduler is not None and self.schedule.every == "epoch":
                _step(scheduler, epoch)
        return found


def _step(scheduler: Any, epoch: int) -> None:
    """One that looks at the validation loss sees it fall, and then stand."""
    if isinstance(scheduler, ReduceLROnPlateau):
        scheduler.step(max(1.0 - 0.3 * epoch, 0.4))
    else:
        scheduler.step()


def it_builds(tried: TriedSchedule) -> str:
    _, scheduler = tried.begun()
    if not isinstance(scheduler, LRScheduler | None):
        return f"it makes a {type(scheduler).__name__}: expected a torch.optim.lr_scheduler.LRScheduler, or None"
    if tried.schedule.every not in ("epoch", "step"):
        return f"every is {tried.schedule.every!r}: expected 'epoch' or 'step'"
    return ""


def the_learning_rate_is_a_positive_number(tried: TriedSchedule) -> str:
    rates = tried.rates()
    for step, rate in enumerate(rates):
        where = f"in epoch {step // _STEPS + 1} of {_EPOCHS}, step {step % _STEPS + 1} of {_STEPS},"
        if not math.isfinite(rate) or rate < 0:
            return f"{where} the learning rate is {rate:g}: expected a positive number"
    if not any(rates):
        return "the learning rate is 0 in every step: nothing is learned"
    still = sum(rate == 0 for rate in rates)
    return Doubt(f"the learning rate is 0 in {still} of {len(rates)} steps, which learn nothing" if still else "")


def it_lasts_as_long_as_the_training(tried: TriedSchedule) -> str:
    try:
        tried.rates()
    except Exception as error:  # of torch's own, where they are asked for more steps than they have
        return (
            f"{reason(error)}; of {_EPOCHS} epochs of {_STEPS} steps: take total_steps, or epochs and steps_per_epoch"
        )
    return ""


def a_replay_gives_the_same(tried: TriedSchedule) -> str:
    if tried.rates() == tried.rates():
        return ""
    return "the same steps give other learning rates: a schedule draws nothing, and keeps nothing between trainings"


CONTRACT = Contract(
    TriedSchedule,
    first=(it_builds, it_lasts_as_long_as_the_training),
    then=(the_learning_rate_is_a_positive_number, a_replay_gives_the_same),
)
