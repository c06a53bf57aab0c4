"""What every optimiser is."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from ablate.settings import Config

if TYPE_CHECKING:
    import torch

Groups = list[dict[str, Any]]
"""Parameters as torch's optimisers take them: each group a dict of `params` and of settings that are its own."""


class Optimizer(Config):
    """Base of the optimisers. The learning rate is none of their settings: it is `protocol.learning_rate`."""

    decay_norms: bool = True
    """Whether `weight_decay` is also of parameters of one dimension: biases, and the scales and shifts of norms."""

    def build(self, groups: Groups, lr: float, device: torch.device) -> torch.optim.Optimizer:
        """The optimiser of parameters that are on `device`."""
        raise NotImplementedError

    def decayed(self, groups: Groups) -> Groups:
        """The groups, and unless `decay_norms`, those of one dimension apart and without decay."""
        return groups if self.decay_norms else without_decay_of_norms(groups)


def without_decay_of_norms(groups: Groups) -> Groups:
    apart: Groups = []
    for group in groups:
        parameters = list(group["params"])
        apart.append({**group, "params": [p for p in parameters if p.ndim > 1]})
        apart.append({**group, "params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0})
    return [group for group in apart if group["params"]]


@cache
def uncompiled(optimizer: type[torch.optim.Optimizer]) -> Callable[..., torch.optim.Optimizer]:
    """One of torch's optimisers without what tells `torch.compile` to leave its methods alone; to the bit as it is.

    That alone imports `torch._dynamo` and sympy: as long as all the rest of torch, in each process that trains.
    """
    import torch

    wrapped = [name for name in dir(optimizer) if hasattr(getattr(optimizer, name), "__wrapped__")]
    bare = {name: inspect.unwrap(getattr(optimizer, name)) for name in wrapped}
    step = torch.no_grad()(bare["step"])
    return type(optimizer.__name__, (optimizer,), {**bare, "step": step, "__module__": optimizer.__module__})
