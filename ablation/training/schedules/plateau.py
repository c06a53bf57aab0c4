"""The schedule that looks at the validation loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ablate.settings import Number, Whole
from ablate.training.schedules.base import Every, Schedule, Steps

if TYPE_CHECKING:
    import torch
    from torch.optim.lr_scheduler import LRScheduler


class Plateau(Schedule):
    """Times `factor` after more than `patience` epochs in which the validation loss fell by less than `threshold` of
    itself, down to `min_factor` times the learning rate."""

    name: Literal["plateau"] = "plateau"
    factor: Number = Field(0.1, gt=0, lt=1)
    patience: Whole = Field(10, ge=0, le=1_000_000)
    threshold: Number = Field(1e-4, ge=0, lt=1)
    min_factor: Number = Field(0.0, ge=0, le=1)

    @property
    def every(self) -> Every:
        return "epoch"

    def build(self, optimizer: torch.optim.Optimizer, steps: Steps) -> LRScheduler | None:
        from torch.optim.lr_scheduler import ReduceLROnPlateau

        least = [self.min_factor * group["lr"] for group in optimizer.param_groups]
        return ReduceLROnPlateau(
            optimizer, factor=self.factor, patience=self.patience, threshold=self.threshold, min_lr=least
        )
