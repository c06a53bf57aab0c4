"""The results table as a paper prints it: computed by `results_table`, rendered as LaTeX, Markdown or CSV."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ablate.analysis.crossed import Interval
from ablate.analysis.format import MIXED, listing, model_name, several
from ablate.analysis.scores import CellScores, cell_scores
from ablate.analysis.significance import Difference, difference, holm, mean_interval
from ablate.errors import InputError
from ablate.metrics.counts import METRICS, MetricName

if TYPE_CHECKING:
    from ablate.analysis.frames import Frames

_FACTS = ("Data", "Split", "Training", "Selection")
"""What a caption takes of a study's facts (`ablate.analysis.report.study_report.about`)."""


class Entry(NamedTuple):
    """A cell's mean score; low and high of the interval are NaN with a single seed.

    `best`: whether it is the best of its task, or printed like it. `to_best`: this cell less the best one, corrected
    for the table (Holm); `None` for the best itself, for a trivial predictor and where the two share nothing.
    """

    interval: Interval
    best: bool = False
    to_best: Difference | None = None

    @property
    def half_width(self) -> float | None:
        """Of the interval; `None` where it is not known."""
        width = (self.interval.high - self.interval.low) / 2
        return width if math.isfinite(width) else None

    @property
    def worse(self) -> bool:
        """Whether it is shown to be worse than the best."""
        return self.to_best is not None and self.to_best.significant and self.to_best.interval.estimate < 0


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
    scores: dict[MetricName, Entry]

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
    known = scores[metrics[0]]
    if all(one.trivial for one in known.values()):
        raise InputError("no network has been scored: a table needs a complete trial")
    entries = {metric: _entries(metric, of_cell, level) for metric, of_cell in scores.items()}
    compared = [(m, c) for m, found in entries.items() for c, entry in found.items() if entry.to_best is not None]
    family = holm([entry for m, c in compared if (entry := entries[m][c].to_best) is not None])
    for (metric, cell), corrected in zip(compared, family, strict=True):
        entries[metric][cell] = entries[metric][cell]._replace(to_best=corrected)
    costs = frames.trials.drop_duplicates("cell").set_index("cell")

    def row(one: CellScores) -> Row:
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
            scores={metric: _shown(metric, one, entries[metric]) for metric in metrics},
        )

    rows = [(one.task, row(one)) for one in known.values()]
    first = metrics[0]

    def place(row: Row) -> tuple[bool, float, str]:
        return row.trivial, -row.scores[first].interval.estimate if row.trivial else row.params, row.label

    sections = tuple(
        Section(task, tuple(sorted((r for t, r in rows if t == task), key=place)))
        for task in sorted({task for task, _ in rows})
    )
    devices = tuple(dict.fromkeys(r.device for section in sections for r in section.rows if r.device))
    tests = sum(found.p_value is not None for found in family)
    return ResultsTable(
        metrics=tuple(metrics),
        sections=sections,
        devices=devices,
        caption=(*_caption(sections, tests, level), *notes),
        details=_details(metrics, devices, facts or {}),
    )


def _device(trial: Mapping[Any, Any]) -> str:
    named = [trial.get(name) for name in ("latency_device", "latency_input")]
    return " at ".join(text for text in named if isinstance(text, str)) or "a device that was not recorded"


def _entries(metric: MetricName, scores: Mapping[str, CellScores], level: float) -> dict[str, Entry]:
    """The entries of all cells, each compared with the best of its task; not corrected yet."""
    found = {cell: Entry(_interval(one, level)) for cell, one in scores.items()}
    for task in {one.task for one in scores.values()}:
        cells = [cell for cell, one in scores.items() if one.task == task and not one.trivial]
        cells = [cell for cell in cells if math.isfinite(found[cell].interval.estimate)]
        if not cells:
            continue
        best = max(cells, key=lambda cell: found[cell].interval.estimate)
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


def _shown(metric: MetricName, one: CellScores, entries: Mapping[str, Entry]) -> Entry:
    """The cell's entry; what is printed like the best is printed as best, unless it is known to be worse."""
    entry = entries[one.cell]
    if one.trivial or entry.worse or entry.to_best is None:
        return entry
    best = entries[entry.to_best.b].interval.estimate
    return entry._replace(best=_score(entry.interval.estimate) == _score(best))


def _caption(sections: Sequence[Section], tests: int, level: float) -> tuple[str, ...]:
    networks = [row for section in sections for row in section.rows if not row.trivial]
    tasks = listing([section.task for section in sections])
    seeds, images = ({getattr(row, name) for row in networks} for name in ("seeds", "images"))
    sentences = [f"Test scores on {tasks}: means over {_counts(images, 'image')} and {_counts(seeds, 'seed')}."]
    if seeds == {1}:
        sentences.append("With one seed there is no interval, and no difference is called significant.")
    else:
        exception = "; a row of one seed has none" if 1 in seeds else ""
        sentences.append(
            f"± is half the width of the {level:.0%} confidence interval, over seeds and images{exception}."
        )
    sentences.append("The best is bold.")
    if tests:
        sentences.append(
            f"†: worse than the best (paired by seed and image, p ≤ {1 - level:.2g} after Holm's correction over the "
            f"{several(tests, 'comparison')} of the table); without it no difference was shown."
        )
    if any(row.trivial for section in sections for row in section.rows):
        sentences.append("In italics, predictors that look at no image.")
    return tuple(sentences)


def _details(metrics: Sequence[MetricName], devices: Sequence[str], facts: Mapping[str, str]) -> tuple[str, ...]:
    sentences = [*_meanings(metrics), "MACs: multiply–accumulates for one image."]
    if len(devices) == 1:
        sentences.append(f"Latency: median for one image, {devices[0]}.")
    elif devices:
        named = "; ".join(f"({mark}) {device}" for mark, device in zip(_marks(devices), devices, strict=True))
        sentences.append(f"Latency: median for one image, on {named}.")
    return (*sentences, *(f"{name}: {facts[name]}." for name in _FACTS if facts.get(name)))


def _meanings(metrics: Sequence[MetricName]) -> list[str]:
    foreground = [METRICS[metric].label for metric in metrics if not METRICS[metric].background]
    found = [f"{' and '.join(foreground)} {'is' if len(foreground) == 1 else 'are'} of the foreground."]
    mean = ["MIoU is the mean of IoU over classes, background included."] if "miou" in metrics else []
    return found * bool(foreground) + mean


def _counts(counts: set[int], noun: str) -> str:
    low, high = min(counts), max(counts)
    return several(low, noun) if low == high else f"{low} to {several(high, noun)}"


# What all renderers print --------------------------------------------------------------------------------------------

_PREFIXES = ("", "k", "M", "G", "T", "P")


class _Column(NamedTuple):
    title: str
    text: Callable[[Row], str]


def _columns(table: ResultsTable) -> list[_Column]:
    """The columns beside the names and scores that this table has something for."""
    rows = [row for section in table.sections for row in section.rows if not row.trivial]
    columns = []
    if len({row.seeds for row in rows}) > 1:
        columns.append(_Column("Seeds", lambda row: "" if row.trivial else str(row.seeds)))
    columns.append(_scaled("Params", "params", [row.params for row in rows]))
    columns.append(_scaled("MACs", "macs", [row.macs for row in rows]))
    if table.devices:
        marks = dict(zip(table.devices, _marks(table.devices), strict=True)) if len(table.devices) > 1 else {}

        def latency(row: Row) -> str:
            mark = f" ({marks[row.device]})" if row.device in marks else ""
            return f"{row.latency_ms:.1f}{mark}" if math.isfinite(row.latency_ms) else "–"

        columns.append(_Column("Latency (ms)", latency))
    return columns


def _marks(devices: Sequence[str]) -> list[str]:
    return [chr(ord("a") + place) for place in range(len(devices))]


def _scaled(title: str, field: str, values: list[float]) -> _Column:
    """A column of counts in one unit, chosen so that the smallest has two significant digits."""
    smallest = min((value for value in values if math.isfinite(value) and value > 0), default=1.0)
    step = min(max(math.floor((math.log10(smallest) + 1) / 3), 0), len(_PREFIXES) - 1)
    scale = 1000.0**step
    decimals = (2 if smallest / scale < 10 else 1 if smallest / scale < 100 else 0) if step else 0

    def text(row: Row) -> str:
        value = getattr(row, field)
        return "–" if row.trivial or not math.isfinite(value) else f"{value / scale:.{decimals}f}"

    return _Column(f"{title} ({_PREFIXES[step]})" if step else title, text)


def _score(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "–"


def _half_width(row: Row, entry: Entry) -> str:
    """As printed; '' where there is none. A trivial predictor's interval is over images alone, so it is not printed."""
    return "" if row.trivial or entry.half_width is None else f"{entry.half_width:.3f}"


# LaTeX ---------------------------------------------------------------------------------------------------------------

_LONG_NAME = 30
"""Characters from which the names' column is wrapped."""
_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "%": r"\%", "#": r"\#", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedblright{}", "±": r"$\pm$", "×": r"$\times$", "≤": r"$\leq$", "≥": r"$\geq$",
    "–": "--", "—": "---", "†": r"$^{\dagger}$", "‡": r"$^{\ddagger}$", "·": r"$\cdot$", "−": r"$-$",
    "\N{NO-BREAK SPACE}": "~",
    "“": "``", "”": "''", "’": "'", "…": r"\ldots{}", "µ": r"$\mu$", "²": r"$^2$", "→": r"$\rightarrow$",
}  # fmt: skip


def latex(table: ResultsTable, label: str = "results") -> str:
    """A `table` environment, its caption above and the details beneath; its first line says what packages it needs."""
    columns = _columns(table)
    long = any(len(row.name) > _LONG_NAME for section in table.sections for row in section.rows)
    width = 1 + len(table.metrics) + len(columns)
    # A long name wraps in what the other columns leave of the line, so these take as little as is legible.
    environment, total, names = ("tabularx", r"{\linewidth}", "X") if long else ("tabular", "", "l")
    lines = [
        r"% needs \usepackage{booktabs" + (",tabularx}" if long else "}"),
        r"\begin{table}[t]",
        r"\centering",
        r"\setlength{\belowcaptionskip}{6pt}",
        rf"\caption{{{latex_text(' '.join(table.caption))}}}",
        rf"\label{{tab:{label}}}",
        r"\footnotesize\setlength{\tabcolsep}{4pt}" if long else r"\small",
        rf"\begin{{{environment}}}{total}{{@{{}}{names}{'l' * len(table.metrics)}{'r' * len(columns)}@{{}}}}",
        r"\toprule",
        " & ".join(["Network", *(METRICS[m].label for m in table.metrics), *(latex_text(c.title) for c in columns)])
        + r" \\",
    ]
    for section in table.sections:
        lines.append(r"\midrule")
        if len(table.sections) > 1:
            lines += [rf"\multicolumn{{{width}}}{{@{{}}l}}{{{latex_text(section.task)}}} \\", r"\addlinespace[2pt]"]
        trivial_begun = False
        for row in section.rows:
            if row.trivial and not trivial_begun:
                lines.append(r"\midrule")
                trivial_begun = True
            name = latex_text(row.name, breakable=len(row.name) > _LONG_NAME)
            cells = [rf"\raggedright {name}" if long else name]
            cells += [_latex_score(row, row.scores[metric]) for metric in table.metrics]
            cells += [latex_text(column.text(row)) for column in columns]
            lines.append(
                " & ".join([rf"\textit{{{cell}}}" if cell and row.trivial else cell for cell in cells]) + r" \\"
            )
    lines += [
        r"\bottomrule",
        rf"\end{{{environment}}}",
        r"\par\vspace{4pt}",
        rf"\parbox{{\linewidth}}{{\footnotesize {latex_text(' '.join(table.details))}}}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def latex_text(text: str, *, breakable: bool = False) -> str:
    """Text as LaTeX sets it. If `breakable`, lines may break after punctuation, and anywhere in a very long word."""
    escaped = [_LATEX.get(character, character) for character in text]
    if not breakable:
        return "".join(escaped)
    found, run = [], 0
    for character, shown in zip(text, escaped, strict=True):
        found.append(shown)
        run = 0 if character.isspace() else run + 1
        if (run and character in "_,=/:;.-+&|") or run > 8:
            found.append(r"\allowbreak{}")
            run = 0
    return "".join(found)


def _latex_score(row: Row, entry: Entry) -> str:
    mean, half = _score(entry.interval.estimate), _half_width(row, entry)
    mean = rf"\textbf{{{mean}}}" if entry.best else latex_text(mean)
    dagger = r"\rlap{$^{\dagger}$}" if entry.worse else ""
    return (rf"{mean}~$\pm$~{half}" if half else mean) + dagger


# Markdown ------------------------------------------------------------------------------------------------------------


def markdown(table: ResultsTable) -> str:
    """A pipe table for each task, and the caption beneath."""
    columns = _columns(table)
    heads = ["Network", *(METRICS[metric].label for metric in table.metrics), *(column.title for column in columns)]
    rule = ["---", *("---" for _ in table.metrics), *("---:" for _ in columns)]
    blocks = []
    for section in table.sections:
        lines = [f"**{markdown_text(section.task)}**", ""] if len(table.sections) > 1 else []
        lines += [_pipes(heads), _pipes(rule)]
        for row in section.rows:
            cells = [markdown_text(row.name)]
            cells += [_markdown_score(row, row.scores[metric]) for metric in table.metrics]
            cells += [column.text(row) for column in columns]
            lines.append(_pipes([f"*{cell}*" if cell and row.trivial else cell for cell in cells]))
        blocks.append("\n".join(lines))
    texts = [markdown_text(" ".join(sentences)) for sentences in (table.caption, table.details)]
    return "\n\n".join([*blocks, *texts]) + "\n"


def markdown_text(text: str) -> str:
    """Text that Markdown, and HTML in it, leaves as it is."""
    escaped = re.sub(r"([\\`*_|\[\]~$])", r"\\\1", text)
    return " ".join(escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").split())


def _pipes(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _markdown_score(row: Row, entry: Entry) -> str:
    mean, half = _score(entry.interval.estimate), _half_width(row, entry)
    mean = f"**{mean}**" if entry.best else mean
    return (f"{mean} ± {half}" if half else mean) + ("†" if entry.worse else "")


# CSV -----------------------------------------------------------------------------------------------------------------


def comma_separated(table: ResultsTable) -> str:
    """A row a cell, unrounded; `<metric>_p` is of the difference to the best, Holm-corrected. Empty is not known."""
    costs = ("params", "macs", "latency_ms", "latency_iqr_ms", "peak_memory_mb")
    kinds = ("", "_low", "_high", "_best", "_difference", "_p")
    head = ["data", "cell", "label", "model", "trivial", "seeds", "images", *costs, "device"]
    head += [f"{metric}{kind}" for metric in table.metrics for kind in kinds]
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(head)
    for section in table.sections:
        for row in section.rows:
            cells: list[object] = [section.task, row.cell, row.name, row.model, row.trivial, row.seeds, row.images]
            cells += [*(_known(getattr(row, name)) for name in costs), row.device]
            for metric in table.metrics:
                entry = row.scores[metric]
                cells += [*map(_known, entry.interval[:3]), entry.best]
                cells += [entry.to_best.interval.estimate, entry.to_best.p_holm] if entry.to_best else ["", ""]
            writer.writerow(cells)
    return file.getvalue()


def _known(value: float) -> float | str:
    return value if math.isfinite(value) else ""
