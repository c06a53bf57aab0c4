"""A Ray Tune run: train the trials that a study is missing. Ray schedules and retries; its state is disposable."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ablation.config import Data, TrialConfig
from ablation.data import Dataset
from ablation.data.splits import split
from ablation.errors import InputError
from ablation.study import Record, Study, write_trial
from runners.resources import Resources
from runners.trainable import Job, Workplace, make_record, run_trial
from search_spaces.plan import Planned

if TYPE_CHECKING:
    from ray.tune.experiment import Trial

MAX_FAILURES = 3
"""How often a trial whose process died is started again, from its last epoch."""


class Observer(Protocol):
    """Who watches a run."""

    def started(self, planned: Planned) -> None: ...
    def epoch(self, key: str, epoch: int, val_dice: float) -> None: ...
    def ended(self, record: Record) -> None: ...


class Outcome(NamedTuple):
    """How a run ended. `missing`: trials that an interruption left."""

    trained: list[Record]
    missing: list[str]
    seconds: float
    """Wall time of the trials, once Ray had started."""


def score_trivial(study: Study, trials: list[TrialConfig], dataset_of: Callable[[Data], Dataset]) -> None:
    """Put the trivial predictors of every data set and split into the study, with the test images to look at."""
    from ablation.training import judge_trivial

    known = study.records()
    distinct = {row.key: row for trial in trials for row in trial.trivial()}
    for key, row in distinct.items():
        dataset = dataset_of(row.data)
        study.keep_pictures(row, dataset, split(dataset.groups, row.protocol.split).test)
        if key not in known:
            result = judge_trivial(row, dataset)
            write_trial(study.arrivals, row, make_record(row, 0, 0, [], result), [], result)
            study.accept(key)


def train_missing(
    study: Study,
    missing: list[Planned],
    resources: Resources,
    dataset_of: Callable[[Data], Dataset],
    observer: Observer,
) -> Outcome:
    """Train `missing` through Ray Tune; every trial that ends is in the study before the next is looked at.

    The most expensive trials start first (their cost is known), so that none is left running alone at the end.
    """
    _start_ray()
    import ray
    from ray import tune

    there = ray.cluster_resources()
    if resources.cpus > there.get("CPU", 0) or resources.gpus > there.get("GPU", 0):
        ray.shutdown()
        raise InputError(
            f"a trial asks for {resources.cpus} CPUs and {resources.gpus:g} GPUs; Ray finds {there.get('CPU', 0):g} "
            f"and {there.get('GPU', 0):g} here: lower --cpus-per-trial or --gpus-per-trial"
        )
    started = time.perf_counter()
    shutil.rmtree(study.ray_dir / "tune", ignore_errors=True)
    study.arrivals.mkdir(parents=True, exist_ok=True)
    datasets: dict[str, ray.ObjectRef] = {}
    jobs: dict[str, Job] = {}
    for planned in missing:
        config = planned.config
        name = config.data.model_dump_json()
        if name not in datasets:
            datasets[name] = ray.put(dataset_of(config.data))
        jobs[config.key] = Job(config, planned.params, planned.macs, datasets[name], study.checkpoint(config.key))
    order = sorted(missing, key=lambda p: p.macs * p.config.protocol.epochs, reverse=True)
    writer = _writer(study, {planned.key: planned for planned in missing}, observer)
    trainable = tune.with_parameters(
        run_trial,
        jobs=jobs,
        workplace=Workplace(study.arrivals.absolute(), resources.threads, use_gpu=resources.gpus > 0),
    )
    tuner = tune.Tuner(
        tune.with_resources(trainable, {"cpu": resources.cpus, "gpu": resources.gpus}),
        param_space={"key": tune.grid_search([planned.key for planned in order])},
        tune_config=tune.TuneConfig(
            max_concurrent_trials=resources.max_concurrent,
            reuse_actors=True,
            trial_name_creator=lambda trial: trial.config["key"],
            trial_dirname_creator=lambda trial: trial.config["key"],
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=str(study.ray_dir.absolute()),
            verbose=0,
            callbacks=[writer],
            failure_config=tune.FailureConfig(max_failures=MAX_FAILURES),
        ),
    )
    try:
        tuner.fit()
    finally:
        ray.shutdown()
    ended = {record.key for record in writer.records}
    return Outcome(
        writer.records, [p.key for p in missing if p.key not in ended], seconds=time.perf_counter() - started
    )


def _start_ray() -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"  # the newer output cannot be silenced
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    import ray

    for name in ("ray", "ray.tune", "ray.train", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    ray.init(
        address=os.environ.get("RAY_ADDRESS", "local"),
        include_dashboard=False if "RAY_ADDRESS" not in os.environ else None,
        configure_logging=False,
        log_to_driver=False,
    )
    # Ray has made SIGTERM an abrupt exit. A polite end, a batch system's say, is an interruption like Ctrl-C.
    signal.signal(signal.SIGTERM, lambda number, frame: signal.raise_signal(signal.SIGINT))


def _writer(study: Study, planned: dict[str, Planned], observer: Observer) -> Any:
    """The Ray Tune callback through which the driver alone writes the study."""
    from ray import tune

    class StudyWriter(tune.Callback):
        def __init__(self) -> None:
            self.records: list[Record] = []

        def __reduce__(self) -> tuple[Any, ...]:
            return tune.Callback, ()  # Ray saves its callbacks so as to restore a run, which the study does instead

        def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
            observer.started(planned[trial.config["key"]])

        def on_trial_result(
            self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
        ) -> None:
            key = trial.config["key"]
            if result["ended"]:
                self._accept(key)
            else:
                observer.epoch(key, result["epoch"], result["val_dice"])

        def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
            key = trial.config["key"]
            if any(record.key == key for record in self.records):
                return
            job = planned[key]
            error = f"its process died {MAX_FAILURES + 1} times (out of memory, or killed)"
            record = make_record(job.config, job.params, job.macs, [], None, error=error)
            write_trial(study.arrivals, job.config, record, [], None)
            self._accept(key)

        def _accept(self, key: str) -> None:
            record = study.accept(key)
            self.records.append(record)
            observer.ended(record)

    return StudyWriter()


def missing_trials(study: Study, trials: list[Planned]) -> list[Planned]:
    """The planned trials that have not ended."""
    known = study.records()
    return [planned for planned in trials if planned.key not in known]
