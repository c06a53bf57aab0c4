"""`random`: any configuration, each as likely."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ablate.runners.search.samplers.base import Sampler, Setting

if TYPE_CHECKING:
    from optuna.samplers import RandomSampler


class Random(Sampler):
    """Independent draws: what every other sampler has to beat."""

    name: Literal["random"] = "random"

    def build(self, setting: Setting) -> RandomSampler:
        from optuna.samplers import RandomSampler

        return RandomSampler(seed=setting.fresh)
