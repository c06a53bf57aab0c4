"""The results table as a paper prints it: what is in it, and the sentences that explain it. `typeset` renders it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ablate.analysis.crossed import Interval, counted
from ablate.analysis.failure_words import failed_trainings, legend
from ablate.analysis.failures import Failures, failures, of_metrics
from ablate.analysis.format import MIXED, listing, model_name, several
from ablate.analysis.scores import CellScores, Unit, cell_scores
from ablate.analysis.significance import Difference, difference, holm, mean_interval
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

    `best`: whether it is the best of its task, or printed like it. `to_best`: this cell less the best one, corrected
    for the table (Holm); `None` for the best itself, for a trivial predictor and where the two share nothing.
    """

    interval: Interval
    best: bool = False
    to_best: Difference | None = None

    @property
    def worse(self) -> bool:
        """Whether it is shown to be worse than the best."""
        return self.to_best is not None and self.to_best.significant and self.to_best.gain < 0


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
    peak_memory_mb: float
    device: str
    scores: Mapping[MetricName, TableScore]
    failures: Failures | None
    """What it lost of its test cases; `None` of a trivial predictor."""

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
) -> ResultsTable:
    """The table of every scored cell of `frames`.

    Each cell is compared, paired by seed and image, with the best of its task in each metric; all comparisons of the
    table are one family (Holm). `facts` (a study's, by name) and `notes` go into the caption.
    Raises `InputError` where nothing was scored.
    """
    scores = {metric: cell_scores(frames, metric) for metric in metrics}
    known = {cell: one for of_cell in scores.values() for cell, one in of_cell.items()}
    if all(one.trivial for one in known.values()):
        raise InputError("no network has been scored: a table needs a complete trial")
    compared, tests = _corrected({metric: _compared(metric, of_cell, level) for metric, of_cell in scores.items()})
    costs = frames.trials.drop_duplicates("cell").set_index("cell")
    lost = failures(frames, of_metrics(metrics))
    by_task: dict[str, list[Row]] = {}
    for one in known.values():
        by_task.setdefault(one.task, []).append(_row(one, costs, compared, lost.get(one.cell)))

    def place(row: Row) -> tuple[bool, float, str]:
        score = row.scores[metrics[0]].interval.estimate
        worth = METRICS[metrics[0]].sign * score if math.isfinite(score) else 0.0
        return row.trivial, -worth if row.trivial else row.params, row.label

    sections = tuple(Section(task, tuple(sorted(rows, key=place))) for task, rows in sorted(by_task.items()))
    devices = tuple(dict.fromkeys(row.device for section in sections for row in section.rows if row.device))
    return ResultsTable(
        metrics=tuple(metrics),
        sections=sections,
        devices=devices,
        caption=(
            *_caption(sections, tests, level, frames.unit),
            legend(lost, frames, of_metrics(metrics)),
            *failed_trainings(frames.trials),
            *notes,
        ),
        details=_details(metrics, devices, facts or {}),
    )


_Scores = Mapping[MetricName, Mapping[str, TableScore]]
"""By metric and cell."""


def _corrected(scores: _Scores) -> tuple[_Scores, int]:
    """The scores, their comparisons with the best corrected for being one family, and how many tests it has."""
    compared = [((m, c), one.to_best) for m, of_cell in scores.items() for c, one in of_cell.items()]
    places = [place for place, to_best in compared if to_best is not None]
    family = holm([to_best for _, to_best in compared if to_best is not None])
    corrected = dict(zip(places, family, strict=True))
    found = {
        m: {c: one._replace(to_best=corrected.get((m, c))) for c, one in of_cell.items()}
        for m, of_cell in scores.items()
    }
    return found, sum(one.p_value is not None for one in family)


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
        peak_memory_mb=number("peak_memory_mb"),
        device=_device(costs.loc[one.cell].to_dict()) if math.isfinite(latency) else "",
        scores={metric: _shown(one, of_cell) for metric, of_cell in scores.items()},
        failures=lost,
    )


def _device(trial: Mapping[Any, Any]) -> str:
    named = [trial.get(name) for name in ("latency_device", "latency_input")]
    return " at ".join(text for text in named if isinstance(text, str)) or "a device that was not recorded"


def _compared(metric: MetricName, scores: Mapping[str, CellScores], level: float) -> dict[str, TableScore]:
    """The scores of all cells, each compared with the best of its task; not corrected yet."""
    found = {cell: TableScore(_interval(one, level)) for cell, one in scores.items()}
    for task in {one.task for one in scores.values()}:
        cells = [cell for cell, one in scores.items() if one.task == task and not one.trivial]
        cells = [cell for cell in cells if math.isfinite(found[cell].interval.estimate)]
        if not cells:
            continue
        best = max(cells, key=lambda cell: METRICS[metric].sign * found[cell].interval.estimate)
        for cell in cells:
            if cell == best:
                found[cell] = found[cell]._replace(best=True)
            else:
                found[cell] = found[cell]._replace(to_best=_to_best(metric, scores[cell], scores[best], level))
    return found


def _interval(scores: CellScores, level: float) -> Interval:
    try:
        return mean_interval(scores, level)
    except InputError:
        return Interval(math.nan, math.nan, math.nan, level)


def _to_best(metric: MetricName, scores: CellScores, best: CellScores, level: float) -> Difference | None:
    try:
        return difference(scores, best, metric, level)
    except InputError:
        return None


def _shown(one: CellScores, of_cell: Mapping[str, TableScore]) -> TableScore:
    """The cell's score; what is printed like the best is printed as best, unless it is known to be worse."""
    score = of_cell.get(one.cell, TableScore(Interval(math.nan, math.nan, math.nan, 0.95)))
    if one.trivial or score.worse or score.to_best is None:
        return score
    best = of_cell[score.to_best.b].interval.estimate
    return score._replace(best=printed(score.interval.estimate) == printed(best))


def _caption(sections: Sequence[Section], tests: int, level: float, unit: Unit) -> tuple[str, ...]:
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
            sentences.append(
                f"± is half the width of the {level:.0%} confidence interval, over {over}, and holds for others of "
                f"both{exception}{BRACKETS * any('[' in one.plus_minus for one in intervals)}."
            )
        if why:
            sentences.append(f"Without an interval: {why}.")
    sentences.append("The best is bold.")
    if tests:
        sentences.append(
            f"†: worse than the best (paired by seed and {unit}, p ≤ {1 - level:.2g} after Holm's correction over the "
            f"{several(tests, 'comparison')} of the table); without it no difference was shown."
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
