"""Schedulers on recorded curves: how many epochs each needs for 95 % and 99 % of the full grid's hypervolume.

    python benchmarks/search_schedulers.py [--curves benchmarks/curves] [--repeats 50] [--workers 1 8] [--synthetic]

Each repeat is one simulated run over all recorded trials, in a random order of its own (the full grid: the most
expensive first, as `ablate run` does), through the scheduler that real runs use. MO-ASHA is Syne Tune's own, where it
can be imported (`pip install --target DIR --no-deps syne-tune==0.16.0`, then PYTHONPATH=DIR); it is left out otherwise.
Shares are of the full grid's epochs: the median over repeats, and the tenth and ninetieth percentiles. `reached` is the
median hypervolume at the end; a run counts as never reaching what fewer than half of the repeats reach.

`--synthetic` does the same on four families of made curves (128 networks, 27 epochs, costs over a hundredfold range),
which differ in who learns slowly and in how noisy the scores are: nothing was tuned to the recorded ones alone.
"""

from __future__ import annotations

import argparse
import math
import os
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import numpy as np
import pandas as pd
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from ablate.runners.search.schedulers.base import make_scheduler
from ablate.runners.simulate import Curve, Keys, Reference, reached, recorded, reference, simulate, trivial_bar

STRATEGIES = {
    "full grid": "none",
    "random": "none",
    "ASHA on Dice": "asha",
    "median stopping": "median",
    "HyperBand": "hyperband",
    "MO-ASHA (Syne Tune)": "mo-asha",
    "pareto": "pareto",
    "pareto-promote": "pareto-promote",
}
SHARES = (0.95, 0.99)


class Job(NamedTuple):
    source: str
    strategy: str
    workers: int
    repeat: int


class Outcome(NamedTuple):
    """Epochs to each of `SHARES` and in all, as shares of the full grid's; and the hypervolume reached."""

    to: tuple[float, ...]
    spent: float
    hypervolume: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--curves", type=Path, default=Path(__file__).parent / "curves")
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--synthetic", action="store_true")
    options = parser.parse_args()
    sources = list(FAMILIES) if options.synthetic else [str(options.curves)]
    strategies = [name for name, scheduler in STRATEGIES.items() if scheduler != "mo-asha" or _syne_tune()]
    jobs = [
        Job(source, strategy, workers, repeat)
        for source in sources
        for workers in options.workers
        for strategy in strategies
        for repeat in range(options.repeats)
    ]
    with ProcessPoolExecutor(options.processes) as pool:
        outcomes = dict(zip(jobs, pool.map(run, jobs, chunksize=5), strict=True))
    for source in sources:
        for workers in options.workers:
            print(f"\n{Path(source).name}: {options.repeats} runs each, {workers} at a time")
            print(f"{'':20s}{'to 95 %':>22s}{'to 99 %':>22s}{'in all':>8s}{'reached':>9s}")
            for name in strategies:
                rows = [outcomes[Job(source, name, workers, repeat)] for repeat in range(options.repeats)]
                print(line(name, rows))


def line(name: str, rows: list[Outcome]) -> str:
    def spread(values: list[float]) -> str:
        low, middle, high = np.quantile(sorted(values), (0.1, 0.5, 0.9), method="nearest")
        text = [f"{value:.1%}" if math.isfinite(value) else "never" for value in (middle, low, high)]
        return f"{text[0]} ({text[1]}–{text[2]})" if math.isfinite(low) else "never"

    to = "".join(f"{spread([row.to[at] for row in rows]):>22s}" for at in range(len(SHARES)))
    spent, hypervolume = (float(np.median([getattr(row, field) for row in rows])) for field in ("spent", "hypervolume"))
    return f"{name:20s}{to}{spent:8.0%}{hypervolume:9.4f}"


def run(job: Job) -> Outcome:
    curves, against = problem(job.source, job.repeat)
    keys = sorted(curves, key=lambda key: curves[key].costs[-1] * len(curves[key].scores), reverse=True)
    if job.strategy != "full grid":
        keys = [keys[at] for at in np.random.default_rng(job.repeat).permutation(len(keys))]
    costs = {key: curve.costs for key, curve in curves.items()}
    longest = max(len(curve.scores) for curve in curves.values())
    name = STRATEGIES[job.strategy]
    scheduler = SyneTune(costs, longest) if name == "mo-asha" else make_scheduler(name, costs=costs, max_epochs=longest)
    path = reached(simulate(curves, Keys(keys), scheduler, job.workers), curves, against)
    whole = sum(len(curve.scores) for curve in curves.values())
    return Outcome(
        tuple(path.epochs_to(share) / whole for share in SHARES), len(path.seconds) / whole, float(path.hypervolume[-1])
    )


@cache
def problem(source: str, repeat: int) -> tuple[dict[str, Curve], Reference]:
    if source in FAMILIES:
        curves = family(source, repeat)
        return curves, reference(curves, bar=0.6)
    trials, epochs = (pd.read_parquet(Path(source) / f"{name}.parquet") for name in ("trials", "epochs"))
    curves = recorded(trials, epochs)
    return curves, reference(curves, trivial_bar(trials))


# Syne Tune's ---------------------------------------------------------------------------------------------------------


def _syne_tune() -> Any:
    try:
        from syne_tune.optimizer.schedulers.multiobjective import moasha
    except ImportError:
        return None
    return moasha


class SyneTune(FIFOScheduler):
    """Syne Tune's MOASHA, non-dominated sorting and all, as Ray asks a scheduler. It minimises."""

    def __init__(self, costs: dict[str, tuple[float, ...]], max_epochs: int) -> None:
        super().__init__()
        self._costs = costs
        self._moasha = _syne_tune().MOASHA({}, ["error", "params", "macs"], time_attr="epoch", max_t=max_epochs)

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        self._moasha.on_trial_add(trial)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        params, macs = self._costs[trial.config["key"]]
        said = {"epoch": result["epoch"], "error": 1 - result["val_dice"], "params": params, "macs": macs}
        return TrialScheduler.STOP if self._moasha.on_trial_result(trial, said) == "STOP" else TrialScheduler.CONTINUE


# Made curves ---------------------------------------------------------------------------------------------------------


class Family(NamedTuple):
    """Scores approach `low` to `low + rise` (by price), give or take `quality`, the cheapest within `cheap_pace`
    epochs (to 1/e of the way), the most expensive within `dear_pace`, and are below that by `noise`."""

    low: float
    rise: float
    quality: float
    cheap_pace: float
    dear_pace: float
    noise: float


FAMILIES = {
    "all alike": Family(0.85, 0.08, 0.02, 4, 4, 0.012),
    "small ones slow": Family(0.84, 0.09, 0.015, 10, 2, 0.012),
    "large ones slow": Family(0.84, 0.09, 0.015, 2, 10, 0.012),
    "noisy": Family(0.85, 0.07, 0.02, 5, 5, 0.05),
}


def family(name: str, seed: int, networks: int = 128, epochs: int = 27) -> dict[str, Curve]:
    made, rng = FAMILIES[name], np.random.default_rng(seed)
    curves = {}
    for at in range(networks):
        price = rng.uniform()
        params = 5e4 * 100**price
        macs = 1e3 * params**0.9 * math.exp(rng.normal(0, 0.35))
        final = made.low + made.rise * price + rng.normal(0, made.quality)
        pace = (made.cheap_pace + (made.dear_pace - made.cheap_pace) * price) * rng.lognormal(0, 0.3)
        epoch = np.arange(1, epochs + 1)
        scores = final * (1 - np.exp(-epoch / pace)) - 2 * abs(rng.normal(0, made.noise, epochs)) * np.exp(-epoch / 20)
        curves[f"n{at}"] = Curve((params, macs), tuple(map(float, scores.clip(0, 1))), (macs / 1e9,) * epochs)
    return curves


if __name__ == "__main__":
    main()
