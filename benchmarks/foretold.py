"""Seconds of an epoch, foretold against measured, and what starting trials by them is worth.

    python benchmarks/foretold.py [--rounds 5] [--threads 1]

Each configuration of `pyramid_levels`, `kernel_sizes` and `baselines` is trained as a study trains it, at the quick
profile's size, for two epochs, of which the second counts: CPU seconds of one thread, or with several the wall time,
for which the machine must be idle. Configurations take turns, round after round; the median over rounds is what they
take. It is held against what is foretold

- before the machine was measured, from the shapes of layers and the constants of `ablate.cost.layer_times`;
- once all other configurations were measured: each is left out in turn;
- once the configuration itself was: its last round by those before,

and against MACs at the one rate that suits best. The worst ratio is of measured over foretold, or the inverse where
that is larger. Last comes the schedule of `pyramid_levels` on two slots, by the measured times: the longest first by
what was foretold, and by MACs, each over the best of all schedules.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable, Sequence

import torch
from scipy.stats import spearmanr

from ablate.cost.foretold import Timed
from ablate.cost.machine import this_machine
from ablate.data.dataset import Dataset
from ablate.data.load import load_data
from ablate.part import DataPart
from ablate.search_spaces.plan import Planned, make_plan
from ablate.search_spaces.profiles import PROFILES
from ablate.search_spaces.schedule import Times, longest_first, makespan
from ablate.search_spaces.space import load_space
from ablate.training.checkpoint import Epoch
from ablate.training.loop import train

SPACES = ("pyramid_levels", "kernel_sizes", "baselines")
SLOTS = 2


def measure(planned: Planned, dataset: Dataset, clock: Callable[[], float]) -> float:
    """Seconds of the second epoch."""
    protocol = planned.config.protocol.model_copy(update={"epochs": 2})
    ends: list[float] = []

    def note(epoch: Epoch) -> None:
        ends.append(clock())

    trial = planned.config.model_copy(update={"protocol": protocol})
    train(trial, dataset, device=torch.device("cpu"), report=note)
    return ends[1] - ends[0]


def agreement(name: str, foretold: Sequence[float], measured: Sequence[float]) -> str:
    ratios = [m / f for m, f in zip(measured, foretold, strict=True)]
    worst = max(max(ratio, 1 / ratio) for ratio in ratios)
    return f"{name:<42} rank correlation {spearmanr(foretold, measured).statistic:.3f}, worst ratio {worst:.2f}"


def best(seconds: Sequence[float]) -> float:
    """The end of the best schedule there is, of all."""
    ways = itertools.product(range(SLOTS), repeat=len(seconds))
    return min(
        max(sum(s for s, slot in zip(seconds, way, strict=True) if slot == k) for k in range(SLOTS)) for way in ways
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    clock = time.process_time if options.threads == 1 else time.perf_counter
    loaded: dict[str, Dataset] = {}

    def dataset_of(data: DataPart) -> Dataset:
        return loaded.setdefault(data.name, load_data(data))

    plans = {
        space: make_plan(load_space(space), PROFILES["quick"], dataset_of=dataset_of, seeds=1).trials
        for space in SPACES
    }
    trials = {planned.key: planned for plan in plans.values() for planned in plan}
    rounds: dict[str, list[float]] = {key: [] for key in trials}
    for number in range(options.rounds):
        for key, planned in trials.items():
            rounds[key].append(measure(planned, dataset_of(planned.config.data), clock))
            print(f"round {number + 1}: {planned.levels}: {rounds[key][-1]:.2f} s", flush=True)

    times = Times(this_machine(options.threads))
    foretold = {key: times.foretold(planned) for key, planned in trials.items()}
    measured = {key: statistics.median(seconds) for key, seconds in rounds.items()}

    def knowing(keys: set[str]) -> Timed:
        known = Timed()
        for key in keys:
            known.see(foretold[key], measured[key])
        return known

    by_others = {key: knowing(set(trials) - {key}).seconds(foretold[key]) for key in trials}
    print(f"\n{len(trials)} configurations on {times.machine}: seconds of an epoch")
    print(f"{'measured (from, to)':>24} {'foretold':>9} {'by others':>10}")
    for key, planned in trials.items():
        spread = f"{measured[key]:.2f} ({min(rounds[key]):.2f}, {max(rounds[key]):.2f})"
        print(f"{spread:>24} {foretold[key].seconds:>9.2f} {by_others[key]:>10.2f}  {planned.levels}")
    of = list(measured.values())
    macs = [planned.macs for planned in trials.values()]
    rate = statistics.geometric_mean([m / s for m, s in zip(macs, of, strict=True)])
    print(agreement("by MACs at the best rate:", [m / rate for m in macs], of))
    print(agreement("foretold before it was measured:", [one.seconds for one in foretold.values()], of))
    print(agreement("by all other configurations:", list(by_others.values()), of))
    if options.rounds > 1:
        earlier = [statistics.median(seconds[:-1]) for seconds in rounds.values()]
        print(agreement("by itself, in the rounds before:", earlier, [seconds[-1] for seconds in rounds.values()]))

    plan = plans["pyramid_levels"]
    ideal = best([measured[planned.key] for planned in plan])
    orders = {
        "foretold": longest_first(plan, times),
        "MACs": sorted(plan, key=lambda planned: planned.macs, reverse=True),
    }
    for name, order in orders.items():
        ratio = makespan([measured[planned.key] for planned in order], SLOTS) / ideal
        print(f"pyramid_levels on {SLOTS} slots, longest first by {name}: {ratio:.3f} of the best schedule")


if __name__ == "__main__":
    main()
