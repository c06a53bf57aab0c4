"""`ablate run`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runners.cli.shared import console, notes, prepare, space_options

if TYPE_CHECKING:
    from rich.console import Console

    from ablation.study import Run, Study
    from runners.cli.shared import Prepared
    from runners.resources import Resources
    from search_spaces.plan import Planned


@click.command()
@space_options
@click.option(
    "--study", type=click.Path(path_type=Path), help="The study directory [default: studies/SPACE-DATA-PROFILE]."
)
@click.option("--cpus-per-trial", type=click.IntRange(1), help="CPUs, and threads, of each trial [default: 1].")
@click.option(
    "--gpus-per-trial", type=click.FloatRange(0), help="GPUs of each trial, or a fraction [default: 1 if any]."
)
@click.option("--max-concurrent", type=click.IntRange(1), help="Trials at a time [default: as many as fit].")
def run(
    study: Path | None,
    cpus_per_trial: int | None,
    gpus_per_trial: float | None,
    max_concurrent: int | None,
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
      ablate run --space my_space.yaml --profile standard --gpus-per-trial 0.5
    """
    from ablation.study import Study
    from analysis.frames import level_label
    from runners.resources import choose_resources

    out = console()
    prepared = prepare(**options)
    trials = prepared.plan.trials
    first = trials[0].config
    path = study or Path("studies") / f"{prepared.space.name}-{first.data.name}-{prepared.profile_name}"
    opened = Study.open_or_new(path)
    resources = choose_resources(cpus_per_trial, gpus_per_trial, max_concurrent, study_threads=opened.manifest.threads)
    with opened.writing():
        missing = _plan_into(opened, prepared, resources, options["data_dir"])
        out.print(prepared.space.question, style="bold")
        for row in prepared.plan.rejected:
            out.print(f"rejected {level_label(row.levels)}: {row.reason}", style="red", markup=False)
        _say_what_is_missing(out, opened, trials, missing, resources)
        interrupted = bool(missing) and not _train(out, opened, prepared, missing, resources)
        if interrupted:
            out.print(f"Interrupted. Every finished trial is in {path}; the same command goes on from there.")
            sys.exit(130)
        _conclude(out, opened)


def _plan_into(study: Study, prepared: Prepared, resources: Resources, data_dir: Path | None) -> list[Planned]:
    """Write the plan and the trivial rows into the study; what is left to train."""
    from ablation.study import Run
    from runners.tune import missing_trials, score_trivial

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
    study.plan(run, threads=resources.threads, data_dir=data_dir)
    score_trivial(study, [trial.config for trial in trials], prepared.dataset_of)
    return missing_trials(study, trials)


def _say_what_is_missing(
    out: Console, study: Study, trials: list[Planned], missing: list[Planned], resources: Resources
) -> None:
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
    threads = study.manifest.threads
    if missing and threads != resources.threads:
        out.print(
            f"Note: this study's trials so far used {threads} CPU threads each, these will use {resources.threads}: "
            "their numbers differ in the fifth digit.",
            style="yellow",
        )


def _train(out: Console, study: Study, prepared: Prepared, missing: list[Planned], resources: Resources) -> bool:
    """Train `missing`; false if interrupted."""
    from analysis.frames import level_label
    from runners.progress import Progress, clock
    from runners.tune import train_missing

    labels = {trial.key: level_label(trial.levels) for trial in missing}
    progress = Progress(out, missing, labels)
    with progress:
        outcome = train_missing(study, missing, resources, prepared.dataset_of, progress)
    failed = sum(record.state == "failed" for record in outcome.trained)
    trained = f"{len(outcome.trained) - failed} trials trained"
    out.print(f"{trained}{f', {failed} failed' if failed else ''} in {clock(outcome.seconds)}")
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
