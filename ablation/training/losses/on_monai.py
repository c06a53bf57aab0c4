"""MONAI's losses, on what a trial's networks give and its masks are."""

from __future__ import annotations

from typing import Any

from ablate.training.losses.base import LossFunction


def of_monai(name: str, classes: int, include_background: bool = True, **settings: Any) -> LossFunction:
    """MONAI's loss `name` on probabilities: the sigmoid of one class, or the softmax of several against one-hot masks.

    `include_background`: whether class 0 of several counts.
    """
    from monai import losses

    loss, focal = getattr(losses, name), name == "FocalLoss"  # which takes logits, and knows the sigmoid by itself
    if classes == 1:
        of_one = loss(**settings, include_background=True, **({} if focal else {"sigmoid": True}))
        return lambda logits, masks: of_one(logits, masks[:, None].float())
    softmax = {"use_softmax" if focal else "softmax": True}
    of_several = loss(**settings, include_background=include_background, to_onehot_y=True, **softmax)
    return lambda logits, masks: of_several(logits, masks[:, None])
