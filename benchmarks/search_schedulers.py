"""Schedulers on recorded curves: what machine time each needs for 95 % and 99 % of the full grid's hypervolume.

    python benchmarks/search_schedulers.py [--curves benchmarks/curves] [--repeats 50] [--workers 1 8] [--synthetic]
                                           [--restart 0]

Each repeat is one simulated run over all recorded trials, in a random order of its own (the full grid: the longest
first, as `ablate run` does), through the scheduler that real runs use. MO-ASHA is Syne Tune's own
(`benchmarks/battery_peers.py`), where it can be imported (`pip install -e '.[peers]'`); it is left out otherwise.
Shares are of the full grid's seconds of machine time, those of epochs in the line below: the median over repeats, and
the tenth and ninetieth percentiles. `reached` is the median hypervolume at the end; a run counts as never reaching what
fewer than half of the repeats reach.

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
from typing import NamedTuple

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import numpy as np
import pandas as pd
from battery_peers import has_syne_tune, mo_asha

from ablate.runners.replay.curves import Curve, Grid
from ablate.runners.replay.reached import reached, reference
from ablate.runners.replay.strategy import Strategy, replay

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
    restart: float


class Outcome(NamedTuple):
    """Seconds and epochs to each of `SHARES` and, last, in all, as shares of the full grid's; and the hypervolume
    reached."""

    seconds: tuple[float, ...]
    epochs: tuple[float, ...]
    hypervolume: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--curves", type=Path, default=Path(__file__).parent / "curves")
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--synthetic", action="store_true")
    parser.add_argument("--restart", type=float, default=0.0, help="seconds that a start takes")
    options = parser.parse_args()
    sources = list(FAMILIES) if options.synthetic else [str(options.curves)]
    strategies = [name for name, scheduler in STRATEGIES.items() if scheduler != "mo-asha" or has_syne_tune()]
    jobs = [
        Job(source, strategy, workers, repeat, options.restart)
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
                asked = (Job(source, name, workers, repeat, options.restart) for repeat in range(options.repeats))
                rows = [outcomes[job] for job in asked]
                reached = float(np.median([row.hypervolume for row in rows]))
                print(f"{line(name, [row.seconds for row in rows])}{reached:9.4f}")
                print(line("  epochs", [row.epochs for row in rows]))


def line(name: str, rows: list[tuple[float, ...]]) -> str:
    def spread(values: list[float]) -> str:
        low, middle, high = np.quantile(sorted(values), (0.1, 0.5, 0.9), method="nearest")
        text = [f"{value:.1%}" if math.isfinite(value) else "never" for value in (middle, low, high)]
        return f"{text[0]} ({text[1]}–{text[2]})" if math.isfinite(low) else "never"

    to = "".join(f"{spread([row[at] for row in rows]):>22s}" for at in range(len(SHARES)))
    return f"{name:20s}{to}{float(np.median([row[-1] for row in rows])):8.1%}"


def run(job: Job) -> Outcome:
    grid = problem(job.source, job.repeat)._replace(restart=job.restart)
    name = STRATEGIES[job.strategy]
    sampler = "plan" if job.strategy == "full grid" else "shuffled"
    strategy = Strategy(name, sampler, job.workers, search=mo_asha if name == "mo-asha" else None)
    steps = replay(strategy, grid, job.repeat)
    path = reached(steps, grid.curves, reference(grid.curves, grid.bar), grid.restart)
    seconds = (*(path.spent_to(share) for share in SHARES), float(path.spent[-1]))
    epochs = (*(path.epochs_to(share) for share in SHARES), len(steps))
    return Outcome(
        tuple(value / grid.seconds for value in seconds),
        tuple(value / grid.epochs for value in epochs),
        float(path.hypervolume[-1]),
    )


@cache
def problem(source: str, repeat: int) -> Grid:
    if source in FAMILIES:
        curves = family(source, repeat)
        return Grid(pd.DataFrame(), curves, bar=0.6)
    return Grid.of(*(pd.read_parquet(Path(source) / f"{name}.parquet") for name in ("trials", "epochs")))


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
