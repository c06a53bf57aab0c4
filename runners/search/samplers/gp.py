"""`gp`: Optuna's Gaussian process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ablate.runners.search.samplers.base import Sampler, Setting
from ablate.settings import Whole

if TYPE_CHECKING:
    from optuna.samplers import GPSampler


class Gp(Sampler):
    """A Gaussian process of every objective, and the most expected hypervolume."""

    name: Literal["gp"] = "gp"
    n_startup_trials: Whole = Field(10, ge=0, le=10_000)
    """Trials at random, before there is a model."""

    def build(self, setting: Setting) -> GPSampler:
        from optuna.samplers import GPSampler

        return GPSampler(seed=setting.fresh, n_startup_trials=self.n_startup_trials, warn_independent_sampling=False)
