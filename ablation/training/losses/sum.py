"""Several losses at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from ablate.kinds import KINDS, make, of_kind
from ablate.settings import Number
from ablate.training.losses.base import Loss, LossFunction, build_loss

if TYPE_CHECKING:
    from torch import Tensor

_Weight = Annotated[Number, Field(gt=0, le=1e6)]


class Sum(Loss):
    """The weighted sum of `losses`, each given as any loss is; without `weights` each counts once.

    loss: {name: sum, losses: [cross_entropy, {name: "my_losses:edges", width: 3}], weights: [1, 0.5]}
    """

    name: Literal["sum"] = "sum"
    losses: tuple[of_kind("loss"), ...] = Field(min_length=1, max_length=16)  # type: ignore[valid-type]
    weights: tuple[_Weight, ...] | None = None

    @model_validator(mode="after")
    def _one_weight_each(self) -> Sum:
        if self.weights is not None and len(self.weights) != len(self.losses):
            raise ValueError(f"{len(self.weights)} weights for {len(self.losses)} losses: give each one")
        return self

    def build(self, classes: int) -> LossFunction:
        return self._build(classes, ignoring=False)

    def build_ignoring(self, classes: int) -> LossFunction:
        return self._build(classes, ignoring=True)

    def _build(self, classes: int, ignoring: bool) -> LossFunction:
        parts = [build_loss(make(KINDS["loss"], part), classes, ignoring) for part in self.losses]
        weights = self.weights or (1.0,) * len(parts)

        def loss(logits: Tensor, masks: Tensor) -> Tensor:
            first, *others = (weight * part(logits, masks) for weight, part in zip(weights, parts, strict=True))
            for other in others:
                first = first + other
            return first

        return loss
