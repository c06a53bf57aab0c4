"""What an optimizer must do: `build(groups, lr, device)` gives one of torch's."""

from __future__ import annotations

import json
from typing import NamedTuple

import torch
from torch import Tensor

from ablate.contracts.contract import Contract
from ablate.errors import TrialError
from ablate.kinds import KINDS, make
from ablate.part import Part
from ablate.training.optimizer_state import read_state, write_state

_RATE = 1e-2
_STEPS = 20
_BEFORE, _AFTER = 3, 3
"""Steps before a state is saved, and after."""


class _Descent(NamedTuple):
    """An optimizer on a quadratic, of a matrix and a vector."""

    parameters: list[torch.nn.Parameter]
    optimizer: torch.optim.Optimizer

    def distance(self) -> Tensor:
        return torch.stack([(one - 1).square().sum() for one in self.parameters]).sum()

    def go(self, steps: int) -> None:
        for _ in range(steps):
            self.optimizer.zero_grad(set_to_none=True)
            self.distance().backward()
            self.optimizer.step()


class TriedOptimizer:
    def __init__(self, part: Part) -> None:
        self.optimizer = make(KINDS["optimizer"], part)

    def begun(self) -> _Descent:
        parameters = [
            torch.nn.Parameter(torch.linspace(2, 4, 12).reshape(3, 4)),
            torch.nn.Parameter(torch.full((4,), 3.0)),
        ]
        made = self.optimizer.build([{"params": parameters}], _RATE, torch.device("cpu"))
        return _Descent(parameters, made)


def it_builds(tried: TriedOptimizer) -> str:
    made = tried.begun().optimizer
    if isinstance(made, torch.optim.Optimizer):
        return ""
    return f"it makes a {type(made).__name__}: expected a torch.optim.Optimizer"


def it_starts_at_the_learning_rate(tried: TriedOptimizer) -> str:
    rates = {float(group["lr"]) for group in tried.begun().optimizer.param_groups}
    if rates == {_RATE}:
        return ""
    return f"its learning rate is {min(rates):g} where {_RATE:g} was asked for: use the lr that build is given"


def it_goes_down_a_quadratic(tried: TriedOptimizer) -> str:
    descent = tried.begun()
    before = descent.distance().item()
    descent.go(_STEPS)
    after = descent.distance().item()
    if after < before:
        return ""
    return f"{_STEPS} steps took a quadratic from {before:g} to {after:g}: expected less; mind the sign of its update"


def it_moves_every_parameter(tried: TriedOptimizer) -> str:
    descent = tried.begun()
    before = [one.detach().clone() for one in descent.parameters]
    descent.go(1)
    still = [tuple(one.shape) for one, was in zip(descent.parameters, before, strict=True) if torch.equal(one, was)]
    return f"a step leaves a parameter of shape {still[0]} where it was: it must take every group" if still else ""


def the_same_steps_give_the_same_weights(tried: TriedOptimizer) -> str:
    one, other = tried.begun(), tried.begun()
    one.go(_BEFORE)
    other.go(_BEFORE)
    if all(map(torch.equal, one.parameters, other.parameters)):
        return ""
    return "two runs of the same steps end at different weights: an optimizer draws nothing, and shares no state"


def its_state_survives_saving(tried: TriedOptimizer) -> str:
    whole, first = tried.begun(), tried.begun()
    whole.go(_BEFORE + _AFTER)
    first.go(_BEFORE)
    try:
        written, tensors = write_state(first.optimizer)
    except TrialError as error:
        return f"{error}: keep tensors and numbers in self.state"
    written, tensors = json.loads(json.dumps(written)), {name: one.clone() for name, one in tensors.items()}
    resumed = tried.begun()
    with torch.no_grad():
        for to, of in zip(resumed.parameters, first.parameters, strict=True):
            to.copy_(of)
    read_state(resumed.optimizer, written, tensors)
    resumed.go(_AFTER)
    if all(map(torch.equal, whole.parameters, resumed.parameters)):
        return ""
    return "going on from its saved state is not going on: what it remembers must be in self.state, not in attributes"


CONTRACT = Contract(
    TriedOptimizer,
    first=(it_builds,),
    then=(
        it_starts_at_the_learning_rate,
        it_goes_down_a_quadratic,
        it_moves_every_parameter,
        the_same_steps_give_the_same_weights,
    ),
    last=(its_state_survives_saving,),
)
