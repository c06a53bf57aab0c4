"""`hyperband`: Ray's HyperBand."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from ablate.runners.search.schedulers.base import Costs, Scheduler
from ablate.settings import Number

if TYPE_CHECKING:
    from ablate.runners.search.of_epochs import OfEpochs


class HyperBand(Scheduler):
    """Halvings of several lengths side by side, whose trials wait for one another (Li et al. 2018)."""

    name: Literal["hyperband"] = "hyperband"
    pauses: ClassVar[bool] = True
    reduction_factor: Number = Field(3.0, gt=1)
    """One in so many goes on at each rung."""

    def build(self, costs: Costs, max_epochs: int) -> OfEpochs:
        from ray.tune.schedulers import HyperBandScheduler

        from ablate.runners.search.of_epochs import RULE, OfEpochs

        scheduler = HyperBandScheduler(
            **RULE, max_t=max_epochs, reduction_factor=self.reduction_factor, stop_last_trials=False
        )
        return OfEpochs(scheduler, max_epochs)
