"""Focal loss."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from ablate.settings import Number
from ablate.training.losses.base import Loss, LossFunction
from ablate.training.losses.on_monai import of_monai


class Focal(Loss):
    """Cross-entropy in which a pixel counts less the surer it is: times (1 − p)^`gamma` (Lin et al. 2017).

    `alpha` weighs the foreground, and 1 − `alpha` the background; without it both count the same. A `gamma` between 0
    and 1 is refused: its gradient has no bound where a pixel is sure.
    """

    name: Literal["focal"] = "focal"
    gamma: Number = Field(2.0, ge=0, le=20)
    alpha: Number | None = Field(None, ge=0, le=1)
    include_background: bool = True

    @field_validator("gamma")
    @classmethod
    def _has_a_gradient(cls, value: float) -> float:
        if 0 < value < 1:
            raise ValueError(f"gamma {value:g}: expected 0, or at least 1")
        return value

    def build(self, classes: int) -> LossFunction:
        # Of several without the background, MONAI leaves a scalar alpha out, which has nothing to set apart there.
        alpha = self.alpha if classes == 1 or self.include_background else None
        return of_monai("FocalLoss", classes, self.include_background, gamma=self.gamma, alpha=alpha)
