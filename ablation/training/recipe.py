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
    """Each with the label under which its values are kept."""


def recipe_of(trial: TrialConfig) -> Recipe:
    """The recipe of `trial`, its parts made; this imports what they name. Raises `InputError` as `kinds.make` does."""
    made = {place: make(kind_at(place), part) for place, part in trial.parts.items()}
    return Recipe(
        loss=made["loss"],
        optimizer=made["optimizer"],
        schedule=made["schedule"],
        augmentations=tuple(made[place] for place in made if place.startswith("augmentation.")),
        metrics=tuple((label, made[f"metrics.{n}"]) for n, label in enumerate(metric_labels(trial), 1)),
    )


def metric_labels(trial: TrialConfig) -> list[str]:
    """Under what the values of each of a trial's metrics are kept: its short name, or that of its class or function."""
    names = [part.name.rpartition(":")[2].rpartition(".")[2] for part in trial.metrics]
    return [name if names.count(name) == 1 else f"{name}_{n}" for n, name in enumerate(names, 1)]
