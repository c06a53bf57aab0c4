"""What `ablate watch` takes while a page looks on: CPU of the state and of the results, of a study of many trials.

    python benchmarks/live_page.py
    python benchmarks/live_page.py --cells 1000 --seeds 3

The study is made here, of one small training: its trials have folders as real ones do, with 30 test images and 60
epochs each. One more ends between two looks.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from ablate.data.load import load_data
from ablate.data.settings import Phantom
from ablate.models.settings import UNet
from ablate.runners.cli.live_page import LivePage
from ablate.runners.watch.live import Live, Running, tell
from ablate.study.logs import epoch_line
from ablate.study.records import Record
from ablate.study.runs import Run
from ablate.study.study import Study
from ablate.study.trial_folder import pack
from ablate.training.checkpoint import Epoch
from ablate.training.loop import Result, judge_trivial
from ablate.trial import Protocol, TrialConfig

_EPOCHS, _IMAGES, _RUNNING = 60, 30, 8


def trials(cells: int, seeds: int) -> Iterator[tuple[TrialConfig, dict[str, str]]]:
    data = load_data(Phantom(size=(16, 16), count=150)).config
    for cell in range(cells):
        protocol = Protocol(epochs=_EPOCHS, augment=(), learning_rate=1e-3 * (cell + 1))
        for seed in range(seeds):
            yield TrialConfig(model=UNet(width=4), data=data, protocol=protocol, seed=seed), {"rate": str(cell)}


def ended(config: TrialConfig, result: Result, random: np.random.Generator) -> bytes:
    """A trial's folder, packed."""
    rate = 1000 * config.protocol.learning_rate
    scores = np.clip(0.6 + 0.1 * np.log10(rate) + random.normal(0, 0.02, _EPOCHS), 0, 1)
    epochs = [Epoch(n, 1 / n, 1 / n, float(s), float(s), float(s), 1.5, 40.0) for n, s in enumerate(scores, 1)]
    record = Record(
        key=config.key, cell=config.cell, model="unet", seed=config.seed, state="complete", params=int(1e6 * rate),
        macs=int(1e9 * rate), epochs=_EPOCHS, best_epoch=_EPOCHS, train_seconds=90.0, val_dice=epochs[-1].val_dice,
    )  # fmt: skip
    return pack(config, record, epochs, result)


def made(path: Path, cells: int, seeds: int) -> tuple[Study, list[tuple[TrialConfig, bytes]]]:
    """A study of all trials but the last few, which come with it."""
    known = dict(trials(cells, seeds))
    dataset = load_data(Phantom(size=(16, 16), count=150))
    first = next(iter(known))
    bare = next(row for row in first.trivial() if row.model.name == "mean_mask")
    judged = judge_trivial(bare, dataset)
    random = np.random.default_rng(0)
    study = Study.open_or_new(path)
    run = Run(
        space="rates", question="?", profile="quick", design="grid", factors={"rate": []}, definition={},
        trials={config.key: levels for config, levels in known.items()},
    )  # fmt: skip
    all_packed = [(config, ended(config, judged, random)) for config in known]
    with study.writing():
        study.plan(run, threads=1, data_dir=None)
        for config, packed in all_packed[:-_RUNNING]:
            study.accept(config.key, packed)
    return study, all_packed[-_RUNNING:]


def took(what: Callable[[], object], times: int = 1) -> tuple[float, float]:
    """CPU and wall seconds of one call, in the mean."""
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(times):
        what()
    return (time.process_time() - cpu) / times, (time.perf_counter() - wall) / times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=150)
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        study, rest = made(Path(folder) / "study", asked.cells, asked.seeds)
        print(f"{len(study.records())} trials of {asked.cells} networks ended, {len(rest)} running")
        page = LivePage(study.path)
        pages = page.pages("token")

        def said(what: str, of: tuple[float, float], more: str = "") -> None:
            print(f"{what:44} {1000 * of[0]:8.1f} ms CPU {1000 * of[1]:8.1f} ms wall  {more}")

        running = {c.key: Running(key=c.key, name=c.key, epoch=30, epochs=_EPOCHS, val_dice=0.5) for c, _ in rest}
        now = time.time()
        for config, _ in rest:
            study.log(config.key, "\n".join(epoch_line(Epoch(n, 1, 1, 0.5, 0.5, 0.5, 1, 1)) for n in range(1, 31)))
        tell(study, Live(began=now - 60, updated=now, total=len(study.plans.levels), epochs_done=30, running=running))
        time.sleep(2.5)
        said("the first state", took(pages["/state"]))
        time.sleep(2.5)
        page.state()
        idle = took(pages["/state"], 20)
        said("a state, where nothing ended", idle, f"{len(pages['/state']().body) / 1000:.0f} kB")
        print(f"{'  every 2 s, of a core':44} {50 * idle[0]:8.2f} %")
        said("the first results", took(pages["/results"]), f"{len(pages['/results']().body) / 1e6:.1f} MB")
        for config, packed in rest[:3]:
            with study.writing():
                study.accept(config.key, packed)
            said("a state, one trial having ended", took(pages["/state"]))
            page._results._rests_until = 0.0
            page.state()
            said("results, one trial having ended", took(pages["/results"]))
        found = json.loads(pages["/results"]().body)
        print({part: f"{len(json.dumps(found[part])) / 1e6:.1f} MB" for part in ("networks", "curves", "trials")})


if __name__ == "__main__":
    main()
