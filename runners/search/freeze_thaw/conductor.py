"""A search as it runs: who trains next, who goes on at a rung, and why it ends."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from threadpoolctl import threadpool_limits

from ablate.runners.search.freeze_thaw.cells import Offered, Price, rungs
from ablate.runners.search.freeze_thaw.curves import Parameters
from ablate.runners.search.freeze_thaw.decider import BUDGET, Decider
from ablate.runners.search.freeze_thaw.journal import Ended, Event, Failed, Fitted, Learnt, Retried, Saw, Took, Went
from ablate.search_spaces.designs import Choice

_MEASURING = 30.0
"""Seconds that it may take to measure a network while others train: with less left of a budget, none is measured."""


class Offering(Protocol):
    """What may be started; see `offers.Offers`."""

    choices: dict[str, Choice]

    def of(self, choice: Mapping[str, Any]) -> Offered: ...
    def fresh(self, started: Collection[str], front: Sequence[str]) -> dict[str, Offered]: ...


class Measuring(Protocol):
    """What measures configurations before they start; see `offers.Offers`."""

    def measured(self, cell: str) -> Took | None: ...
    def see(self, event: Took) -> None: ...
    def is_settled(self, cell: str) -> bool: ...
    def rejected(self) -> Mapping[str, str]: ...


class Limits(Protocol):
    """What a run may spend; see `ablate.runners.execution.budget.Budget`."""

    @property
    def is_over(self) -> bool: ...
    @property
    def epochs_left(self) -> float: ...
    @property
    def seconds_left(self) -> float: ...


class Conductor:
    """One run of a search, on the events that it and earlier ones noted."""

    def __init__(
        self,
        decider: Decider,
        offers: Offering,
        *,
        past: Iterable[Event] = (),
        note: Callable[[Event], None] = lambda event: None,
        limits: Limits | None = None,
        workers: int = 1,
        most: int | None = None,
        known: Callable[[str], Mapping[int, float] | None] = lambda key: None,
        measuring: Measuring | None = None,
        retry_failed: bool = False,
    ) -> None:
        """
        Args:
            past: what was noted before.
            note: writes an event down, before what follows from it begins.
            limits: what this run may spend.
            workers: how many trials train at a time.
            most: configurations that may be started in all.
            known: the best scores so far by epoch, of a trial that was trained to its end already.
            measuring: what measures a configuration once, before it starts.
            retry_failed: what has failed is trained once more.
        """
        self.over = ""
        """Why the search has ended; empty while it has not."""
        self._decider, self._offers, self._note = decider, offers, note
        self._limits, self._workers, self._most, self._known = limits, workers, most, known
        self._measuring = measuring
        self._cells: dict[str, str] = {}
        self._waiting: deque[str] = deque()
        self._running: set[str] = set()
        self._leaving: set[str] = set()
        """What is to pause, and has not left its worker yet."""
        self._stuck = False
        """Whether nothing is to be decided until something is seen."""
        self._last: Event | None = None
        for event in past:
            self._apply(event)
            self._last = event
        for name in [name for name, cell in decider.cells.items() if cell.failed and retry_failed]:
            self._tell(Retried(cell=name))
        for name, cell in decider.cells.items():
            if cell.pending:
                self._queue(name)
            elif not cell.failed:  # killed between its last epoch and its end
                last = cell.offered.epochs
                self._waiting += [key for key, best in cell.best.items() if last in best and known(key) is None]

    # What Ray Tune asks and tells ------------------------------------------------------------------------------------

    def next_key(self) -> str | None:
        """The trial that a free worker is to begin, or to go on with; None if there is none now."""
        if self._is_spent:
            self._waiting.clear()  # a run with more goes on with them
        if not self._waiting and not self.over and not self._stuck:
            self._decide()
        key = next((key for key in self._waiting if key not in self._leaving), None)
        if key is not None:
            self._waiting.remove(key)
            self._running.add(key)
        return key

    def reached(self, key: str, epoch: int, best: float, seconds: float) -> bool:
        """A trial ended an epoch, with this best score so far, at so many seconds an epoch: whether it goes on."""
        cell = self._decider.cells[self._cells[key]]
        if cell.failed:
            return False
        seen = cell.best.get(key, {})
        if epoch in rungs(cell.offered.epochs) and epoch not in seen:
            self._tell(Saw(key=key, epoch=epoch, score=best, seconds=seconds))
        if epoch >= cell.offered.epochs:
            return True
        if epoch < cell.until:
            return not self._is_spent
        # Its part of what was decided is done. It goes on at once if that is what is decided next.
        self._running.discard(key)
        if not self._waiting and not self.over:
            self._decide()
        if self._waiting and self._waiting[0] == key:
            self._running.add(self._waiting.popleft())
            return True
        self._leaving.add(key)
        return False

    def ended(self, key: str, *, failed: bool = False) -> None:
        """A trial left its worker: it failed, or is finished, or was to pause, or the budget is spent.

        One that left for no such reason, for want of memory say, has failed too.
        """
        cell = self._decider.cells[self._cells[key]]
        had_to = key in self._leaving or cell.offered.epochs in cell.best.get(key, {}) or cell.failed or self._is_spent
        self._running.discard(key)
        self._leaving.discard(key)
        self._stuck = False
        if failed or not had_to:
            self._tell(Failed(key=key))
            name = self._cells[key]
            self._waiting = deque(key for key in self._waiting if self._cells[key] != name)

    def has_work(self) -> bool:
        """Whether there is anything to train."""
        if not self._waiting and not self.over:
            self._decide()
        return bool(self._waiting)

    @property
    def idle(self) -> bool:
        """Whether nothing is under way, or waits."""
        return not (self._running or self._leaving or self._waiting)

    def said(self) -> str:
        """How it ended, or that it did not, for people."""
        cells = self._decider.cells.values()
        whole = sum(cell.finished for cell in cells)
        lost = sum(cell.failed for cell in cells)
        parts = [f"{len(cells)} configurations begun", f"{whole} trained to their end"]
        parts += [f"{lost} failed"] if lost else []
        rejected = len(self._measuring.rejected()) if self._measuring else 0
        parts += [f"{rejected} out of bounds, which were not trained"] if rejected else []
        return f"Search: {', '.join(parts)}; {self.over or 'it goes on with the same command'}"

    # Deciding --------------------------------------------------------------------------------------------------------

    def _decide(self) -> None:
        """Add to what waits, or find that nothing is worth it, now or at all."""
        with threadpool_limits(1):  # small matrices: threads would only fight with the trials for the cores
            self._decide_one()

    def _decide_one(self) -> None:
        decider = self._decider
        while not self._waiting:
            if self._is_spent:
                return self._end(BUDGET)
            full = self._most is not None and len(decider.cells) >= self._most
            fresh = {} if full else self._offers.fresh(decider.cells, decider.front())
            before = decider.parameters
            possible = {cell: offered for cell, offered in fresh.items() if self._may_start(cell)}
            step, why = decider.decide(possible, self._fits)
            if decider.parameters is not before and decider.parameters is not None:
                self._last = Fitted(parameters=tuple(map(float, decider.parameters.flat)))
                self._note(self._last)
            if step is None:
                return self._end(why if len(possible) == len(fresh) else BUDGET)
            starts = step.cell in fresh
            if starts and self._measuring and (found := self._measuring.measured(step.cell)):
                self._tell(found)
                continue  # at what it does cost, another may be worth more; it may even be out of bounds
            choice = self._offers.choices[step.cell] if starts else None
            self._tell(Went(cell=step.cell, until=step.until, choice=choice))
            self._queue(step.cell)
        return None

    @property
    def _is_spent(self) -> bool:
        return self._limits is not None and self._limits.is_over

    def _may_start(self, cell: str) -> bool:
        """Whether there is time to measure a configuration, where that is left to do."""
        there_is_time = self._limits is None or self._limits.seconds_left >= _MEASURING
        return there_is_time or self._measuring is None or self._measuring.is_settled(cell)

    def _fits(self, price: Price) -> bool:
        """Whether so much more is within the budget, beside what is under way."""
        if self._limits is None:
            return True
        seconds = max(price.longest, price.seconds / self._workers)
        return price.epochs + self._under_way() <= self._limits.epochs_left and seconds <= self._limits.seconds_left

    def _under_way(self) -> int:
        """Epochs that were decided and are not trained yet, but for those since the last rung."""
        cells = (cell for cell in self._decider.cells.values() if cell.pending)
        return sum(cell.until - max(cell.best.get(key, {0: 0.0})) for cell in cells for key in cell.offered.keys)

    def _end(self, why: str) -> None:
        if self._running or self._leaving:
            self._stuck = True  # what is under way may change it
            return
        self.over = why
        if self._last != Ended(why=why):  # another run found the same, and nothing has happened since
            self._note(Ended(why=why))

    def _queue(self, name: str) -> None:
        """Have the trials of a configuration wait for workers, but for those that were trained before."""
        cell = self._decider.cells[name]
        for key in cell.offered.keys:
            if key not in cell.best and (known := self._known(key)):
                for rung in rungs(cell.offered.epochs):
                    self._tell(Saw(key=key, epoch=rung, score=known[rung], seconds=0.0))
            if max(cell.best.get(key, {0: 0.0})) < cell.until and key not in self._running:
                self._waiting.append(key)

    def _tell(self, event: Event) -> None:
        self._note(event)
        self._apply(event)
        self._last = event
        self._stuck = False

    def _apply(self, event: Event) -> None:
        decider = self._decider
        match event:
            case Went(cell=name, until=until, choice=choice):
                if name in decider.cells:
                    decider.cells[name].until = until
                else:
                    offered = self._offers.of(choice or {})
                    decider.start(offered, until)
                    self._cells |= dict.fromkeys(offered.keys, name)
            case Took():
                assert self._measuring is not None
                self._measuring.see(event)
            case Fitted(parameters=parameters):
                decider.take(Parameters.of(np.array(parameters)))
            case Saw(key=key, epoch=epoch, score=score, seconds=seconds):
                decider.see(self._cells[key], key, epoch, score, seconds)
            case Failed(key=key):
                decider.cells[self._cells[key]].failed = True
            case Retried(cell=name):
                decider.cells[name].failed = False
            case Ended() | Learnt():
                pass
