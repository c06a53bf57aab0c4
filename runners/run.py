"""A run, as a function: what `ablate run` and `ablate confirm` do, and a notebook with `ablate.run`.

Like the command line it is the house's roof: training and analysis meet here. It prints where it is told to, and is
silent on what ends a process: who calls it decides (`Ends`).
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ablate.errors import Halted, InputError
from ablate.runners.execution.ending import Ends
from ablate.runners.request import SEARCH_TRIALS, Request, Training
from ablate.settings import parse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from ablate.data.dataset import Dataset
    from ablate.data.settings import Data
    from ablate.runners.execution.address import Address
    from ablate.runners.execution.nodes import Node
    from ablate.runners.execution.queue import Feed
    from ablate.runners.execution.tune import How
    from ablate.runners.watch.progress import Progress
    from ablate.search_spaces.plan import Plan, Planned, Planner
    from ablate.search_spaces.space import Space
    from ablate.study.study import Study
    from ablate.study.trial_folder import Record
    from ablate.trial import TrialConfig

_LONGEST_REASON = 200


def run(space: str | Path | Mapping[str, Any], *, console: Console | None = None, **options: Any) -> Study:
    """Train what a space asks for and a study does not have yet, then write its report: `ablate run`, as a function.

        study = ablate.run("pyramid_levels", seeds=3, settings={"model.width": 16}, max_concurrent=2)

    Args:
        space: a packaged space's name, the path of a YAML file, or what such a file would hold.
        console: where progress and the front are printed; by default standard output, or the notebook's.
        options: the fields of `ablate.runners.request.Request`, which are the options of `ablate run`.

    Returns the study. Every trial is in it as soon as it ends; the same call goes on after an interruption.

    Raises:
        InputError: what is asked cannot be had: an option that does not exist, a space, data or a study that are none.
        Halted: the study cannot be written any more, Ray is lost, or every trial failed.
        KeyboardInterrupt: it was interrupted, and says how to go on.
    """
    from ablate.runners.cli.output import console as standard_output

    request = parse(Request, {**options, "space": dict(space) if isinstance(space, Mapping) else space}, "run")
    return carry_out(request, console or standard_output(), Ends())


def carry_out(request: Request, out: Console, ends: Ends) -> Study:
    """What `run` does, for a request as a whole. Raises as `run` does."""
    from ablate.study.study import Study

    cluster = find_cluster(request.address, out)
    request.check()
    check_cluster(cluster)
    asked = _asked_for(request)
    path = request.study or Path("studies") / f"{asked.space.name}-{asked.data}-{asked.profile}"
    study = Study.open_or_new(path)
    ends.study = path
    trainer = Trainer(study, request, cluster, out, ends, epochs=asked.epochs)
    with study.writing(share=request.share):
        if study.mended:
            out.print(f"Note: {study.mended}", style="yellow", soft_wrap=True)
        trainer.take_arrivals()
        out.print(asked.space.question, style="bold")
        train = _search if request.sampler else _train_plan
        train(trainer, asked, request)
        _conclude(study, out, ends)
        check_that_some_succeeded(study, _planned(study, asked))
    return study


# What is asked -------------------------------------------------------------------------------------------------------


class _Asked(NamedTuple):
    """A space, as a plan or as a planner for a search. `data`: the data set's name; `epochs`: the most of any trial."""

    space: Space
    profile: str
    data: str
    epochs: int
    dataset_of: Callable[[Data], Dataset]
    plan: Plan | None = None
    planner: Planner | None = None


def _asked_for(request: Request) -> _Asked:
    """The space as a plan, or as what a search draws from."""
    from ablate.runners.cli.output import waiting
    from ablate.search_spaces.plan import Planner, make_plan

    found = request.basis()
    if request.sampler is None:
        with waiting(f"pricing {found.space.name}"):
            plan = make_plan(found.space, found.profile, dataset_of=found.dataset_of, **found.arguments)
        configs = [trial.config for trial in plan.trials]
        epochs = max(config.protocol.epochs for config in configs)
        return _Asked(found.space, found.profile_name, configs[0].data.name, epochs, found.dataset_of, plan)
    planner = Planner(found.space, found.profile, dataset_of=found.dataset_of, **found.arguments)
    dataset, protocol = planner.base()
    name = dataset.config.name
    return _Asked(found.space, found.profile_name, name, protocol.epochs, found.dataset_of, planner=planner)


def _planned(study: Study, asked: _Asked) -> list[str]:
    """The keys of what was to be trained."""
    if asked.plan is not None:
        return [trial.key for trial in asked.plan.trials]
    runs = study.manifest.runs
    return [key for run in runs if (run.space, run.profile) == (asked.space.name, asked.profile) for key in run.trials]


# Training ------------------------------------------------------------------------------------------------------------


def find_cluster(address: str | None, out: Console) -> Address | None:
    """The cluster to train on, if any; Ray's environment is set for it, before anything imports Ray."""
    from ablate.runners.execution.address import find_address
    from ablate.runners.execution.environment import prepare_ray

    cluster = find_address(address)
    if said := prepare_ray(cluster):
        out.print(f"Note: {said}", style="yellow", soft_wrap=True)
    return cluster


def check_cluster(cluster: Address | None) -> None:
    """Raises `InputError` where Ray runs in this process already, or no cluster answers."""
    import ray

    from ablate.runners.execution.address import check_address

    if ray.is_initialized():
        raise InputError("Ray is running in this process already, and a run starts it by itself: ray.shutdown() first")
    if cluster:
        check_address(cluster)


class Trainer:
    """Trains in one study, where and how it is asked. What is not there is said before anything is written.

    Raises `InputError` for what is asked and is not there.
    """

    def __init__(
        self,
        study: Study,
        training: Training,
        cluster: Address | None,
        out: Console,
        ends: Ends,
        *,
        epochs: int = 1,
    ) -> None:
        """`epochs`: the most of any trial, for a scheduler."""
        from ablate.runners.execution.resources import choose_resources
        from ablate.runners.execution.storage import check_storage, choose_storage
        from ablate.runners.search.stopping import make_scheduler

        self.study, self.training, self.out = study, training, out
        self._cluster, self._epochs, self._ends = cluster, epochs, ends
        self._choose = partial(
            choose_resources,
            training.cpus_per_trial,
            training.gpus_per_trial,
            training.max_concurrent,
            study_threads=study.manifest.threads,
            workers_per_trial=training.workers_per_trial,
        )
        self.threads = training.cpus_per_trial or study.manifest.threads or 1
        if not cluster:
            self._choose()
        self.storage = choose_storage(study, training.storage_path)
        if self.storage:
            check_storage(self.storage)
        for name in training.log:
            from ablate.runners.watch.loggers import check_logger

            check_logger(name)
        make_scheduler(training.scheduler, costs={}, max_epochs=epochs)  # a name that is none is said now

    def take_arrivals(self) -> None:
        """Take in what workers finished that no driver did, within `study.writing`."""
        from ablate.runners.execution.tune import take_arrivals

        take_arrivals(self.study, self.storage)

    def train(self, searcher: Feed, datasets: dict[str, Dataset], progress: Progress) -> None:
        """Train what `searcher` gives, within `study.writing`. Raises `KeyboardInterrupt` if it is interrupted."""
        from ablate.runners.execution.nodes import check_nodes
        from ablate.runners.execution.tune import ray_session, train_missing
        from ablate.runners.watch.live import clock, forget_the_dead

        forget_the_dead(self.study)
        with progress, ray_session(self._cluster, self._ends.lost) as look:
            nodes = check_nodes([planned.config for planned in searcher.left]) if self._cluster else None
            outcome = train_missing(self.study, searcher, datasets, self._how(nodes), progress, look=look)
        counts = Counter(record.state for record in outcome.trained)
        parts = [f"{counts['complete']} trials trained"]
        parts += [f"{counts[state]} {state}" for state in ("stopped", "failed") if counts[state]]
        self.out.print(f"{', '.join(parts)} in {clock(outcome.seconds)}")
        if outcome.elsewhere:
            self.out.print(f"{len(outcome.elsewhere)} more are being trained by another run of this study")
        if outcome.missing:
            raise KeyboardInterrupt(self._ends.how_to_go_on())

    def train_trials(
        self,
        missing: list[Planned],
        dataset_of: Callable[[Data], Dataset],
        again: Collection[str] = (),
    ) -> None:
        """Train trials of a plan, of which those with keys in `again` are in the study. Raises as `train` does."""
        from ablate.analysis.frames import level_label
        from ablate.runners.execution.queue import StudySearcher
        from ablate.runners.watch.progress import Progress

        if not missing:
            return
        labels = {trial.key: level_label(trial.levels) for trial in missing}
        datasets = {trial.config.data.model_dump_json(): dataset_of(trial.config.data) for trial in missing}
        progress = Progress(self.out, self.study, missing, labels)
        self.train(StudySearcher(self.study, missing, again=again), datasets, progress)

    def missing(self, trials: list[Planned], again: Collection[str] = ()) -> list[Planned]:
        """Those that are to be trained: what the study is missing, and those with keys in `again`."""
        from ablate.runners.execution.tune import missing_trials

        asked = self.training
        return missing_trials(
            self.study, trials, retry_failed=asked.retry_failed, finish_stopped=asked.finish_stopped, again=again
        )

    def _how(self, nodes: list[Node] | None) -> How:
        from ablate.runners.execution.tune import How

        resources = self._choose(nodes=nodes, measured=_measured(self.study))
        return How(resources, self.training, tuple(nodes or ()), self._epochs)


def _measured(study: Study) -> list[tuple[TrialConfig, Record]]:
    """The trials whose training's memory is known."""
    known = (record for record in study.records().values() if record.training_memory_mb)
    return [(study.config(record.key), record) for record in known]


def _train_plan(trainer: Trainer, asked: _Asked, request: Request) -> None:
    """Train what the study is missing of a plan."""
    from ablate.analysis.frames import level_label
    from ablate.origin import unlike_today
    from ablate.runners.cli.shared import plan_notes
    from ablate.runners.execution.tune import score_trivial
    from ablate.search_spaces.plan import run_of

    space, plan, study, out = asked.space, asked.plan, trainer.study, trainer.out
    assert plan is not None
    planned = run_of(space, asked.profile, plan.trials, space.design)
    study.plan(planned, threads=trainer.threads, data_dir=request.data_dir, storage=request.storage_path)
    score_trivial(study, [trial.config for trial in plan.trials], asked.dataset_of)
    others = unlike_today(study, [trial.config for trial in plan.trials])
    again = others if request.retrain_other_versions else ()
    missing = trainer.missing(plan.trials, again)
    for row in plan.rejected:
        out.print(f"rejected {level_label(row.levels)}: {row.reason}", style="red", markup=False)
    for note in plan_notes(plan):
        out.print(f"Note: {note}", style="yellow")
    _say_what_is_missing(trainer, plan.trials, missing)
    if missing:
        _say_what_others_made(out, others, missing, len(plan.trials))
    trainer.train_trials(missing, asked.dataset_of, again)


def _say_what_is_missing(trainer: Trainer, trials: list[Planned], missing: list[Planned]) -> None:
    from ablate.runners.cli.shared import extent
    from ablate.study.verify import changed_images

    study, out = trainer.study, trainer.out
    out.print(f"{len(trials)} trials of {len({t.config.cell for t in trials})} configurations, {extent(trials)}")
    out.print(f"Study: {study.path}", soft_wrap=True)
    kept = len(trials) - len(missing)
    if kept:
        out.print(f"{kept} of them are in the study already; {len(missing) or 'none'} to train")
    for line in changed_images(study, [trial.config for trial in missing]):
        out.print(f"Note: {line}", style="yellow", soft_wrap=True)
    before = study.manifest.threads
    if missing and before != trainer.threads:
        out.print(
            f"Note: this study's trials so far used {before} CPU threads each, these will use {trainer.threads}: "
            "their numbers differ in the fifth digit.",
            style="yellow",
        )


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


def _search(trainer: Trainer, asked: _Asked, request: Request) -> None:
    """Train what a search proposes."""
    from ablate.analysis.format import several
    from ablate.analysis.frames import level_label
    from ablate.runners.execution.tune import score_trivial
    from ablate.runners.search.study_search import Search, make_searcher
    from ablate.runners.watch.progress import Progress

    planner, study, out = asked.planner, trainer.study, trainer.out
    assert planner is not None
    assert request.sampler is not None
    dataset, _ = planner.base()
    labels: dict[str, str] = {}
    seen: list[TrialConfig] = []

    def proposed(trials: list[Planned]) -> None:
        labels.update({trial.key: level_label(trial.levels) for trial in trials})
        seen.append(trials[0].config)

    search = Search(request.sampler, request.trials or SEARCH_TRIALS, request.sampler_seed, request.budget_epochs)
    searcher = make_searcher(
        study,
        planner,
        asked.profile,
        search,
        threads=trainer.threads,
        data_dir=request.data_dir,
        storage=request.storage_path,
        finish_stopped=request.finish_stopped,
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
        return
    progress = Progress(out, study, [], labels, expected=search.trials)
    try:
        trainer.train(searcher, {dataset.config.model_dump_json(): dataset}, progress)
    except KeyboardInterrupt:
        score_trivial(study, seen[:1], asked.dataset_of)
        raise
    score_trivial(study, seen[:1], asked.dataset_of)


# The end -------------------------------------------------------------------------------------------------------------


def _conclude(study: Study, out: Console, ends: Ends) -> None:
    """The front, printed, and the report."""
    from ablate.analysis.frames import load
    from ablate.analysis.report.evidence import intervals
    from ablate.analysis.scores import cell_scores
    from ablate.analysis.summary import front_summary
    from ablate.runners.cli.report import write_report
    from ablate.runners.cli.shared import notes

    frames = None
    with costing_no_training("the summary", study.path, ends):
        frames = load(study)
        out.print()
        found = intervals(cell_scores(frames, "dice"))
        front_summary(frames.trials, out, caution=" ".join(notes(study)), intervals={"dice": found})
    with costing_no_training("the report", study.path, ends):
        path = write_report(study, frames or load(study), study.path / "report.html")
        out.print(f"Report: {path}", soft_wrap=True)


@contextlib.contextmanager
def costing_no_training(what: str, study: Path, ends: Ends) -> Iterator[None]:
    """What fails in here is said in a line: the trials are trained, and kept."""
    from ablate.analysis.format import shortened

    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # extensions in Rust panic with one that is no Exception
        reason = " ".join(str(error).split()) or type(error).__name__
        ends.note(
            f"Note: {what} could not be made: {shortened(reason, _LONGEST_REASON)}; the trials are kept: "
            f"'ablate report {study}' makes the report"
        )


def check_that_some_succeeded(study: Study, keys: Iterable[str]) -> None:
    """Raises `Halted` if every one of these trials failed: nothing came of the run."""
    from ablate.analysis.format import shortened

    known = study.records()
    records: list[Record | None] = [known.get(key) for key in keys]
    failed = [record for record in records if record is not None and record.state == "failed"]
    if failed and len(failed) == len(records):
        reason = shortened(failed[0].error or "for no known reason", _LONGEST_REASON)
        raise Halted(
            f"{len(failed)} of {len(records)} trials failed, the first: {reason}; 'ablate status {study.path}' has "
            "the others' reasons, and 'ablate run --retry-failed' trains them again"
        )
