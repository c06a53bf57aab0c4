"""Stochastic gradient descent, and RMSprop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from ablate.settings import Number
from ablate.training.optimizers.base import Groups, Optimizer, uncompiled

if TYPE_CHECKING:
    import torch


class SGD(Optimizer):
    """Gradient descent with momentum, Nesterov's or the plain. nnU-Net's: momentum 0.99, Nesterov's, decay 3e-5."""

    name: Literal["sgd"] = "sgd"
    momentum: Number = Field(0.9, ge=0, lt=1)
    nesterov: bool = False
    weight_decay: Number = Field(0.0, ge=0, le=10)

    @model_validator(mode="after")
    def _nesterov_is_a_momentum(self) -> SGD:
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov needs a momentum above 0")
        return self

    def build(self, groups: Groups, lr: float, device: torch.device) -> torch.optim.Optimizer:
        import torch

        return uncompiled(torch.optim.SGD)(
            self.decayed(groups), lr=lr, momentum=self.momentum, nesterov=self.nesterov, weight_decay=self.weight_decay
        )


class RMSprop(Optimizer):
    """Gradients over the root of their mean square (Tieleman & Hinton 2012); `alpha`: how slowly that mean forgets."""

    name: Literal["rmsprop"] = "rmsprop"
    alpha: Number = Field(0.99, ge=0, lt=1)
    momentum: Number = Field(0.0, ge=0, lt=1)
    eps: Number = Field(1e-8, ge=1e-20, le=1)
    centered: bool = False
    weight_decay: Number = Field(0.0, ge=0, le=10)

    def build(self, groups: Groups, lr: float, device: torch.device) -> torch.optim.Optimizer:
        import torch

        return uncompiled(torch.optim.RMSprop)(
            self.decayed(groups), lr=lr, alpha=self.alpha, momentum=self.momentum, eps=self.eps,
            centered=self.centered, weight_decay=self.weight_decay,
        )  # fmt: skip
