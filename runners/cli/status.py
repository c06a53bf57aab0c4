"""`ablate status`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import click

from runners.cli.shared import console, json_option, notes, open_study, plain_table, print_json, study_argument


@click.command()
@study_argument
@json_option
def status(study: Path, as_json: bool) -> None:
    """What a study has, what is running, and what is missing.

    \b
    Example:
      ablate status studies/pyramid_levels-mni152-quick
    """
    from analysis.frames import level_label

    opened = open_study(study)
    records, unfinished = opened.records(), opened.unfinished()
    begun = "running" if opened.is_being_written() else "interrupted"
    planned: dict[str, dict[str, Any]] = {}
    for run in opened.manifest.runs:
        for key, levels in run.trials.items():
            trial = planned.setdefault(key, {"key": key, "spaces": [], "levels": {}})
            trial["spaces"] = list(dict.fromkeys([*trial["spaces"], run.space]))
            trial["levels"] |= levels
    for key, trial in planned.items():
        record = records.get(key)
        trial["state"] = record.state if record else begun if key in unfinished else "missing"
        trial |= {
            name: getattr(record, name, None)
            for name in ("cell", "model", "seed", "params", "macs", "epochs", "best_epoch", "val_dice", "error")
        }
    counts = {"complete": 0, "failed": 0, "missing": 0} | Counter(trial["state"] for trial in planned.values())
    if as_json:
        print_json({"study": str(study), "counts": counts, "trials": list(planned.values()), "notes": notes(opened)})
        return
    out = console()
    out.print(f"{study}: " + ", ".join(f"{count} {state}" for state, count in counts.items() if count), style="bold")
    table = plain_table("space", "profile", "trials", "complete", "shared", right=("trials", "complete", "shared"))
    for run in opened.manifest.runs:
        done = sum(planned[key]["state"] == "complete" for key in run.trials)
        shared = sum(len(planned[key]["spaces"]) > 1 for key in run.trials)
        table.add_row(run.space, run.profile, str(len(run.trials)), str(done), str(shared or ""))
    out.print(table)
    trials = plain_table("trial", "seed", "state", "epochs", "val Dice", "key", right=("seed", "epochs", "val Dice"))
    for trial in planned.values():
        dice = trial["val_dice"]
        trials.add_row(
            level_label(trial["levels"]),
            _text(trial["seed"]),
            trial["state"],
            _text(trial["epochs"]),
            f"{dice:.3f}" if dice is not None else "",
            trial["key"],
        )
    out.print(trials)
    for trial in planned.values():
        if trial["error"]:
            out.print(f"{trial['key']} failed: {trial['error']}", style="red", markup=False, soft_wrap=True)
    for note in notes(opened):
        out.print(note, style="yellow")


def _text(value: int | None) -> str:
    return "" if value is None else str(value)
