"""A Ray Tune run: train the trials that a study is missing. Ray schedules and retries; its state is disposable."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from ablate.data.dataset import Dataset
from ablate.data.store import as_it_travels
from ablate.errors import Halted, InputError
from ablate.runners.execution.address import Address
from ablate.runners.execution.daemons import Look
from ablate.runners.execution.ending import at_last, same_signals
from ablate.runners.execution.environment import in_own_folder, prepare_ray, start_patiently
from ablate.runners.execution.nodes import Node, check_storage_reach
from ablate.runners.execution.resources import Resources
from ablate.runners.execution.standing import place
from ablate.runners.execution.storage import DriverStorage, PathStorage, Storage, free_there
from ablate.runners.execution.trainable import Workplace, run_trial
from ablate.runners.request import Training
from ablate.study.records import Record
from ablate.study.study import Study

if TYPE_CHECKING:
    from ablate.runners.execution.queue import Queue
    from ablate.runners.execution.writer import Observer, StudyWriter

_GOES_ON = "what was finished is kept, and the same command goes on from there"


class Trained(NamedTuple):
    """How a run ended. `missing`: trials that an interruption left. `elsewhere`: trials that another run trains."""

    trained: list[Record]
    missing: list[str]
    elsewhere: list[str]
    seconds: float
    """Wall time of the trials, once Ray had started."""


class How(NamedTuple):
    """How a run trains: what was asked, and what that comes to on the machines that are there."""

    resources: Resources
    asked: Training = Training()
    nodes: tuple[Node, ...] = ()
    """The cluster's machines (`ablate.runners.execution.nodes.check_nodes`); none if it is this machine alone."""
    max_epochs: int = 1
    """Of any trial; for the scheduler."""


@contextmanager
def ray_session(address: Address | None, lost: Callable[[str], None] | None = None) -> Iterator[Look]:
    """Ray for the time of a run: of this machine alone, or of the cluster at `address`. Gives a look at its daemons.

    Args:
        lost: called from a thread, once, with what is gone where daemons of Ray die.

    Raises:
        Halted: Ray cannot be started on this machine.
        InputError: there is no cluster at `address`.
    """
    prepare_ray(address)
    import ray

    from ablate.runners.execution.daemons import watched

    for name in ("ray", "ray.tune", "ray.train", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    inside: Any = ray
    # What this process did before with Ray may have had another token.
    inside._raylet.AuthenticationTokenLoader.instance().reset_cache()
    # Ray would make SIGTERM a SystemExit, which is lost where it comes in the midst of an import.
    inside._private.utils.set_sigterm_handler = lambda handler: None
    try:
        with same_signals(), in_own_folder():
            if address is None:
                alone = partial(ray.init, "local", include_dashboard=False)
                start_patiently(partial(alone, configure_logging=False, log_to_driver=False))
            else:
                ray.init(address.text, configure_logging=False, log_to_driver=False)
    except Exception as error:
        known = (ConnectionError, RuntimeError, ValueError, OSError, ray.exceptions.RayError)
        if not (isinstance(error, known) or type(error) is Exception):  # Ray raises that where daemons come too late
            raise
        if address is None:
            raise Halted(f"Ray cannot be started on this machine: {_first_line(error)}") from None
        raise InputError(f"{address}: no Ray cluster answers there: {_first_line(error)}") from None
    # A polite end, a batch system's say, is an interruption like Ctrl-C.
    signal.signal(signal.SIGTERM, lambda number, frame: signal.raise_signal(signal.SIGINT))
    try:
        with watched(lost) as look:
            try:
                yield look
            except Exception:
                if gone := look():  # whatever went wrong, went wrong for that
                    if lost is not None:
                        lost(gone)
                    raise Halted(f"{gone}; {_GOES_ON}") from None
                raise
    finally:
        ray.shutdown()


def train_missing(
    study: Study,
    queue: Queue,
    datasets: dict[str, Dataset],
    how: How,
    observer: Observer,
    trainable: Callable[..., None] = run_trial,
    look: Look = lambda: "",
) -> Trained:
    """Train what `queue` gives, through Ray Tune, within `ray_session` and `study.writing`.

    Every trial that ends is in the study before the next is looked at. A trial that ran out of memory is trained again
    alone, after the others, before it counts as failed.

    Args:
        datasets: what the trials need, by their `data`'s JSON.
        trainable: what runs on a worker, as `run_trial` does.
        look: at Ray's daemons (`ray_session`): what dies with them has not failed.

    Raises:
        Halted: the study or the storage cannot be written any more, or Ray is lost. What was finished is kept.
        InputError: a machine of the cluster cannot use the storage.
    """
    from ray import tune

    from ablate.runners.execution.writer import StudyWriter, cluster_nodes
    from ablate.runners.search.schedulers.base import pauses

    started = time.perf_counter()
    home, remote = _storages(study, how.asked.storage_path)
    if len(how.nodes) > 1:
        check_storage_reach(how.nodes, remote, home)
    put = _put(datasets, far=len(how.nodes) > 1)
    resources = how.resources
    workplace = Workplace(
        put, remote, resources.threads, use_gpu=resources.gpus > 0, workers=resources.workers,
        pauses=queue.scheduler is not None or pauses(how.asked.scheduler),
    )  # fmt: skip
    observer.nodes(cluster_nodes())
    writer = StudyWriter(study, home, observer, how.asked.max_failures, queue.budget.cut)
    loggers = _loggers(how.asked.log, study, observer)
    _tune(study, tune.with_parameters(trainable, workplace=workplace), queue, how, writer, loggers, look)
    if writer.again and not writer.halted:
        from ablate.runners.execution.queue import PlanQueue

        alone = [planned for planned in queue.given if planned.key in writer.again]
        writer.again = {}
        last = tune.with_parameters(trainable, workplace=workplace._replace(last_chance=True))
        once_more = PlanQueue(study, alone, again=queue.again, budget=queue.budget)
        _tune(study, last, once_more, how._replace(resources=resources.alone()), writer, loggers, look)
    ended = {record.key for record in writer.records}
    missing = [key for planned in queue.given if (key := planned.key) not in ended]
    missing += [planned.key for planned in queue.left]
    if writer.halted:
        room = free_there(study.path) if writer.halted.startswith(f"study '{study.path}'") else ""
        raise Halted(
            f"{writer.halted}{room}. {len(ended)} trials of this run are kept, {len(missing)} missing: make it "
            "writable again (free some space), then run the same command"
        )
    return Trained(writer.records, missing, queue.elsewhere, time.perf_counter() - started)


def _put(datasets: dict[str, Dataset], *, far: bool) -> dict[str, Any]:
    """The data sets as workers get them: of what this machine keeps on its disk the place, where none is `far`."""
    import ray

    try:
        return {name: ray.put(as_it_travels(dataset, far=far)) for name, dataset in datasets.items()}
    except (ray.exceptions.ObjectStoreFullError, ray.exceptions.OutOfDiskError) as error:
        raise Halted(f"the images find no room in Ray's object store: {_first_line(error)}") from None


def _tune(
    study: Study, trainable: Any, queue: Queue, how: How, writer: StudyWriter, loggers: list[Any], look: Look
) -> None:
    from ray import tune
    from ray.tune.stopper import FunctionStopper, Stopper

    from ablate.runners.search.of_epochs import failing_in_a_line

    class Halt(Stopper):
        def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
            return False

        def stop_all(self) -> bool:
            return bool(writer.halted)

        def __reduce__(self) -> tuple[Any, ...]:
            return FunctionStopper, (_never,)

    class Guard(tune.Callback):
        """Asked before the writer: a process that died with Ray's daemons is no trial's failure."""

        def on_trial_error(self, *told: Any, **more: Any) -> None:
            if gone := look():
                raise Halted(f"{gone}; {_GOES_ON}")

        on_trial_recover = on_trial_error

        def __reduce__(self) -> tuple[Any, ...]:
            return tune.Callback, ()

    def resources_of(config: dict[str, Any]) -> Any:
        return tune.PlacementGroupFactory(how.resources.bundles(config["job"].planned))

    scheduler = _scheduler(study, queue, how)
    at_once = _at_once(how)
    _let_start(how, at_once)
    scratch = tempfile.mkdtemp(prefix="ablate-")
    tuner = tune.Tuner(
        tune.with_resources(trainable, resources_of),
        tune_config=tune.TuneConfig(
            search_alg=queue,
            scheduler=scheduler,
            num_samples=-1,
            max_concurrent_trials=at_once,
            reuse_actors=True,
            trial_name_creator=lambda trial: trial.config["key"],
            trial_dirname_creator=lambda trial: trial.config["key"],
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=scratch,
            verbose=0,
            stop=Halt(),
            callbacks=[Guard(), writer, *loggers],
            failure_config=tune.FailureConfig(max_failures=how.asked.max_failures),
        ),
    )
    with at_last(lambda: shutil.rmtree(scratch, ignore_errors=True)), same_signals(), failing_in_a_line(scheduler):
        tuner.fit()


def _at_once(how: How) -> int | None:
    """Trials at a time, or None for as many as find room."""
    import ray

    from ablate.runners.search.schedulers.base import pauses

    if pauses(how.asked.scheduler):  # Ray counts paused trials among those at a time
        return None
    if how.nodes:
        return how.resources.max_concurrent
    there = ray.cluster_resources()
    return how.resources.at_once(there["CPU"], there.get("GPU", 0))


def _let_start(how: How, at_once: int | None) -> None:
    """Tell Ray Tune how many trials' processes may start side by side: one, where not all of them have room for
    certain, for what waits for room is asked for too early."""
    certain = not how.nodes and not how.resources.shares
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(at_once or 1) if certain else "1"


def _scheduler(study: Study, queue: Queue, how: How) -> Any:
    """The scheduler that was asked for, within the budget. What an earlier run found is what it judges by."""
    from ablate.runners.execution.bounded import Bounded
    from ablate.runners.search.schedulers.base import make_scheduler

    scheduler = queue.scheduler or make_scheduler(
        how.asked.scheduler, costs=queue.costs, max_epochs=how.max_epochs, cells=queue.cells
    )
    tells = {
        "complete": getattr(scheduler, "observe", None), "stopped": getattr(scheduler, "observe_stopped", None)
    }  # fmt: skip
    for key, record in study.records().items():
        if tell := tells.get(record.state):
            queue.costs[key], queue.cells[key] = (record.params, record.macs), record.cell
            said = {"goes_on": record.out_of_budget} if record.state == "stopped" else {}
            tell(key, study.table(key, "epochs")["val_dice"], **said)
    return Bounded(scheduler, queue.budget, how.max_epochs) if queue.budget.is_limited else scheduler


def _never(trial_id: str, result: dict[str, Any]) -> bool:
    return False


def _loggers(names: tuple[str, ...], study: Study, observer: Observer) -> list[Any]:
    if not names:
        return []
    from ablate.runners.watch.loggers import make_logger

    return [make_logger(name, study, observer.incident) for name in names]


def _storages(study: Study, storage_path: str | None) -> tuple[PathStorage, Storage]:
    """The storage as the driver reaches it, and as workers do."""
    import ray

    home = PathStorage(place(study, storage_path))
    several = sum(node["Alive"] for node in ray.nodes()) > 1
    return home, DriverStorage(study.ray_dir) if several and storage_path is None else home


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
