"""What searches find, and at what cost: strategies on a battery of recorded and made problems, in simulated time.

    python benchmarks/search_battery.py ../shared/search/battery/* benchmarks/curves [--families] [--nas-bench]
        [--workers 1 8 32] [--repeats 7] [--strategies …] [--peers] [--keep FILE]
    python benchmarks/battery_tables.py FILE

Each problem is a folder with `trials.parquet` and `epochs.parquet`, as `ablate replay` takes it; or a family of made
curves, or a slice of NAS-Bench-201, another for each repeat (`battery_problems.py`). Each run is one strategy on the
whole grid; `--peers` has those from outside the project as well (`battery_peers.py`). Shares are of the whole grid's:
machine seconds, with epochs beside, until 95 % and 99 % of its hypervolume (score above the bar, by the logarithms of
costs) and until the strategy ended; medians over repeats, and the hypervolume when it ended. `--keep` has every run's
figures, a line of JSON each; runs that are in it are not run again. The tables of docs/search.md are made of that file.

What only proposes (`PROPOSE`) proposes so many configurations, each trained to its end. On made families, which have no
factors, such a one is told each network's place by its first cost, and all have costs in whole numbers. Peers, and
NAS-Bench-201, need `pip install -c constraints.txt -e '.[peers]'`. The families were made by the project; of the
folders, those that the strategy was tuned on are told in docs/search.md.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # a process a core
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from battery_peers import PEERS
from battery_problems import NAS_BENCH, for_samplers, problem
from search_schedulers import FAMILIES

from ablate.runners.replay.reached import reached, reference
from ablate.runners.replay.strategy import Strategy, replay
from ablate.runners.search.freeze_thaw.in_replay import search

STRATEGIES = {
    "search": Strategy(search=search, called="search"),
    "random order": Strategy(),
    "plan": Strategy(sampler="plan"),
    "pareto": Strategy("pareto", "plan"),
    "pareto-promote": Strategy("pareto-promote", "plan"),
    "asha": Strategy("asha"),
    "median": Strategy("median"),
    "known_cost": Strategy(sampler="known_cost"),
    "tpe": Strategy(sampler="tpe"),
    "gp": Strategy(sampler="gp"),
    "nsgaii": Strategy(sampler="nsgaii"),
}
NAMES = (*STRATEGIES, *PEERS)
PROPOSE = {"known_cost": 64, "tpe": 64, "nsgaii": 64, "mo-rea": 64, "gp": 32, "qlognehvi": 32}
"""How many configurations those propose that only propose; fewer where a model takes long."""
SHARES = (0.95, 0.99)


class Run(NamedTuple):
    problem: str
    strategy: str
    workers: int
    repeat: int
    trials: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("problems", nargs="*", help="folders of tables")
    parser.add_argument("--families", action="store_true", help="the made families as well")
    parser.add_argument("--nas-bench", action="store_true", help="slices of NAS-Bench-201 as well")
    parser.add_argument("--strategies", nargs="+", choices=NAMES, default=list(STRATEGIES))
    parser.add_argument("--peers", action="store_true", help="Syne Tune's and BoTorch's as well")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--keep", type=Path, help="a file of JSON lines, to go on from")
    options = parser.parse_args()
    problems = [*options.problems, *(FAMILIES if options.families else ()), *([NAS_BENCH] if options.nas_bench else [])]
    strategies = [*options.strategies, *(name for name in PEERS if options.peers and name not in options.strategies)]
    runs = [
        Run(source, strategy, workers, repeat, PROPOSE.get(strategy, 0))
        for source in problems
        for workers in options.workers
        for strategy in strategies
        for repeat in range(options.repeats)
    ]
    found = kept(options.keep)
    with ProcessPoolExecutor(options.processes) as pool:
        waiting = {pool.submit(figures, run): run for run in runs if run not in found}
        for done in as_completed(waiting):
            found[waiting[done]] = done.result()
            if options.keep:
                with options.keep.open("a") as file:
                    file.write(json.dumps([*waiting[done], found[waiting[done]]]) + "\n")
    for source in problems:
        for workers in options.workers:
            print(f"\n{Path(source).name}, {workers} at a time: % of the grid's seconds (epochs)")
            print(f"{'':16}{'to 95 %':>16}{'to 99 %':>16}{'in all':>16}{'reached':>9}")
            for strategy in strategies:
                print(line(strategy, [found[run] for run in runs if run[:3] == (source, strategy, workers)]))


def kept(file: Path | None) -> dict[Run, dict[str, Any]]:
    if file is None or not file.exists():
        return {}
    rows = (json.loads(line) for line in file.read_text().splitlines())
    return {Run(*row[:-1]): row[-1] for row in rows}


def line(name: str, rows: list[dict[str, Any]]) -> str:
    def median(of: str) -> float:
        return float(np.median([math.inf if row[of] is None else row[of] for row in rows]))

    cells = ""
    for what in (*map(str, SHARES), "end"):
        seconds, epochs = median(f"seconds {what}"), median(f"epochs {what}")
        cells += f"{f'{seconds:.1%} ({epochs:.1%})' if math.isfinite(seconds) else 'never':>16}"
    return f"{name:16}{cells}{median('hypervolume'):9.4f}"


def figures(run: Run) -> dict[str, Any]:
    """Of one run, shares of the grid's; None where a share was never reached."""
    grid = problem(run.problem, run.repeat)
    seen = for_samplers(grid) if run.strategy in (*PROPOSE, *PEERS) else grid
    if run.strategy in PEERS:
        strategy = Strategy(search=partial(PEERS[run.strategy], trials=run.trials), called=run.strategy)
    else:
        strategy = STRATEGIES[run.strategy]
    steps = replay(strategy._replace(workers=run.workers, trials=run.trials or None), seen, run.repeat)
    path = reached(steps, grid.curves, reference(grid.curves, grid.bar), grid.restart)
    found: dict[str, Any] = {"hypervolume": float(path.hypervolume[-1])}
    for share in SHARES:
        found[f"seconds {share}"] = path.spent_to(share) / grid.seconds
        found[f"epochs {share}"] = path.epochs_to(share) / grid.epochs
        found[f"wall {share}"] = path.seconds_to(share)
    found |= {"seconds end": path.spent[-1] / grid.seconds, "epochs end": len(steps) / grid.epochs}
    found["wall end"] = float(path.seconds[-1])
    return {name: float(value) if math.isfinite(value) else None for name, value in found.items()}


if __name__ == "__main__":
    main()
