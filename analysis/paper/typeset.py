"""The paper's tables as LaTeX, as Markdown and as CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable

from ablate.analysis.paper.tables import HERE, PUBLISHED, TRIVIAL, PaperRow, PaperTable, Place
from ablate.analysis.typeset import latex_text, markdown_text, pipes

_NOT_KNOWN = "–"
_WIDE = 4
"""Columns of numbers that fit a line at the usual size."""


def latex(table: PaperTable) -> str:
    """A `table` environment, its caption above and the details beneath; its first line says what package it needs.

    `wide`: across both columns of a page of two.
    """
    numbers = sum(len(names) for _, names in table.groups)
    heads, rules, at = [""], [], 2
    for heading, names in table.groups:
        heads.append(rf"\multicolumn{{{len(names)}}}{{c}}{{{latex_text(heading)}}}")
        rules.append(rf"\cmidrule(lr){{{at}-{at + len(names) - 1}}}")
        at += len(names)
    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}[t]",
        r"\centering",
        r"\setlength{\belowcaptionskip}{6pt}",
        rf"\caption{{{latex_text(' '.join(table.caption))}}}",
        rf"\label{{tab:{table.label}}}",
        r"\small" if numbers <= _WIDE else r"\footnotesize\setlength{\tabcolsep}{4pt}",
        rf"\begin{{tabular}}{{@{{}}l{'r' * numbers}@{{}}}}",
        r"\toprule",
        " & ".join(heads) + r" \\",
        "".join(rules),
        " & ".join(["Network", *(latex_text(name) for _, names in table.groups for name in names)]) + r" \\",
        r"\midrule",
    ]
    before = HERE
    for row in table.rows:
        lines += [r"\midrule"] if row.source == TRIVIAL and before != TRIVIAL else []
        lines.append(" & ".join(_latex_cells(row)) + r" \\")
        before = row.source
    lines += [
        r"\bottomrule",
        r"\end{tabular}",
        r"\par\vspace{4pt}",
        rf"\parbox{{\linewidth}}{{\footnotesize {latex_text(' '.join(table.details))}}}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _latex_cells(row: PaperRow) -> list[str]:
    def cell(place: Place) -> str:
        text = latex_text(_number(place))
        text = rf"\textbf{{{text}}}" if place.best else text
        mark = rf"\rlap{{{latex_text(place.mark)}}}" if place.mark else ""
        return (f"{text}~{latex_text(place.interval).replace(' ', '~')}" if place.interval else text) + mark

    name = latex_text(row.name)
    name = rf"\quad {name}" if row.source == PUBLISHED else name
    cells = [name, *map(cell, row.places)]
    return [rf"\textit{{{one}}}" if row.source != HERE else one for one in cells]


def markdown(table: PaperTable) -> str:
    """A pipe table, and the sentences beneath."""
    names = [markdown_text(f"{heading} {name}") for heading, own in table.groups for name in own]

    def cell(place: Place) -> str:
        text = f"**{_number(place)}**" if place.best else _number(place)
        return (f"{text} {markdown_text(place.interval)}" if place.interval else text) + place.mark

    lines = [pipes(["Network", *names]), pipes(["---", *("---:" for _ in names)])]
    for row in table.rows:
        cells = [markdown_text(row.name), *map(cell, row.places)]
        lines.append(pipes([f"*{one}*" if row.source != HERE else one for one in cells]))
    texts = [markdown_text(" ".join(sentences)) for sentences in (table.caption, table.details)]
    return "\n\n".join(["\n".join(lines), *texts]) + "\n"


def comma_separated(table: PaperTable) -> str:
    """A row a network and source (here, published, trivial), unrounded; empty is not known."""
    columns = [f"{heading} {name}" for heading, own in table.groups for name in own]
    ranged = any(math.isfinite(place.low) for row in table.rows for place in row.places)
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    ends = ("", " low", " high") if ranged else ("",)
    writer.writerow(["network", "source", *(f"{column}{end}" for column in columns for end in ends)])
    last = ""
    for row in table.rows:
        last = last if row.source == PUBLISHED else row.name
        values = [value for place in row.places for value in (place.value, place.low, place.high)[: len(ends)]]
        writer.writerow([last, row.source, *(value if math.isfinite(value) else "" for value in values)])
    return file.getvalue()


def _number(place: Place) -> str:
    return f"{place.value:.{place.decimals}f}" if math.isfinite(place.value) else _NOT_KNOWN


FORMATS: dict[str, Callable[[PaperTable], str]] = {"latex": latex, "markdown": markdown, "csv": comma_separated}
