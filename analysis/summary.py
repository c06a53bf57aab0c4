"""What the terminal says at the end of a run: the front, and what it stands against."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from ablate.analysis.crossed import counted
from ablate.analysis.failure_words import failed_of, failed_trainings
from ablate.analysis.format import CHOSEN, between, listing, model_name, score, several
from ablate.analysis.front_words import best_of_all, chosen_note, told_apart
from ablate.analysis.names import Named, key_table
from ablate.analysis.pareto import COST_WORDS, COSTS, Cell, Cost, Pareto, Score, amount, cells, pareto, tasks, value
from ablate.analysis.uncertainty import UncertainFront, with_chosen
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
    uncertain: Mapping[str, UncertainFront] | None = None,
    failures: Mapping[str, Failures] | None = None,
    lost: str = "",
    named: Mapping[str, Named] | None = None,
) -> None:
    """Print a table of the scored cells by cost, those on the front of `y` against `x` marked, then the front in words.

    A score comes with its interval of `intervals` (by metric and cell), or else its standard deviation over seeds; with
    `failures` (by cell), which `lost` explains, it has a column of what was lost. Seeds that failed are named. With
    `uncertain` (of that front, by task) its members' intervals are corrected and it is said who else may be on it. The
    trivial rows come beneath, and `caution` (what a profile must say of its numbers) last. Of a study with many cells
    only the front is listed. Networks on it that have short names (`named`, by cell) are listed with what these stand
    for.
    """
    by_task = tasks(trials)
    for name, rows in by_task.items():
        if len(by_task) > 1:
            console.print(Text(name, style="bold underline"))
        sure = (uncertain or {}).get(name)
        _task_summary(rows, console, x, y, (intervals or {}).get(y, {}), sure, failures or {})
        _key(pareto(rows, x, y), console, named or {})
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


def _of_score(found: Score, interval: Interval | None, asked: bool) -> str:
    """With its interval; without one, its spread over seeds only where none was asked for."""
    if interval is not None:
        return between(found.mean, interval.low, interval.high)
    return score(found.mean) if asked else score(*found)


def _of_intervals(intervals: Sequence[Interval], metric: MetricName) -> list[str]:
    """What networks' intervals are over, and why some have none."""
    over, why = counted(intervals), sorted({one.why for one in intervals if one.why})
    return [
        *([f"[ ]: 95 % intervals of {METRICS[metric].label}, over {over}"] if over else []),
        *([f"Without an interval: {listing(why, 2)}."] if why else []),
    ]


def _task_summary(
    trials: pd.DataFrame,
    console: Console,
    x: Cost,
    y: MetricName,
    intervals: Mapping[str, Interval],
    uncertain: UncertainFront | None,
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
    corrected = with_chosen({y: intervals}, [uncertain])[y] if uncertain else intervals
    sure = {
        name: one
        for name, one in corrected.items()
        if name in known and not known[name].trivial and math.isfinite(one.low)
    }
    heads = [*(COSTS[cost] for cost in costs), METRICS[y].heading, METRICS[second].label]
    table = _table([*heads, "Fails"] if failures else heads)

    def row(cell: Cell) -> list[Text]:
        first, other, interval = cell.score(y), cell.score(second), sure.get(cell.id)
        mark = CHOSEN if interval != intervals.get(cell.id, interval) else ""
        return [
            Text(model_name(cell.model) if cell.trivial else cell.label),
            *(Text(amount(cost, value(cell, cost))) for cost in costs),
            Text(_of_score(first, interval, bool(intervals)) + (mark if interval is not None else "")),
            Text(score(other.mean) if intervals else score(*other)),
            *([Text(failed_of(failures[cell.id].counted) if cell.id in failures else "")] if failures else []),
        ]

    for point in shown:
        mark, style = ("*", "bold") if point.on_front else ("", "")
        table.add_row(mark, *row(known[point.cell]), style=style)
    for trivial in found.trivial:
        table.add_row("", *row(known[trivial.cell]), style="dim")
    console.print(table)
    if len(shown) < len(found.points):
        console.print(Text(f"and {several(len(found.points) - len(shown), 'network')} off the front", style="dim"))
    if any(one != intervals[name] for name, one in sure.items()):
        console.print(Text(chosen_note("networks on the front"), style="dim"))
    for line in _of_intervals([intervals[name] for name in known if name in intervals and not known[name].trivial], y):
        console.print(Text(line, style="dim"))
    console.print()
    for text in _in_words(found, uncertain):
        console.print(text)


def _key(found: Pareto, console: Console, named: Mapping[str, Named]) -> None:
    """What the short names on a front stand for."""
    chosen = [one for cell, one in named.items() if cell in found.front]
    if chosen:
        console.print()
        console.print(key_table(chosen))
        if len(chosen) < len(named):
            console.print(Text("The other networks' configurations: `ablate status STUDY`.", style="dim"))


def _in_words(found: Pareto, uncertain: UncertainFront | None) -> Iterator[Text]:
    """The front, who is not told apart from it, and who is no better than a predictor that looks at no image."""
    metric, labels = METRICS[found.y], [point.label for point in found.points if point.on_front]
    yield Text(
        f"* On the front of {metric.label} against {COST_WORDS[found.x]}, as estimated "
        f"({len(labels)} of {several(len(found.points), 'network')}): {listing(labels)}."
    )
    if uncertain is not None:
        yield from map(Text, (*told_apart(found, uncertain), *best_of_all(found, uncertain)))
    elif len(found.points) > 1:
        yield Text("Others may not be told apart from it: `ablate pareto STUDY` says which.", style="dim")
    sign = metric.sign
    beaten = [point for point in found.points if found.trivial and sign * point.y <= sign * found.trivial[0].y]
    if beaten:
        bar = found.trivial[0]
        names = listing([point.label for point in beaten])
        yield Text(f"No better than {model_name(bar.model)} ({metric.label} {score(bar.y)}): {names}.", style="yellow")
