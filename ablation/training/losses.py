"""What training makes small."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def loss_of(output: Tensor | tuple[Tensor, ...], masks: Tensor) -> Tensor:
    """The mean over heads (deep supervision has several) of (binary) cross-entropy.

    Args:
        output: logits (N, C, H, W), or a tuple of them.
        masks: class indices (N, H, W).
    """
    heads = output if isinstance(output, tuple) else (output,)
    losses = [
        F.binary_cross_entropy_with_logits(head.float()[:, 0], masks.float())
        if head.shape[1] == 1
        else F.cross_entropy(head.float(), masks.long())
        for head in heads
    ]
    return torch.stack(losses).mean()
