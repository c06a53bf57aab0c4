"""`nsgaiii`: Optuna's genetic algorithm by fronts and reference points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ablate.runners.search.samplers.base import Setting
from ablate.runners.search.samplers.nsgaii import Genetic

if TYPE_CHECKING:
    from optuna.samplers import NSGAIIISampler


class NsgaIII(Genetic):
    """Fronts first, and of a front what is near a reference point that has none (Deb and Jain 2014)."""

    name: Literal["nsgaiii"] = "nsgaiii"

    def build(self, setting: Setting) -> NSGAIIISampler:
        from optuna.samplers import NSGAIIISampler

        return NSGAIIISampler(seed=setting.fresh, population_size=self.population(setting.trials))
