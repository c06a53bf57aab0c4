"""`nsgaii`: Optuna's genetic algorithm by fronts and crowding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ablate.runners.search.samplers.base import Sampler, Setting
from ablate.settings import Whole

if TYPE_CHECKING:
    from optuna.samplers import NSGAIISampler


class Genetic(Sampler):
    """What the genetic algorithms have in common."""

    population_size: Whole | None = Field(None, ge=2, le=10_000)
    """Configurations of a generation [a fifth of the search's, 4 to 50]."""

    def population(self, trials: int) -> int:
        """Some generations' worth; Optuna's 50 is a search at random where there are fewer trials."""
        return self.population_size or min(50, max(4, trials // 5))


class NsgaII(Genetic):
    """Fronts first, and the least crowded of a front (Deb et al. 2002)."""

    name: Literal["nsgaii"] = "nsgaii"

    def build(self, setting: Setting) -> NSGAIISampler:
        from optuna.samplers import NSGAIISampler

        return NSGAIISampler(seed=setting.fresh, population_size=self.population(setting.trials))
