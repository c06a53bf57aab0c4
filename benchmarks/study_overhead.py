"""What a study costs beyond its training: wall time of its trials against their training times shared by the slots.

    python benchmarks/study_overhead.py
    python benchmarks/study_overhead.py --json

Equal trials (U-Net on the packaged MNI152 slices, one seed each) run through Ray Tune as `ablate run` runs them, one
thread each. The ratio is the wall time once Ray has started, to the end of the last trial's record, over the sum of the
trials' own epochs divided by the slots: 1 would be a study that costs no more than its training. Beside it stands the
same with Ray's start.

What is above 1 is told in parts, as workers saw it (their shares of the same denominator): `start` until a worker's
first trial begins; `imports` and data; `set-up` of network and optimiser; `checkpoints` and `reports` of epochs, as far
as training waits for them; `test` predictions; `packing` and leaving the trial in the storage; `between` a trial's end
and the next one's begin in that worker, while the driver takes it in; `end`, in which a slot has nothing left to train.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from rich.console import Console

from ablate.data.dataset import Dataset
from ablate.data.load import load_data
from ablate.part import DataPart
from ablate.runners.execution.queue import PlanQueue
from ablate.runners.execution.resources import Resources
from ablate.runners.execution.trainable import Workplace
from ablate.runners.execution.tune import How, Trained, ray_session, train_missing
from ablate.runners.watch.progress import Progress
from ablate.search_spaces.plan import Plan, make_plan
from ablate.search_spaces.profiles import PROFILES
from ablate.search_spaces.space import Space
from ablate.study.study import Study

PARTS = ("imports", "set-up", "epochs", "checkpoints", "reports", "test", "packing")


def timed_trial(config: dict[str, Any], workplace: Workplace, notes: str) -> None:
    """`run_trial`, with a line in `notes` of how long each part took."""
    began, spent = time.time(), dict.fromkeys(PARTS, 0.0)

    def timed(part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                spent[part] += time.perf_counter() - started

        return call

    def of(owner: Any, name: str, part: str) -> Callable[[], None]:
        before = getattr(owner, name)
        setattr(owner, name, timed(part, before))
        return lambda: setattr(owner, name, before)

    import ray
    from ray import tune

    from ablate.runners.execution import trainable
    from ablate.runners.execution.storage import PathStorage

    def imported() -> tuple[Any, Any]:
        from ablate.training import keeping, loop

        ray.get(list(workplace.datasets.values()))
        return keeping, loop

    keeping, loop = timed("imports", imported)()
    undo = [
        of(loop, "_begin", "set-up"),
        of(loop, "_next_epoch", "epochs"),
        of(keeping.Keeper, "after_epoch", "checkpoints"),
        of(keeping.Keeper, "__exit__", "checkpoints"),
        of(tune, "report", "reports"),
        of(loop, "_judge_best", "test"),
        of(trainable, "pack", "packing"),
    ]
    write = PathStorage.write

    def written(storage: PathStorage, name: str, data: bytes) -> None:
        (timed("packing", write) if name.startswith("arrivals") else write)(storage, name, data)
        if name.startswith("arrivals"):
            line = json.dumps({"began": began, "ended": time.time(), **spent})
            with (Path(notes) / str(os.getpid())).open("a") as file:
                file.write(line + "\n")

    PathStorage.write = written  # type: ignore[method-assign]
    try:
        trainable.run_trial(config, workplace)
    finally:
        PathStorage.write = write  # type: ignore[method-assign]
        for step in undo:
            step()


def breakdown(notes: Path, started: float, ended: float, slots: int) -> dict[str, float]:
    """Seconds of all slots by part; `rest` is what no part has."""
    found: dict[str, float] = defaultdict(float)
    for file in notes.iterdir():
        trials = [json.loads(line) for line in file.read_text().splitlines()]
        found["start"] += trials[0]["began"] - started
        found["end"] += ended - trials[-1]["ended"]
        found["between"] += sum(after["began"] - trial["ended"] for trial, after in pairwise(trials))
        for part in PARTS:
            found[part] += sum(trial[part] for trial in trials)
    found["rest"] = (ended - started) * slots - sum(found.values())
    return dict(found)


def measure(plan: Plan, dataset_of: Callable[[DataPart], Dataset], slots: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder, Study.open_or_new(Path(folder) / "study").writing() as study:
        datasets = {trial.config.data.text: dataset_of(trial.config.data) for trial in plan.trials}
        how = How(Resources(cpus=1, gpus=0, max_concurrent=slots))
        notes = Path(folder) / "notes"
        notes.mkdir()

        def trainable(config: dict[str, Any], workplace: Workplace) -> None:
            timed_trial(config, workplace, str(notes))

        begun = time.time()
        with Progress(Console(stderr=True), study, plan.trials, {}) as progress, ray_session(None):
            started = time.time()
            outcome: Trained = train_missing(study, PlanQueue(study, plan.trials), datasets, how, progress, trainable)
            ended = time.time()
        parts = breakdown(notes, started, ended, slots)
    times = [record.train_seconds for record in outcome.trained]
    ideal = sum(times) / slots
    return {
        "trials": len(times),
        "slots": slots,
        "shortest": min(times),
        "longest": max(times),
        "wall": outcome.seconds,
        "ray": started - begun,
        "training": ideal,
        "ratio": outcome.seconds / ideal,
        "with_ray": (outcome.seconds + started - begun) / ideal,
        "shares": {part: seconds / slots / ideal for part, seconds in parts.items() if part != "epochs"},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    options = parser.parse_args()

    loaded: dict[str, Dataset] = {}

    def dataset_of(config: DataPart) -> Dataset:
        return loaded.setdefault(config.name, load_data(config))

    space = Space(
        name="overhead",
        question="What does a study cost beyond its training?",
        design="grid",
        base={"model": {"name": "unet"}, "protocol.epochs": options.epochs},
        factors={"data.target": ["grey_matter"]},
    )
    plan = make_plan(space, PROFILES["quick"], dataset_of=dataset_of, seeds=options.trials)
    found = measure(plan, dataset_of, options.slots)
    if options.json:
        print(json.dumps(found))
        return
    print(f"{found['trials']} trials of {found['shortest']:.1f} to {found['longest']:.1f} s on {found['slots']} slots")
    print(f"wall {found['wall']:.1f} s, training shared {found['training']:.1f} s, ratio {found['ratio']:.3f}")
    print(f"with the {found['ray']:.1f} s in which Ray starts {found['with_ray']:.3f}")
    for part, share in sorted(found["shares"].items(), key=lambda pair: -pair[1]):
        print(f"  {part:12} {share:6.3f}")


if __name__ == "__main__":
    main()
