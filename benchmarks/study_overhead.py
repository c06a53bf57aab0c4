"""What a study costs beyond its training: wall time of its trials against their training times shared by the slots.

    python benchmarks/study_overhead.py

Equal trials (U-Net on the packaged MNI152 slices, one seed each) run through Ray Tune as `ablate run` runs them, one
thread each. The ratio is the wall time once Ray has started, to the end of the last trial's record, over the sum of the
trials' own epochs divided by the slots: 1 would be a study that costs no more than its training. What is above it is
worker start, data loading, checkpoints after each epoch, test predictions, writing, and scheduling.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from rich.console import Console

from ablate.data.dataset import Dataset
from ablate.data.load import load_data
from ablate.part import DataPart
from ablate.runners.execution.queue import PlanQueue
from ablate.runners.execution.resources import Resources
from ablate.runners.execution.tune import How, ray_session, train_missing
from ablate.runners.watch.progress import Progress
from ablate.search_spaces.plan import make_plan
from ablate.search_spaces.profiles import PROFILES
from ablate.search_spaces.space import Space
from ablate.study.study import Study


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=10)
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
    with tempfile.TemporaryDirectory() as folder, Study.open_or_new(Path(folder) / "study").writing() as study:
        datasets = {trial.config.data.model_dump_json(): dataset_of(trial.config.data) for trial in plan.trials}
        how = How(Resources(cpus=1, gpus=0, max_concurrent=options.slots))
        with Progress(Console(), study, plan.trials, {}) as progress, ray_session(None):
            outcome = train_missing(study, PlanQueue(study, plan.trials), datasets, how, progress)
    times = [record.train_seconds for record in outcome.trained]
    ideal = sum(times) / options.slots
    print(f"{len(times)} trials of {min(times):.1f} to {max(times):.1f} s on {options.slots} slots")
    print(f"wall {outcome.seconds:.1f} s, training shared {ideal:.1f} s, ratio {outcome.seconds / ideal:.3f}")


if __name__ == "__main__":
    main()
