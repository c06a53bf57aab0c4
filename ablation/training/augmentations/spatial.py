"""Augmentations that move an image and its mask alike: the image bilinearly, the mask to the nearest pixel.

What comes from outside is what is at the border.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from ablate.settings import Number
from ablate.training.augmentations.base import Augmentation, AugmentationFunction
from ablate.training.augmentations.per_image import of_monai

Probability = Annotated[Number, Field(ge=0, le=1)]
_BOTH: dict[str, Any] = {"keys": ("image", "mask"), "mode": ("bilinear", "nearest")}


class Rotate(Augmentation):
    """By an angle from −`degrees` to `degrees`, about the middle."""

    name: Literal["rotate"] = "rotate"
    p: Probability = 0.5
    degrees: Number = Field(15.0, gt=0, le=180)

    def build(self) -> AugmentationFunction:
        from monai.transforms import RandRotated

        most = math.radians(self.degrees)
        return of_monai(
            lambda *_: RandRotated(**_BOTH, range_x=most, prob=1, padding_mode="border"), "augmentation rotate", self.p
        )


class Zoom(Augmentation):
    """By a factor from `low` to `high`, about the middle."""

    name: Literal["zoom"] = "zoom"
    p: Probability = 0.5
    low: Number = Field(0.9, ge=0.1, le=10)
    high: Number = Field(1.1, ge=0.1, le=10)

    @model_validator(mode="after")
    def _in_order(self) -> Zoom:
        if self.low > self.high:
            raise ValueError(f"low {self.low:g} is above high {self.high:g}")
        return self

    def build(self) -> AugmentationFunction:
        from monai.transforms import RandZoomd

        both = _BOTH | {"mode": ("bilinear", "nearest-exact")}  # its "nearest" is half a pixel beside
        return of_monai(
            lambda *_: RandZoomd(**both, prob=1, min_zoom=self.low, max_zoom=self.high, padding_mode="edge"),
            "augmentation zoom",
            self.p,
        )


class Shift(Augmentation):
    """Along each axis by up to `fraction` of its side."""

    name: Literal["shift"] = "shift"
    p: Probability = 0.5
    fraction: Number = Field(0.1, gt=0, le=1)

    def build(self) -> AugmentationFunction:
        from monai.transforms import RandAffined

        def make(height: int, width: int) -> Any:
            most = (self.fraction * height, self.fraction * width)
            return RandAffined(**_BOTH, prob=1, translate_range=most, padding_mode="border")

        return of_monai(make, "augmentation shift", self.p)


class Elastic(Augmentation):
    """A smooth deformation: a grid's points, `spacing` of the longer side apart, move by up to about `magnitude` of it
    and what is between them follows (after Simard et al. 2003)."""

    name: Literal["elastic"] = "elastic"
    p: Probability = 0.5
    spacing: Number = Field(0.125, ge=0.01, le=1)
    magnitude: Number = Field(0.01, gt=0, le=0.5)

    def build(self) -> AugmentationFunction:
        from monai.transforms import Rand2DElasticd

        def make(height: int, width: int) -> Any:
            side = max(height, width)
            apart = max(1.0, self.spacing * side)
            return Rand2DElasticd(
                **_BOTH, spacing=(apart, apart), magnitude_range=(0.0, self.magnitude * side), prob=1,
                padding_mode="border",
            )  # fmt: skip

        return of_monai(make, "augmentation elastic", self.p)
