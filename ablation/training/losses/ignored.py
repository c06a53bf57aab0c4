"""Losses where masks hold `IGNORED`: those pixels get no gradient, and add nothing, or nearly so.

Any loss: an ignored pixel is background that the network is sure of, whatever it says there (`without_ignored`). To a
loss that sums over pixels it adds some 1e-7 of a pixel; one with a term for the background takes it for found. Those
that are means over pixels are exact: the mean is over the pixels that count (`mean_of_counted`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ablate.data.source import IGNORED

if TYPE_CHECKING:
    from torch import Tensor

_SURE = 8.0
"""Logits this far from zero, either way, are a probability of 1e-7 at most, which still has a logarithm."""


def without_ignored(loss: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """`loss`, of logits (N, C, H, W) and masks (N, H, W) that may hold `IGNORED`."""

    def of_the_rest(logits: Tensor, masks: Tensor) -> Tensor:
        sure, decided, _ = decided_on(logits, masks)
        return loss(sure, decided)

    return of_the_rest


def decided_on(logits: Tensor, masks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Logits and masks that are surely background where the masks hold `IGNORED`, and where they do not (N, H, W)."""
    import torch

    ignored = masks == IGNORED
    background = logits.new_full((1, logits.shape[1], 1, 1), -2 * _SURE if logits.shape[1] == 1 else -_SURE)
    if logits.shape[1] > 1:
        background[:, 0] = _SURE
    return torch.where(ignored[:, None], background, logits), masks.masked_fill(ignored, 0), ~ignored


def mean_of_counted(values: Tensor, counted: Tensor) -> Tensor:
    """The mean over images of the mean of `values` (N, H, W) over those of its pixels that count (N, H, W).

    So it is a mean over images, to which one without any such pixel adds nothing.
    """
    sums = (values * counted).flatten(1).sum(dim=1)
    return (sums / counted.flatten(1).sum(dim=1).clamp(min=1)).mean()
