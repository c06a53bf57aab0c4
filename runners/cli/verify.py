"""`ablate verify`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ablate.runners.cli.naming import open_study, study_argument
from ablate.runners.cli.output import console, print_json, progress
from ablate.runners.cli.shared import json_option

if TYPE_CHECKING:
    from rich.console import Console

    from ablate.study.data_sets import DataSet
    from ablate.study.study import Study
    from ablate.study.verify import Problem


@click.command()
@study_argument
@click.option("--data-dir", type=click.Path(path_type=Path), help="The images' folder [default: the last run's].")
@click.option("--repair", is_flag=True, help="Set aside what cannot be trusted, so that it is trained anew.")
@json_option
def verify(study: Path, data_dir: Path | None, repair: bool, as_json: bool) -> int:
    """Check that a study is what was written.

    Every file against its checksum, keys against configurations, tables against
    records, trials against their logs, and the images against the fingerprint
    that trials were trained on. One line for each thing that is wrong.

    --repair moves it into the study's set-aside folder: the next run trains such
    trials anew. Nothing is deleted.

    The exit code is 0 if nothing is wrong, or nothing is left wrong by
    --repair; otherwise 1.

    \b
    Examples:
      ablate verify studies/pyramid_levels-mni152-quick
      ablate verify STUDY --repair
    """
    from ablate.study import verify as checks
    from ablate.study.data_sets import data_sets
    from ablate.study.manifest import VERSION

    opened = open_study(study)
    if repair:
        with opened.holding():
            if opened.manifest.schema_version < VERSION:
                opened.put_in_order()
            found = _problems(opened)
            checks.repair(opened, found)
    else:
        found = _problems(opened)
    data = data_sets(opened, data_dir)
    images = [problem for one in data if (problem := one.problem()) is not None]
    left = [*(_problems(opened) if repair else found), *images]
    notes = _notes(opened, data, repair)
    if as_json:
        print_json(
            {
                "study": str(study),
                "sound": not left,
                "problems": [_row(problem) for problem in [*found, *images]],
                "left": [_row(problem) for problem in left],
                "notes": notes,
            }
        )
    else:
        _print(console(), opened, [*found, *images], left, notes)
    return 1 if left else 0


def _problems(study: Study) -> list[Problem]:
    """What is wrong, with progress on a terminal."""
    from ablate.study.verify import verify

    with progress() as bar:
        task = bar.add_task("checking trials", total=None)
        return verify(study, lambda done, total: bar.update(task, completed=done, total=total))


def _notes(study: Study, data: list[DataSet], repair: bool) -> list[str]:
    from ablate.study.verify import mixed_cells

    notes = [f"the images of '{one.name}' could not be compared: {one.why}" for one in data if not one.found]
    notes += mixed_cells(study)
    if study.manifest.schema_version < 2:
        notes.append("an older version wrote this study, without checksums: the next run, or --repair, adds them")
    if not repair and study.is_being_written():
        notes.append("a run is writing this study: what it is changing now may be listed")
    return notes


def _row(problem: Problem) -> dict[str, Any]:
    return {"subject": problem.subject, "what": problem.what, "means": problem.means}


def _print(out: Console, study: Study, found: list[Problem], left: list[Problem], notes: list[str]) -> None:
    from ablate.analysis.format import listing, several
    from ablate.study.set_aside import SET_ASIDE

    for problem in found:
        out.print(f"{problem.subject}: {problem.what}", markup=False, soft_wrap=True)
    for means in dict.fromkeys(problem.means for problem in left):
        subjects = dict.fromkeys(problem.subject for problem in left if problem.means == means)
        out.print(f"{listing(list(subjects), most=3)}: {means}.", style="yellow", markup=False)
    again = {problem.subject for problem in found if problem not in left and problem.remedy == "retrain"}
    if again:
        out.print(f"{several(len(again), 'trial')} set aside, to be trained anew by the next run.")
    if len(found) > len(left):
        out.print(f"What was moved is in {study.path / SET_ASIDE}.", soft_wrap=True)
    for note in notes:
        out.print(f"Note: {note}.", style="yellow", markup=False)
    verdict = f"{several(len(left), 'problem')}" if left else f"{several(len(study.records()), 'trial')}, all sound"
    out.print(f"{study.path}: {verdict}", style="bold", soft_wrap=True)
