"""What the terminal says at the end of a run: the front, and what it stands against."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from ablate.analysis.crossed import counted
from ablate.analysis.failure_words import failed_of, failed_trainings
from ablate.analysis.format import between, listing, model_name, score, several
from ablate.analysis.pareto import COST_WORDS, COSTS, Cell, Cost, Pareto, amount, cells, pareto, tasks, value
from ablate.metrics.counts import METRICS, MetricName

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from ablate.analysis.crossed import Interval
    from ablate.analysis.failures import Failures

_MOST_ROWS = 30


def front_summary(
    trials: pd.DataFrame,
    console: Console,
    *,
    x: Cost = "params",
    y: MetricName = "dice",
    caution: str = "",
    intervals: Mapping[MetricName, Mapping[str, Interval]] | None = None,
    failures: Mapping[str, Failures] | None = None,
    lost: str = "",
) -> None:
    """Print a table of the scored cells by cost, those on the front of `y` against `x` marked, then the front in words.

    A score comes with its interval of `intervals` (by metric and cell), or else its standard deviation over seeds; with
    `failures` (by cell), which `lost` explains, it has a column of what was lost. Seeds that failed are named. The
    trivial rows come beneath, and `caution` (what a profile must say of its numbers) last. Of a study with many cells
    only the front is listed.
    """
    by_task = tasks(trials)
    for name, rows in by_task.items():
        if len(by_task) > 1:
            console.print(Text(name, style="bold underline"))
        _task_summary(rows, console, x, y, (intervals or {}).get(y, {}), failures or {})
        if len(by_task) > 1:
            console.print()
    for text in failed_trainings(trials):
        console.print(Text(text, style="yellow"))
    if lost:
        console.print(Text(lost, style="dim"))
    if caution:
        console.print(Text(caution, style="yellow"))


def _table(numbers: Sequence[str]) -> Table:
    """A column for the mark, one for the name, and those of numbers."""
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="bold")
    table.add_column("", width=1, no_wrap=True)
    table.add_column("Configuration", overflow="fold", ratio=1)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _task_summary(
    trials: pd.DataFrame,
    console: Console,
    x: Cost,
    y: MetricName,
    intervals: Mapping[str, Interval],
    failures: Mapping[str, Failures],
) -> None:
    known = {cell.id: cell for cell in cells(trials)}
    found = pareto(trials, x, y)
    if not found.points:
        console.print(Text("No network has been scored: no trial is complete."))
        return
    shown = [point for point in found.points if point.on_front or len(found.points) <= _MOST_ROWS]
    costs: tuple[Cost, ...] = ("params", "macs") if x in ("params", "macs") else ("params", x)
    second: MetricName = "miou" if y != "miou" else "dice"
    sure = {
        name: one
        for name, one in intervals.items()
        if name in known and not known[name].trivial and math.isfinite(one.low)
    }
    heads = [*(COSTS[cost] for cost in costs), METRICS[y].heading, METRICS[second].label]
    table = _table([*heads, "Fails"] if failures else heads)

    def row(cell: Cell) -> list[Text]:
        first, other, interval = cell.score(y), cell.score(second), sure.get(cell.id)
        return [
            Text(model_name(cell.model) if cell.trivial else cell.label),
            *(Text(amount(cost, value(cell, cost))) for cost in costs),
            Text(score(*first) if interval is None else between(first.mean, interval.low, interval.high)),
            Text(score(other.mean) if sure else score(*other)),
            *([Text(failed_of(failures[cell.id]) if cell.id in failures else "")] if failures else []),
        ]

    for point in shown:
        mark, style = ("*", "bold") if point.on_front else ("", "")
        table.add_row(mark, *row(known[point.cell]), style=style)
    for trivial in found.trivial:
        table.add_row("", *row(known[trivial.cell]), style="dim")
    console.print(table)
    if len(shown) < len(found.points):
        console.print(Text(f"and {several(len(found.points) - len(shown), 'network')} off the front", style="dim"))
    if sure:
        over = counted(sure.values()) or "seeds and test images"
        console.print(Text(f"[ ]: 95 % intervals of {METRICS[y].label}, over {over}", style="dim"))
    why = {one.why for name, one in intervals.items() if one.why and name in known and not known[name].trivial}
    if why:
        console.print(Text(f"Without an interval: {listing(sorted(why), 2)}.", style="dim"))
    console.print()
    _front_in_words(found, known, console)


def _front_in_words(found: Pareto, known: Mapping[str, Cell], console: Console) -> None:
    """Who is on the front, and who is no better than a predictor that looks at no image."""
    x, y = found.x, found.y
    labels = [known[cell].label for cell in found.front]
    console.print(
        Text(
            f"* On the front of {METRICS[y].label} against {COST_WORDS[x]} "
            f"({len(labels)} of {several(len(found.points), 'network')}): {listing(labels)}."
        )
    )
    sign = METRICS[y].sign
    beaten = [point for point in found.points if found.trivial and sign * point.y <= sign * found.trivial[0].y]
    if beaten:
        names = listing([point.label for point in beaten])
        bar = found.trivial[0]
        console.print(
            Text(
                f"No better than {model_name(bar.model)} ({METRICS[y].label} {score(bar.y)}): {names}.", style="yellow"
            )
        )
