"""The loss of a network's output, which has several heads under deep supervision."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ablate.errors import InputError


def loss_of(
    loss: Callable[[Tensor, Tensor], Tensor],
    output: Tensor | Sequence[Tensor],
    masks: Tensor,
    weights: Sequence[float] | None = None,
) -> Tensor:
    """The mean of `loss` over heads.

    Args:
        loss: of logits (N, C, H, W) float32 and class indices (N, H, W) int64.
        output: logits, or several of them.
        masks: class indices (N, H, W); zero of no image.
        weights: of the heads in that mean, which are equal without.

    Raises `InputError` where there are not as many weights as heads.
    """
    heads = (output,) if isinstance(output, Tensor) else tuple(output)
    if weights is not None and len(weights) != len(heads):
        raise InputError(
            f"protocol.deep_supervision has {len(weights)} weights, but the network has {len(heads)} heads"
        )
    if not len(masks):
        return torch.stack([head.float().sum() for head in heads]).sum() * 0
    losses = torch.stack([loss(head.float(), masks.long()) for head in heads])
    if weights is None:
        return losses.mean()
    of_head = losses.new_tensor(weights)
    return (losses * of_head).sum() / of_head.sum()
