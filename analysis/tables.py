"""The results table as a paper prints it: what is in it, and the sentences that explain it. `typeset` renders it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ablate.analysis.best import AllPairs, all_pairs
from ablate.analysis.crossed import Interval, counted
from ablate.analysis.deployed import files_of
from ablate.analysis.failure_words import failed_trainings, legend
from ablate.analysis.failures import Counted, Failures, failures, of_metrics
from ablate.analysis.format import CHOSEN, MIXED, listing, model_name, several
from ablate.analysis.scores import CellScores, Unit, cell_scores
from ablate.analysis.significance import mean_interval
from ablate.cost.names import ALL_COSTS, RUNTIMES, runtime_of
from ablate.errors import InputError
from ablate.metrics.counts import METRICS, MetricName

if TYPE_CHECKING:
    import pandas as pd

    from ablate.analysis.frames import Frames

_FACTS = ("Data", "Split", "Training", "Selection")
"""What a caption takes of a study's facts (`ablate.analysis.report.about.about`)."""


BRACKETS = "; in brackets, the interval, where it is much longer to one side"


class TableScore(NamedTuple):
    """A cell's mean score; low and high of the interval are NaN with a single seed.

    `best`: whether it is the best of its task, or printed like it. `chosen`: whether the interval is corrected for the
    cell's having been chosen as the best (`ablate.analysis.best`). `to_best`: this mean less the best one's. `p_best`:
    the p-value of "no other is better", corrected for all pairs of cells and all columns of the table; `None` where
    nothing can be said: with one seed, of a trivial predictor.
    """

    interval: Interval
    best: bool = False
    chosen: bool = False
    to_best: float = math.nan
    p_best: float | None = None

    @property
    def worse(self) -> bool:
        """Whether it is told apart from the best, whichever that is."""
        return self.p_best is not None and self.p_best <= 1 - self.interval.level + 1e-12


class Row(NamedTuple):
    """A cell. Costs that were not measured are NaN; `device` is that of latency and memory, '' without them."""

    cell: str
    label: str
    model: str
    trivial: bool
    seeds: int
    images: int
    params: float
    macs: float
    latency_ms: float
    latency_iqr_ms: float
    latency_low_ms: float
    latency_high_ms: float
    latency_cpu_ms: float
    peak_memory_mb: float
    device: str
    scores: Mapping[MetricName, TableScore]
    failures: Counted | None
    """What it lost of its test cases; `None` of a trivial predictor."""
    files: Mapping[str, float] = {}
    """What its files cost in runtimes (`latency_ms@onnx`), where that was measured."""

    @property
    def name(self) -> str:
        mark = MIXED if self.label.endswith(MIXED) else ""
        plain = self.label.removesuffix(MIXED)
        return model_name(self.model) + mark if self.trivial or plain == self.model else self.label


class Section(NamedTuple):
    """The cells of one task by rising parameters, then the trivial predictors, best first."""

    task: str
    rows: tuple[Row, ...]


class ResultsTable(NamedTuple):
    """Everything that is printed. `devices` are those that latency was measured on.

    `caption` says what is shown and how to read it, `details` how the numbers were made; both are sentences.
    """

    metrics: tuple[MetricName, ...]
    sections: tuple[Section, ...]
    devices: tuple[str, ...]
    caption: tuple[str, ...]
    details: tuple[str, ...]


def results_table(
    frames: Frames,
    metrics: Sequence[MetricName] = ("dice", "miou"),
    *,
    facts: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
    level: float = 0.95,
    lost_too: bool = True,
) -> ResultsTable:
    """The table of every scored cell of `frames`.

    In each metric the cells of a task are compared with each other all at once, and all columns are one family.
    `facts` (a study's, by name) and `notes` go into the caption. `lost_too`: with the test cases that each lost.
    Raises `InputError` where nothing was scored.
    """
    scores = {metric: cell_scores(frames, metric) for metric in metrics}
    known = {cell: one for of_cell in scores.values() for cell, one in of_cell.items()}
    if all(one.trivial for one in known.values()):
        raise InputError("no network has been scored: a table needs a complete trial")
    compared, columns = _compared(scores, level)
    costs = frames.trials.drop_duplicates("cell").set_index("cell")
    lost = failures(frames, of_metrics(metrics)) if lost_too else {}
    by_task: dict[str, list[Row]] = {}
    for one in known.values():
        by_task.setdefault(one.task, []).append(_row(one, costs, compared, lost.get(one.cell)))

    def place(row: Row) -> tuple[bool, float, str]:
        score = row.scores[metrics[0]].interval.estimate
        worth = METRICS[metrics[0]].sign * score if math.isfinite(score) else 0.0
        return row.trivial, -worth if row.trivial else row.params, row.label

    sections = tuple(Section(task, tuple(sorted(rows, key=place))) for task, rows in sorted(by_task.items()))
    files = files_of(frames.trials).values()
    on = dict.fromkeys(f"{RUNTIMES[r]}: {device}" for one in files for r, device in one.devices.items())
    devices = tuple(dict.fromkeys(row.device for section in sections for row in section.rows if row.device))
    return ResultsTable(
        metrics=tuple(metrics),
        sections=sections,
        devices=devices,
        caption=(
            *_caption(sections, columns, level, frames.unit),
            *([legend(lost, frames, of_metrics(metrics))] if lost_too else []),
            *failed_trainings(frames.trials),
            *notes,
        ),
        details=(*_details(metrics, devices, facts or {}), *([f"Latency of files: {'; '.join(on)}."] if on else [])),
    )


_Scores = Mapping[MetricName, Mapping[str, TableScore]]
"""By metric and cell."""


def _row(one: CellScores, costs: pd.DataFrame, scores: _Scores, lost: Failures | None) -> Row:
    """`costs` are a trial's, by cell."""

    def number(column: str) -> float:
        return float(costs[column].get(one.cell, math.nan)) if column in costs else math.nan

    latency = number("latency_ms")
    return Row(
        cell=one.cell,
        label=one.label,
        model=one.model,
        trivial=one.trivial,
        seeds=len(one.seeds),
        images=len(one.images),
        params=number("params"),
        macs=number("macs"),
        latency_ms=latency,
        latency_iqr_ms=number("latency_iqr_ms"),
        latency_low_ms=number("latency_low_ms"),
        latency_high_ms=number("latency_high_ms"),
        latency_cpu_ms=number("latency_cpu_ms"),
        peak_memory_mb=number("peak_memory_mb"),
        device=_device(costs.loc[one.cell].to_dict()) if math.isfinite(latency) else "",
        scores={
            metric: of_cell.get(one.cell, TableScore(Interval(math.nan, math.nan, math.nan, 0.95)))
            for metric, of_cell in scores.items()
        },
        failures=None if lost is None else lost.counted,
        files={cost: found for cost in ALL_COSTS if runtime_of(cost) and math.isfinite(found := number(cost))},
    )


def _device(trial: Mapping[Any, Any]) -> str:
    named = [trial.get(name) for name in ("latency_device", "latency_input")]
    return " at ".join(text for text in named if isinstance(text, str)) or "a device that was not recorded"


def _compared(scores: Mapping[MetricName, Mapping[str, CellScores]], level: float) -> tuple[_Scores, int]:
    """The scores of all cells, each compared with all of its task; and how many columns had what to compare."""
    tables: list[tuple[MetricName, dict[str, CellScores], AllPairs]] = []
    found: dict[MetricName, dict[str, TableScore]] = {}
    for metric, of_cell in scores.items():
        found[metric] = {cell: TableScore(_interval(one, level)) for cell, one in of_cell.items()}
        for task in sorted({one.task for one in of_cell.values()}):
            cells = {cell: one for cell, one in of_cell.items() if one.task == task and not one.trivial}
            cells = {cell: one for cell, one in cells.items() if math.isfinite(found[metric][cell].interval.estimate)}
            if cells:
                tables.append((metric, cells, all_pairs(cells, metric, level=level)))
    columns = sum(len(pairs.able) > 1 for *_, pairs in tables)
    for metric, cells, pairs in tables:
        own = {cell: found[metric][cell] for cell in cells}
        found[metric].update(_against_each_other(metric, own, pairs, columns))
    return found, columns


def _against_each_other(
    metric: MetricName, scores: Mapping[str, TableScore], pairs: AllPairs, columns: int
) -> dict[str, TableScore]:
    """One column of one task, with its best and what is told apart from it."""
    top = max(scores, key=lambda cell: METRICS[metric].sign * scores[cell].interval.estimate)
    best = scores[top].interval.estimate
    able = {pairs.cells[at]: min(1.0, columns * float(pairs.p_values[at])) for at in pairs.able}
    found = {
        cell: one._replace(to_best=one.interval.estimate - best, p_best=able.get(cell)) for cell, one in scores.items()
    }
    found = {
        cell: one._replace(best=not one.worse and printed(one.interval.estimate) == printed(best))
        for cell, one in found.items()
    }
    if top in pairs.cells:
        plain = found[top].interval
        corrected = pairs.chosen(pairs.cells.index(top), pairs.reach(~pairs.worse(max(columns, 1))), plain)
        found[top] = found[top]._replace(interval=corrected, chosen=corrected != plain)
    return found


def _interval(scores: CellScores, level: float) -> Interval:
    try:
        return mean_interval(scores, level)
    except InputError:
        return Interval(math.nan, math.nan, math.nan, level)


def _caption(sections: Sequence[Section], columns: int, level: float, unit: Unit) -> tuple[str, ...]:
    networks = [row for section in sections for row in section.rows if not row.trivial]
    tasks = listing([section.task for section in sections])
    seeds, images = ({getattr(row, name) for row in networks} for name in ("seeds", "images"))
    sentences = [f"Test scores on {tasks}: means over {_counts(images, unit)} and {_counts(seeds, 'seed')}."]
    if seeds == {1}:
        sentences.append("With one seed there is no interval, and no difference is called significant.")
    else:
        intervals = [score.interval for row in networks for score in row.scores.values()]
        why = listing(sorted({one.why for one in intervals if one.why and one.seeds > 1}), 2)
        exception = "; a row of one seed has none" if 1 in seeds else ""
        if over := counted(intervals):
            bracketed = any(
                score.chosen or "[" in score.interval.plus_minus for row in networks for score in row.scores.values()
            )
            sentences.append(
                f"± is half the width of the {level:.0%} confidence interval, over {over}, and holds for others of "
                f"both{exception}{BRACKETS * bracketed}."
            )
        if why:
            sentences.append(f"Without an interval: {why}.")
    sentences.append("The best mean is bold.")
    if columns:
        over = f" over the {columns} columns" if columns > 1 else ""
        sentences.append(
            f"†: cannot be the best (all pairs of networks compared at once, paired by {unit}, p ≤ "
            f"{1 - level:.2g}{over}); any without it may be."
        )
    if any(score.chosen for row in networks for score in row.scores.values()):
        sentences.append(
            f"{CHOSEN}: the interval is corrected for the network's having come out best in these data; fresh seeds "
            "(`ablate confirm`) need no correction."
        )
    if any(row.trivial for section in sections for row in section.rows):
        sentences.append("In italics, predictors that look at no image.")
    return tuple(sentences)


def _details(metrics: Sequence[MetricName], devices: Sequence[str], facts: Mapping[str, str]) -> tuple[str, ...]:
    seen = "image, or of one window where patches are drawn" if "window" in facts.get("MACs", "") else "image"
    sentences = [*_meanings(metrics), f"MACs: multiply–accumulates for one {seen}."]
    if len(devices) == 1:
        sentences.append(f"Latency: median for one image, {devices[0]}.")
    elif devices:
        named = "; ".join(f"({mark}) {device}" for mark, device in zip(device_marks(devices), devices, strict=True))
        sentences.append(f"Latency: median for one image, on {named}.")
    return (*sentences, *(f"{name}: {facts[name]}." for name in _FACTS if facts.get(name)))


def _meanings(metrics: Sequence[MetricName]) -> list[str]:
    named = [METRICS[metric] for metric in metrics]
    foreground = [metric.label for metric in named if not metric.background and not metric.only]
    found = [f"{listing(foreground)} {'is' if len(foreground) == 1 else 'are'} of the foreground."]
    mean = ["MIoU is the mean of IoU over classes, background included."] if "miou" in metrics else []
    down = ["↓: the smaller is the better."] if any(metric.unit for metric in named) else []
    return found * bool(foreground) + mean + down


def _counts(counts: set[int], noun: str) -> str:
    low, high = min(counts), max(counts)
    return several(low, noun) if low == high else f"{low} to {several(high, noun)}"


def device_marks(devices: Sequence[str]) -> list[str]:
    return [chr(ord("a") + place) for place in range(len(devices))]


def printed(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "–"
