"""Training in one study, where and how it is asked: what a run and a confirmation have in common."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING

from ablate.errors import InputError
from ablate.kinds import name_of
from ablate.runners.execution.ending import Ends
from ablate.runners.request import Training

if TYPE_CHECKING:
    from rich.console import Console

    from ablate.data.dataset import Dataset
    from ablate.part import DataPart
    from ablate.runners.execution.address import Address
    from ablate.runners.execution.budget import Budget
    from ablate.runners.execution.nodes import Node
    from ablate.runners.execution.queue import Queue
    from ablate.runners.execution.tune import How
    from ablate.runners.watch.progress import Progress
    from ablate.search_spaces.plan import Planned
    from ablate.search_spaces.schedule import Times
    from ablate.study.records import Record
    from ablate.study.study import Study
    from ablate.trial import TrialConfig


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
    from ablate.runners.execution.address import check_address

    if "ray" in sys.modules and sys.modules["ray"].is_initialized():
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
        from ablate.runners.search.schedulers.base import knows_cells, make_scheduler

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
            self._choose()  # what is asked and is not there is said now
        self.storage = choose_storage(study, training.storage_path)
        if self.storage:
            check_storage(self.storage)
        for name in training.log:
            from ablate.runners.watch.loggers import check_logger

            check_logger(name)
        self._knows_cells = True
        if name_of(training.scheduler) != "none":  # a name that is none is said now
            self._knows_cells = knows_cells(make_scheduler(training.scheduler, costs={}, max_epochs=epochs))

    def take_arrivals(self) -> None:
        """Take in what workers finished that no driver did, within `study.writing`."""
        from ablate.runners.execution.standing import take_arrivals

        take_arrivals(self.study, self.storage)

    def budget(self, epochs: int | None, hours: float | None, trials: Collection[Planned]) -> Budget:
        """What may be spent from now on, where these trials' epochs so far count. Raises `Halted` where the storage
        cannot be read."""
        from ablate.runners.execution.budget import Budget
        from ablate.runners.execution.standing import epochs_had

        had = epochs_had(self.study, trials, self.storage) if epochs is not None else {}
        return Budget(epochs, hours, spent=had)

    def say_if_seeds_compete(self, trials: int, cells: int) -> None:
        """Where the scheduler takes seeds of one configuration for configurations."""
        if trials > cells and not self._knows_cells:
            self.out.print(
                f"Note: scheduler {name_of(self.training.scheduler)} takes each seed and fold for a network of its "
                "own: it may stop some of a configuration and not the others",
                style="yellow",
            )

    @property
    def at_once(self) -> int:
        """Trials at a time, as far as that is known before a cluster is looked at."""
        from ablate.runners.execution.nodes import this_node

        node = this_node()
        if self._cluster:
            return self.training.max_concurrent or 1
        return self._choose(nodes=[node]).at_once(node.cpus, node.gpus) or 1

    def times(self, trials: list[Planned]) -> Times:
        """How long these take where they are trained. A cluster's machines are taken to be as this one until they have
        trained an epoch."""
        from ablate.runners.execution.nodes import this_node
        from ablate.runners.execution.resources import Resources
        from ablate.runners.execution.timing import times_on

        node = this_node()
        here = Resources(self.threads, 0.0, None) if self._cluster else self._choose(nodes=[node])
        return times_on(node, here, self.study, trials)

    def train(self, queue: Queue, datasets: dict[str, Dataset], progress: Progress) -> None:
        """Train what `queue` gives, within `study.writing`. Raises `KeyboardInterrupt` if it is interrupted."""
        from ablate.runners.execution.nodes import check_nodes
        from ablate.runners.execution.sharing import advice
        from ablate.runners.execution.tune import ray_session, train_missing
        from ablate.runners.watch.live import clock, forget_the_dead

        forget_the_dead(self.study)
        if not self._cluster and (line := advice(self._choose())):
            self.out.print(line)
        with progress, ray_session(self._cluster, self._ends.lost) as look:
            nodes = check_nodes([planned.config for planned in queue.left]) if self._cluster else None
            outcome = train_missing(self.study, queue, datasets, self._how(nodes), progress, look=look)
        last = {record.key: record for record in outcome.trained}  # a search's trials end several times
        counts = Counter(record.state for record in last.values())
        parts = [f"{counts['complete']} trials trained"]
        parts += [f"{counts[state]} {state}" for state in ("stopped", "failed") if counts[state]]
        self.out.print(f"{', '.join(parts)} in {clock(outcome.seconds)}")
        if line := queue.budget.said():
            self.out.print(line)
        if outcome.elsewhere:
            self.out.print(f"{len(outcome.elsewhere)} more are being trained by another run of this study")
        if outcome.missing and not queue.budget.ended_it:
            raise KeyboardInterrupt(self._ends.how_to_go_on())

    def train_trials(
        self,
        missing: list[Planned],
        dataset_of: Callable[[DataPart], Dataset],
        again: Collection[str] = (),
        budget: Budget | None = None,
    ) -> None:
        """Train trials of a plan, of which those with keys in `again` are in the study, as far as the budget goes.

        Raises as `train` does.
        """
        if not missing:
            return
        if budget is not None and budget.is_over:
            self.out.print(budget.said())
            return
        from ablate.analysis.names import trial_labels
        from ablate.runners.execution.queue import PlanQueue
        from ablate.runners.watch.progress import Progress

        labels = trial_labels(self.study, missing)
        datasets = {trial.config.data.text: dataset_of(trial.config.data) for trial in missing}
        times = self.times(missing)
        progress = Progress(self.out, self.study, missing, labels, times=times)
        stops = not self.training.finish_stopped
        queue = PlanQueue(self.study, missing, times=times, again=again, stops=stops, budget=budget)
        self.train(queue, datasets, progress)

    def missing(self, trials: list[Planned], again: Collection[str] = ()) -> list[Planned]:
        """Those that are to be trained: what the study is missing, and those with keys in `again`."""
        from ablate.runners.execution.standing import missing_trials

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
