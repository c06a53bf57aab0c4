"""The parts of a training that a trial chooses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ablate.kinds import kind_at, make
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
    """Each with its label (`TrialConfig.metric_labels`)."""


def recipe_of(trial: TrialConfig) -> Recipe:
    """The recipe of `trial`, its parts made; this imports what they name. Raises `InputError` as `kinds.make` does."""
    return Recipe(
        loss=make(kind_at("loss"), trial.loss),
        optimizer=make(kind_at("optimizer"), trial.optimizer),
        schedule=make(kind_at("schedule"), trial.schedule),
        augmentations=tuple(make(kind_at("augmentation"), part) for part in trial.augmentation),
        metrics=metrics_of(trial),
    )


def metrics_of(trial: TrialConfig) -> tuple[tuple[str, Any], ...]:
    """The metrics of `trial` by their labels; raises as `recipe_of` does."""
    return tuple(
        (label, make(kind_at("metrics"), part)) for label, part in zip(trial.metric_labels, trial.metrics, strict=True)
    )
