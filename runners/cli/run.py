"""`ablate run`."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runners.cli.shared import console, notes, prepare, space_options

if TYPE_CHECKING:
    from rich.console import Console

    from ablation.config import TrialConfig
    from ablation.study import Run, Study
    from ablation.trial_folder import Record
    from runners.cli.shared import Prepared
    from runners.nodes import Node
    from runners.tune import How
    from search_spaces.plan import Planned


@click.command()
@space_options
@click.option(
    "--study", type=click.Path(path_type=Path), help="The study directory [default: studies/SPACE-DATA-PROFILE]."
)
@click.option("--cpus-per-trial", type=click.IntRange(1), help="CPUs, and threads, of each trial [default: 1].")
@click.option(
    "--gpus-per-trial",
    metavar="N|auto",
    help="GPUs of each trial: 0.5 shares a card, 2 train one trial together, auto shares cards by memory "
    "[default: 1 if any].",
)
@click.option("--workers-per-trial", type=click.IntRange(1), help="Processes that train each trial [default: 1 a GPU].")
@click.option("--max-concurrent", type=click.IntRange(1), help="Trials at a time [default: as many as fit].")
@click.option("--address", help="The Ray cluster to train on: auto, or host:port [default: this machine alone].")
@click.option(
    "--storage-path",
    metavar="PATH|URI",
    help="Where workers leave checkpoints and finished trials, s3://… say [default: the study; from other machines "
    "through Ray].",
)
@click.option(
    "--max-failures",
    type=click.IntRange(0),
    default=3,
    show_default=True,
    help="How often a trial whose process or machine died is started again, from its last epoch.",
)
@click.option("--retry-failed", is_flag=True, help="Train trials that failed once more.")
@click.option("--share", is_flag=True, help="Work beside another run of this study, on trials that it has not taken.")
@click.option("--log", "loggers", metavar="NAME,…", default="", help="Also log to tensorboard, mlflow or wandb.")
def run(
    study: Path | None,
    cpus_per_trial: int | None,
    gpus_per_trial: str | None,
    workers_per_trial: int | None,
    max_concurrent: int | None,
    address: str | None,
    storage_path: str | None,
    max_failures: int,
    retry_failed: bool,
    share: bool,
    loggers: str,
    **options: Any,
) -> None:
    """Train what a space asks for and a study does not have yet; then report.

    Trials are kept for good as they end. Run the same command again to go on
    after an interruption, or with more seeds or levels: only what is new is
    trained. End it with Ctrl-C.

    \b
    Examples:
      ablate run --space pyramid_levels
      ablate run --space baselines --data isbi2012 --data-dir isbi/ --seeds 3
      ablate run --space my_space.yaml --profile standard --gpus-per-trial auto
      ablate run --space baselines --address auto --storage-path s3://lab/scratch
    """
    from ablation.study import Study
    from analysis.frames import level_label
    from runners.resources import choose_resources, parse_gpus
    from runners.storage import check_storage
    from runners.tune import How, missing_trials, take_arrivals

    out = console()
    prepared = prepare(**options)
    trials = prepared.plan.trials
    first = trials[0].config
    path = study or Path("studies") / f"{prepared.space.name}-{first.data.name}-{prepared.profile_name}"
    opened = Study.open_or_new(path)
    address = address or os.environ.get("RAY_ADDRESS")
    choose = partial(
        choose_resources,
        cpus_per_trial,
        parse_gpus(gpus_per_trial) if gpus_per_trial else None,
        max_concurrent,
        study_threads=opened.manifest.threads,
        workers_per_trial=workers_per_trial,
    )
    threads = cpus_per_trial or opened.manifest.threads or 1
    if not address:
        choose()  # what this machine does not have is said before anything is written
    storage = storage_path or opened.manifest.storage
    if storage_path:
        check_storage(storage_path)
    names = _logger_names(loggers)
    with opened.writing(share=share):
        if opened.mended:
            out.print(f"Note: {opened.mended}", style="yellow", soft_wrap=True)
        _plan_into(opened, prepared, threads, options["data_dir"], storage_path)
        take_arrivals(opened, storage)
        missing = missing_trials(opened, trials, retry_failed=retry_failed)
        out.print(prepared.space.question, style="bold")
        for row in prepared.plan.rejected:
            out.print(f"rejected {level_label(row.levels)}: {row.reason}", style="red", markup=False)
        _say_what_is_missing(out, opened, trials, missing, threads)

        def how(nodes: list[Node] | None) -> How:
            resources = choose(nodes=nodes, measured=_measured(opened))
            return How(resources, max_failures, storage, tuple(nodes or ()), names)

        interrupted = bool(missing) and not _train(out, opened, prepared, missing, how, address)
        if interrupted:
            out.print(f"Interrupted. Every finished trial is in {path}; the same command goes on from there.")
            sys.exit(130)
        _conclude(out, opened)


def _measured(study: Study) -> list[tuple[TrialConfig, Record]]:
    """The trials whose training's memory is known."""
    known = (record for record in study.records().values() if record.training_memory_mb)
    return [(study.config(record.key), record) for record in known]


def _logger_names(text: str) -> tuple[str, ...]:
    if not text:
        return ()
    from runners.loggers import check_logger

    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        check_logger(name)
    return names


def _plan_into(study: Study, prepared: Prepared, threads: int, data_dir: Path | None, storage: str | None) -> None:
    """Write the plan and the trivial rows into the study."""
    from ablation.study import Run
    from runners.tune import score_trivial

    space, trials = prepared.space, prepared.plan.trials
    factors: dict[str, list[str]] = {name: [] for name in space.factors}
    for trial in trials:
        for name, level in trial.levels.items():
            if level not in factors[name]:
                factors[name].append(level)
    run: Run = Run(
        space=space.name,
        question=space.question,
        profile=prepared.profile_name,
        design=space.design,
        factors=factors,
        definition=space.model_dump(mode="json", exclude_none=True),
        trials={trial.key: trial.levels for trial in trials},
    )
    study.plan(run, threads=threads, data_dir=data_dir, storage=storage)
    score_trivial(study, [trial.config for trial in trials], prepared.dataset_of)


def _say_what_is_missing(
    out: Console, study: Study, trials: list[Planned], missing: list[Planned], threads: int
) -> None:
    from ablation.verify import changed_images

    config = trials[0].config
    height, width = config.data.size
    out.print(
        f"{len(trials)} trials of {len({t.config.cell for t in trials})} configurations, "
        f"{config.protocol.epochs} epochs, {config.data.name} at {config.data.channels}x{height}x{width}"
    )
    out.print(f"Study: {study.path}", soft_wrap=True)
    kept = len(trials) - len(missing)
    if kept:
        out.print(f"{kept} of them are in the study already; {len(missing) or 'none'} to train")
    for line in changed_images(study, [trial.config for trial in missing]):
        out.print(f"Note: {line}", style="yellow", soft_wrap=True)
    before = study.manifest.threads
    if missing and before != threads:
        out.print(
            f"Note: this study's trials so far used {before} CPU threads each, these will use {threads}: "
            "their numbers differ in the fifth digit.",
            style="yellow",
        )


def _train(
    out: Console,
    study: Study,
    prepared: Prepared,
    missing: list[Planned],
    how: Callable[[list[Node] | None], How],
    address: str | None,
) -> bool:
    """Train `missing` as `how` says for the cluster's nodes (None: this machine alone); false if interrupted."""
    from analysis.frames import level_label
    from runners.live import clock, forget_the_dead
    from runners.nodes import check_nodes
    from runners.progress import Progress
    from runners.searcher import StudySearcher
    from runners.tune import ray_session, train_missing

    labels = {trial.key: level_label(trial.levels) for trial in missing}
    datasets = {trial.config.data.model_dump_json(): prepared.dataset_of(trial.config.data) for trial in missing}
    forget_the_dead(study)
    with Progress(out, study, missing, labels) as progress, ray_session(address):
        nodes = check_nodes([planned.config for planned in missing]) if address else None
        outcome = train_missing(study, StudySearcher(study, missing), datasets, how(nodes), progress)
    counts = Counter(record.state for record in outcome.trained)
    parts = [f"{counts['complete']} trials trained"]
    parts += [f"{counts[state]} {state}" for state in ("stopped", "failed") if counts[state]]
    out.print(f"{', '.join(parts)} in {clock(outcome.seconds)}")
    if outcome.elsewhere:
        out.print(f"{len(outcome.elsewhere)} more are being trained by another run of this study")
    return not outcome.missing


def _conclude(out: Console, study: Study) -> None:
    """The front on the terminal, and the report."""
    from analysis.frames import load
    from analysis.scores import cell_scores
    from analysis.study_report import intervals
    from analysis.summary import front_summary
    from runners.cli.report import write_report

    frames = load(study)
    out.print()
    found = intervals(cell_scores(frames, "dice"))
    front_summary(frames.trials, out, caution=" ".join(notes(study)), intervals={"dice": found})
    path = write_report(study, frames, study.path / "report.html")
    out.print(f"Report: {path}", soft_wrap=True)
