"""`ablate table`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ablate.errors import InputError
from ablate.runners.cli.costs import in_runtime, runtime_option
from ablate.runners.cli.failures import fail_below_option
from ablate.runners.cli.naming import open_study, studies_argument
from ablate.runners.cli.output import check_target, data, note, write
from ablate.runners.cli.several import by_name
from ablate.runners.cli.shared import class_option, empty_option, metric_name, metric_names, notes, tables, unit_option

if TYPE_CHECKING:
    from ablate.analysis.frames import Frames
    from ablate.analysis.scores import Unit
    from ablate.analysis.scoring import FailBelow
    from ablate.metrics.counts import Empty
    from ablate.study.study import Study


_DEFAULT = "dice,miou"
_MOST = 6
"""Classes that have a column without being named."""
_ENDINGS = {".tex": "latex", ".md": "markdown", ".csv": "csv"}


@click.command()
@studies_argument
@click.option(
    "--as",
    "layout",
    type=click.Choice(["paper-table-2", "paper-table-3"]),
    help="As the PyConvU-Net paper prints its results or its costs, with what it published beside.",
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["latex", "markdown", "csv"]),
    help="The kind of file [default: -o's ending (.tex, .md, .csv), or markdown]",
)
@click.option(
    "--metrics",
    metavar="METRIC,…",
    help="Any of dice, iou, miou, sensitivity, precision, specificity and the trials' own metrics, with commas. Where "
    f"there are several classes, those of each class come too. [default: {_DEFAULT}]",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The file to write [default: standard output].")
@partial(class_option, several=True)
@empty_option
@fail_below_option
@runtime_option
@unit_option
def table(
    studies: tuple[Path, ...],
    layout: str | None,
    kind: str | None,
    metrics: str | None,
    output: Path | None,
    classes: tuple[str, ...],
    empty: Empty | None,
    fail_below: FailBelow | None,
    runtime: str | None,
    unit: Unit | None,
) -> None:
    """A study's results as a paper prints them.

    One row a configuration: each score with the half-width of its 95 %
    interval, the best in bold, what is significantly worse marked, test cases
    that it lost (fails) with the most that their rate can be, and costs. The
    caption says what the numbers are of. LaTeX needs booktabs. Of several
    studies --as paper-table-2 has each data set side by side.

    \b
    Examples:
      ablate table STUDY --format latex -o results.tex
      ablate table STUDY STUDY --as paper-table-2 -o table2.tex
      ablate table STUDY --metrics dice,iou,miou
      ablate table STUDY --fail-below 0.5
      ablate table STUDY --metrics dice,hd95 --class liver --class tumour
    """
    from ablate.analysis.failures import failing

    check_target(output, *(ending for ending, written in _ENDINGS.items() if kind in (None, written)))
    kind = kind or (_ENDINGS.get(output.suffix.lower()) if output else None) or "markdown"
    if layout:
        if metrics is not None or classes or fail_below or runtime:
            raise InputError(
                f"--as {layout} says which columns there are: leave out --metrics, --class, --fail-below and --runtime"
            )
        text, said = _as_paper(layout, kind, [open_study(path) for path in by_name(studies).values()], unit, empty)
    elif len(studies) > 1:
        raise InputError("a table is of one study; --as paper-table-2, and `ablate compare`, are of several")
    else:
        asked = _DEFAULT if metrics is None else metrics
        named = metric_names(asked) or [metric_name(asked)]  # which says that this is none
        opened = open_study(studies[0])
        frames = failing(in_runtime(tables(opened, unit, empty), opened, runtime), fail_below)
        text, said = _results(kind, opened, frames, named, classes)
    content = text.encode(errors="backslashreplace")
    if output:
        write(output, content)
    else:
        data(content)
    if kind == "csv":
        for line in said:
            note(line)


def _results(
    kind: str,
    study: Study,
    frames: Frames,
    named: list[str],
    classes: tuple[str, ...],
) -> tuple[str, list[str]]:
    """The table of a study, and what must be said of it (in `csv` beside it, else within)."""
    from ablate.analysis.by_seed import remarks
    from ablate.analysis.frames import scored
    from ablate.analysis.report.about import about
    from ablate.analysis.tables import results_table
    from ablate.analysis.typeset import FORMATS

    chosen, left_out = _columns(frames, named, classes)
    frames = scored(frames, chosen)
    said = [*remarks(frames), *left_out, *notes(study)]
    said += [f"{one.name}: {one.configuration}." for one in frames.named.values()]
    return FORMATS[kind](results_table(frames, chosen, facts=about(study, frames).facts, notes=said)), said


def _as_paper(
    layout: str, kind: str, studies: list[Study], unit: Unit | None, empty: Empty | None
) -> tuple[str, list[str]]:
    """As `_results`, by the name of a table of the paper's."""
    from ablate.analysis.by_seed import remarks
    from ablate.analysis.paper.tables import TABLES, Held
    from ablate.analysis.paper.typeset import FORMATS
    from ablate.analysis.report.about import about

    held = []
    for study in studies:
        frames = tables(study, unit, empty)
        held.append(Held(study, frames, about(study, frames).facts, [*remarks(frames), *notes(study)]))
    return FORMATS[kind](TABLES[layout](held)), list(dict.fromkeys(note for one in held for note in one.notes))


def _columns(frames: Frames, named: list[str], classes: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """The metrics of each of these classes; without any the means, each with those of its classes after it.

    And what must be said of what has no column.
    """
    from ablate.analysis.scoring import by_class, metric_asked
    from ablate.metrics.counts import METRICS

    if classes:
        return list(dict.fromkeys(metric_asked(frames, name, one) for name in named for one in classes)), []
    chosen, left_out = [], []
    for metric in (metric_asked(frames, name) for name in named):
        own, note = ([], "") if METRICS[metric].background or METRICS[metric].only else by_class(frames, metric, _MOST)
        chosen += [metric, *own]
        left_out += [note] if note else []
    return list(dict.fromkeys(chosen)), left_out
