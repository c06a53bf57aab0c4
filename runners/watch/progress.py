"""What a person sees of a run: a live table on a terminal, plain lines when piped."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import ExitStack
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console, RenderableType
from rich.live import Live as LiveDisplay

from ablate.cost.foretold import Foretold
from ablate.cost.machine import this_machine
from ablate.runners.execution.ending import at_last
from ablate.runners.watch.live import Live, LiveNode, Running, clock, draw, fall_silent, seed_and_fold, tell
from ablate.search_spaces.plan import Planned
from ablate.search_spaces.schedule import Times, makespan
from ablate.study.records import Record
from ablate.study.study import Study

if TYPE_CHECKING:
    from ablate.training.checkpoint import Epoch

_LINE_EVERY_SECONDS = 15.0
_TELL_EVERY_SECONDS = 2.0
_FORETELL_EVERY_SECONDS = 1.0
_INCIDENTS = 5
_LONGEST_SECONDS = 1e10


class Progress:
    """Watches a run (a `ablate.runners.execution.writer.Observer`), shows it, and tells others of it.

    The time left is foretold from what epochs take (`ablate.search_spaces.schedule`), those of this run included, and
    told once any was timed.
    """

    def __init__(
        self,
        console: Console,
        study: Study,
        trials: list[Planned],
        labels: dict[str, str],
        expected: int = 0,
        times: Times | None = None,
        *,
        pausing: bool = False,
    ) -> None:
        """
        Args:
            expected: how many trials there will be, where they are not known yet.
            times: how long each takes; by default as on one thread of this machine.
            pausing: whether what is stopped may go on, as in a search.
        """
        self._pausing = pausing
        self._console, self._study, self._labels = console, study, labels
        self._times = times or Times.of(this_machine(), study, trials)
        self._known = {planned.key: self._times.foretold(planned) for planned in trials}
        self._ended: dict[str, str] = {}
        """In which state, by key."""
        self._states: Counter[str] = Counter()
        self._slots = 1
        """How many trials ran at a time."""
        self._said: dict[str, int] = {}
        """The last epoch of a trial that a line was printed of."""
        self._last_epoch: dict[str, float] = {}
        """When the last epoch of each running trial ended, by a clock that only moves on."""
        now = time.time()
        self._live = Live(began=now, updated=now, total=max(len(trials), expected))
        self._last_line = self._last_told = time.monotonic()
        self._last_foretold = 0.0
        self._ends = ExitStack()
        self._display = LiveDisplay(get_renderable=self._render, console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> Self:
        self._live.began = time.time()
        tell(self._study, self._live)
        self._ends.enter_context(at_last(partial(fall_silent, self._study)))
        if self._console.is_terminal:
            self._display.start()
            self._ends.enter_context(at_last(self._show_cursor))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._display.stop()
        self._ends.close()

    def _show_cursor(self) -> None:
        """Below the table: where the process ends at once, nothing else does."""
        if self._display.is_started:
            self._console.file.write("\x1b[?25h\n")

    # Events of a run -------------------------------------------------------------------------------------------------

    def nodes(self, nodes: list[LiveNode]) -> None:
        """Which machines the cluster has; ones that were lost stay in the list."""
        now = {node.address: node for node in nodes}
        lost = [node for node in self._live.nodes if node.address not in now]
        for node in lost:
            if node.alive:
                self.incident(f"node {node.address} was lost")
        self._live.nodes = [*nodes, *(node.model_copy(update={"alive": False}) for node in lost)]

    def started(self, planned: Planned) -> None:
        key = planned.key
        if key not in self._known:
            self._known[key] = self._times.foretold(planned)
        self._live.total = max(self._live.total, len(self._known))
        self._live.running[key] = Running(key=key, name=self._name(key, planned), epochs=planned.config.protocol.epochs)
        self._slots = max(self._slots, len(self._live.running))
        self._last_epoch.pop(key, None)

    def epoch(self, key: str, epoch: Epoch, node: str, *, restored: bool) -> None:
        running = self._live.running[key]
        running.epoch, running.val_dice, running.node = epoch.epoch, epoch.val_dice, node
        self._last_epoch[key] = time.monotonic()
        if not restored:
            self._live.epochs_done += 1
            self._times.known.see(self._known[key], epoch.seconds)
        if not self._console.is_terminal and time.monotonic() - self._last_line >= _LINE_EVERY_SECONDS:
            for other, row in self._live.running.items():
                if row.val_dice is not None and self._said.get(other) != row.epoch:
                    self._said[other] = row.epoch
                    self._line(f"        {row.name}: epoch {row.epoch}/{row.epochs}, val Dice {row.val_dice:.3f}")

    def paused(self, key: str) -> None:
        self._live.running.pop(key, None)
        self._last_epoch.pop(key, None)

    def incident(self, text: str) -> None:
        """Something went wrong that the run goes on from."""
        self._live.incidents = [*self._live.incidents, text][-_INCIDENTS:]
        self._line(f"! {text}")

    def ended(self, record: Record, planned: Planned) -> None:
        self.paused(record.key)
        self._states[self._ended.get(record.key, "")] -= 1
        self._states[record.state] += 1
        self._ended[record.key] = record.state
        live, name = self._live, self._name(record.key, planned)
        live.ended, live.failed, live.stopped = len(self._ended), self._states["failed"], self._states["stopped"]
        if record.state == "failed":
            mark, what = "✗", f"failed: {record.error}"
            live.incidents = [*live.incidents, f"{name} {what}"][-_INCIDENTS:]
        else:
            stopped = "paused" if self._pausing else "stopped early"
            mark, what = ("✓" if record.state == "complete" else "-"), _result(record, stopped)
        self._line(f"{mark} [{live.ended}/{live.total}] {name}: {what}")

    def tick(self) -> None:
        """Called often, whatever happens."""
        if time.monotonic() - self._last_told >= _TELL_EVERY_SECONDS:
            self._last_told = time.monotonic()
            self._now()
            tell(self._study, self._live)

    # Drawing ---------------------------------------------------------------------------------------------------------

    def _line(self, text: str) -> None:
        self._last_line = time.monotonic()
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _name(self, key: str, planned: Planned) -> str:
        label = self._labels.get(key, key)
        return f"{label}, {seed_and_fold(planned.config.seed, planned.config.fold)}"

    def _render(self) -> RenderableType:
        self._now()
        return draw(self._live)

    def _now(self) -> None:
        self._live.updated = time.time()
        if time.monotonic() - self._last_foretold >= _FORETELL_EVERY_SECONDS:
            self._last_foretold = time.monotonic()
            self._live.seconds_left = self._seconds_left()

    def _seconds_left(self) -> float | None:
        """Until the last trial ends, started in the order that a plan's are; None while no epoch was timed."""
        if not self._times.known:
            return None
        running = self._live.running
        waiting = [one for key, one in self._known.items() if key not in running and key not in self._ended]
        under_way = [self._left_of(self._known[key], row) for key, row in running.items()]
        seconds = sorted(map(self._times.trial, waiting), reverse=True)
        if unknown := self._live.total - len(self._known):  # those to come are as long as those that came
            of_known = [self._times.trial(one) for one in self._known.values()]
            seconds += [sum(of_known) / len(of_known)] * unknown if of_known else []
        return min(makespan(seconds, self._slots, under_way), _LONGEST_SECONDS)

    def _left_of(self, foretold: Foretold, row: Running) -> float:
        """Seconds of a running trial's other epochs, but for what of the next has passed."""
        epoch = self._times.epoch(foretold)
        begun = min(time.monotonic() - self._last_epoch[row.key], epoch) if row.key in self._last_epoch else 0.0
        return max(0.0, (row.epochs - row.epoch) * epoch - begun)


def _result(record: Record, stopped: str) -> str:
    stopped = f"{stopped}, " if record.state == "stopped" else ""
    dice = f"val Dice {record.val_dice:.3f} (epoch {record.best_epoch}/{record.epochs})"
    return f"{stopped}{dice}, {clock(record.train_seconds)}"
