"""`ablate export`."""

from __future__ import annotations

from pathlib import Path

import click

from ablate.errors import InputError
from ablate.runners.cli.output import check_target, data, say, write
from ablate.runners.cli.shared import notes, open_study, study_argument


@click.command()
@study_argument
@click.option("--table", type=click.Choice(["trials", "epochs", "images"]), required=True, help="Which table.")
@click.option("--format", "kind", type=click.Choice(["csv", "parquet", "json"]), help="[default: -o's ending, or csv]")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The file to write [default: standard output].")
def export(study: Path, table: str, kind: str | None, output: Path | None) -> None:
    """Write one of a study's tables: trials, epochs of trials, or test images of trials.

    \b
    Examples:
      ablate export STUDY --table trials
      ablate export STUDY --table images -o images.parquet
    """
    from ablate.analysis.frames import load

    check_target(output, *([f".{kind}"] if kind else [".csv", ".parquet", ".json"]))
    kind = kind or (output.suffix.lower().removeprefix(".") if output else "csv")
    if kind == "parquet" and output is None:
        raise InputError("--format parquet is binary: give -o FILE")
    opened = open_study(study)
    frame = getattr(load(opened), table)
    if kind == "parquet":
        content = frame.to_parquet(index=False)
    elif kind == "json":
        content = (frame.to_json(orient="records", indent=1, double_precision=15) + "\n").encode()
    else:
        content = frame.to_csv(index=False, lineterminator="\n").encode()
    if output is None:
        data(content)
    else:
        write(output, content)
    for note in notes(opened):
        say(note, err=True)
