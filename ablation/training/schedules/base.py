"""What every schedule is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from ablate.settings import Config

if TYPE_CHECKING:
    import torch
    from torch.optim.lr_scheduler import LRScheduler

Every = Literal["epoch", "step"]


class Steps(NamedTuple):
    """How long a schedule is to last: what is left of a training after its warm-up."""

    epochs: int
    steps_per_epoch: int

    @property
    def total(self) -> int:
        return self.epochs * self.steps_per_epoch

    def each(self, every: Every) -> int:
        """How many epochs or steps there are."""
        return self.epochs if every == "epoch" else self.total


class Schedule(Config):
    """Base of the schedules: from `protocol.learning_rate`, which the optimiser has, to another.

    `every` tells whether it moves with each epoch or with each step: a field, or a property where there is no choice.
    """

    if TYPE_CHECKING:

        @property
        def every(self) -> Every: ...

    def build(self, optimizer: torch.optim.Optimizer, steps: Steps) -> LRScheduler | None:
        """torch's scheduler, which sets the first learning rate at once; None where it stays as it is."""
        raise NotImplementedError
