"""`qmc`: Optuna's quasi-Monte Carlo sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ablate.runners.search.samplers.base import Sampler, Setting

if TYPE_CHECKING:
    from optuna.samplers import QMCSampler


class Qmc(Sampler):
    """A low-discrepancy sequence, scrambled by the search's own seed; what it cannot have is drawn at random."""

    name: Literal["qmc"] = "qmc"
    qmc_type: Literal["sobol", "halton"] = "sobol"

    def build(self, setting: Setting) -> QMCSampler:
        from optuna.samplers import QMCSampler, RandomSampler

        return QMCSampler(
            qmc_type=self.qmc_type,
            seed=setting.seed,
            scramble=True,
            independent_sampler=RandomSampler(seed=setting.fresh),
            warn_independent_sampling=False,
        )
