"""`ablate plan`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from ablate.errors import InputError
from ablate.runners.cli.design import write_design
from ablate.runners.cli.naming import StudyName, open_study
from ablate.runners.cli.output import console, plain_table, print_json
from ablate.runners.cli.shared import Prepared, counted, extent, json_option, plan_notes, prepare, space_options

if TYPE_CHECKING:
    from ablate.search_spaces.plan import Planned
    from ablate.study.study import Study


@click.command()
@partial(space_options, required=False)  # --design writes one
@click.option(
    "--study",
    type=StudyName(begun=True),
    help="Say what of it this study has [default: studies/SPACE-DATA-PROFILE, if it is there].",
)
@click.option("--design", type=click.Choice(["leave_one_out"]), help="Write out this design of --model as a space.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="With --design: the space's file [default: print]."
)
@json_option
def plan(study: Path | None, as_json: bool, design: str | None, output: Path | None, **options: Any) -> None:
    """Price a space, and reject what cannot be built, before anything is spent.

    Times are foretold for this machine, from the networks' shapes and from
    what trials of the study took here.

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
    from ablate.runners.watch.live import clock

    prepared = prepare(**options, study=study)
    trials, rejected = prepared.plan.trials, prepared.plan.rejected
    kept = _kept(study, prepared)
    said = [*plan_notes(prepared.plan), *kept.said]
    times = _times(trials, kept)
    if as_json:
        print_json(_document(prepared, kept, times, said))
        return
    out = console()
    cells = {trial.config.cell: trial for trial in trials}
    out.print(prepared.space.question, style="bold")
    out.print(f"{counted(trials)}, {extent(trials)}")
    columns = ("parameters", "MACs", "time")
    table = plain_table("configuration", *columns, "cell", right=columns)
    for cell, trial in cells.items():
        price = si(trial.params), si(trial.macs), clock(times.seconds[trial.key])
        table.add_row(level_label(trial.levels), *price, cell)
    out.print(table)
    for line in times.said:
        out.print(line)
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
    study: Study | None = None


class _Times(NamedTuple):
    """Seconds, foretold: of each trial by its key, and of all that the study does not have, `slots` at a time."""

    seconds: dict[str, float]
    all: float
    slots: int
    machine: str
    measured: bool
    said: list[str]


def _times(trials: list[Planned], kept: _Kept) -> _Times:
    from ablate.analysis.format import listing
    from ablate.runners.execution.nodes import this_node
    from ablate.runners.execution.resources import choose_resources
    from ablate.runners.execution.timing import times_on
    from ablate.runners.watch.live import clock
    from ablate.search_spaces.schedule import longest_first, makespan

    node = this_node()
    threads = min(kept.study.manifest.threads or 1, node.cpus) if kept.study else 1
    resources = choose_resources(threads, None, None, study_threads=None, nodes=[node])
    times, slots = times_on(node, resources, kept.study, trials), resources.at_once(node.cpus, node.gpus) or 1
    foretold = {trial.key: times.foretold(trial) for trial in trials}
    seconds = {key: times.trial(one) for key, one in foretold.items()}
    keys = set(kept.keys)
    left = [seconds[key] for trial in longest_first(trials, times) if (key := trial.key) not in keys]
    whole = makespan(left, slots)
    which = "" if len(left) == len(trials) else f" for the {len(left)} missing"
    said = [f"About {clock(whole)}{which}, {slots} at a time: {times.said}"] if left else []
    blind = dict.fromkeys(one.trial.model.name for one in foretold.values() if not one.by_layers)
    if blind and not times.known:
        said.append(f"{listing(list(blind), 4)}: times are by MACs alone, an order of magnitude")
    return _Times(seconds, whole, slots, str(times.machine), bool(times.known), said)


def _document(prepared: Prepared, kept: _Kept, times: _Times, said: list[str]) -> dict[str, Any]:
    trials = [
        {
            "key": trial.key,
            "cell": trial.config.cell,
            "seed": trial.config.seed,
            "fold": trial.config.fold,
            "params": trial.params,
            "macs": trial.macs,
            "seconds": times.seconds[trial.key],
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
        "seconds": times.all,
        "machine": {"name": times.machine, "trials_at_a_time": times.slots, "was_measured": times.measured},
        "notes": [*said, *times.said[1:], *([prepared.profile.note] if prepared.profile.note else [])],
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
    return _Kept(keys, [*said, *changed_code(opened, configs)], opened)
