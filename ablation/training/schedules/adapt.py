"""A schedule that others wrote, as it is: `torch.optim.lr_scheduler:ExponentialLR`, or a class or function of yours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ablate.calls import call, check_settings, parameters, takes_any
from ablate.errors import InputError
from ablate.training.schedules.base import Every, Steps

if TYPE_CHECKING:
    import torch
    from torch.optim.lr_scheduler import LRScheduler

RESERVED = ("every",)
"""A setting that is ours and not the schedule's: whether it moves with each `epoch` or each `step`."""


def data_names(target: Callable[..., Any]) -> tuple[str, ...]:
    """The arguments of `target` that are no settings: its first, the optimiser, and where to begin.

    `total_steps`, `epochs`, `steps_per_epoch`, `T_max` and `max_lr` are filled in where they are not set.
    """
    return (next(iter(parameters(target) or ("optimizer",))), "last_epoch")


class ForeignSchedule(NamedTuple):
    """A class or function that makes a scheduler of an optimiser, with its settings."""

    target: Callable[..., Any]
    settings: Mapping[str, Any]
    what: str
    every: Every

    def build(self, optimizer: torch.optim.Optimizer, steps: Steps) -> LRScheduler | None:
        """As `Schedule.build`. Raises `InputError` where no scheduler of torch's comes of it."""
        from torch.optim.lr_scheduler import LRScheduler

        rates, total = [group["lr"] for group in optimizer.param_groups], steps.each(self.every)
        of_optimizer = data_names(self.target)[0]
        filled = {
            of_optimizer: optimizer, "total_steps": total, "T_max": total, "epochs": steps.epochs,
            "steps_per_epoch": steps.steps_per_epoch, "max_lr": rates[0] if len(rates) == 1 else rates,
        }  # fmt: skip
        open_ended = {of_optimizer: optimizer} if takes_any(self.target) else {}
        made = call(self.target, {**open_ended, **self.settings}, filled, self.what)
        if not isinstance(made, LRScheduler):
            raise InputError(
                f"{self.what} made a {type(made).__name__}: expected a torch.optim.lr_scheduler.LRScheduler"
            )
        return made


def adapt(target: Callable[..., Any], settings: Mapping[str, Any], what: str) -> ForeignSchedule:
    """What `target` is as a schedule; `what` names it in errors. Raises `InputError` for a setting it does not take.

    It moves with each step where it asks for `total_steps`, and with each epoch otherwise, unless `every` says.
    """
    every = settings.get("every", "step" if "total_steps" in parameters(target) else "epoch")
    if every not in ("epoch", "step"):
        raise InputError(f"{what}: every {every!r}: expected 'epoch' or 'step'")
    own = {name: value for name, value in settings.items() if name not in RESERVED}
    check_settings(target, own, what, data_names(target))
    return ForeignSchedule(target, own, what, every)
