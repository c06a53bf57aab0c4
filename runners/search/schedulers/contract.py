"""What a scheduler must do: decide on trials that report epochs, so that a run of them ends."""

from __future__ import annotations

import math

from ablate.contracts.contract import Contract, Doubt
from ablate.part import Part
from ablate.runners.replay.curves import Curve
from ablate.runners.search.schedulers.base import make_scheduler, scheduler_part
from ablate.runners.simulate import Keys, Step, simulate

_EPOCHS = 9
_PRICES = 6


def _curves() -> dict[str, Curve]:
    """Trials that cost more and more, of each price a good one and a bad one."""
    found = {}
    for price in range(_PRICES):
        for worse in (0, 1):
            final, pace = 0.8 + 0.02 * price - 0.3 * worse, 5 - price / 2
            scores = tuple(final * (1 - math.exp(-epoch / pace)) for epoch in range(1, _EPOCHS + 1))
            found[f"p{price}-{worse}"] = Curve((1e4 * 2**price, 1e6 * 2**price), scores, (1.0,) * _EPOCHS)
    return found


class TriedScheduler:
    """A run of a dozen trials, in simulated time."""

    def __init__(self, part: Part) -> None:
        self.part = scheduler_part(part)

    def run(self) -> tuple[Step, ...]:
        curves = _curves()
        costs = {key: curve.costs for key, curve in curves.items()}
        scheduler = make_scheduler(self.part, costs=costs, max_epochs=_EPOCHS)
        return simulate(curves, Keys(list(curves)), scheduler, workers=2)


def it_builds(tried: TriedScheduler) -> str:
    make_scheduler(tried.part, costs={}, max_epochs=_EPOCHS)
    return ""


def a_run_with_it_ends(tried: TriedScheduler) -> str:
    began = {step.key for step in tried.run()}
    missing = [key for key in _curves() if key not in began]
    if not missing:
        return ""
    return f"{len(missing)} of {2 * _PRICES} trials never train: choose_trial_to_run must give every trial its turn"


def no_epoch_is_trained_twice(tried: TriedScheduler) -> str:
    trained: dict[str, int] = {}
    for step in tried.run():
        if step.epoch != trained.get(step.key, 0) + 1:
            return f"after epoch {trained.get(step.key, 0)} a trial trains epoch {step.epoch}: pause it, or stop it"
        trained[step.key] = step.epoch
    return ""


def some_trial_is_trained_to_its_end(tried: TriedScheduler) -> str:
    steps = tried.run()
    if max(step.epoch for step in steps) < _EPOCHS:
        return f"every trial is stopped before its last epoch ({_EPOCHS}): a run would have no result"
    return Doubt("" if len(steps) < 2 * _PRICES * _EPOCHS else "it stopped none of a dozen trials, half of them bad")


def the_same_reports_bring_the_same_decisions(tried: TriedScheduler) -> str:
    if tried.run() == tried.run():
        return ""
    return "the same reports bring other decisions: a scheduler draws nothing, and keeps nothing from an earlier run"


CONTRACT = Contract(
    TriedScheduler,
    first=(it_builds, a_run_with_it_ends),
    then=(
        no_epoch_is_trained_twice,
        some_trial_is_trained_to_its_end,
        the_same_reports_bring_the_same_decisions,
    ),
)
