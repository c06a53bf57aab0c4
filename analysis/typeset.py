"""The results table as LaTeX, as Markdown and as CSV."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from ablate.analysis.failure_words import failed_of
from ablate.analysis.format import CHOSEN, PREFIXES
from ablate.analysis.tables import ResultsTable, Row, TableScore, device_marks, printed
from ablate.cost.names import ALL_COSTS, UNITS
from ablate.metrics.counts import METRICS


class _Column(NamedTuple):
    title: str
    text: Callable[[Row], str]


def _columns(table: ResultsTable) -> list[_Column]:
    """The columns beside the names and scores that this table has something for."""
    rows = [row for section in table.sections for row in section.rows if not row.trivial]
    columns = [_Column("Fails", lambda row: "" if row.failures is None else failed_of(row.failures))]
    if len({row.seeds for row in rows}) > 1:
        columns.append(_Column("Seeds", lambda row: "" if row.trivial else str(row.seeds)))
    columns.append(_scaled("Params", "params", [row.params for row in rows]))
    columns.append(_scaled("MACs", "macs", [row.macs for row in rows]))
    if table.devices:
        marks = dict(zip(table.devices, device_marks(table.devices), strict=True)) if len(table.devices) > 1 else {}

        def latency(row: Row) -> str:
            mark = f" ({marks[row.device]})" if row.device in marks else ""
            return f"{row.latency_ms:.1f}{mark}" if math.isfinite(row.latency_ms) else "–"

        columns.append(_Column("Latency (ms)", latency))
    columns += [_of_files(cost) for cost in _file_costs(rows) if cost.startswith("latency_ms")]
    return columns


def _file_costs(rows: Iterable[Row]) -> list[str]:
    """What is known of some row's files."""
    known = {cost for row in rows for cost in row.files}
    return [cost for cost in ALL_COSTS if cost in known]


def _of_files(cost: str) -> _Column:
    def text(row: Row) -> str:
        return f"{row.files[cost]:.1f}" if cost in row.files else "–"

    return _Column(f"{ALL_COSTS[cost]} ({UNITS[cost]})", text)


def _scaled(title: str, field: str, values: list[float]) -> _Column:
    """A column of counts in one unit, chosen so that the smallest has two significant digits."""
    smallest = min((value for value in values if math.isfinite(value) and value > 0), default=1.0)
    step = min(max(math.floor((math.log10(smallest) + 1) / 3), 0), len(PREFIXES) - 1)
    scale = 1000.0**step
    decimals = (2 if smallest / scale < 10 else 1 if smallest / scale < 100 else 0) if step else 0

    def text(row: Row) -> str:
        value = getattr(row, field)
        return "–" if row.trivial or not math.isfinite(value) else f"{value / scale:.{decimals}f}"

    return _Column(f"{title} ({PREFIXES[step]})" if step else title, text)


def interval_text(row: Row, score: TableScore) -> str:
    """As printed; '' where there is none. A trivial predictor's interval is over images alone, so it is not printed."""
    if score.chosen:
        return f"[{score.interval.low:.3f}, {score.interval.high:.3f}]{CHOSEN}"
    return "" if row.trivial else score.interval.plus_minus


# LaTeX ---------------------------------------------------------------------------------------------------------------

_LONG_NAME = 30
"""Characters from which the names' column is wrapped."""
_WIDE = 5
"""Columns that fit a line at the usual size and distance."""
_SIZES = (
    r"\small",
    r"\footnotesize\setlength{\tabcolsep}{4pt}",
    r"\scriptsize\setlength{\tabcolsep}{3pt}",
)
_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "%": r"\%", "#": r"\#", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedblright{}", "±": r"$\pm$", "×": r"$\times$", "≤": r"$\leq$", "≥": r"$\geq$",
    "§": r"\S{}", "–": "--", "—": "---", "†": r"$^{\dagger}$", "‡": r"$^{\ddagger}$", "·": r"$\cdot$", "−": r"$-$",
    "\N{NO-BREAK SPACE}": "~",
    "“": "``", "”": "''", "’": "'", "…": r"\ldots{}", "µ": r"$\mu$", "²": r"$^2$", "→": r"$\rightarrow$",
    "↓": r"$\downarrow$",
}  # fmt: skip


def latex(table: ResultsTable, label: str = "results") -> str:
    """A `table` environment, its caption above and the details beneath; its first line says what packages it needs."""
    columns = _columns(table)
    long = any(len(row.name) > _LONG_NAME for section in table.sections for row in section.rows)
    width = 1 + len(table.metrics) + len(columns)
    # A long name wraps in what the other columns leave of the line, so these take as little as is legible.
    size = _SIZES[long + (width > _WIDE)]
    environment, total, names = ("tabularx", r"{\linewidth}", "X") if long else ("tabular", "", "l")
    lines = [
        r"% needs \usepackage{booktabs" + (",tabularx}" if long else "}"),
        r"\begin{table}[t]",
        r"\centering",
        r"\setlength{\belowcaptionskip}{6pt}",
        rf"\caption{{{latex_text(' '.join(table.caption))}}}",
        rf"\label{{tab:{label}}}",
        size,
        rf"\begin{{{environment}}}{total}{{@{{}}{names}{'l' * len(table.metrics)}{'r' * len(columns)}@{{}}}}",
        r"\toprule",
        " & ".join(
            [
                "Network",
                *(latex_text(METRICS[m].heading) for m in table.metrics),
                *(latex_text(c.title) for c in columns),
            ]
        )
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


def _latex_score(row: Row, score: TableScore) -> str:
    mean, interval = printed(score.interval.estimate), interval_text(row, score)
    mean = rf"\textbf{{{mean}}}" if score.best else latex_text(mean)
    dagger = r"\rlap{$^{\dagger}$}" if score.worse else ""
    return (f"{mean}~{latex_text(interval).replace(' ', '~')}" if interval else mean) + dagger


# Markdown ------------------------------------------------------------------------------------------------------------


def markdown(table: ResultsTable) -> str:
    """A pipe table for each task, and the caption beneath."""
    columns = _columns(table)
    heads = [
        "Network",
        *(markdown_text(METRICS[m].heading) for m in table.metrics),
        *(column.title for column in columns),
    ]
    rule = ["---", *("---" for _ in table.metrics), *("---:" for _ in columns)]
    blocks = []
    for section in table.sections:
        lines = [f"**{markdown_text(section.task)}**", ""] if len(table.sections) > 1 else []
        lines += [pipes(heads), pipes(rule)]
        for row in section.rows:
            cells = [markdown_text(row.name)]
            cells += [_markdown_score(row, row.scores[metric]) for metric in table.metrics]
            cells += [column.text(row) for column in columns]
            lines.append(pipes([f"*{cell}*" if cell and row.trivial else cell for cell in cells]))
        blocks.append("\n".join(lines))
    texts = [markdown_text(" ".join(sentences)) for sentences in (table.caption, table.details)]
    return "\n\n".join([*blocks, *texts]) + "\n"


def markdown_text(text: str) -> str:
    """Text that Markdown, and HTML in it, leaves as it is."""
    escaped = re.sub(r"([\\`*_|\[\]~$])", r"\\\1", text)
    return " ".join(escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").split())


def pipes(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _markdown_score(row: Row, score: TableScore) -> str:
    mean, interval = printed(score.interval.estimate), interval_text(row, score)
    mean = f"**{mean}**" if score.best else mean
    return (f"{mean} {markdown_text(interval)}" if interval else mean) + ("†" if score.worse else "")


# CSV -----------------------------------------------------------------------------------------------------------------


def comma_separated(table: ResultsTable) -> str:
    """A row a cell, unrounded; `<metric>_p` is of "no other is better", corrected. Empty is not known.

    `fails` of `fails_of` tests were lost, with a Dice below `fails_below`; `fails_at_most` bounds their rate.
    """
    latency = ("latency_ms", "latency_iqr_ms", "latency_low_ms", "latency_high_ms", "latency_cpu_ms")
    costs = ("params", "macs", *latency, "peak_memory_mb")
    kinds = ("", "_low", "_high", "_chosen", "_best", "_difference", "_p")
    lost = ("failed", "tests", "at_most", "below", "empty", "failed_seeds")
    head = ["data", "cell", "label", "model", "trivial", "seeds", "images", *costs, "device"]
    head += ["fails", "fails_of", "fails_at_most", "fails_below", "empty_predictions", "failed_seeds"]
    head += [f"{metric}{kind}" for metric in table.metrics for kind in kinds]
    of_files = _file_costs(row for section in table.sections for row in section.rows)
    head += of_files
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(head)
    for section in table.sections:
        for row in section.rows:
            cells: list[object] = [section.task, row.cell, row.name, row.model, row.trivial, row.seeds, row.images]
            cells += [*(_known(getattr(row, name)) for name in costs), row.device]
            found = {} if row.failures is None else row.failures.document()
            found |= {"failed_seeds": " ".join(map(str, found.get("failed_seeds", ())))}
            cells += [found.get(name, "") for name in lost]
            for metric in table.metrics:
                score = row.scores[metric]
                cells += [*map(_known, score.interval[:3]), score.chosen, score.best, _known(score.to_best)]
                cells.append("" if score.p_best is None else score.p_best)
            cells += [row.files.get(cost, "") for cost in of_files]
            writer.writerow(cells)
    return file.getvalue()


def _known(value: float) -> float | str:
    return value if math.isfinite(value) else ""


FORMATS: dict[str, Callable[[ResultsTable], str]] = {"latex": latex, "markdown": markdown, "csv": comma_separated}
