"""Losses of overlap: Dice and its relatives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from ablate.settings import Number
from ablate.training.losses.base import Loss, LossFunction
from ablate.training.losses.cross_entropy import CrossEntropy
from ablate.training.losses.on_monai import of_monai

if TYPE_CHECKING:
    from torch import Tensor

_Smooth = Annotated[Number, Field(ge=1e-12, le=1e3)]
_Weight = Annotated[Number, Field(ge=0, le=1e3)]


class Dice(Loss):
    """One minus the soft Dice coefficient (Milletari et al. 2016), of each image and class, then the mean.

    `batch`: of all images of a batch as one, which steadies it where many have no foreground, but is no mean over
    images. `squared`: probabilities squared in the denominator. `jaccard`: the Jaccard index instead. `smooth` is
    added to both parts of the fraction, and decides what an empty mask costs.
    """

    name: Literal["dice"] = "dice"
    include_background: bool = True
    batch: bool = False
    squared: bool = False
    jaccard: bool = False
    smooth: _Smooth = 1e-5

    def build(self, classes: int) -> LossFunction:
        return of_monai(
            "DiceLoss", classes, self.include_background, batch=self.batch, squared_pred=self.squared,
            jaccard=self.jaccard, smooth_nr=self.smooth, smooth_dr=self.smooth,
        )  # fmt: skip


class DiceCE(Loss):
    """The weighted sum of soft Dice and cross-entropy (Isensee et al. 2021, nnU-Net)."""

    name: Literal["dice_ce"] = "dice_ce"
    include_background: bool = True
    batch: bool = False
    squared: bool = False
    smooth: _Smooth = 1e-5
    dice_weight: _Weight = 1.0
    ce_weight: _Weight = 1.0

    def build(self, classes: int) -> LossFunction:
        return of_monai(
            "DiceCELoss", classes, self.include_background, batch=self.batch, squared_pred=self.squared,
            smooth_nr=self.smooth, smooth_dr=self.smooth, lambda_dice=self.dice_weight, lambda_ce=self.ce_weight,
        )  # fmt: skip

    def build_ignoring(self, classes: int) -> LossFunction:
        own = {name: getattr(self, name) for name in ("include_background", "batch", "squared", "smooth")}
        dice, cross_entropy = (loss.build_ignoring(classes) for loss in (Dice(**own), CrossEntropy()))
        return lambda logits, masks: (
            self.dice_weight * dice(logits, masks) + self.ce_weight * cross_entropy(logits, masks)
        )


class Tversky(Loss):
    """One minus the Tversky index: Dice with a weight for false positives and one for false negatives.

    At 1/2 both are Dice. Salehi et al. (2017), whose best are the defaults, weigh what is missed more.
    """

    name: Literal["tversky"] = "tversky"
    false_positives: _Weight = 0.3
    false_negatives: _Weight = 0.7
    include_background: bool = True
    batch: bool = False
    smooth: _Smooth = 1e-5

    def build(self, classes: int) -> LossFunction:
        return of_monai(
            "TverskyLoss", classes, self.include_background, alpha=self.false_positives, beta=self.false_negatives,
            batch=self.batch, smooth_nr=self.smooth, smooth_dr=self.smooth,
        )  # fmt: skip


class GeneralisedDice(Loss):
    """Generalised Dice (Sudre et al. 2017): one Dice over all classes, each weighted by its rarity in the image.

    `weighting`: one over the class's pixels squared, over its pixels, or the same for all. One class is taken as two,
    background and foreground, as the paper has it: alone, its weight would cancel out.
    """

    name: Literal["generalised_dice"] = "generalised_dice"
    weighting: Literal["square", "simple", "uniform"] = "square"
    batch: bool = False
    smooth: _Smooth = 1e-5

    def build(self, classes: int) -> LossFunction:
        of_several = of_monai(
            "GeneralizedDiceLoss", max(classes, 2), w_type=self.weighting, batch=self.batch, smooth_nr=self.smooth,
            smooth_dr=self.smooth,
        )  # fmt: skip
        if classes > 1:
            return of_several

        def of_one(logits: Tensor, masks: Tensor) -> Tensor:
            import torch

            return of_several(torch.cat([torch.zeros_like(logits), logits], dim=1), masks)

        return of_one
