"""Configurations as a search knows them: before they are started, and as far as they were trained."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

LEAST_SECONDS = 1e-6
"""Of an epoch: what is divided by it stays finite."""


def rungs(epochs: int) -> tuple[int, ...]:
    """The epochs at which a training may pause: 1, 2, 4, … and its last."""
    return (*(2**power for power in range(epochs.bit_length()) if 2**power < epochs), epochs)


class Offered(NamedTuple):
    """A configuration as the search knows it before it trains."""

    cell: str
    features: tuple[float, ...]
    """From 0 to 1, or a level's number; NaN where it has none."""
    costs: tuple[float, ...]
    seconds: float
    """Of an epoch of one of its trials."""
    epochs: int
    """Of each of its trials, at most."""
    keys: tuple[str, ...]
    """Its trials: a seed and fold each."""
    by_layers: bool = True
    """Whether the seconds are from the shapes of its layers, or were measured; else they are from MACs alone."""
    chance: float = 1.0
    """How likely it is to be within the bounds on what is measured."""
    doubt: float = 0.0
    """How much of what the space calls promising does not hold for it, from 0 to 1."""


class Price(NamedTuple):
    """What steps take: epochs, seconds of one worker, and the seconds of the trial that takes longest."""

    epochs: int
    seconds: float
    longest: float


class Step(NamedTuple):
    """All trials of `cell` are to be trained up to epoch `until`."""

    cell: str
    until: int


@dataclass
class Cell:
    """A configuration that was started."""

    offered: Offered
    best: dict[str, dict[int, float]] = field(default_factory=dict)
    """Of each trial the best score so far at each rung that it reached."""
    measured: dict[str, float] = field(default_factory=dict)
    """Seconds an epoch of each trial, where they are known."""
    failed: bool = False
    until: int = 0
    """Up to where it was asked to train."""

    @property
    def reached(self) -> int:
        """The rung that all its trials reached."""
        return min((max(self.best.get(key, {0: 0.0})) for key in self.offered.keys), default=0)

    @property
    def pending(self) -> bool:
        return not self.failed and self.reached < self.until

    @property
    def finished(self) -> bool:
        return self.reached >= self.offered.epochs

    def score(self) -> float:
        """The mean of its trials' best scores so far, as far as all have one."""
        reached = self.reached
        return float(np.mean([rungs[reached] for rungs in self.best.values()])) if reached else 0.0

    @property
    def next_rung(self) -> int:
        return next(rung for rung in rungs(self.offered.epochs) if rung > self.reached)

    @property
    def may_go_on(self) -> bool:
        return not (self.failed or self.pending or self.finished)
