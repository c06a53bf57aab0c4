"""`ablate table`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ablate.runners.cli.costs import in_runtime, runtime_option
from ablate.runners.cli.failures import fail_below_option
from ablate.runners.cli.output import check_target, data, note, write
from ablate.runners.cli.shared import (
    class_option,
    empty_option,
    metric_name,
    metric_names,
    notes,
    open_study,
    study_argument,
    tables,
    unit_option,
)

if TYPE_CHECKING:
    from ablate.analysis.frames import Frames
    from ablate.analysis.scores import Unit
    from ablate.analysis.scoring import FailBelow
    from ablate.metrics.counts import Empty


_MOST = 6
"""Classes that have a column without being named."""
_ENDINGS = {".tex": "latex", ".md": "markdown", ".csv": "csv"}


@click.command()
@study_argument
@click.option(
    "--format",
    "kind",
    type=click.Choice(["latex", "markdown", "csv"]),
    help="The kind of file [default: -o's ending (.tex, .md, .csv), or markdown]",
)
@click.option(
    "--metrics",
    metavar="METRIC,…",
    default="dice,miou",
    show_default=True,
    help="Any of dice, iou, miou, sensitivity, precision, specificity and the trials' own metrics, with commas. Where "
    "there are several classes, those of each class come too.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The file to write [default: standard output].")
@partial(class_option, several=True)
@empty_option
@fail_below_option
@runtime_option
@unit_option
def table(
    study: Path,
    kind: str | None,
    metrics: str,
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
    caption says what the numbers are of. LaTeX needs booktabs.

    \b
    Examples:
      ablate table STUDY --format latex -o results.tex
      ablate table STUDY --metrics dice,iou,miou
      ablate table STUDY --fail-below 0.5
      ablate table STUDY --metrics dice,hd95 --class liver --class tumour
    """
    from ablate.analysis.by_seed import remarks
    from ablate.analysis.failures import failing
    from ablate.analysis.frames import scored
    from ablate.analysis.report.about import about
    from ablate.analysis.tables import results_table
    from ablate.analysis.typeset import comma_separated, latex, markdown

    check_target(output, *(ending for ending, written in _ENDINGS.items() if kind in (None, written)))
    named = metric_names(metrics) or [metric_name(metrics)]  # which says that this is none
    opened = open_study(study)
    frames = failing(in_runtime(tables(opened, unit, empty), opened, runtime), fail_below)
    chosen, left_out = _columns(frames, named, classes)
    frames = scored(frames, chosen)
    said = [*remarks(frames), *left_out, *notes(opened)]
    stand_for = [f"{one.name}: {one.configuration}." for one in frames.named.values()]
    found = results_table(frames, chosen, facts=about(opened, frames).facts, notes=[*said, *stand_for])
    kind = kind or (_ENDINGS.get(output.suffix.lower()) if output else None) or "markdown"
    text = {"latex": latex, "markdown": markdown, "csv": comma_separated}[kind](found)
    content = text.encode(errors="backslashreplace")
    if output:
        write(output, content)
    else:
        data(content)
    if kind == "csv":
        for line in [*said, *stand_for]:
            note(line)


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
