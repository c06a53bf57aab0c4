"""`ablate report`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ablate.runners.cli import completion
from ablate.runners.cli.failures import fail_below_option
from ablate.runners.cli.named_parts import named_part
from ablate.runners.cli.naming import open_study, study_argument
from ablate.runners.cli.output import check_place, check_target, say, waiting, write
from ablate.runners.cli.shared import class_option, empty_option, metric_names, tables_more, unit_option

if TYPE_CHECKING:
    from ablate.analysis.frames import Frames
    from ablate.analysis.scores import Unit
    from ablate.analysis.scoring import FailBelow
    from ablate.metrics.counts import Empty
    from ablate.part import Part
    from ablate.study.study import Study


@click.command()
@study_argument
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The file to write [default: STUDY/report.html].")
@click.option(
    "--section",
    "sections",
    metavar="PART",
    multiple=True,
    callback=named_part,
    shell_complete=completion.parts_of_kind("section"),
    help="Show this section too: my_code:Section or my_code:function, looked for in the current folder; or one that "
    "is there, with settings. Give it again for more.",
)
@click.option(
    "--metrics", metavar="METRIC,…", default="", help="These too, with commas: sensitivity, precision, specificity."
)
@partial(class_option, several=True)
@empty_option
@fail_below_option
@unit_option
def report(
    study: Path,
    output: Path | None,
    sections: tuple[str | dict[str, Any], ...],
    metrics: str,
    classes: tuple[str, ...],
    empty: Empty | None,
    fail_below: FailBelow | None,
    unit: Unit | None,
) -> None:
    """Write a study's report: one HTML file that works offline.

    It has the verdict on the claims that apply, the fronts and how sure they
    are, what each factor is worth, training curves, test images with errors
    marked, every cell, and how the numbers were made.

    \b
    Examples:
      ablate report studies/pyramid_levels-mni152-quick -o report.html
      ablate report STUDY --section my_sections:slowest_trials
      ablate report STUDY --metrics sensitivity --class liver --empty skip
    """
    from ablate.analysis.failures import failing
    from ablate.kinds import KINDS, part_of
    from ablate.modules import code_from

    check_target(output, ".html")
    opened = open_study(study)
    path = output or study / "report.html"
    check_place(path)
    with code_from(Path.cwd() if sections else None):
        asked = [part_of(KINDS["section"], section) for section in sections]
        with waiting("writing the report"):
            frames = failing(tables_more(opened, metric_names(metrics), classes, unit, empty), fail_below)
            write_report(opened, frames, path, asked)
    say(path)


def write_report(study: Study, frames: Frames, path: Path, sections: Sequence[Part] = ()) -> Path:
    """Write the report, with these sections too, to `path`, and return it."""
    from ablate.analysis.report.study_report import study_report

    write(path, study_report(study, frames, sections).encode())
    return path
