"""What a person sees of a run: a live table on a terminal, plain lines when piped."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ablation.study import Record
from search_spaces.plan import Planned

_LINE_EVERY_SECONDS = 15.0


class Progress:
    """Watches a run (a `runners.tune.Observer`) and shows it.

    The time left is estimated from cost: MACs times epochs done a second so far, and those still to do.
    """

    def __init__(self, console: Console, trials: list[Planned], labels: dict[str, str]) -> None:
        self._console, self._labels = console, labels
        self._total = {p.key: p.macs * p.config.protocol.epochs for p in trials}
        self._epochs = {p.key: p.config.protocol.epochs for p in trials}
        self._seeds = {p.key: p.config.seed for p in trials}
        self._running: dict[str, tuple[int, float | None]] = {}
        self._ended: dict[str, Record] = {}
        self._began = time.monotonic()
        self._last_line = time.monotonic()
        self._live = Live(get_renderable=self._render, console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    # Events of a run -------------------------------------------------------------------------------------------------

    def started(self, planned: Planned) -> None:
        self._running.setdefault(planned.key, (0, None))

    def epoch(self, key: str, epoch: int, val_dice: float) -> None:
        self._running[key] = (epoch, val_dice)
        if not self._console.is_terminal and time.monotonic() - self._last_line >= _LINE_EVERY_SECONDS:
            for running, (done, dice) in self._running.items():
                if dice is not None:
                    self._line(
                        f"        {self._name(running)}: epoch {done}/{self._epochs[running]}, val Dice {dice:.3f}"
                    )

    def ended(self, record: Record) -> None:
        self._running.pop(record.key, None)
        self._ended[record.key] = record
        mark, what = ("✗", f"failed: {record.error}") if record.state == "failed" else ("✓", _result(record))
        count = f"[{len(self._ended)}/{len(self._total)}]"
        self._line(f"{mark} {count} {self._name(record.key)}: {what}")

    # Drawing ---------------------------------------------------------------------------------------------------------

    def _line(self, text: str) -> None:
        self._last_line = time.monotonic()
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _name(self, key: str) -> str:
        return f"{self._labels[key]}, seed {self._seeds[key]}"

    def _render(self) -> RenderableType:
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        table.add_column("training", max_width=34, no_wrap=True)
        table.add_column("epoch", justify="right")
        table.add_column("", width=14)
        table.add_column("val Dice", justify="right")
        for key, (epoch, dice) in self._running.items():
            total = self._epochs[key]
            bar = ProgressBar(total=total, completed=epoch, width=14)
            table.add_row(self._name(key), f"{epoch}/{total}", bar, "" if dice is None else f"{dice:.3f}")
        failed = sum(record.state == "failed" for record in self._ended.values())
        head = Text.assemble(
            (f"{len(self._ended)}/{len(self._total)} trials", "bold"),
            f", {len(self._running)} running" if self._running else "",
            (f", {failed} failed", "red") if failed else "",
            "" if self._running or self._ended else ", starting Ray",
            f"   {clock(time.monotonic() - self._began)} elapsed",
            f", about {clock(left)} left" if (left := self._seconds_left()) is not None else "",
        )
        return Group(Text(), head, table)

    def _seconds_left(self) -> float | None:
        done = float(sum(self._total[key] for key in self._ended))
        done += sum(self._total[key] * epoch / self._epochs[key] for key, (epoch, _) in self._running.items())
        elapsed, everything = time.monotonic() - self._began, sum(self._total.values())
        if done <= 0 or not everything:
            return None
        return elapsed * (everything - done) / done


def _result(record: Record) -> str:
    return f"val Dice {record.val_dice:.3f} (epoch {record.best_epoch}/{record.epochs}), {clock(record.train_seconds)}"


def clock(seconds: float) -> str:
    """Seconds as a person says them: 42 s, 3:05 min, 2:10 h."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"
