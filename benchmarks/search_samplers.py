"""Samplers at equal numbers of trials: the hypervolume that each reaches on recorded curves, over many repeats.

    python benchmarks/search_samplers.py [--curves benchmarks/curves] [--repeats 30] [--trials 48]

Each repeat is a search for `--trials` of the recorded configurations, one at a time, each trained in full, through the
searcher that real runs use. The hypervolume is that of (validation Dice, log parameters, log MACs), as a share of the
whole grid's. Printed for each sampler: its mean share after so many trials, with the standard error; and how many
trials the project's own needs for what the best of the others has after so many.
"""

from __future__ import annotations

import argparse
import os
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import optuna
import pandas as pd
from numpy.typing import NDArray

from ablate.runners.replay.curves import Grid
from ablate.runners.replay.reached import reached, reference
from ablate.runners.replay.strategy import Strategy, replay


class Job(NamedTuple):
    sampler: str
    seed: int
    trials: int
    curves: Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--curves", type=Path, default=Path(__file__).parent / "curves")
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--trials", type=int, default=48)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--samplers", default="random,tpe,nsgaii,gp,known_cost")
    options = parser.parse_args()
    samplers = options.samplers.split(",")
    jobs = [Job(name, seed, options.trials, options.curves) for name in samplers for seed in range(options.repeats)]
    os.environ["OMP_NUM_THREADS"] = "1"  # small matrices; Optuna's GP takes several times as long with more
    with ProcessPoolExecutor(options.processes, mp_context=get_context("spawn")) as pool:
        shares = dict(zip(((job.sampler, job.seed) for job in jobs), pool.map(share_by_trials, jobs), strict=True))
    paths = {name: np.array([shares[name, seed] for seed in range(options.repeats)]) for name in samplers}
    report(paths, options.trials)


def share_by_trials(job: Job) -> NDArray[np.float64]:
    """The share of the whole grid's hypervolume after each trial of one search: (trials,)."""
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    trials, epochs = (pd.read_parquet(job.curves / f"{name}.parquet") for name in ("trials", "epochs"))
    grid = Grid.of(trials, epochs)
    steps = replay(Strategy("none", job.sampler, 1, job.trials), grid, job.seed)
    path = reached(steps, grid.curves, reference(grid.curves, grid.bar))
    ends = [n for n, step in enumerate(steps) if step.epoch == len(grid.curves[step.key].scores)]
    return path.hypervolume[ends]


def report(paths: dict[str, NDArray[np.float64]], trials: int) -> None:
    marks = sorted({8, 12, 16, 24, 32, 48, trials} & set(range(1, trials + 1)))
    repeats = len(next(iter(paths.values())))
    print(f"share of the whole grid's hypervolume after n trials: mean (standard error) of {repeats} searches")
    print(f"{'sampler':12s}" + "".join(f"{n:>16d}" for n in marks))
    for name, path in paths.items():
        error = path.std(axis=0, ddof=1) / np.sqrt(len(path))
        print(f"{name:12s}" + "".join(f"{path[:, n - 1].mean():9.4f} ({error[n - 1]:.4f})" for n in marks))
    if "known_cost" not in paths or len(paths) < 2:
        return
    own = paths["known_cost"].mean(axis=0)
    others = {name: path.mean(axis=0) for name, path in paths.items() if name != "known_cost"}
    print("\ntrials that known_cost needs for the mean share that the best other has")
    for n in marks:
        best = max(others, key=lambda name: others[name][n - 1])
        there = own >= others[best][n - 1]
        needed = int(there.argmax()) + 1 if there.any() else None
        ratio = f"{needed / n:.0%}" if needed else ""
        print(f"  {n:3d} trials of {best:8s} {others[best][n - 1]:.4f}: {needed or f'over {trials}'} {ratio}")


if __name__ == "__main__":
    main()
