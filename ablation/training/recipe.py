"""The parts of a training that a trial chooses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ablate.training.losses.cross_entropy import CrossEntropy
from ablate.training.optimizers.adam import Adam
from ablate.training.schedules.curves import Constant

if TYPE_CHECKING:
    from ablate.trial import TrialConfig


class Recipe(NamedTuple):
    """How a network is trained, beside the numbers of `protocol`. Each part has the `build` of its kind's base."""

    loss: Any = CrossEntropy()
    optimizer: Any = Adam()
    schedule: Any = Constant()
    augmentations: tuple[Any, ...] = ()
    """After `protocol.augment`, in this order."""
    metrics: tuple[tuple[str, Any], ...] = ()
    """Each with the label under which its values are kept."""


def recipe_of(trial: TrialConfig) -> Recipe:
    """The recipe of `trial`: the paper's, but for what the trial says."""
    given = {name: getattr(trial, name) for name in Recipe._fields if getattr(trial, name, None) is not None}
    return Recipe(**given)
