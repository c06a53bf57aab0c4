"""`none`: every trial is trained to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ablate.runners.search.schedulers.base import Costs, Scheduler

if TYPE_CHECKING:
    from ray.tune.schedulers import FIFOScheduler


class Everything(Scheduler):
    """Stops nothing; a run with it finishes what another scheduler stopped."""

    name: Literal["none"] = "none"

    def build(self, costs: Costs, max_epochs: int) -> FIFOScheduler:
        from ray.tune.schedulers import FIFOScheduler

        return FIFOScheduler()
