"""What a proposal of a search costs, with few and with many trials in the study.

    python benchmarks/proposals.py --sampler random --at 24 100 300 1000

A search of `search_pyconvunet` goes on and on, with trials that do nothing: each is proposed, written down, planned,
taken into the study with tables, weights and pictures, and told to the sampler. For the ten proposals before each of
the given numbers: the median CPU time of one in the driver, in parts, and what it took by the clock; the ratio is to
the first of the numbers. `price`
is the building of networks on PyTorch's meta device, as often as the sampler looks at one; `sampler` is the rest of
asking it. What is left is the study's own part.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ablate.data.load import load_data
from ablate.runners.execution.trainable import make_record
from ablate.runners.search.proposer import Proposer
from ablate.runners.search.study_search import Search, make_queue
from ablate.search_spaces.plan import Planned, Planner
from ablate.search_spaces.profiles import PROFILES
from ablate.search_spaces.space import load_space
from ablate.study.study import Study
from ablate.study.trial_folder import pack

IMAGES, WINDOW = 3, 10
Parts = dict[str, list[float]]


def finished(planned: Planned, score: float) -> bytes:
    """A trial that ended, as a worker packs it."""
    import torch

    from ablate.training.loop import Epoch, Result

    epoch = Epoch(1, 0.5, 0.5, score, score, score, 0.01, 100.0)
    ids = tuple(f"image_{number}" for number in range(IMAGES))
    counts = np.ones((IMAGES, 2, 4), np.int64)
    result = Result([epoch], 1, ids, counts, np.zeros((IMAGES, 32, 32), np.uint8), {"weight": torch.zeros(1000)})
    record = make_record(planned.config, planned.params, planned.macs, [epoch], result)
    return pack(planned.config, record, [epoch], result)


@contextmanager
def timed(parts: Parts, name: str) -> Iterator[None]:
    started = time.process_time()
    yield
    parts[name].append(time.process_time() - started)


def search(folder: Path, sampler: str, trials: int) -> Parts:
    """The seconds of each proposal, in parts."""
    parts: Parts = defaultdict(list)
    planner = Planner(load_space("search_pyconvunet"), PROFILES["quick"], dataset_of=load_data, data="phantom", seeds=1)
    priced = [0.0]
    price, ask = planner.trials, Proposer.ask

    def pricing(made: Any) -> list[Planned]:
        started = time.process_time()
        try:
            return price(made)
        finally:
            priced[0] += time.process_time() - started

    def asking(proposer: Proposer) -> Any:
        with timed(parts, "asked"):
            return ask(proposer)

    planner.trials = pricing  # type: ignore[method-assign]
    Proposer.ask = asking  # type: ignore[method-assign]
    rng = np.random.default_rng(0)
    with Study.open_or_new(folder).writing() as study:
        queue = make_queue(
            study, planner, "quick", Search(sampler, trials), threads=1, data_dir=None, storage=None,
            finish_stopped=True, proposed=lambda found: None,
        )  # fmt: skip
        for number in range(trials):
            priced[0] = 0.0
            clock = time.perf_counter()
            with timed(parts, "whole"):
                config = queue.suggest(str(number))
            clock = time.perf_counter() - clock
            parts["price"].append(priced[0])
            planned, score = config["job"].planned, float(rng.random())
            packed = finished(planned, score)
            with timed(parts, "taken in"):
                began = time.perf_counter()
                study.accept(planned.key, packed)
                queue.on_trial_complete(str(number), {"epoch": 1, "val_dice": score, "state": "complete"})
                parts["clock"].append(clock + time.perf_counter() - began)
    return parts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sampler", default="random")
    parser.add_argument("--at", type=int, nargs="+", default=[24, 100, 300, 1000])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        parts = search(Path(folder) / "study", options.sampler, max(options.at))
    # How often a network is priced differs from proposal to proposal, by what the space allows: so it stands apart.
    own = [
        whole - asked + taken
        for whole, asked, taken in zip(parts["whole"], parts["asked"], parts["taken in"], strict=True)
    ]
    rows = {"study": own, "asking": parts["asked"], "of it price": parts["price"], "by the clock": parts["clock"]}
    first: dict[str, float] = {}
    for at in options.at:
        found = {name: statistics.median(row[at - WINDOW : at]) for name, row in rows.items()}
        found["sampler"] = statistics.median(
            asked - price
            for asked, price in zip(parts["asked"][at - WINDOW : at], parts["price"][at - WINDOW : at], strict=True)
        )
        first = first or found
        said = "; ".join(
            f"{name} {seconds * 1000:.1f} ms, ratio {seconds / first[name]:.2f}" for name, seconds in found.items()
        )
        print(f"{options.sampler}, {at} trials: {said}", flush=True)


if __name__ == "__main__":
    main()
