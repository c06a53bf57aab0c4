"""`pareto-promote`: halving among networks of a price, in the form that promotes."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from ablate.runners.search.schedulers.base import Costs
from ablate.runners.search.schedulers.pareto import Halving
from ablate.settings import Number

if TYPE_CHECKING:
    from ablate.runners.search.stopping import ParetoPromotion


class ParetoPromote(Halving):
    """Halving among networks of a price, in the form that promotes; see `runners.search.stopping.ParetoPromotion`."""

    name: Literal["pareto-promote"] = "pareto-promote"
    pauses: ClassVar[bool] = True
    reduction_factor: Number = Field(4.0, gt=1)
    """One in so many goes on at each rung."""

    def build(self, costs: Costs, max_epochs: int) -> ParetoPromotion:
        from ablate.runners.search.stopping import ParetoPromotion

        return ParetoPromotion(costs, max_epochs, self.grace, self.reduction_factor)
