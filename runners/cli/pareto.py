"""`ablate pareto`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from runners.cli.export import write
from runners.cli.shared import console, json_option, notes, open_study, print_json, study_argument

if TYPE_CHECKING:
    from analysis.pareto import Cost, Metric


@click.command()
@study_argument
@click.option("--x", type=click.Choice(["params", "macs"]), default="params", show_default=True, help="The cost.")
@click.option("--y", type=click.Choice(["dice", "iou", "miou"]), default="dice", show_default=True, help="The score.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write an interactive page here.")
@json_option
def pareto(study: Path, x: Cost, y: Metric, output: Path | None, as_json: bool) -> None:
    """The Pareto front of a study, printed or as an interactive page.

    Scores are of the test images, means over seeds.

    \b
    Examples:
      ablate pareto STUDY --x macs --y miou
      ablate pareto STUDY -o front.html
    """
    from analysis.figures.pareto import pareto_figure
    from analysis.frames import load
    from analysis.pareto import fronts, tasks
    from analysis.report import figure_page
    from analysis.summary import front_summary

    opened = open_study(study)
    trials = load(opened).trials
    records = {task: fronts(rows, x, y) for task, rows in tasks(trials).items()}
    if output:
        title = f"Pareto front: {', '.join(run.space for run in opened.manifest.runs)}"
        figures = {task: pareto_figure(found) for task, found in records.items()}
        write(output, figure_page(figures, title, " ".join(notes(opened))).encode())
    if as_json:
        found = {task: shown for task, (shown, *_) in records.items()}
        print_json(
            {
                "x": x,
                "y": y,
                "points": [{"data": task} | point._asdict() for task, one in found.items() for point in one.points],
                "front": [cell for one in found.values() for cell in one.front],
                "trivial": [{"data": task} | point._asdict() for task, one in found.items() for point in one.trivial],
                "notes": notes(opened),
            }
        )
        return
    out = console()
    front_summary(trials, out, x=x, y=y, caution=" ".join(notes(opened)))
    if output:
        out.print(f"Page: {output}", soft_wrap=True)
