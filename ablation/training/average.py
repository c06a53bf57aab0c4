"""The exponential moving average of a network's weights."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class Average:
    """The average of `model` over its steps, buffers included: after step t it moves by 1 − d towards the model,
    d = min(`decay`, (1 + t) / (10 + t)), so that a short training's is not that of its start.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).requires_grad_(False)
        self._decay = decay
        self.steps = 0

    @torch.no_grad()
    def follow(self, model: nn.Module) -> None:
        self.steps += 1
        decay = min(self._decay, (1 + self.steps) / (10 + self.steps))
        for mean, now in zip(_tensors(self.model), _tensors(model), strict=True):
            if mean.is_floating_point():
                mean.lerp_(now, 1 - decay)
            else:  # a count
                mean.copy_(now)


def _tensors(model: nn.Module) -> list[Tensor]:
    """Each once, also where two layers share one."""
    return [*model.parameters(), *model.buffers()]
