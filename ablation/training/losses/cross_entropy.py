"""Cross-entropy, the paper's loss."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from ablate.errors import InputError
from ablate.settings import Number
from ablate.training.losses.base import Loss, LossFunction
from ablate.training.losses.ignored import decided_on, mean_of_counted

if TYPE_CHECKING:
    from torch import Tensor

_Weight = Annotated[Number, Field(ge=0, le=1e6)]


class CrossEntropy(Loss):
    """The mean over pixels of cross-entropy: binary of one class, else of the softmax over classes.

    `class_weights`, one for each class and the background's first, multiply what a pixel of that class adds; the mean
    is over all pixels and not, as in `torch.nn.CrossEntropyLoss`, over the weights, so it is one over images too.
    `label_smoothing` spreads that share of a pixel's label evenly over the classes (Szegedy et al. 2016).
    """

    name: Literal["cross_entropy"] = "cross_entropy"
    class_weights: tuple[_Weight, ...] | None = Field(None, min_length=2, max_length=256)
    label_smoothing: Number = Field(0.0, ge=0, lt=1)

    def build(self, classes: int) -> LossFunction:
        return self._build(classes, "mean")

    def build_ignoring(self, classes: int) -> LossFunction:
        of_pixels = self._build(classes, "none")

        def of_the_rest(logits: Tensor, masks: Tensor) -> Tensor:
            sure, decided, counted = decided_on(logits, masks)
            return mean_of_counted(of_pixels(sure, decided), counted)

        return of_the_rest

    def _build(self, classes: int, reduction: str) -> LossFunction:
        """The mean, or with `none` what each pixel adds to it (N, H, W)."""
        weights, expected = self.class_weights, max(classes, 2)
        if weights is not None and len(weights) != expected:
            raise InputError(f"loss cross_entropy: class_weights has {len(weights)} numbers: expected {expected}")
        of = _binary if classes == 1 else _of_several
        return partial(of, weights=weights, smoothing=self.label_smoothing, reduction=reduction)


def _binary(
    logits: Tensor, masks: Tensor, weights: tuple[float, ...] | None, smoothing: float, reduction: str
) -> Tensor:
    from torch.nn import functional

    of_foreground, labels = logits[:, 0], masks.to(logits.dtype)
    if smoothing:
        labels = labels * (1 - smoothing) + smoothing / 2
    if weights is None:
        return functional.binary_cross_entropy_with_logits(of_foreground, labels, reduction=reduction)
    foreground = labels * functional.logsigmoid(of_foreground)
    background = (1 - labels) * functional.logsigmoid(-of_foreground)
    found = weights[0] * background + weights[1] * foreground
    return -(found.mean() if reduction == "mean" else found)


def _of_several(
    logits: Tensor, masks: Tensor, weights: tuple[float, ...] | None, smoothing: float, reduction: str
) -> Tensor:
    from torch.nn import functional

    if weights is None:
        return functional.cross_entropy(logits, masks, label_smoothing=smoothing, reduction=reduction)
    of_class = logits.new_tensor(weights)
    found = functional.cross_entropy(logits, masks, of_class, label_smoothing=smoothing, reduction="none")
    return found.mean() if reduction == "mean" else found
