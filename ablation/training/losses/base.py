"""What every loss is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ablate.settings import Config
from ablate.training.losses.ignored import without_ignored

if TYPE_CHECKING:
    from torch import Tensor

LossFunction = Callable[["Tensor", "Tensor"], "Tensor"]
"""From logits (N, C, H, W) float32 and masks (N, H, W) int64, class indices, to a scalar."""


class Loss(Config):
    """Base of the losses: settings, and the function that they make.

    A loss should be a mean over images: then several processes that train one trial find what one would.
    """

    def build(self, classes: int) -> LossFunction:
        """The loss of a network with `classes` output channels, one of which is the foreground's sigmoid.

        It takes logits (N, classes, H, W) float32 and masks (N, H, W) int64, class indices, on one device, and gives
        a scalar; finite also where a class covers nothing, or everything. Raises `InputError` for settings that do not
        go with so many classes.
        """
        raise NotImplementedError

    def build_ignoring(self, classes: int) -> LossFunction:
        """As `build`, of masks that hold `IGNORED` where nobody decided what is there: see `ablate…losses.ignored`."""
        return without_ignored(self.build(classes))


def build_loss(loss: Any, classes: int, ignoring: bool) -> LossFunction:
    """The function of a loss, the project's or another's; `ignoring`: of masks that hold `IGNORED`."""
    if not ignoring:
        built: LossFunction = loss.build(classes)
        return built
    return loss.build_ignoring(classes) if isinstance(loss, Loss) else without_ignored(loss.build(classes))
