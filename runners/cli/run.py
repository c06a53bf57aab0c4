"""`ablate run`."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from ablate.errors import InputError
from ablate.runners.cli.output import console
from ablate.runners.cli.shared import basis, extent, notes, plan_notes, prepare, space_options
from ablate.runners.cli.training import check_that_some_succeeded, costing_no_training, ending

if TYPE_CHECKING:
    from rich.console import Console

    from ablate.config import Data, TrialConfig
    from ablate.data import Dataset
    from ablate.runners.address import Address
    from ablate.runners.nodes import Node
    from ablate.runners.progress import Progress
    from ablate.runners.search import Search
    from ablate.runners.searcher import Feed
    from ablate.runners.tune import How
    from ablate.search_spaces.plan import Plan, Planned, Planner
    from ablate.search_spaces.space import Space
    from ablate.study import Run, Study
    from ablate.trial_folder import Record


SEARCH_TRIALS = 24


class _Asked(NamedTuple):
    """A space, as a plan or as a planner for a search. `data`: the data set's name; `epochs`: the most of any trial."""

    space: Space
    profile: str
    data: str
    epochs: int
    dataset_of: Callable[[Data], Dataset]
    plan: Plan | None = None
    planner: Planner | None = None


class _Place(NamedTuple):
    """Where and how it is trained. `how` is asked with the cluster's nodes, or None for this machine alone."""

    data_dir: Path | None
    storage_path: str | None
    threads: int
    address: Address | None
    how: Callable[[list[Node] | None], How]
    lost: Callable[[str], None]
    """Called where Ray's daemons die."""
    finish_stopped: bool


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
@click.option("--retrain-other-versions", is_flag=True, help="Train what other code or PyTorch made once more.")
@click.option("--share", is_flag=True, help="Work beside another run of this study, on trials that it has not taken.")
@click.option("--sampler", help="Search the space: known_cost, tpe, nsgaii, gp, random, … propose what to train.")
@click.option("--trials", type=click.IntRange(1), help="Configurations that a search trains [default: 24].")
@click.option("--budget-epochs", type=click.IntRange(1), help="A search proposes no more after so many epochs.")
@click.option("--sampler-seed", type=click.IntRange(0), default=0, show_default=True, help="The search's own seed.")
@click.option(
    "--scheduler",
    default="none",
    show_default=True,
    help="Stop what promises nothing: pareto, pareto-promote, asha, median, hyperband; none finishes what was stopped.",
)
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
    retrain_other_versions: bool,
    share: bool,
    sampler: str | None,
    trials: int | None,
    budget_epochs: int | None,
    sampler_seed: int,
    scheduler: str,
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
      ablate run --space search_pyconvunet --sampler known_cost --trials 24
    """
    from ablate.runners.address import check_address, find_address
    from ablate.runners.environment import prepare_ray

    ends = ending()
    out = console()
    cluster = find_address(address)
    if said := prepare_ray(cluster):  # before anything imports Ray
        out.print(f"Note: {said}", style="yellow", soft_wrap=True)
    from ablate.runners.resources import choose_resources, parse_gpus
    from ablate.runners.schedulers import make_scheduler
    from ablate.runners.search import Search
    from ablate.runners.storage import check_storage, choose_storage
    from ablate.runners.tune import How, take_arrivals
    from ablate.study import Study

    _check_search(sampler, trials, budget_epochs, share)
    if sampler and retrain_other_versions:
        raise InputError("--retrain-other-versions: a search goes by what it has seen; leave it out, or --sampler")
    if cluster:
        check_address(cluster)
    asked = _asked_for(sampler, options)
    path = study or Path("studies") / f"{asked.space.name}-{asked.data}-{asked.profile}"
    opened = Study.open_or_new(path)
    ends.study = path
    choose = partial(
        choose_resources,
        cpus_per_trial,
        parse_gpus(gpus_per_trial) if gpus_per_trial else None,
        max_concurrent,
        study_threads=opened.manifest.threads,
        workers_per_trial=workers_per_trial,
    )
    threads = cpus_per_trial or opened.manifest.threads or 1
    if not cluster:
        choose()  # what this machine does not have is said before anything is written
    storage = choose_storage(opened, storage_path)
    if storage:
        check_storage(storage)
    names = _logger_names(loggers)

    make_scheduler(scheduler, costs={}, max_epochs=asked.epochs)  # a name that is none is said now

    def how(nodes: list[Node] | None) -> How:
        resources = choose(nodes=nodes, measured=_measured(opened))
        return How(resources, max_failures, storage, tuple(nodes or ()), names, scheduler, asked.epochs)

    place = _Place(
        options["data_dir"], storage_path, threads, cluster, how, ends.lost, finish_stopped=scheduler == "none"
    )
    with opened.writing(share=share):
        if opened.mended:
            out.print(f"Note: {opened.mended}", style="yellow", soft_wrap=True)
        take_arrivals(opened, storage)
        out.print(asked.space.question, style="bold")
        if sampler:
            search = Search(sampler, trials or SEARCH_TRIALS, sampler_seed, budget_epochs)
            whole = _search(out, opened, asked, search, place)
        else:
            whole = _train_plan(
                out, opened, asked, place, retry_failed=retry_failed, retrain_others=retrain_other_versions
            )
        if not whole:
            ends.interrupted()
            sys.exit(130)
        _conclude(out, opened)
        check_that_some_succeeded(opened, _planned(opened, asked))


def _planned(study: Study, asked: _Asked) -> list[str]:
    """The keys of what was to be trained."""
    if asked.plan is not None:
        return [trial.key for trial in asked.plan.trials]
    runs = study.manifest.runs
    return [key for run in runs if (run.space, run.profile) == (asked.space.name, asked.profile) for key in run.trials]


def _measured(study: Study) -> list[tuple[TrialConfig, Record]]:
    """The trials whose training's memory is known."""
    known = (record for record in study.records().values() if record.training_memory_mb)
    return [(study.config(record.key), record) for record in known]


def _logger_names(text: str) -> tuple[str, ...]:
    if not text:
        return ()
    from ablate.runners.loggers import check_logger

    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        check_logger(name)
    return names


def _check_search(sampler: str | None, trials: int | None, budget_epochs: int | None, share: bool) -> None:
    if sampler is None:
        for name, value in (("--trials", trials), ("--budget-epochs", budget_epochs)):
            if value is not None:
                raise InputError(f"{name} {value}: belongs to a search; give --sampler too (known_cost, tpe, …)")
    elif share:
        raise InputError("--share: a search is one process, whose sampler sees every trial; leave it out")


def _asked_for(sampler: str | None, options: dict[str, Any]) -> _Asked:
    """The space as a plan, or as what a search draws from."""
    from ablate.search_spaces.plan import Planner

    if sampler is None:
        prepared = prepare(**options)
        configs = [trial.config for trial in prepared.plan.trials]
        epochs = max(config.protocol.epochs for config in configs)
        return _Asked(
            prepared.space, prepared.profile_name, configs[0].data.name, epochs, prepared.dataset_of, prepared.plan
        )
    found = basis(**options)
    planner = Planner(found.space, found.profile, dataset_of=found.dataset_of, **found.arguments)
    dataset, protocol = planner.base()
    name = dataset.config.name
    return _Asked(found.space, found.profile_name, name, protocol.epochs, found.dataset_of, planner=planner)


def _train_plan(
    out: Console, study: Study, asked: _Asked, place: _Place, *, retry_failed: bool, retrain_others: bool
) -> bool:
    """Train what the study is missing of a plan; false if interrupted."""
    from ablate.analysis.frames import level_label
    from ablate.origin import unlike_today
    from ablate.runners.progress import Progress
    from ablate.runners.searcher import StudySearcher
    from ablate.runners.tune import missing_trials, score_trivial
    from ablate.study import Run

    space, plan = asked.space, asked.plan
    assert plan is not None
    run: Run = Run(
        space=space.name,
        question=space.question,
        profile=asked.profile,
        design=space.design,
        factors={
            name: list(dict.fromkeys(trial.levels[name] for trial in plan.trials if name in trial.levels))
            for name in space.factors
        },
        definition=space.model_dump(mode="json", exclude_none=True),
        trials={trial.key: trial.levels for trial in plan.trials},
    )
    study.plan(run, threads=place.threads, data_dir=place.data_dir, storage=place.storage_path)
    score_trivial(study, [trial.config for trial in plan.trials], asked.dataset_of)
    others = unlike_today(study, [trial.config for trial in plan.trials])
    again = others if retrain_others else ()
    missing = missing_trials(
        study, plan.trials, retry_failed=retry_failed, finish_stopped=place.finish_stopped, again=again
    )
    for row in plan.rejected:
        out.print(f"rejected {level_label(row.levels)}: {row.reason}", style="red", markup=False)
    for note in plan_notes(plan):
        out.print(f"Note: {note}", style="yellow")
    _say_what_is_missing(out, study, plan.trials, missing, place.threads)
    if not missing:
        return True
    _say_what_others_made(out, others, missing, len(plan.trials))
    labels = {trial.key: level_label(trial.levels) for trial in missing}
    datasets = {trial.config.data.model_dump_json(): asked.dataset_of(trial.config.data) for trial in missing}
    progress = Progress(out, study, missing, labels)
    return _train(out, study, StudySearcher(study, missing, again=again), datasets, progress, place)


def _say_what_others_made(out: Console, others: Mapping[str, str], missing: list[Planned], trials: int) -> None:
    """Of the plan's trials that are kept: those that this version did not make."""
    kept = Counter(other for key, other in others.items() if key not in {trial.key for trial in missing})
    for other, count in kept.items():
        out.print(
            f"Note: {count} of the {trials} trials are of {other}: --retrain-other-versions trains them anew; else "
            "every table that mixes them with new ones says so",
            style="yellow",
            soft_wrap=True,
        )


def _search(out: Console, study: Study, asked: _Asked, search: Search, place: _Place) -> bool:
    """Train what a search proposes; false if interrupted."""
    from ablate.analysis.format import several
    from ablate.analysis.frames import level_label
    from ablate.runners.progress import Progress
    from ablate.runners.search import make_searcher
    from ablate.runners.tune import score_trivial

    planner = asked.planner
    assert planner is not None
    dataset, _ = planner.base()
    labels: dict[str, str] = {}
    seen: list[TrialConfig] = []

    def proposed(trials: list[Planned]) -> None:
        labels.update({trial.key: level_label(trial.levels) for trial in trials})
        seen.append(trials[0].config)

    searcher = make_searcher(
        study,
        planner,
        asked.profile,
        search,
        threads=place.threads,
        data_dir=place.data_dir,
        storage=place.storage_path,
        finish_stopped=place.finish_stopped,
        proposed=proposed,
    )
    height, width = dataset.config.size
    out.print(
        f"Up to {several(search.trials, 'configuration')} proposed by {search.sampler}, {asked.epochs} epochs, "
        f"{asked.data} at {dataset.config.channels}x{height}x{width}"
    )
    for note in planner.notes():
        out.print(f"Note: {note}", style="yellow")
    out.print(f"Study: {study.path}", soft_wrap=True)
    if searcher.over:
        out.print("All of them are in the study already")
        return True
    progress = Progress(out, study, [], labels, expected=search.trials)
    whole = _train(out, study, searcher, {dataset.config.model_dump_json(): dataset}, progress, place)
    score_trivial(study, seen[:1], asked.dataset_of)
    return whole


def _say_what_is_missing(
    out: Console, study: Study, trials: list[Planned], missing: list[Planned], threads: int
) -> None:
    from ablate.verify import changed_images

    out.print(f"{len(trials)} trials of {len({t.config.cell for t in trials})} configurations, {extent(trials)}")
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
    out: Console, study: Study, searcher: Feed, datasets: dict[str, Dataset], progress: Progress, place: _Place
) -> bool:
    """Train what `searcher` gives; false if interrupted."""
    from ablate.runners.live import clock, forget_the_dead
    from ablate.runners.nodes import check_nodes
    from ablate.runners.tune import ray_session, train_missing

    forget_the_dead(study)
    with progress, ray_session(place.address, place.lost) as look:
        nodes = check_nodes([planned.config for planned in searcher.left]) if place.address else None
        outcome = train_missing(study, searcher, datasets, place.how(nodes), progress, look=look)
    counts = Counter(record.state for record in outcome.trained)
    parts = [f"{counts['complete']} trials trained"]
    parts += [f"{counts[state]} {state}" for state in ("stopped", "failed") if counts[state]]
    out.print(f"{', '.join(parts)} in {clock(outcome.seconds)}")
    if outcome.elsewhere:
        out.print(f"{len(outcome.elsewhere)} more are being trained by another run of this study")
    return not outcome.missing


def _conclude(out: Console, study: Study) -> None:
    """The front on the terminal, and the report."""
    from ablate.analysis.frames import load
    from ablate.analysis.scores import cell_scores
    from ablate.analysis.study_report import intervals
    from ablate.analysis.summary import front_summary
    from ablate.runners.cli.report import write_report

    frames = None
    with costing_no_training("the summary", study.path):
        frames = load(study)
        out.print()
        found = intervals(cell_scores(frames, "dice"))
        front_summary(frames.trials, out, caution=" ".join(notes(study)), intervals={"dice": found})
    with costing_no_training("the report", study.path):
        path = write_report(study, frames or load(study), study.path / "report.html")
        out.print(f"Report: {path}", soft_wrap=True)
