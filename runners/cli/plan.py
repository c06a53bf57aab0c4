"""`ablate plan`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import click

from ablate.errors import InputError
from ablate.runners.cli.design import write_design
from ablate.runners.cli.output import console, plain_table, print_json
from ablate.runners.cli.shared import (
    Prepared,
    counted,
    extent,
    json_option,
    open_study,
    plan_notes,
    prepare,
    space_options,
)


@click.command()
@partial(space_options, required=False)  # --design writes one
@click.option(
    "--study",
    type=click.Path(path_type=Path),
    help="Say what of it this study has [default: studies/SPACE-DATA-PROFILE, if it is there].",
)
@click.option("--design", type=click.Choice(["leave_one_out"]), help="Write out this design of --model as a space.")
@click.option("-o", "output", type=click.Path(path_type=Path), help="With --design: the space's file [default: print].")
@json_option
def plan(study: Path | None, as_json: bool, design: str | None, output: Path | None, **options: Any) -> None:
    """Price a space, and reject what cannot be built, before anything is spent.

    \b
    Examples:
      ablate plan --space pyramid_levels
      ablate plan --space group_splits --set model.width=64 --seeds 3
      ablate plan --space baselines --folds 5 --seeds 3
      ablate plan --space my_space.yaml --data folder --data-dir images/
      ablate plan --design leave_one_out --model my_nets:LightNet -o space.yaml
    """
    if design is not None:
        write_design(output, as_json, study=study, **options)
        return
    if options["space"] is None or output is not None:
        raise InputError("give --space to price one, or --design, --model and -o to write one")
    from ablate.analysis.format import level_label, si

    prepared = prepare(**options, study=study)
    trials, rejected = prepared.plan.trials, prepared.plan.rejected
    kept = _kept(study, prepared)
    said = [*plan_notes(prepared.plan), *kept.said]
    if as_json:
        print_json(_document(prepared, kept, said))
        return
    out = console()
    cells = {trial.config.cell: trial for trial in trials}
    out.print(prepared.space.question, style="bold")
    out.print(f"{counted(trials)}, {extent(trials)}")
    table = plain_table("configuration", "parameters", "MACs", "cell", right=("parameters", "MACs"))
    for cell, trial in cells.items():
        table.add_row(level_label(trial.levels), si(trial.params), si(trial.macs), cell)
    out.print(table)
    for row in rejected:
        out.print(f"rejected {level_label(row.levels)}: {row.reason}", style="red", markup=False)
    for note in said:
        out.print(f"Note: {note}", style="yellow")
    if prepared.profile.note:
        out.print(prepared.profile.note, style="yellow")


class _Kept(NamedTuple):
    """What a study has of a plan: the trials' keys, and what is to be said of it."""

    keys: list[str]
    said: list[str]


def _document(prepared: Prepared, kept: _Kept, said: list[str]) -> dict[str, Any]:
    trials = [
        {
            "key": trial.key,
            "cell": trial.config.cell,
            "seed": trial.config.seed,
            "fold": trial.config.fold,
            "params": trial.params,
            "macs": trial.macs,
            "levels": trial.levels,
        }
        for trial in prepared.plan.trials
    ]
    return {
        "space": prepared.space.name,
        "profile": prepared.profile_name,
        "trials": trials,
        "rejected": [row._asdict() for row in prepared.plan.rejected],
        "same": prepared.plan.same,
        "in_study": kept.keys,
        "notes": [*said, *([prepared.profile.note] if prepared.profile.note else [])],
    }


def _kept(study: Path | None, prepared: Prepared) -> _Kept:
    from ablate.runners.request import default_study
    from ablate.study.changed_code import changed_code
    from ablate.study.manifest import is_study

    configs = [trial.config for trial in prepared.plan.trials]
    path = study or default_study(prepared.space.name, configs[0].data, prepared.profile_name)
    if study is None and not is_study(path):
        return _Kept([], [])
    opened = open_study(path)
    keys = [config.key for config in configs if opened.has(config.key)]
    said = [f"{len(keys)} of the {len(configs)} trials are in '{path}' already"] if keys else []
    return _Kept(keys, [*said, *changed_code(opened, configs)])
