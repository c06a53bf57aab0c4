"""`ablate table`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ablate.runners.cli.output import check_target, data, say, write
from ablate.runners.cli.shared import metric_name, notes, open_study, study_argument, unit_option

if TYPE_CHECKING:
    from ablate.analysis.scores import Unit


_ENDINGS = {".tex": "latex", ".md": "markdown", ".csv": "csv"}


@click.command()
@study_argument
@click.option(
    "--format",
    "kind",
    type=click.Choice(["latex", "markdown", "csv"]),
    help="[default: -o's ending (.tex, .md, .csv), or markdown]",
)
@click.option(
    "--metrics",
    default="dice,miou",
    show_default=True,
    help="Any of dice, iou, miou and the trials' own metrics, with commas.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The file to write [default: standard output].")
@unit_option
def table(study: Path, kind: str | None, metrics: str, output: Path | None, unit: Unit | None) -> None:
    """A study's results as a paper prints them.

    One row a configuration: each score with the half-width of its 95 %
    interval, the best in bold, what is significantly worse marked, and costs.
    The caption says what the numbers are of. LaTeX needs booktabs.

    \b
    Examples:
      ablate table STUDY --format latex -o results.tex
      ablate table STUDY --metrics dice,iou,miou
    """
    from ablate.analysis.by_seed import remarks
    from ablate.analysis.frames import load
    from ablate.analysis.report.about import about
    from ablate.analysis.tables import results_table
    from ablate.analysis.typeset import comma_separated, latex, markdown

    check_target(output, *(ending for ending, written in _ENDINGS.items() if kind in (None, written)))
    chosen = [metric_name(name) for name in dict.fromkeys(part.strip() for part in metrics.split(","))]
    opened = open_study(study)
    frames = load(opened).by(unit)
    said = [*remarks(frames), *notes(opened)]
    found = results_table(frames, chosen, facts=about(opened, frames).facts, notes=said)
    kind = kind or (_ENDINGS.get(output.suffix.lower()) if output else None) or "markdown"
    text = {"latex": latex, "markdown": markdown, "csv": comma_separated}[kind](found)
    content = text.encode(errors="backslashreplace")
    if output:
        write(output, content)
    else:
        data(content)
    if kind == "csv":
        for note in said:
            say(note, err=True)
