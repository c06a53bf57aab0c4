"""CPU seconds of one decision of `ablate run --search`, with 100, 300 and 1,000 configurations begun.

    python benchmarks/search_decisions.py [--begun 100 300 1000] [--workers 8] [--repeats 5]

Configurations of eight factors with made curves, as after a search: half of them reached the first rung alone, a fourth
the second, and so on. 96 that were not begun are offered beside them, and as many trials as workers are under way. A
decision is what the driver does when a worker is free, with and without a new fit of the model's parameters, which is
made when there are a quarter more observations than at the last.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time

import numpy as np
from threadpoolctl import threadpool_limits

from ablate.runners.search.freeze_thaw.cells import Offered, rungs
from ablate.runners.search.freeze_thaw.decider import Decider
from ablate.runners.search.freeze_thaw.gains import Prices, box_of

EPOCHS, FACTORS, FRESH = 50, 8, 96


def offered(number: int, rng: np.random.Generator) -> Offered:
    features = rng.random(FACTORS)
    costs = 1e4 * 100 ** features[0], 1e6 * 100 ** features[1]
    row = (*features, *np.log10(costs))
    return Offered(f"c{number}", tuple(map(float, row)), costs, 1 + 9 * features[1], EPOCHS, (f"k{number}",))


def decider(begun: int, workers: int, rng: np.random.Generator) -> Decider:
    cells = [offered(number, rng) for number in range(begun)]
    found = Decider(
        np.zeros(FACTORS + 2, dtype=bool),
        Prices(*box_of([one.costs for one in cells])),
        bar=0.3,
        last=EPOCHS,
        restart=1.0,
    )
    for number, one in enumerate(cells):
        last = min(int(rng.geometric(0.5)), len(rungs(EPOCHS)))
        quality = 0.6 + 0.3 * one.features[2] + 0.05 * rng.standard_normal()
        found.start(one, rungs(EPOCHS)[last - 1])
        for rung in rungs(EPOCHS)[:last]:
            found.see(one.cell, one.keys[0], rung, min(max(quality * (1 - math.exp(-rung / 8)), 0), 1), one.seconds)
        if number < workers:
            found.cells[one.cell].until = EPOCHS
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--begun", type=int, nargs="+", default=[100, 300, 1000])
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with threadpool_limits(1):
        for begun in options.begun:
            times: dict[str, list[float]] = {"with a fit": [], "without": []}
            for repeat in range(options.repeats):
                rng = np.random.default_rng(repeat)
                one = decider(begun, options.workers, rng)
                fresh = {cell.cell: cell for cell in (offered(begun + number, rng) for number in range(FRESH))}
                for seconds in times.values():
                    started = time.process_time()
                    one.decide(fresh)
                    seconds.append(time.process_time() - started)
            told = ", ".join(f"{name} {statistics.median(took):.2f} ({min(took):.2f})" for name, took in times.items())
            print(f"{begun} begun: CPU s, median (least): {told}", flush=True)


if __name__ == "__main__":
    main()
