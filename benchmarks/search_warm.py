"""What it saves a search to know something beforehand, and what it costs where that is wrong: in simulated time.

    python benchmarks/search_warm.py ../shared/search/battery [--workers 1 8] [--repeats 5] [--keep FILE]

Machine time until 99 % of the whole grid's hypervolume, by the machine time of the same search without, with the same
seed; median and worst over repeats, each of which leaves out another fifth of the networks. Judge and problems are
those of `search_battery.py`. Ways to know:

    promising, right   of each factor the level that is on the true front most often, by its number of configurations
    promising, wrong   of each factor the level that is there least often
    alike              learns from another problem of the same networks, or the same with other seeds
    unlike             learns from the same problem, whose curves were dealt out among the networks at random
"""

from __future__ import annotations

import argparse
import json
import math
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import moocore
import numpy as np
import pandas as pd
from search_battery import problem
from search_schedulers import FAMILIES, family

from ablate.runners.replay.curves import Grid
from ablate.runners.replay.reached import reached, reference
from ablate.runners.replay.strategy import Strategy, replay
from ablate.runners.search.freeze_thaw.in_replay import search

ALIKE = {
    "small60": "late",
    "late": "cross",
    "cross": "diverge",
    "saturate": "late",
    "seeds3, seed 1": "seeds3, seed 0",
    **{name: f"{name}, again" for name in ("small ones slow", "large ones slow")},
}
"""What is searched, and what is like it: of a family, another draw of prices, quality and noise."""
WAYS = ("without", "promising, right", "promising, wrong", "alike", "unlike")


class Run(NamedTuple):
    problem: str
    way: str
    workers: int
    repeat: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("battery", type=Path, help="the folder of the problems")
    parser.add_argument("--problems", nargs="+", choices=ALIKE, default=list(ALIKE))
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="a file of JSON lines, to go on from")
    options = parser.parse_args()
    found = {}
    if options.keep and options.keep.exists():
        found = {Run(*run): spent for run, spent in map(json.loads, options.keep.read_text().splitlines())}
    for workers in options.workers:
        print(f"\n{workers} at a time: machine time to 99 %, by that of the search without: median (worst)")
        print(f"{'':18}{'without':>10}" + "".join(f"{way:>18}" for way in options.ways if way != "without"))
        for name in options.problems:
            for way in options.ways:
                for repeat in range(options.repeats):
                    run = Run(name, way, workers, repeat)
                    if run not in found and (way[:9] != "promising" or name not in FAMILIES):
                        found[run] = spent_to_99(options.battery, run)
                        if options.keep:
                            with options.keep.open("a") as file:
                                file.write(json.dumps([run, found[run]]) + "\n")
            alone = [found[Run(name, "without", workers, repeat)] for repeat in range(options.repeats)]
            line = f"{name:18}{np.median(alone):10.2%}"
            for way in options.ways[1:]:
                runs = [Run(name, way, workers, repeat) for repeat in range(options.repeats)]
                ratios = [found[run] / base for run, base in zip(runs, alone, strict=True) if run in found]
                shown = f"{np.median(ratios):.2f} ({max(ratios):.2f})" if ratios else ""
                line += f"{shown:>18}"
            print(line, flush=True)


def spent_to_99(battery: Path, run: Run) -> float:
    """As a share of what the whole grid takes."""
    grid = most_of(grid_of(battery, run.problem, run.repeat), run.repeat)
    more: dict[str, Any] = {}
    if run.way.startswith("promising"):
        more["promising"] = promising(grid, right=run.way.endswith("right"))
    elif run.way == "alike":
        more["earlier"] = [grid_of(battery, ALIKE[run.problem], run.repeat)]
    elif run.way == "unlike":
        more["earlier"] = [dealt(grid, run.repeat)]
    steps = replay(Strategy(workers=run.workers, search=partial(search, **more)), grid, run.repeat)
    path = reached(steps, grid.curves, reference(grid.curves, grid.bar), grid.restart)
    return path.spent_to(0.99) / grid.seconds


@cache
def grid_of(battery: Path, name: str, repeat: int) -> Grid:
    folder, _, which = name.partition(", ")
    if folder in FAMILIES:
        return Grid(pd.DataFrame(), family(folder, repeat + 100 * bool(which)), bar=0.6)
    found = problem(str(battery / folder), 0)
    if not which:
        return found
    nth = int(which.removeprefix("seed "))
    return only(found, {keys[nth] for keys in found.cells.values()})


def most_of(grid: Grid, seed: int) -> Grid:
    """Four fifths of its networks."""
    cells = list(grid.cells)
    left_out = set(np.random.default_rng([seed, 1]).permutation(cells)[: len(cells) // 5].tolist())
    return only(grid, {key for key, cell in grid.cell_of.items() if cell not in left_out})


def only(grid: Grid, kept: set[str]) -> Grid:
    trials = grid.trials[[key in kept for key in grid.curves]] if len(grid.trials) else grid.trials
    return grid._replace(trials=trials, curves={key: curve for key, curve in grid.curves.items() if key in kept})


def dealt(grid: Grid, seed: int) -> Grid:
    """The same networks, whose curves are those of others."""
    keys = list(grid.curves)
    order = np.random.default_rng(seed).permutation(len(keys))
    curves = {
        key: grid.curves[key]._replace(scores=grid.curves[keys[other]].scores)
        for key, other in zip(keys, order, strict=True)
    }
    return grid._replace(curves=curves)


def promising(grid: Grid, *, right: bool) -> dict[str, tuple[str, ...]]:
    """Of each factor the level of which most, or least, are on the front of final scores."""
    best = [max(curve.scores, default=math.nan) for curve in grid.curves.values()]
    points = np.array([(-score, *curve.costs) for score, curve in zip(best, grid.curves.values(), strict=True)])
    front = pd.Series(moocore.is_nondominated(points), index=grid.trials.index)
    found = {}
    for name in grid.trials:
        levels = grid.trials[name].map(str)
        if str(name).startswith("factor.") and levels.nunique() > 1:
            shares = front.groupby(levels).mean().sort_values(kind="stable")
            found[str(name).removeprefix("factor.")] = (str(shares.index[-1 if right else 0]),)
    return found


if __name__ == "__main__":
    main()
