"""`known_cost`: the project's own, for which only the score is unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ablate.runners.search.samplers.base import Sampler, Setting
from ablate.settings import Whole

if TYPE_CHECKING:
    from ablate.runners.search.known_cost import KnownCostSampler


class KnownCost(Sampler):
    """The most expected hypervolume at prices that are known; see `ablate.runners.search.known_cost`."""

    name: Literal["known_cost"] = "known_cost"
    startup: Whole = Field(5, ge=1, le=10_000)
    """Configurations spread over prices and factors, before the score is modelled."""
    pool: Whole = Field(48, ge=1, le=10_000)
    """Configurations priced for each that is proposed."""

    def build(self, setting: Setting) -> KnownCostSampler:
        from ablate.runners.search.known_cost import KnownCostSampler

        return KnownCostSampler(setting.catalogue, setting.fresh, startup=self.startup, pool=self.pool)
