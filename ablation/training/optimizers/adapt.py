"""An optimiser that others wrote, as it is: `torch.optim:NAdam`, or a class or function of yours."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ablate.calls import call, check_settings, parameters, takes_any
from ablate.errors import InputError
from ablate.training.optimizers.base import Groups, without_decay_of_norms

if TYPE_CHECKING:
    import torch

RESERVED = ("decay_norms",)
"""Settings that are ours and not the optimiser's: false leaves biases and norms without weight decay."""


def data_names(target: Callable[..., Any]) -> tuple[str, ...]:
    """The arguments of `target` that are no settings: its first, the parameters, and the learning rate."""
    return (next(iter(parameters(target) or ("params",))), "lr")


class ForeignOptimizer(NamedTuple):
    """A class or function that makes an optimiser, with its settings."""

    target: Callable[..., Any]
    settings: Mapping[str, Any]
    what: str
    decay_norms: bool

    def build(self, groups: Groups, lr: float, device: torch.device) -> torch.optim.Optimizer:
        """As `Optimizer.build`. Raises `InputError` where no optimiser of torch's comes of it, or one that wants to
        evaluate the loss by itself."""
        import torch

        of_parameters, of_rate = data_names(self.target)
        filled = {of_parameters: groups if self.decay_norms else without_decay_of_norms(groups), of_rate: lr}
        open_ended = filled if takes_any(self.target) else {}
        made = call(self.target, {**open_ended, **self.settings}, filled, self.what)
        if not isinstance(made, torch.optim.Optimizer):
            raise InputError(f"{self.what} made a {type(made).__name__}: expected a torch.optim.Optimizer")
        closure = inspect.signature(type(made).step).parameters.get("closure")
        if closure is not None and closure.default is closure.empty:
            raise InputError(
                f"{self.what} evaluates the loss several times a step, which training does not: choose another"
            )
        return made


def adapt(target: Callable[..., Any], settings: Mapping[str, Any], what: str) -> ForeignOptimizer:
    """What `target` is as an optimiser; `what` names it in errors.

    Raises `InputError` for a setting it does not take.
    """
    decay_norms = settings.get("decay_norms", True)
    own = {name: value for name, value in settings.items() if name not in RESERVED}
    if not isinstance(decay_norms, bool):
        raise InputError(f"{what}: decay_norms {decay_norms!r}: expected true or false")
    check_settings(target, own, what, data_names(target))
    return ForeignOptimizer(target, own, what, decay_norms)
