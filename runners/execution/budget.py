"""What a run may spend, of epochs and of hours."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping


class Budget:
    """Epochs and hours that a run may spend, and what it has spent: without either, as much as it likes.

    Epochs are those that its trials have had, in earlier runs too; of one that goes on from a checkpoint each counts
    once. Hours are of wall time from when this is made.
    """

    def __init__(
        self,
        epochs: int | None = None,
        hours: float | None = None,
        *,
        spent: Mapping[str, int] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`spent`: epochs that trials have had so far, by key."""
        self.epochs, self.hours = epochs, hours
        self._had = dict(spent or {})
        self._before = self.spent
        self._under_way: dict[str, int] = {}
        self._clock, self._began = clock, clock()
        self.cut: set[str] = set()
        """Keys of the trials that it stopped: more goes on with them."""
        self.held = False
        """Whether, when a trial was last asked for, none would have fitted."""

    @property
    def is_limited(self) -> bool:
        return self.epochs is not None or self.hours is not None

    @property
    def spent(self) -> int:
        """Epochs."""
        return sum(self._had.values())

    @property
    def seconds(self) -> float:
        """Since the run began."""
        return self._clock() - self._began

    @property
    def epochs_left(self) -> float:
        return math.inf if self.epochs is None else max(0, self.epochs - self.spent)

    @property
    def seconds_left(self) -> float:
        return math.inf if self.hours is None else max(0.0, 3600 * self.hours - self.seconds)

    @property
    def is_over(self) -> bool:
        """Whether nothing more may be trained."""
        return self.epochs_left <= 0 or self.seconds_left <= 0

    @property
    def ended_it(self) -> bool:
        """Whether a run ended for this."""
        return self.held or self.is_over

    def had(self, key: str) -> int:
        """Epochs that a trial has had."""
        return self._had.get(key, 0)

    def trained(self, key: str, epoch: int) -> None:
        """A trial has had so many epochs."""
        self._had[key] = max(epoch, self.had(key))

    def starts(self, key: str, epochs: int) -> None:
        """A trial of so many epochs is under way."""
        self._under_way[key] = epochs
        self.held = False

    def ended(self, key: str) -> None:
        """A trial is under way no more."""
        self._under_way.pop(key, None)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way."""
        return not self._under_way

    def allows(self, key: str, epochs: int, seconds_an_epoch: float = 0.0) -> bool:
        """Whether a trial can be trained to its end: it fits into what is left beside what those under way still need,
        and ends in time if its epochs take as long as that."""
        if self.is_over:
            return False
        need = epochs - self.had(key)
        wanted = sum(epochs - self.had(other) for other, epochs in self._under_way.items())
        return need + wanted <= self.epochs_left and need * seconds_an_epoch <= self.seconds_left

    def said(self) -> str:
        """What was spent, and whether that ended the run, for people; nothing of a run without a budget."""
        if not self.is_limited:
            return ""
        parts = []
        if self.epochs is not None:
            before = f", {self._before:,} of them before this run" if self._before else ""
            parts.append(f"{self.spent:,} of {self.epochs:,} epochs{before}")
        if self.hours is not None:
            parts.append(f"{self.seconds / 3600:.2g} of {self.hours:g} hours")
        return f"Budget: {' and '.join(parts)}{'; it ended the run: with more it goes on' if self.ended_it else ''}"
