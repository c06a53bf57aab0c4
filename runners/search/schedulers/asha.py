"""`asha`: Ray's asynchronous successive halving."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ablate.runners.search.schedulers.base import Costs, Scheduler
from ablate.settings import Number, Whole

if TYPE_CHECKING:
    from ablate.runners.search.of_epochs import OfEpochs


class Asha(Scheduler):
    """Halving by validation Dice alone (Li et al. 2020), in the form that stops."""

    name: Literal["asha"] = "asha"
    grace: Whole = Field(1, ge=1)
    """Epochs that every trial has."""
    reduction_factor: Number = Field(4.0, gt=1)
    """One in so many goes on at each rung."""

    def build(self, costs: Costs, max_epochs: int) -> OfEpochs:
        from ray.tune.schedulers import AsyncHyperBandScheduler

        from ablate.runners.search.of_epochs import RULE, OfEpochs

        scheduler = AsyncHyperBandScheduler(
            **RULE,
            max_t=max(max_epochs, self.grace),
            grace_period=self.grace,
            reduction_factor=self.reduction_factor,
            stop_last_trials=False,
        )
        return OfEpochs(scheduler, max_epochs)
