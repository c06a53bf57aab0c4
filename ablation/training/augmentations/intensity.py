"""Augmentations of the image alone, whose values are from −1, black, to 1, white."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from ablate.settings import Number, Whole
from ablate.training.augmentations.base import Augmentation, AugmentationFunction
from ablate.training.augmentations.per_image import each_image, of_monai

if TYPE_CHECKING:
    from torch import Tensor

Probability = Annotated[Number, Field(ge=0, le=1)]
_IMAGE = ("image",)


class Noise(Augmentation):
    """Gaussian noise of a standard deviation of up to `std`."""

    name: Literal["noise"] = "noise"
    p: Probability = 0.5
    std: Number = Field(0.1, gt=0, le=100)

    def build(self) -> AugmentationFunction:
        from monai.transforms import RandGaussianNoised

        return of_monai(lambda *_: RandGaussianNoised(_IMAGE, prob=1, std=self.std), "augmentation noise", self.p)


class Blur(Augmentation):
    """A Gaussian blur of `low` to `high` pixels."""

    name: Literal["blur"] = "blur"
    p: Probability = 0.5
    low: Number = Field(0.5, gt=0, le=100)
    high: Number = Field(1.0, gt=0, le=100)

    @model_validator(mode="after")
    def _in_order(self) -> Blur:
        _check_order(self.low, self.high)
        return self

    def build(self) -> AugmentationFunction:
        from monai.transforms import RandGaussianSmoothd

        sigma = (self.low, self.high)
        return of_monai(
            lambda *_: RandGaussianSmoothd(_IMAGE, sigma_x=sigma, sigma_y=sigma, prob=1), "augmentation blur", self.p
        )


class Contrast(Augmentation):
    """To the power of a gamma from `low` to `high`, between the image's least and greatest value."""

    name: Literal["contrast"] = "contrast"
    p: Probability = 0.5
    low: Number = Field(0.7, gt=0, le=100)
    high: Number = Field(1.5, gt=0, le=100)

    @model_validator(mode="after")
    def _in_order(self) -> Contrast:
        _check_order(self.low, self.high)
        return self

    def build(self) -> AugmentationFunction:
        from monai.transforms import RandAdjustContrastd

        # MONAI takes two numbers for a range only where they differ.
        gamma = (self.low, max(self.high, self.low * (1 + 1e-12)))
        return of_monai(lambda *_: RandAdjustContrastd(_IMAGE, prob=1, gamma=gamma), "augmentation contrast", self.p)


class Brightness(Augmentation):
    """Plus a number from −`offset` to `offset`."""

    name: Literal["brightness"] = "brightness"
    p: Probability = 0.5
    offset: Number = Field(0.2, gt=0, le=100)

    def build(self) -> AugmentationFunction:
        from monai.transforms import RandShiftIntensityd

        return of_monai(
            lambda *_: RandShiftIntensityd(_IMAGE, offsets=self.offset, prob=1), "augmentation brightness", self.p
        )


class BiasField(Augmentation):
    """Times a field that varies smoothly, as the coils of a scanner make it: the exponential of a polynomial of
    `degree` with coefficients up to `strength` (Sudre et al. 2017). The image's least value counts as black."""

    name: Literal["bias_field"] = "bias_field"
    p: Probability = 0.5
    degree: Whole = Field(3, ge=1, le=10)
    strength: Number = Field(0.3, gt=0, le=10)

    def build(self) -> AugmentationFunction:
        from monai.transforms import RandBiasField

        transform = RandBiasField(degree=self.degree, coeff_range=(0.0, self.strength), prob=1)

        def one(image: Tensor, mask: Tensor, seed: int) -> tuple[Any, Tensor]:
            transform.set_random_state(seed)
            black = image.min()
            return transform(image - black) + black, mask

        return each_image(one, "augmentation bias_field", self.p)


class Cutout(Augmentation):
    """One to `holes` rectangles, of up to `fraction` of each side, are 0, the middle grey (DeVries & Taylor 2017).
    The mask keeps what was there."""

    name: Literal["cutout"] = "cutout"
    p: Probability = 0.5
    holes: Whole = Field(1, ge=1, le=1000)
    fraction: Number = Field(0.25, gt=0, le=1)

    def build(self) -> AugmentationFunction:
        from monai.transforms import RandCoarseDropoutd

        def make(height: int, width: int) -> Any:
            most = (max(1, round(self.fraction * height)), max(1, round(self.fraction * width)))
            return RandCoarseDropoutd(
                _IMAGE, holes=1, max_holes=self.holes, spatial_size=(1, 1), max_spatial_size=most, fill_value=0.0,
                prob=1,
            )  # fmt: skip

        return of_monai(make, "augmentation cutout", self.p)


def _check_order(low: float, high: float) -> None:
    if low > high:
        raise ValueError(f"low {low:g} is above high {high:g}")
