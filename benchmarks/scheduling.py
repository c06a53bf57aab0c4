"""Trials a second through the study and its searcher, against bare Ray Tune, where a trial does nothing.

    python benchmarks/scheduling.py --trials 200 2000

Both run in one Ray session with reused actors, one after the other for each number of trials. A trial of the study
packs a record with tables, weights and pictures, leaves it in the storage and reports once; the driver takes it into
the study: folder, checksums, plan, log. A trial of bare Ray Tune reports once. The ratio: the study's rate over
Ray Tune's. The driver's memory is its resident high-water mark after each part.
"""

from __future__ import annotations

import argparse
import io
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from ablate.data.settings import Phantom
from ablate.models.settings import UNet
from ablate.runners.execution.queue import PlanQueue
from ablate.runners.execution.resources import Resources
from ablate.runners.execution.trainable import Workplace, arrival_name, make_record
from ablate.runners.execution.tune import How, ray_session, train_missing
from ablate.runners.watch.progress import Progress
from ablate.search_spaces.plan import Planned
from ablate.study.runs import Run
from ablate.study.study import Study
from ablate.study.trial_folder import pack
from ablate.trial import Protocol, TrialConfig

IMAGES = 3


def do_nothing(config: dict[str, Any], workplace: Workplace) -> None:
    """A trial as `run_trial` runs it, without the training."""
    import torch
    from ray import tune

    from ablate.training.checkpoint import Epoch
    from ablate.training.loop import Result

    planned = config["job"].planned
    epoch = Epoch(1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.01, 100.0)
    ids = tuple(f"image_{number}" for number in range(IMAGES))
    counts = np.ones((IMAGES, 2, 4), np.int64)
    result = Result([epoch], 1, ids, counts, np.zeros((IMAGES, 32, 32), np.uint8), {"weight": torch.zeros(1000)})
    record = make_record(planned.config, planned.params, planned.macs, [epoch], result)
    workplace.storage.write(arrival_name(planned.key), pack(planned.config, record, [epoch], result))
    tune.report({"ended": True, "said": "", "done": True})


def report_once(config: dict[str, Any]) -> None:
    from ray import tune

    tune.report({"epoch": 1, "val_dice": 0.5})


def plan(trials: int) -> list[Planned]:
    data = Phantom(size=(32, 32), fingerprint="0" * 12)
    configs = (
        TrialConfig(model=UNet(width=4, stages=2), data=data, protocol=Protocol(epochs=1), seed=seed)
        for seed in range(trials)
    )
    return [Planned(config, {"seed": str(config.seed)}, 1000, 10**6) for config in configs]


def through_the_study(trials: int, slots: int, folder: Path) -> float:
    """Seconds."""
    planned = plan(trials)
    run = Run(
        space="noop", question="?", profile="quick", design="grid", factors={"seed": []}, definition={},
        trials={trial.key: trial.levels for trial in planned},
    )  # fmt: skip
    with Study.open_or_new(folder).writing() as study:
        study.plan(run, threads=1, data_dir=None)
        with Progress(Console(file=io.StringIO()), study, planned, {}) as progress:
            how = How(Resources(cpus=1, gpus=0, max_concurrent=slots))
            started = time.perf_counter()
            outcome = train_missing(study, PlanQueue(study, planned), {}, how, progress, do_nothing)
            seconds = time.perf_counter() - started
        assert len(outcome.trained) == trials == len(study.records())
    return seconds


def through_ray_alone(trials: int, slots: int, folder: Path) -> float:
    """Seconds."""
    from ray import tune

    tuner = tune.Tuner(
        tune.with_resources(report_once, {"cpu": 1}),
        param_space={"number": tune.grid_search(list(range(trials)))},
        tune_config=tune.TuneConfig(max_concurrent_trials=slots, reuse_actors=True),
        run_config=tune.RunConfig(name="bare", storage_path=str(folder), verbose=0),
    )
    started = time.perf_counter()
    tuner.fit()
    return time.perf_counter() - started


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, nargs="+", default=[200, 2000])
    parser.add_argument("--slots", type=int, default=2)
    options = parser.parse_args()
    with ray_session(None), tempfile.TemporaryDirectory() as folder:
        through_ray_alone(4, options.slots, Path(folder) / "warm")  # Ray's first processes
        for trials in options.trials:
            bare = trials / through_ray_alone(trials, options.slots, Path(folder) / f"bare-{trials}")
            ours = trials / through_the_study(trials, options.slots, Path(folder) / f"study-{trials}")
            print(
                f"{trials} trials: Ray Tune alone {bare:.1f} a second, through the study {ours:.1f}, "
                f"ratio {ours / bare:.2f}; driver's peak memory {peak_megabytes():.0f} MB",
                flush=True,
            )


if __name__ == "__main__":
    main()
