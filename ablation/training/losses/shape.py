"""Losses of shape: skeletons and boundaries."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ablate.settings import Number, Whole
from ablate.training.losses.base import Loss, LossFunction
from ablate.training.losses.on_monai import of_monai


class ClDice(Loss):
    """Soft Dice and clDice, which compares skeletons, for vessels, membranes and the like (Shit et al. 2021).

    `alpha` is the share of clDice; `iterations` of thinning make a skeleton: half of the widest structure's pixels.
    """

    name: Literal["cldice"] = "cldice"
    alpha: Number = Field(0.5, ge=0, le=1)
    iterations: Whole = Field(3, ge=1, le=100)
    include_background: bool = False
    smooth: Number = Field(1.0, ge=1e-12, le=1e3)

    def build(self, classes: int) -> LossFunction:
        return of_monai(
            "SoftDiceclDiceLoss", classes, self.include_background, iter_=self.iterations, alpha=self.alpha,
            smooth_nr=self.smooth, smooth_dr=self.smooth,
        )  # fmt: skip


class Hausdorff(Loss):
    """Squared error times the distance to both boundaries to the power of `alpha` (Karimi & Salcudean 2020).

    `log`: its logarithm, log(1 + loss), which is no mean over images. It says nothing of an image without a boundary in
    mask and prediction; the distances are found on the CPU.
    """

    name: Literal["hausdorff"] = "hausdorff"
    alpha: Number = Field(2.0, ge=0.1, le=10)
    log: bool = True
    include_background: bool = False

    def build(self, classes: int) -> LossFunction:
        name = "LogHausdorffDTLoss" if self.log else "HausdorffDTLoss"
        return of_monai(name, classes, self.include_background, alpha=self.alpha)
