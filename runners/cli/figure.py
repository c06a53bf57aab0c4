"""`ablate figure`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ablate.errors import InputError, brief
from ablate.runners.cli import completion
from ablate.runners.cli.costs import cost_option, in_runtime, runtime_option
from ablate.runners.cli.output import check_target, console, note, print_json, write
from ablate.runners.cli.shared import (
    class_option,
    json_option,
    metric_option,
    notes,
    open_study,
    study_argument,
    tables_with,
    unit_option,
)

if TYPE_CHECKING:
    from ablate.analysis.pareto import Cost
    from ablate.analysis.scores import Unit
    from ablate.metrics.counts import MetricName

_LEAST, _MOST = 40.0, 400.0


@click.command()
@study_argument
@click.argument("name", shell_complete=completion.figures)
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The file: .pdf, .svg or .png.")
@click.option("--width", default="column", show_default=True, help="column (85 mm), page (174 mm), or millimetres.")
@click.option("--data", help="Of several data sets, which.")
@cost_option
@metric_option("--y")
@class_option
@runtime_option
@unit_option
@json_option
def figure(
    study: Path,
    name: str,
    output: Path,
    width: str,
    data: str | None,
    x: Cost,
    y: MetricName,
    of_class: str,
    runtime: str | None,
    unit: Unit | None,
    as_json: bool,
) -> None:
    """Write one of a report's figures for print.

    \b
    NAME is one of
      front     score against cost, with the front
      effects   what each level of each factor is worth
      levels    mean score of every combination of two factors' levels
      networks  networks across factors, costs and score
      curves    training loss and validation scores by epoch
      spent     hypervolume of the front by epochs spent
      images    test images with what was found and missed

    At a column's width, in vectors with their fonts, legible in grey. Where
    names are long the figure has letters, and what they stand for is printed,
    for the caption.

    \b
    Examples:
      ablate figure STUDY front -o front.pdf
      ablate figure STUDY front --x macs --y miou -o front.svg
      ablate figure STUDY effects --width page -o effects.pdf
    """
    from ablate.analysis.deployed import scored_where
    from ablate.analysis.printed.figures import FIGURES, Asked, printed
    from ablate.analysis.printed.sheet import SUFFIXES
    from ablate.errors import unknown

    if name not in FIGURES:
        raise unknown("figure", name, FIGURES)
    check_target(output, *SUFFIXES)
    millimetres = _millimetres(width)
    opened = open_study(study)
    frames, y = tables_with(opened, y, of_class, unit, None)
    frames = in_runtime(frames, opened, runtime)
    made = printed(opened, frames, name, output.suffix.lower(), Asked(data, x, y, millimetres))
    write(output, made.content)
    if as_json:
        print_json({"figure": name, "file": str(output), "width_mm": millimetres, "key": made.key})
        return
    out = console()
    out.print(f"{output}: {FIGURES[name][0]}, {millimetres:g} mm wide", soft_wrap=True)
    for letter, stands_for in made.key.items():
        out.print(f"  {letter}  {stands_for}", soft_wrap=True, markup=False)
    for line in [*made.said, *scored_where(frames), *notes(opened)]:
        note(line)


def _millimetres(text: str) -> float:
    """Raises `InputError` for what is no width."""
    from ablate.analysis.printed.sheet import COLUMN, PAGE

    named = {"column": COLUMN, "page": PAGE}
    if text in named:
        return named[text]
    try:
        found = float(text.removesuffix("mm"))
    except ValueError:
        found = 0.0
    if not _LEAST <= found <= _MOST:
        raise InputError(f"--width {brief(text)}: expected column, page, or {_LEAST:g} to {_MOST:g} millimetres")
    return found
