"""`ablate export`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ablate.errors import InputError
from ablate.runners.cli.naming import open_study, study_argument
from ablate.runners.cli.output import check_target, data, note, say, waiting, write
from ablate.runners.cli.shared import class_option, empty_option, metric_names, notes, tables_more

if TYPE_CHECKING:
    import pandas as pd

    from ablate.metrics.counts import Empty
    from ablate.study.study import Study


_MOST = 255
"""Classes that have a column."""


@click.command()
@study_argument
@click.option("--table", type=click.Choice(["trials", "epochs", "images"]), help="Which table.")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["csv", "parquet", "json"]),
    help="The kind of file [default: -o's ending, or csv].",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The file to write [default: standard output].")
@click.option(
    "--metrics",
    metavar="METRIC,…",
    default="",
    help="Columns of these too, with commas: sensitivity, precision, specificity.",
)
@partial(class_option, several=True)
@empty_option
@click.option("--to", type=(click.Choice(["optuna"]), str), metavar="optuna URL", help="A database for Optuna's tools.")
@click.option("--name", help="Of the study there [default: the study directory's].")
def export(
    study: Path,
    table: str | None,
    kind: str | None,
    output: Path | None,
    metrics: str,
    classes: tuple[str, ...],
    empty: Empty | None,
    to: tuple[str, str] | None,
    name: str | None,
) -> None:
    """Write one of a study's tables: trials, epochs of trials, or test images of trials.

    Or its trials into a database of Optuna's, with their factors as its
    parameters and validation Dice, parameters and MACs as its values: for
    its plots and importances, and optuna-dashboard. Again, it adds what is new.

    Trials of several classes have a column of Dice for each.

    \b
    Examples:
      ablate export STUDY --table trials
      ablate export STUDY --table images -o images.parquet
      ablate export STUDY --table trials --metrics sensitivity --class liver
      ablate export STUDY --to optuna sqlite:///trials.db
    """
    if to is not None:
        of_trials = [("--metrics", metrics), ("--class", " ".join(classes)), ("--empty", empty)]
        for option, given in (("--table", table), ("--format", kind), ("-o", output), *of_trials):
            if given:
                raise InputError(f"{option} {given}: --to optuna takes all trials; leave one of both out")
        _to_optuna(open_study(study), to[1], name)
        return
    if name is not None:
        raise InputError(f"--name {name}: is of a study of Optuna's; give --to optuna URL too")
    if table is None:
        raise InputError("expected --table trials, epochs or images, or --to optuna URL")
    for option, given in (("--metrics", metrics), ("--class", " ".join(classes)), ("--empty", empty)):
        if given and table != "trials":
            raise InputError(f"{option} {given}: is of the trials' scores; give --table trials")
    from ablate.analysis.by_seed import remarks
    from ablate.analysis.frames import scored
    from ablate.analysis.scoring import by_class

    check_target(output, *([f".{kind}"] if kind else [".csv", ".parquet", ".json"]))
    kind = kind or (output.suffix.lower().removeprefix(".") if output else "csv")
    if kind == "parquet" and output is None:
        raise InputError("--format parquet is binary: give -o FILE")
    opened = open_study(study)
    frames = tables_more(opened, metric_names(metrics), classes, None, empty)
    frames = scored(frames, by_class(frames, "dice", _MOST)[0])
    content = _written(getattr(frames, table), kind)
    if output is None:
        data(content)
    else:
        write(output, content)
    for line in [*(remarks(frames) if table == "trials" else []), *notes(opened)]:
        note(line)


def _written(frame: pd.DataFrame, kind: str) -> bytes:
    if kind == "parquet":
        return frame.to_parquet(index=False)
    if kind == "json":
        return (frame.to_json(orient="records", indent=1, double_precision=15) + "\n").encode()
    return frame.to_csv(index=False, lineterminator="\n").encode()


def _to_optuna(study: Study, url: str, name: str | None) -> None:
    from ablate.analysis.format import several
    from ablate.runners.watch.optuna_copy import Copy, database

    sound = study.sound()
    study.faults |= sound.left_out
    with waiting("writing trials for Optuna"), database(url) as (storage, shown):
        copy = Copy(study, storage, name or study.path.resolve().name)
        added = len(copy.update(study, sound.records))
    say(f"{several(added, 'trial')} added to study '{copy.optuna_study.study_name}' in {shown}")
    for line in notes(study):
        note(line)
