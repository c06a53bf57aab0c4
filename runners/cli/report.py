"""`ablate report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ablate.runners.cli.output import check_place, check_target, say, waiting, write
from ablate.runners.cli.shared import open_study, study_argument

if TYPE_CHECKING:
    from ablate.analysis.frames import Frames
    from ablate.study.study import Study


@click.command()
@study_argument
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The file to write [default: STUDY/report.html].")
def report(study: Path, output: Path | None) -> None:
    """Write a study's report: one HTML file that works offline.

    It has the verdict on the claims that apply, the fronts and how sure they
    are, what each factor is worth, training curves, test images with errors
    marked, every cell, and how the numbers were made.

    \b
    Example:
      ablate report studies/pyramid_levels-mni152-quick -o report.html
    """
    from ablate.analysis.frames import load

    check_target(output, ".html")
    opened = open_study(study)
    path = output or study / "report.html"
    check_place(path)
    with waiting("writing the report"):
        write_report(opened, load(opened), path)
    say(path)


def write_report(study: Study, frames: Frames, path: Path) -> Path:
    """Write the report to `path`, and return it."""
    from ablate.analysis.report.study_report import study_report

    write(path, study_report(study, frames).encode())
    return path
