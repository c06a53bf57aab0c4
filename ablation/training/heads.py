"""The loss of a network's output, which has several heads under deep supervision."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ablate.errors import InputError


def loss_of(
    loss: Callable[[Tensor, Tensor], Tensor],
    output: Tensor | Sequence[Tensor],
    masks: Tensor,
    weights: Sequence[float] | None = None,
) -> Tensor:
    """The mean of `loss` over heads; one of another resolution than the masks is resized to theirs (bilinear).

    Args:
        loss: of logits (N, C, H, W) float32 and class indices (N, H, W) int64.
        output: logits (N, C, h, w), or several of them.
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
    losses = torch.stack([loss(_resized(head.float(), masks.shape[-2:]), masks.long()) for head in heads])
    if weights is None:
        return losses.mean()
    of_head = losses.new_tensor(weights)
    return (losses * of_head).sum() / of_head.sum()


def _resized(logits: Tensor, size: torch.Size) -> Tensor:
    if logits.shape[-2:] == size:
        return logits
    return interpolate(logits, size=tuple(size), mode="bilinear", align_corners=False)
