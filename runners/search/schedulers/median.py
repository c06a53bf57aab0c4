"""`median`: Ray's median stopping rule."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from ablate.runners.search.schedulers.base import Costs, Scheduler
from ablate.settings import Whole

if TYPE_CHECKING:
    from ablate.runners.search.of_epochs import OfEpochs


class Median(Scheduler):
    """Stops what stays below the median of the others' running means (Golovin et al. 2017)."""

    name: Literal["median"] = "median"
    grace: Whole = Field(1, ge=1)
    """Epochs that every trial has."""

    def build(self, costs: Costs, max_epochs: int) -> OfEpochs:
        from ray.tune.schedulers import MedianStoppingRule

        from ablate.runners.search.of_epochs import RULE, OfEpochs

        # Ray's pauses trials until there are three to compare with; a pause costs a new start.
        never: Any = math.inf
        scheduler = MedianStoppingRule(**RULE, grace_period=self.grace, min_time_slice=never)
        return OfEpochs(scheduler, max_epochs)
