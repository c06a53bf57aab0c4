"""Focal loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, field_validator

from ablate.settings import Number
from ablate.training.losses.base import Loss, LossFunction
from ablate.training.losses.ignored import decided_on, mean_of_counted
from ablate.training.losses.on_monai import of_monai

if TYPE_CHECKING:
    from torch import Tensor


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
        return self._build(classes, "mean")

    def build_ignoring(self, classes: int) -> LossFunction:
        of_pixels = self._build(classes, "none")

        def of_the_rest(logits: Tensor, masks: Tensor) -> Tensor:
            sure, decided, counted = decided_on(logits, masks)
            return mean_of_counted(of_pixels(sure, decided).mean(dim=1), counted)

        return of_the_rest

    def _build(self, classes: int, reduction: str) -> LossFunction:
        """The mean, or with `none` what each pixel adds to it, of each class (N, C, H, W)."""
        # Of several without the background, MONAI leaves a scalar alpha out, which has nothing to set apart there.
        alpha = self.alpha if classes == 1 or self.include_background else None
        return of_monai(
            "FocalLoss", classes, self.include_background, gamma=self.gamma, alpha=alpha, reduction=reduction
        )
