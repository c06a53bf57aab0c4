"""A run, as a function: what `ablate run` and `ablate confirm` do, and a notebook with `ablate.run`.

Like the command line it is the house's roof: training and analysis meet here. It prints where it is told to, and is
silent on what ends a process: who calls it decides (`Ends`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ablate.runners.conclusion import check_that_some_succeeded, conclude
from ablate.runners.execution.ending import Ends
from ablate.runners.request import SEARCH_TRIALS, Request, default_study
from ablate.runners.trainer import Trainer, check_cluster, find_cluster
from ablate.settings import parse

if TYPE_CHECKING:
    from rich.console import Console

    from ablate.data.dataset import Dataset
    from ablate.part import DataPart
    from ablate.runners.execution.budget import Budget
    from ablate.search_spaces.plan import Plan, Planned, Planner
    from ablate.search_spaces.space import Space
    from ablate.study.study import Study
    from ablate.trial import TrialConfig


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
    ends = Ends()
    try:
        return carry_out(request, console or standard_output(), ends)
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt(str(interrupt) or ends.how_to_go_on()) from None


def carry_out(request: Request, out: Console, ends: Ends, results: Console | None = None) -> Study:
    """What `run` does, for a request as a whole; `results`: where the front is printed, if not where all else is.

    Raises as `run` does.
    """
    from ablate.study.manifest import is_study
    from ablate.study.study import Study

    cluster = find_cluster(request.address, out)
    request.check()
    check_cluster(cluster)
    request, train = _way_of(request)
    asked = _asked_for(request)
    path = request.study or default_study(asked.space.name, asked.data, asked.profile)
    study = Study.open_or_new(path)
    if request.learn_from and not is_study(path):
        from ablate.runners.search.freeze_thaw.learning import learnt

        learnt((), request.learn_from, asked.space.factors)  # where it cannot be had, no folder is left
    ends.study = path
    trainer = Trainer(study, request, cluster, out, ends, epochs=asked.epochs)
    with study.writing(share=request.share):
        if study.mended:
            out.print(f"Note: {study.mended}", style="yellow", soft_wrap=True)
        trainer.take_arrivals()
        out.print(asked.space.question, style="bold")
        train(trainer, asked, request)
        conclude(study, results or out, ends)
        check_that_some_succeeded(study, _planned(study, asked))
    return study


# What is asked -------------------------------------------------------------------------------------------------------


class _Asked(NamedTuple):
    """A space, as a plan or as a planner for a search. `data`: the first data set; `epochs`: the most of any trial."""

    space: Space
    profile: str
    data: DataPart
    epochs: int
    dataset_of: Callable[[DataPart], Dataset]
    plan: Plan | None = None
    planner: Planner | None = None


def _asked_for(request: Request) -> _Asked:
    """The space as a plan, or as what a search draws from."""
    from ablate.runners.cli.output import waiting
    from ablate.search_spaces.plan import Planner, make_plan

    found = request.basis()
    if request.sampler is None and not request.search:
        with waiting(f"pricing {found.space.name}"):
            plan = make_plan(found.space, found.profile, dataset_of=found.dataset_of, **found.arguments)
        configs = [trial.config for trial in plan.trials]
        epochs = max(config.protocol.epochs for config in configs)
        return _Asked(found.space, found.profile_name, configs[0].data, epochs, found.dataset_of, plan)
    if request.sampler is not None:
        from ablate.runners.search.samplers.base import sampler_part

        sampler_part(request.sampler)  # a name that is none is said before a study is begun
    planner = Planner(found.space, found.profile, dataset_of=found.dataset_of, **found.arguments)
    dataset, protocol = planner.base()
    return _Asked(found.space, found.profile_name, dataset.config, protocol.epochs, found.dataset_of, planner=planner)


def _planned(study: Study, asked: _Asked) -> list[str]:
    """The keys of what was to be trained."""
    if asked.plan is not None:
        return [trial.key for trial in asked.plan.trials]
    runs = study.manifest.runs
    return [key for run in runs if (run.space, run.profile) == (asked.space.name, asked.profile) for key in run.trials]


# Training ------------------------------------------------------------------------------------------------------------


def _way_of(request: Request) -> tuple[Request, Callable[[Trainer, _Asked, Request], None]]:
    """How it is trained, and the request with the seeds that this may take. Raises `InputError` for looks, or a claim,
    that are none."""
    if request.decide is None:
        return request, _thaw if request.search else _search if request.sampler else _train_plan
    from ablate.analysis.claims.looks import SEEDS, check_looks
    from ablate.analysis.claims.schema import load_claim

    looks = request.looks or SEEDS
    check_looks(looks)
    load_claim(str(request.decide))
    return request.model_copy(update={"looks": looks, "seeds": looks[-1]}), _decide


def _decide(trainer: Trainer, asked: _Asked, request: Request) -> None:
    """Train what a claim needs to be decided."""
    from ablate.analysis.claims.schema import load_claim
    from ablate.runners.cli.decide import Asked, decide

    plan = asked.plan
    assert plan is not None
    said = False

    def train(trials: list[Planned]) -> None:
        nonlocal said
        part = plan._replace(trials=trials)
        _train_plan(
            trainer, asked._replace(plan=part._replace(rejected=[], same=[], notes=[]) if said else part), request
        )
        said = True

    claim = load_claim(str(request.decide))
    decide(trainer.study, Asked(claim, plan.trials, request.looks, request.budget_hours), train, trainer.out)


def _train_plan(trainer: Trainer, asked: _Asked, request: Request) -> None:
    """Train what the study is missing of a plan."""
    from ablate.analysis.format import level_label
    from ablate.origin import unlike_today
    from ablate.runners.cli.shared import plan_notes
    from ablate.runners.execution.standing import score_trivial
    from ablate.search_spaces.plan import run_of

    space, plan, study, out = asked.space, asked.plan, trainer.study, trainer.out
    assert plan is not None
    planned = run_of(space, asked.profile, plan.trials, space.design, plan.looks)
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
    trainer.say_if_seeds_compete(len(plan.trials), len({trial.config.cell for trial in plan.trials}))
    trainer.train_trials(missing, asked.dataset_of, again, _budget(trainer, request, plan.trials, again))


def _budget(trainer: Trainer, request: Request, trials: list[Planned], again: Collection[str] = ()) -> Budget:
    """What a run may spend. A claim's looks have their own."""
    if request.decide is not None:
        return trainer.budget(None, None, ())
    known = [trial for trial in trials if trial.key not in again]
    return trainer.budget(request.budget_epochs, request.budget_hours, known)


def _say_what_is_missing(trainer: Trainer, trials: list[Planned], missing: list[Planned]) -> None:
    from ablate.analysis.format import several
    from ablate.runners.cli.shared import extent
    from ablate.study.changed_code import changed_code
    from ablate.study.data_sets import changed_images

    study, out = trainer.study, trainer.out
    folds = {trial.config.fold for trial in trials} - {None}
    on_folds = f" on {several(len(folds), 'fold')}" if folds else ""
    cells = len({trial.config.cell for trial in trials})
    out.print(f"{len(trials)} trials of {cells} configurations{on_folds}, {extent(trials)}")
    out.print(f"Study: {study.path}", soft_wrap=True)
    kept = len(trials) - len(missing)
    if kept:
        out.print(f"{kept} of them are in the study already; {len(missing) or 'none'} to train")
    asked = [trial.config for trial in missing]
    for line in [*changed_images(study, asked), *changed_code(study, asked)]:
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
    from ablate.analysis.names import trial_labels
    from ablate.part import label_of
    from ablate.runners.execution.standing import score_trivial
    from ablate.runners.search.beliefs import unheeded
    from ablate.runners.search.samplers.base import sampler_part
    from ablate.runners.search.study_search import Search, make_queue
    from ablate.runners.watch.progress import Progress

    planner, study, out = asked.planner, trainer.study, trainer.out
    assert planner is not None
    assert request.sampler is not None
    dataset, _ = planner.base()
    labels: dict[str, str] = {}
    first: list[TrialConfig] = []
    """Of the first configuration, every fold."""

    def proposed(trials: list[Planned]) -> None:
        labels.update(trial_labels(study, trials))
        first.extend(() if first else [trial.config for trial in trials])

    search = Search(request.sampler, request.trials or SEARCH_TRIALS, request.sampler_seed)
    times = trainer.times([])
    queue = make_queue(
        study,
        planner,
        asked.profile,
        search,
        threads=trainer.threads,
        data_dir=request.data_dir,
        storage=request.storage_path,
        finish_stopped=request.finish_stopped,
        retry_failed=request.retry_failed,
        proposed=proposed,
        budget_of=lambda trials: _budget(trainer, request, trials),
        times=times,
    )
    what = f"Up to {several(search.trials, 'configuration')} proposed by {label_of(search.sampler)}, "
    _say_of_search(trainer, f"{what}{asked.epochs} epochs", asked, dataset)
    if note := unheeded(asked.space, sampler_part(search.sampler)):
        out.print(f"Note: {note}", style="yellow", soft_wrap=True)
    if queue.over:
        out.print("All of them are in the study already")
        return
    if queue.budget.is_over:
        out.print(queue.budget.said())
        return
    trainer.say_if_seeds_compete(len(planner.seeds) * (request.folds or asked.space.folds or 1), 1)
    progress = Progress(out, study, [], labels, expected=search.trials, times=times)
    try:
        trainer.train(queue, {dataset.config.text: dataset}, progress)
    except KeyboardInterrupt:
        score_trivial(study, first, asked.dataset_of)
        raise
    score_trivial(study, first, asked.dataset_of)


def _say_of_search(trainer: Trainer, what: str, asked: _Asked, dataset: Dataset) -> None:
    height, width = dataset.config.size
    trainer.out.print(f"{what}, {asked.data.called} at {dataset.config.channels}x{height}x{width}")
    assert asked.planner is not None
    for note in asked.planner.notes():
        trainer.out.print(f"Note: {note}", style="yellow")
    trainer.out.print(f"Study: {trainer.study.path}", soft_wrap=True)


def _thaw(trainer: Trainer, asked: _Asked, request: Request) -> None:
    """Train what promises most, as far as it does."""
    from ablate.analysis.frames import load
    from ablate.analysis.names import trial_labels
    from ablate.runners.cli.output import waiting
    from ablate.runners.execution.standing import score_trivial
    from ablate.runners.replay.curves import trivial_bar
    from ablate.runners.search.freeze_thaw.costs import KNOWN
    from ablate.runners.search.freeze_thaw.in_study import Asked, Place, make_thaw_queue
    from ablate.runners.watch.progress import Progress
    from ablate.search_spaces.plan import run_of

    planner, study, out = asked.planner, trainer.study, trainer.out
    assert planner is not None
    dataset, _ = planner.base()
    times, labels = trainer.times([]), dict[str, str]()
    place = Place(asked.profile, trainer.threads, request.data_dir, request.storage_path)

    def bar_of(trials: list[Planned]) -> float:
        study.plan(run_of(asked.space, asked.profile, [], "search", planner.looks), **place.told())
        score_trivial(study, [trial.config for trial in trials], asked.dataset_of)
        return trivial_bar(load(study).trials)

    ask = Asked(
        request.sampler_seed, request.trials, trainer.at_once, request.costs, request.retry_failed, request.learn_from
    )
    with waiting(f"pricing {asked.space.name}"):
        queue = make_thaw_queue(
            study,
            planner,
            ask,
            place,
            times=times,
            bar_of=bar_of,
            budget_of=lambda trials: _budget(trainer, request, trials),
            proposed=lambda trials: labels.update(trial_labels(study, trials)),
        )
    by = "" if request.costs == KNOWN else f" by {', '.join(request.costs)}"
    _say_of_search(trainer, f"A search{by}, up to {asked.epochs} epochs each", asked, dataset)
    if request.learn_from:
        names = ", ".join(path.resolve().name for path in request.learn_from)
        out.print(f"It learns from {names}, as they were when it began", markup=False, soft_wrap=True)
    if queue.budget.is_over:
        out.print(queue.budget.said())
        return
    with waiting("deciding"):
        has_work = queue.has_work()
    if not has_work:
        out.print(queue.said())
        return
    progress = Progress(out, study, [], labels, expected=request.trials or 0, times=times, pausing=True)
    trainer.train(queue, {dataset.config.text: dataset}, progress)
    out.print(queue.said())
