"""What `ablate measure` has to do: each network of a study once, in the runtimes where it is not known yet."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ablate.cost.names import PYTORCH
from ablate.errors import InputError, TrialError
from ablate.runners.cli.output import note, waiting
from ablate.runners.cli.shared import say_imports

if TYPE_CHECKING:
    from ablate.cost.measured import Device, Measured
    from ablate.data.dataset import Dataset
    from ablate.part import DataPart, Part
    from ablate.study.in_runtimes import InRuntime
    from ablate.study.study import Study
    from ablate.study.where_data_are import DatasetOf


class Asked(NamedTuple):
    """How networks are measured, and in which runtimes."""

    runtimes: tuple[str, ...]
    device: Device
    """Of PyTorch; files run on the CPU."""
    threads: int
    repeats: int
    seconds: float
    again: bool = False
    data_dir: Path | None = None
    idle: bool = False
    """Nothing else uses the machine now: what is in doubt can be known better."""

    @property
    def files(self) -> list[str]:
        return [runtime for runtime in self.runtimes if runtime != PYTORCH]


class Job(NamedTuple):
    """A network with its input, and the complete trials that have it by their cells."""

    label: str
    network: Part
    channels: int
    classes: int
    size: tuple[int, int]
    cells: dict[str, list[str]]

    @property
    def keys(self) -> list[str]:
        return [key for keys in self.cells.values() for key in keys]

    @property
    def cell(self) -> str:
        return next(iter(self.cells))

    @property
    def input(self) -> str:
        return f"{self.channels}x{self.size[0]}x{self.size[1]}"


class Figures:
    """What is known of each cell, in PyTorch and of its files; what a kill leaves of it is kept."""

    def __init__(self, study: Study) -> None:
        """Raises `InputError` where what was measured is damaged: then it could not be added to."""
        from ablate.study.in_runtimes import read_runtimes

        self._study = study
        self.networks, self.files = study.measurements(), read_runtimes(study.path)
        self.failed: dict[str, str] = {}

    def missing(self, job: Job, asked: Asked) -> list[str]:
        """In which of the runtimes a network is to be measured: not where it was, so, by these versions."""
        return [runtime for runtime in asked.runtimes if asked.again or not self._has(job, runtime, asked)]

    def _has(self, job: Job, runtime: str, asked: Asked) -> bool:
        if runtime == PYTORCH:
            known = [self.networks.get(cell) for cell in job.cells]
            return all(one is not None and _alike(one, job, asked.device, asked) for one in known)
        from ablate.deployment.measured import versions_in

        for cell, keys in job.cells.items():
            found = self.files.get(cell, {}).get(runtime)
            if found is None or found.versions != versions_in(runtime):
                return False
            if found.why_not is None and not (
                found.measured and _alike(found.measured, job, "cpu", asked) and set(keys) <= set(found.trials)
            ):
                return False
        return True

    def add(self, job: Job, network: Measured | None, files: dict[str, InRuntime]) -> None:
        from ablate.study.in_runtimes import keep_in_runtimes

        if network is not None:
            self._study.keep_measurements(dict.fromkeys(job.cells, network))
            self.networks |= dict.fromkeys(job.cells, network)
        by_cell = {
            cell: {
                runtime: found.model_copy(update={"trials": {k: v for k, v in found.trials.items() if k in keys}})
                for runtime, found in files.items()
            }
            for cell, keys in job.cells.items()
        }
        if files:
            keep_in_runtimes(self._study.path, by_cell)
            self.files |= {cell: self.files.get(cell, {}) | new for cell, new in by_cell.items()}


def _alike(known: Measured, job: Job, device: Device, asked: Asked) -> bool:
    """Whether measuring now would say the same: on this device, so, by these versions; or better, where it is idle."""
    from ablate.cost.machine import Machine, processor_of

    here = str(Machine(device, processor_of(device), asked.threads))
    now = all(importlib.metadata.version(name) == of for name, of in known.versions.items() if name != "ablate")
    known_enough = known.doubt is None or not asked.idle
    return known_enough and now and (known.device, known.channels, known.size) == (here, job.channels, job.size)


def jobs_of(study: Study, given: tuple[int, int, int] | None, asked: Asked) -> list[Job]:
    """Each distinct network of the study's complete trials once, by rising MACs.

    Raises `InputError` if one of them cannot be measured so, before any is.
    """
    from ablate.analysis.frames import load
    from ablate.cost.measured import check

    trials = load(study).trials
    complete = trials[trials["state"] == "complete"].sort_values(["macs", "label", "seed", "key"])
    if complete.empty:
        raise InputError(f"'{study.path}' has no complete trial: there is no network to measure yet")
    firsts = complete.drop_duplicates("cell")
    say_imports([study.config(key) for key in firsts["key"]], everything=bool(asked.files))
    jobs: dict[str, Job] = {}
    for key, cell, label in firsts[["key", "cell", "label"]].itertuples(index=False):
        config = study.config(key)
        channels, *sides = given or (config.data.channels, *config.data.size)
        if asked.files and channels != config.data.channels:
            raise InputError(f"--input with {channels} channels: the files of {label} take {config.data.channels}")
        job = Job(label, config.model, channels, config.data.classes, (sides[0], sides[1]), {})
        check(job.network, job.channels, job.classes, job.size, asked.threads)
        own = complete.loc[complete["cell"] == cell, "key"]
        jobs.setdefault(f"{job.network.text} {job[2:5]}", job).cells[cell] = list(own)
    return list(jobs.values())


def measured(study: Study, jobs: Sequence[Job], asked: Asked, figures: Figures, *, quiet: bool) -> list[Job]:
    """Measure what is missing of each job, and add it to the figures; returns the jobs of which something was.

    What is under way is said on standard error. Raises `InputError` where the data are not there.
    """
    left = [(job, missing) for job in jobs if (missing := figures.missing(job, asked))]
    for number, (job, missing) in enumerate(left, start=1):
        what = f"measuring {number} of {len(left)}: {job.label} at {job.input}"
        what += f" in {', '.join(missing)}" if asked.files else ""
        if not quiet:
            note(what)
        try:
            _measure(study, job, asked._replace(runtimes=tuple(missing)), figures, what)
        except TrialError as error:
            figures.failed |= dict.fromkeys(job.cells, str(error))
    return [job for job, _ in left]


def _once(dataset_of: DatasetOf) -> DatasetOf:
    """The same, for trials one after the other of which most have the same data: these are read once."""
    last: dict[tuple[str, tuple[int, int] | None], Dataset] = {}

    def once(data: DataPart, size: tuple[int, int] | None = None) -> Dataset:
        key = data.text, size
        if key not in last:
            last.clear()
            last[key] = dataset_of(data, size)
        return last[key]

    return once


def _measure(study: Study, job: Job, asked: Asked, figures: Figures, what: str) -> None:
    from ablate.cost.measured import measure

    network: Measured | None = None
    files: dict[str, InRuntime] = {}
    in_turn = PYTORCH in asked.runtimes and asked.device == "cpu" and bool(asked.files)
    if asked.files:
        from ablate.deployment.measured import Asked as Timing
        from ablate.deployment.measured import measure_files
        from ablate.study.where_data_are import data_of

        timing = Timing(job.size, asked.threads, asked.repeats, asked.seconds, in_turn)
        with waiting(what):
            found = measure_files(study, job.keys, asked.files, _once(data_of(study, asked.data_dir)), timing)
        network, files = found.network, found.files
    if PYTORCH in asked.runtimes and not in_turn:
        place = asked.device, asked.repeats, asked.threads, asked.seconds
        network = measure(job.network, job.channels, job.classes, job.size, *place)
    figures.add(job, network, files)
