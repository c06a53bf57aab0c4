"""Adam and AdamW."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from ablate.settings import Number
from ablate.training.optimizers.base import Groups, Optimizer, uncompiled

if TYPE_CHECKING:
    import torch

_Beta = Annotated[Number, Field(ge=0, lt=1)]


class _OfMoments(Optimizer):
    betas: tuple[_Beta, _Beta] = (0.9, 0.999)
    """How slowly the means of gradients and of their squares forget."""
    eps: Number = Field(1e-8, ge=1e-20, le=1)
    amsgrad: bool = False


class Adam(_OfMoments):
    """Adam (Kingma & Ba 2015), the paper's. `weight_decay` is added to the gradient, as L2 regularisation is."""

    name: Literal["adam"] = "adam"
    weight_decay: Number = Field(0.0, ge=0, le=10)

    def build(self, groups: Groups, lr: float, device: torch.device) -> torch.optim.Optimizer:
        import torch

        return uncompiled(torch.optim.Adam)(
            self.decayed(groups), lr=lr, betas=self.betas, eps=self.eps, weight_decay=self.weight_decay,
            amsgrad=self.amsgrad, fused=device.type in ("cpu", "cuda"),
        )  # fmt: skip


class AdamW(_OfMoments):
    """Adam whose decay shrinks the weights themselves, by learning rate × `weight_decay` (Loshchilov & Hutter 2019)."""

    name: Literal["adamw"] = "adamw"
    weight_decay: Number = Field(0.01, ge=0, le=10)

    def build(self, groups: Groups, lr: float, device: torch.device) -> torch.optim.Optimizer:
        import torch

        return uncompiled(torch.optim.AdamW)(
            self.decayed(groups), lr=lr, betas=self.betas, eps=self.eps, weight_decay=self.weight_decay,
            amsgrad=self.amsgrad, fused=device.type in ("cpu", "cuda"),
        )  # fmt: skip
