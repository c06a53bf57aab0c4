"""`ablate confirm`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from ablate.errors import InputError
from ablate.runners.cli.naming import open_study, study_argument
from ablate.runners.cli.output import console, plain_table, print_json, telling
from ablate.runners.cli.shared import code_option, json_option, say_imports, training_options, use_own_code
from ablate.runners.cli.training import ending

if TYPE_CHECKING:
    from ablate.analysis.confirmation import Candidate, Confirmation
    from ablate.analysis.frames import Frames
    from ablate.runners.execution.ending import Ends
    from ablate.search_spaces.plan import Planned
    from ablate.study.runs import Run
    from ablate.study.study import Study
    from ablate.trial import TrialConfig


class _Round(NamedTuple):
    """What is to be trained again: the run as the study keeps it, and its trials."""

    run: Run
    trials: list[Planned]
    chosen: tuple[Candidate, ...]


@click.command()
@study_argument
@click.option("--seeds", type=click.IntRange(1), default=5, show_default=True, help="Fresh seeds of each network.")
@click.option("--rivals", type=click.IntRange(0), default=1, show_default=True, help="Rivals of each of the front's.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="The data's files [default: where they were].")
@code_option
@training_options
@json_option
def confirm(
    study: Path, seeds: int, rivals: int, data_dir: Path | None, code: Path | None, as_json: bool, **options: Any
) -> None:
    """Train a search's front again with fresh seeds, judged on test images.

    The front that a search returns is the best of many noisy scores. This
    trains its networks, and those that came nearest to it, with seeds that the
    search did not use, and says how far the search had been optimistic. Run it
    again to go on, or with more seeds: only what is new is trained.

    \b
    Examples:
      ablate confirm studies/search_pyconvunet-mni152-quick
      ablate confirm STUDY --seeds 10 --rivals 2
    """
    from ablate.analysis.format import several
    from ablate.runners.conclusion import check_that_some_succeeded
    from ablate.runners.request import Training
    from ablate.runners.trainer import Trainer, check_cluster, find_cluster
    from ablate.study.where_data_are import data_of

    out = telling(err=as_json)
    with ending(err=as_json) as ends:
        training = Training(**options)
        cluster = find_cluster(training.address, out)
        check_cluster(cluster)
        opened = open_study(study)
        ends.study = study
        trainer = Trainer(opened, training, cluster, out, ends)
        with opened.writing(share=training.share):
            trainer.take_arrivals()
            found = _round(opened, seeds, rivals)
            use_own_code(code)
            say_imports([trial.config for trial in found.trials], everything=True)
            opened.plan(found.run, threads=trainer.threads, data_dir=data_dir, storage=training.storage_path)
            front = sum(candidate.on_front for candidate in found.chosen)
            out.print(
                f"{several(front, 'network')} of the front and {several(len(found.chosen) - front, 'rival')}, "
                f"{several(seeds, 'fresh seed')} each: {several(len(found.trials), 'trial')}"
            )
            trainer.train_trials(trainer.missing(found.trials), data_of(opened, data_dir))
            check_that_some_succeeded(opened, found.run.trials)
            _conclude(opened, ends, as_json=as_json)


def _round(study: Study, seeds: int, rivals: int) -> _Round:
    """The trials of a round, priced as their cells were, on the folds that the search had of each.

    Seeds start above all that it used.
    """
    from ablate.analysis.confirmation import DESIGN, candidates, fresh_seeds, searched_and_fresh
    from ablate.analysis.frames import load
    from ablate.search_spaces.plan import Planned
    from ablate.study.runs import Run

    searched, _ = searched_and_fresh(study.manifest.runs)
    chosen = candidates(load(study).trials, searched, rivals)
    records = {key: record for key, record in study.records().items() if key in set(searched)}
    fresh = fresh_seeds((record.seed for record in records.values()), seeds)
    complete = [key for key, record in records.items() if record.state == "complete"]
    folds: dict[str, dict[int | None, TrialConfig]] = {}
    for config in map(study.config, complete):
        folds.setdefault(config.cell, {}).setdefault(config.fold, config)
    planned = study.plans.levels
    found: list[Planned] = []
    for candidate in chosen:
        of_fold = folds[candidate.cell].values()
        record = records[next(iter(of_fold)).key]
        levels = {name.partition(".")[2]: level for name, level in planned[record.key].items()}
        of_epochs = [record.images] if record.images else []
        found += [
            Planned(config.model_copy(update={"seed": seed}), levels, record.params, record.macs, *of_epochs)
            for seed in fresh
            for config in of_fold
        ]
    source = next(run for run in study.manifest.runs if run.design != DESIGN)
    factors: dict[str, list[str]] = {}
    for trial in found:
        for name, level in trial.levels.items():
            factors.setdefault(name, []).append(level)
    run: Run = Run(
        space=f"{source.space}-confirmed",
        question=f"What is the front of {source.space} worth with fresh seeds?",
        profile=source.profile,
        design=DESIGN,
        factors={name: list(dict.fromkeys(levels)) for name, levels in factors.items()},
        definition={},
        trials={trial.key: trial.levels for trial in found},
        data=source.data,
    )
    return _Round(run, found, chosen)


def _conclude(study: Study, ends: Ends, *, as_json: bool) -> None:
    from ablate.analysis.confirmation import confirmation, searched_and_fresh, table
    from ablate.analysis.format import si
    from ablate.analysis.frames import load
    from ablate.analysis.names import key_table
    from ablate.runners.cli.report import write_report
    from ablate.runners.conclusion import costing_no_training

    frames = load(study)
    found = confirmation(frames, *searched_and_fresh(study.manifest.runs))
    if found is None:
        raise InputError("none of the fresh trials is complete: see `ablate status`")
    report = None
    with costing_no_training("the report", study.path, ends):
        report = write_report(study, frames, study.path / "report.html")
    if as_json:
        print_json(_document(found, frames))
        return
    out = console()
    columns = ("params", "MACs", "searched", "again", "test")
    rows = plain_table("cell", *columns, "front", right=columns)
    named = {cell.cell: frames.named[cell.cell] for cell in found.cells if cell.cell in frames.named}
    for cell, (_, *scores, place) in zip(found.cells, table(found), strict=True):
        called = named[cell.cell].name if cell.cell in named else cell.cell
        rows.add_row(called, si(cell.params), si(cell.macs), *scores, place)
    out.print(rows)
    out.print(
        "searched, again: validation Dice of the search's seeds, and of fresh ones; test: of fresh ones", style="dim"
    )
    for sentence in found.sentences:
        out.print(sentence)
    if named:
        out.print(key_table(named.values()))
    if report:
        out.print(f"Report: {report}", soft_wrap=True)


def _document(found: Confirmation, frames: Frames) -> dict[str, object]:
    from ablate.analysis.crossed import Interval
    from ablate.analysis.names import document

    def interval(of: Interval) -> dict[str, object]:
        return {name: None if value != value else value for name, value in of._asdict().items()}

    return {
        "optimism": {
            "total": interval(found.optimism.total),
            "luck": interval(found.optimism.luck),
            "images": interval(found.optimism.images),
            "cells": found.optimism.cells,
            "seeds": found.optimism.seeds,
        },
        "cells": [
            cell._asdict() | {"test": interval(cell.test)} | document(frames.named.get(cell.cell))
            for cell in found.cells
        ],
        "unconfirmed": found.unconfirmed,
        "sentences": found.sentences,
    }
