"""Which trial starts first, and when the last ends: by seconds, not by MACs."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Self, TypeVar

from ablate.cost.foretold import Foretold, Timed, foretell
from ablate.study.times import timed

if TYPE_CHECKING:
    from ablate.cost.machine import Machine
    from ablate.search_spaces.plan import Planned
    from ablate.study.study import Study

T = TypeVar("T")


class Times:
    """How long planned trials take on one machine, as far as it is known."""

    def __init__(self, machine: Machine, known: Timed | None = None) -> None:
        """`known`: what it was seen to take; without, nothing yet."""
        self.machine, self.known = machine, known or Timed()

    @classmethod
    def of(cls, machine: Machine, study: Study | None, trials: Sequence[Planned] = ()) -> Self:
        """By what a study's trials took on the machine. `trials`: those that are to be foretold."""
        if study is None or not study.records():
            return cls(machine)
        return cls(machine, timed(study, machine, {trial.config.cell for trial in trials}))

    def foretold(self, planned: Planned) -> Foretold:
        """An epoch of a trial, before the machine's own times are known."""
        return foretell(planned.config, planned.params, planned.macs, planned.images, self.machine)

    def epoch(self, foretold: Foretold) -> float:
        """Seconds of an epoch of a trial, training and validation, as far as is known."""
        return self.known.seconds(foretold)

    def trial(self, foretold: Foretold) -> float:
        """Seconds of all its epochs."""
        return foretold.trial.protocol.epochs * self.epoch(foretold)

    @property
    def said(self) -> str:
        """Where that is, and by what it is known, for people: `cpu (AMD EPYC, 1 thread), as measured`."""
        return f"{self.machine}, {'as measured' if self.known else 'not measured yet'}"


def longest_first(trials: Iterable[Planned], times: Times) -> list[Planned]:
    """The order in which trials start, so that no long one is left running alone at the end.

    List scheduling in this order ends within 4/3 − 1/(3·slots) of the best there is (Graham 1969).
    """
    return sorted(trials, key=lambda planned: times.trial(times.foretold(planned)), reverse=True)


def shuffled(trials: Iterable[T], cell: Callable[[T], str], salt: str = "") -> list[T]:
    """The order in which trials start where some may be stopped: as good as random, and the same whenever it is asked.

    What stops trials compares each with those that came before it. Were these the dearest, a comparison among networks
    of no higher price would find nobody; were they the cheapest, everybody.

    Args:
        cell: of a trial. What is of one cell stays together, in the order in which it is given: its seeds and folds.
        salt: another text is another order.
    """
    return sorted(trials, key=lambda trial: hashlib.sha256(f"{salt}\0{cell(trial)}".encode()).digest())


def makespan(seconds: Iterable[float], slots: int, under_way: Iterable[float] = ()) -> float:
    """When the last trial ends, in seconds from now.

    Args:
        seconds: of trials that wait, in the order in which they start, each where a slot is free first.
        slots: how many run at a time.
        under_way: what those that run now have left.
    """
    ends = list(under_way)
    free = [0.0] * (slots - len(ends)) + ends
    heapq.heapify(free)
    for one in seconds:
        heapq.heapreplace(free, free[0] + one)
    return max(free)
