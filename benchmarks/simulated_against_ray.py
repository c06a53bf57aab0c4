"""Replay against real Ray: the same curves and strategies in simulated time and through Ray Tune, side by side.

    python benchmarks/simulated_against_ray.py [--tables benchmarks/curves DIR …] [--factor 0.5] [--workers 8]
        [--strategies pareto pareto-promote] [--search module:attribute]

In Ray (a cluster of its own, of `--workers` logical CPUs), a trial sleeps the recorded seconds of each epoch times
`--factor`, reports the recorded score, and goes on from where it was after a pause; Ray is set as `ablate run` sets it.
What a start takes is measured there: from when a process is free to when it trains again, the median; and what a new
process takes, from when the first trial is known to when it trains. The simulator has both. Printed for each: the
epochs of both; the share of trials whose lengths are within one rung of one another, and the share of equal lengths.
`--search`: a search that is both searcher and scheduler (`ablate.runners.replay.strategy`).
"""

from __future__ import annotations

import argparse
import logging
import os
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

os.environ.update(
    RAY_USAGE_STATS_ENABLED="0",
    RAY_AIR_NEW_OUTPUT="0",
    TUNE_DISABLE_AUTO_CALLBACK_LOGGERS="1",
    TUNE_DISABLE_STRICT_METRIC_CHECKING="1",
)

import numpy as np
import pandas as pd
import ray
from ray import tune
from ray.tune.result import DEFAULT_METRIC
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from ablate.modules import load
from ablate.runners.execution.queue import Queue
from ablate.runners.replay.curves import Grid
from ablate.runners.replay.strategy import Strategy, searcher_and_scheduler, trials_pause
from ablate.runners.simulate import simulate


class Real(NamedTuple):
    """`lengths`: epochs of each trial. `restart`: seconds that a process took between trials, the median; `process`:
    what a new one took more. `seconds`: of the whole run. `processes`: that trained."""

    lengths: dict[str, int]
    restart: float
    process: float
    seconds: float
    starts: int
    processes: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", type=Path, nargs="+", default=[Path(__file__).parent / "curves"])
    parser.add_argument("--factor", type=float, default=0.5)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--strategies", nargs="*", default=["pareto", "pareto-promote"])
    parser.add_argument("--search", help="module:attribute of a search that is searcher and scheduler in one")
    parser.add_argument("--repeat", type=int, default=0, help="which order of the trials")
    options = parser.parse_args()
    strategies = [Strategy(name, "shuffled", options.workers) for name in options.strategies]
    if options.search:
        strategies.append(Strategy(workers=options.workers, search=load(options.search), called=options.search))
    for name in ("ray", "ray.tune", "ray.train"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    ray.init("local", num_cpus=options.workers, include_dashboard=False, configure_logging=False, log_to_driver=False)
    for table in options.tables:
        grid = Grid.of(*(pd.read_parquet(table / f"{name}.parquet") for name in ("trials", "epochs")))
        print(f"\n{table.name}: {len(grid.curves)} trials, {grid.epochs} epochs, {options.workers} workers", flush=True)
        for strategy in strategies:
            compare(grid, strategy, options.factor, options.repeat)


def compare(grid: Grid, strategy: Strategy, factor: float, repeat: int) -> None:
    name = strategy.called if strategy.search else strategy.scheduler
    real = in_ray(grid, strategy, factor, repeat)
    trained = sum(real.lengths.values())
    print(
        f"{name} in Ray: {trained} epochs, {real.seconds:.0f} s, {real.starts} starts of {real.restart:.2f} s in "
        f"{real.processes} processes, a new one {real.process:.2f} s more",
        flush=True,
    )
    for restart, process in ((0.0, 0.0), (real.restart, 0.0), (real.restart, real.process)):
        searcher, scheduler = searcher_and_scheduler(strategy, grid._replace(restart=restart / factor), repeat)
        steps = simulate(
            grid.curves,
            searcher,
            scheduler,
            strategy.workers,
            restart=restart / factor,
            process=process / factor,
            ahead=trials_pause(strategy),
        )
        lengths = dict.fromkeys(grid.curves, 0) | {step.key: step.epoch for step in steps}
        pairs = [(lengths[key], real.lengths.get(key, 0)) for key in grid.curves]
        near = np.mean([abs(rung(one, grid) - rung(other, grid)) <= 1 for one, other in pairs])
        equal = np.mean([one == other for one, other in pairs])
        print(
            f"    simulated, start {restart:.2f} s, process {process:.2f} s: {len(steps)} epochs "
            f"({len(steps) / trained - 1:+.1%}); {near:.0%} of trials within one rung, {equal:.0%} equal; "
            f"{steps[-1].time * factor:.0f} s, {steps[-1].starts} starts",
            flush=True,
        )


def rung(epochs: int, grid: Grid) -> int:
    """Powers of two, as far as the grid's trials go: between one and the next, nothing is decided."""
    return sum(
        epochs >= at for at in (*(2**power for power in range(20) if 2**power < grid.max_epochs), grid.max_epochs)
    )


# In Ray --------------------------------------------------------------------------------------------------------------


def trainable(grid: Grid, factor: float, folder: str) -> Any:
    """What `ablate.runners.execution.trainable` does, asleep."""
    curves = {key: (curve.scores, [second * factor for second in curve.seconds]) for key, curve in grid.curves.items()}

    def sleeps(config: dict[str, Any]) -> None:
        scores, seconds = curves[config["key"]]
        checkpoint = Path(folder) / config["key"]
        done = int(checkpoint.read_text()) if checkpoint.exists() else 0
        for epoch, (score, lasts) in enumerate(zip(scores, seconds, strict=True), start=1):
            began = time.time()
            if epoch > done:
                time.sleep(lasts)
                checkpoint.write_text(str(epoch))
            tune.report(
                {
                    "epoch": epoch,
                    "val_dice": score,
                    "seconds": lasts / factor,
                    "restored": epoch <= done,
                    "ended": False,
                    "began": began,
                }
            )
        tune.report({"ended": True, "state": "complete"})

    return sleeps


class Clock:
    """Notes what was trained, and what starts took, by the processes that trained."""

    def __init__(self) -> None:
        self.lengths: dict[str, int] = {}
        self.warm: list[float] = []
        self.cold: list[float] = []
        self.processes: set[int] = set()
        self._known: float | None = None
        self._free: dict[int, float] = {}

    def added(self) -> None:
        self._known = self._known or time.time()

    def trained(self, key: str, result: dict[str, Any]) -> None:
        process = result["pid"]
        self.lengths[key] = result["epoch"]
        if process in self._free:
            self.warm.append(result["began"] - self._free.pop(process))
        elif process not in self.processes:
            self.cold.append(result["began"] - (self._known or 0.0))
        self.processes.add(process)

    def freed(self, process: int) -> None:
        self._free[process] = time.time()


class Timed(TrialScheduler):
    """Tells the clock what a scheduler is told, and when its decision frees a worker."""

    metric = DEFAULT_METRIC  # what Ray demands in no report

    def __init__(self, scheduler: TrialScheduler, clock: Clock) -> None:
        super().__init__()
        self._scheduler, self._clock = scheduler, clock

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        if not result["ended"] and not result["restored"]:
            self._clock.trained(trial.config["key"], result)
        decision: str = self._scheduler.on_trial_result(tune_controller, trial, result)
        if decision != TrialScheduler.CONTINUE or result["ended"]:
            self._clock.freed(result["pid"])
        return decision

    def on_trial_add(self, *told: Any) -> None:
        self._clock.added()
        self._scheduler.on_trial_add(*told)

    def on_trial_error(self, *told: Any) -> None:
        self._scheduler.on_trial_error(*told)

    def on_trial_complete(self, *told: Any) -> None:
        self._scheduler.on_trial_complete(*told)

    def on_trial_remove(self, *told: Any) -> None:
        self._scheduler.on_trial_remove(*told)

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        return self._scheduler.choose_trial_to_run(tune_controller)

    def debug_string(self) -> str:
        return str(self._scheduler.debug_string())


class Same(Queue):
    """A searcher that Ray neither copies nor keeps."""

    def __init__(self, searcher: Searcher) -> None:
        super().__init__()
        self._searcher = searcher
        self.suggest = searcher.suggest  # type: ignore[method-assign]
        self.on_trial_result = searcher.on_trial_result  # type: ignore[method-assign]
        self.on_trial_complete = searcher.on_trial_complete  # type: ignore[method-assign]


def in_ray(grid: Grid, strategy: Strategy, factor: float, repeat: int) -> Real:
    searcher, scheduler = searcher_and_scheduler(strategy, grid, repeat)
    pauses = trials_pause(strategy)
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = "1" if pauses else str(strategy.workers)  # as `execution.tune` does
    with tempfile.TemporaryDirectory(prefix="replay-") as folder:
        checkpoints = Path(folder) / "checkpoints"
        checkpoints.mkdir()
        clock = Clock()
        began = time.time()
        tune.Tuner(
            tune.with_resources(trainable(grid, factor, str(checkpoints)), {"cpu": 1}),
            tune_config=tune.TuneConfig(
                search_alg=Same(searcher),
                scheduler=Timed(scheduler, clock),
                num_samples=-1,
                max_concurrent_trials=None if pauses else strategy.workers,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(storage_path=folder, name="run", verbose=0),
        ).fit()
        restart = float(np.median(clock.warm))
        # Where trials pause, one process is started at a time: the first alone says what one takes.
        cold = float(np.median(clock.cold[: 1 if pauses else strategy.workers]))
        return Real(
            clock.lengths,
            restart,
            max(0.0, cold - restart),
            time.time() - began,
            len(clock.warm) + len(clock.cold),
            len(clock.processes),
        )


if __name__ == "__main__":
    main()
