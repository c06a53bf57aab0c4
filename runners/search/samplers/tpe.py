"""`tpe`: Optuna's tree-structured Parzen estimator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ablate.runners.search.samplers.base import Sampler, Setting
from ablate.settings import Whole

if TYPE_CHECKING:
    from optuna.samplers import TPESampler


class Tpe(Sampler):
    """Draws where good trials are dense and others are not (Bergstra et al. 2011; of several objectives, Ozaki et al.
    2022). Running trials count as bad ones, so that a question is not asked twice."""

    name: Literal["tpe"] = "tpe"
    n_startup_trials: Whole = Field(10, ge=0, le=10_000)
    """Trials at random, before there is a model."""
    n_ei_candidates: Whole = Field(24, ge=1, le=10_000)
    """Draws, of which the best is proposed."""
    multivariate: bool = False
    """Whether factors are modelled together."""

    def build(self, setting: Setting) -> TPESampler:
        from optuna.samplers import TPESampler

        settings = self.model_dump(exclude={"name"})
        return TPESampler(seed=setting.fresh, constant_liar=True, **settings)
