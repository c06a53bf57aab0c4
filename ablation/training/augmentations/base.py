"""What every augmentation is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ablate.settings import Config

if TYPE_CHECKING:
    import torch
    from torch import Tensor

AugmentationFunction = Callable[["Tensor", "Tensor", "torch.Generator"], tuple["Tensor", "Tensor"]]
"""From images (N, C, H, W) float32, of −1 to 1, and masks (N, H, W) uint8, class indices, to such images and masks."""


class Augmentation(Config):
    """Base of the augmentations, which follow `protocol.augment` in the order in which they are listed."""

    def build(self) -> AugmentationFunction:
        """The function on a batch, on the CPU: all its randomness is from the generator, and shapes stay.

        The generator is that of the trial's seed, the epoch and the step.
        """
        raise NotImplementedError
