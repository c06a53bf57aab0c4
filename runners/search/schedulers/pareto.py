"""`pareto`: halving among networks of a price, in the form that stops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ablate.runners.search.schedulers.base import Costs, Scheduler
from ablate.settings import Number, Whole

if TYPE_CHECKING:
    from ablate.runners.search.stopping import ParetoStopping


class Halving(Scheduler):
    """What the project's own two have in common."""

    grace: Whole = Field(1, ge=1)
    """Epochs that every trial has."""


class Pareto(Halving):
    """Halving among networks of a price, in the form that stops; see `runners.search.stopping.ParetoStopping`."""

    name: Literal["pareto"] = "pareto"
    reduction_factor: Number = Field(2.0, gt=1)
    """One in so many goes on at each rung, and all that are on the first front."""

    def build(self, costs: Costs, max_epochs: int) -> ParetoStopping:
        from ablate.runners.search.stopping import ParetoStopping

        return ParetoStopping(costs, max_epochs, self.grace, self.reduction_factor)
