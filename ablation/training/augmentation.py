"""The paper's augmentation: flips and rotations by right angles, of image and mask alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ablate.training.devices import sent

_OPERATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "hflip": lambda x: x.flip(-1),
    "vflip": lambda x: x.flip(-2),
    "rot90": lambda x: x.rot90(1, (-2, -1)),
    "rot180": lambda x: x.rot90(2, (-2, -1)),
}


def augment(images: Tensor, masks: Tensor, names: Sequence[str], generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Apply each named operation to each image, and to its mask, with probability 1/2.

    `images` (N, C, H, W) and `masks` (N, H, W) may be on any device and stay as they are; `generator` is the CPU's and
    is drawn from once, N × len(names) numbers. The order is hflip, vflip, rot90 (counter-clockwise), rot180, whatever
    that of `names`. `rot90` needs H = W.
    """
    operations = [operation for name, operation in _OPERATIONS.items() if name in names]
    coins = sent(torch.rand(len(images), len(operations), generator=generator) < 0.5, images.device)
    for operation, heads in zip(operations, coins.T, strict=True):
        images = torch.where(heads[:, None, None, None], operation(images), images)
        masks = torch.where(heads[:, None, None], operation(masks), masks)
    return images, masks
