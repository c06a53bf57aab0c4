"""`ablate status`."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ablate.runners.cli.naming import open_study, study_argument
from ablate.runners.cli.output import console, plain_table, print_json
from ablate.runners.cli.shared import json_option, notes

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

    from ablate.study.study import Study

_QUIET_SECONDS = 15
"""A run tells of itself every 2 s; after this long without a word its picture says how old it is."""


@click.command()
@study_argument
@click.option("--watch", is_flag=True, help="Show what is running, live, until it ends or Ctrl-C.")
@json_option
def status(study: Path, watch: bool, as_json: bool) -> None:
    """What a study has, what is running and how long still, and what is missing.

    --watch works from any terminal, and from any machine that sees the
    study's directory: nodes, trials under way, rate, expected end, and what
    went wrong. It ends when nothing runs any more. Piped, it prints one
    picture.

    \b
    Examples:
      ablate status studies/pyramid_levels-mni152-quick
      ablate status --watch studies/pyramid_levels-mni152-quick
    """
    if watch and as_json:
        raise click.UsageError("--watch shows a live picture: leave out --json")
    opened = open_study(study)
    if watch:
        _watch(opened)
        return
    _show(opened, as_json)


def _watch(study: Study) -> None:
    """On a terminal a picture that changes until nothing runs; piped, one picture."""
    from rich.live import Live

    from ablate.runners.watch.live import listen

    out = console()
    if not out.is_terminal:
        out.print(_picture(study))
        return
    with contextlib.suppress(KeyboardInterrupt), Live(_picture(study), console=out, refresh_per_second=4) as display:
        while study.is_being_written() or not all(run.dead for run in listen(study)):
            time.sleep(1)
            display.update(_picture(study))


def _picture(study: Study) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    from ablate.runners.watch.live import clock, listen, summary, under_way

    records = study.sound().records
    counts = Counter(record.state for record in records.values())
    known = ", ".join(f"{counts[state]} {state}" for state in ("complete", "stopped", "failed") if counts[state])
    lines: list[RenderableType] = [Text(f"{study.path}: {known or 'no trial has ended'}", style="bold")]
    runs = listen(study)
    for run in runs:
        who = f"Process {run.process} on {run.host}"
        heard = f"last heard {clock(run.silence)} ago"
        lines.append(Text())
        if run.dead:
            left = f", with {len(run.running)} trials under way" if run.running else ""
            lines.append(Text(f"{who} was killed ({heard}){left}.", style="red"))
            continue
        lines += [Text(f"{who}{'' if run.silence < _QUIET_SECONDS else f', {heard}'}", style="dim"), *summary(run)]
        lines += [Text(f"! {incident}", style="red") for incident in run.incidents]
        lines.append(under_way(run))
    lines += [Text(said, style="red") for said in study.said_of_faults()]
    if all(run.dead for run in runs):
        lines += [Text(), Text(_standing(study, set(records)))]
    return Group(*lines)


def _standing(study: Study, ended: set[str]) -> str:
    """What there is to say of a study that no run trains."""
    if study.is_being_written():
        return "A run is starting, or another command holds the study."
    planned = set(open_study(study.path).plans.levels)
    missing = len(planned - ended)
    if missing:
        return f"Nothing is running. {missing} of {len(planned)} trials have not ended: give the run's command again."
    return f"Nothing is running. All {len(planned)} planned trials have ended."


def _show(opened: Study, as_json: bool) -> None:
    from ablate.runners.watch.live import listen, summary
    from ablate.study.chosen import short_names_of_cells

    study = opened.path
    drivers = listen(opened)
    begun = dict.fromkeys(opened.interrupted(), "interrupted")
    begun |= {key: "interrupted" if live.dead else "running" for live in drivers for key in live.running}
    records, damaged = opened.sound()
    planned: dict[str, dict[str, Any]] = {}
    for run in opened.manifest.runs:
        for key, levels in run.trials.items():
            trial = planned.setdefault(key, {"key": key, "spaces": [], "levels": {}})
            trial["spaces"] = list(dict.fromkeys([*trial["spaces"], run.space]))
            trial["levels"] |= levels
    by_cell = short_names_of_cells(opened)
    for key, trial in planned.items():
        record = records.get(key)
        trial["name"] = opened.plans.names.get(key) or (by_cell.get(record.cell) if record else None)
        trial["state"] = record.state if record else "damaged" if key in damaged else begun.get(key, "missing")
        trial |= {
            name: getattr(record, name, None)
            for name in ("cell", "model", "seed", "fold", "params", "macs", "epochs", "best_epoch", "val_dice", "error")
        }
    counts = {"complete": 0, "failed": 0, "missing": 0} | Counter(trial["state"] for trial in planned.values())
    if as_json:
        print_json(
            {
                "study": str(study),
                "counts": counts,
                "runs": [live.model_dump() | {"dead": live.dead} for live in drivers],
                "trials": list(planned.values()),
                "notes": notes(opened),
            }
        )
        return
    out = console()
    out.print(f"{study}: " + ", ".join(f"{count} {state}" for state, count in counts.items() if count), style="bold")
    for live in drivers:
        for line in () if live.dead else summary(live):
            out.print(line)
    table = plain_table("space", "profile", "trials", "complete", "shared", right=("trials", "complete", "shared"))
    for run in opened.manifest.runs:
        done = sum(planned[key]["state"] == "complete" for key in run.trials)
        shared = sum(len(planned[key]["spaces"]) > 1 for key in run.trials)
        table.add_row(run.space, run.profile, str(len(run.trials)), str(done), str(shared or ""))
    out.print(table)
    out.print(_trials(list(planned.values())))
    _say_of_searches(out, opened, list(planned.values()))
    for trial in planned.values():
        if trial["error"]:
            out.print(f"{trial['key']} failed: {trial['error']}", style="red", markup=False, soft_wrap=True)
    for note in notes(opened):
        out.print(note, style="yellow")


def _say_of_searches(out: Console, study: Study, planned: list[dict[str, Any]]) -> None:
    """What short names stand for, and how far each search came and why it ended."""
    from ablate.analysis.names import Named, key_table
    from ablate.analysis.search_words import standing
    from ablate.study.searches import searches

    named = {trial["name"]: Named(trial["name"], trial["levels"]) for trial in planned if trial["name"]}
    if named:
        out.print(key_table(named.values()))
    records = study.records()
    for search in searches(study):
        out.print(standing(search, records), style="yellow" if search.fault else "", soft_wrap=False)


def _trials(planned: list[dict[str, Any]]) -> Table:
    from ablate.analysis.format import level_label

    folds = ["fold"] if any(trial["fold"] is not None for trial in planned) else []
    columns = ("trial", "seed", *folds, "state", "epochs", "val Dice", "key")
    trials = plain_table(*columns, right=("seed", *folds, "epochs", "val Dice"))
    for trial in planned:
        dice = trial["val_dice"]
        trials.add_row(
            trial["name"] or level_label(trial["levels"]),
            _text(trial["seed"]),
            *(_text(trial[name]) for name in folds),
            trial["state"],
            _text(trial["epochs"]),
            f"{dice:.3f}" if dice is not None else "",
            trial["key"],
        )
    return trials


def _text(value: int | None) -> str:
    return "" if value is None else str(value)
