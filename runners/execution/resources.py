"""What a trial may use of the machines."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from ablate.errors import InputError
from ablate.runners.execution.nodes import Node, this_node

if TYPE_CHECKING:
    from ablate.search_spaces.plan import Planned
    from ablate.study.records import Record
    from ablate.trial import TrialConfig

CONTEXT = 1_000_000_000
"""Bytes of a card that a process on CUDA takes beside its tensors: the context, and the code of its kernels."""
_STEPS = 20
"""Shares of a card are multiples of one in so many: trials of nearly one size reuse each other's processes."""


class Shares(NamedTuple):
    """How trials share cards: by their memory."""

    card: int
    """Bytes of the smallest card."""
    correction: float = 1.0
    """What trials took, over what was foretold."""

    def of(self, trial: TrialConfig) -> float:
        """The share of a card that `trial` is given, from 0.05 to 1."""
        needed = CONTEXT + self.correction * _foretold(trial, "bfloat16")
        return min(math.ceil(_STEPS * needed / self.card) / _STEPS, 1.0)


class Resources(NamedTuple):
    """What each trial gets, and how many run at once."""

    cpus: int
    """CPUs of each of its workers."""
    gpus: float
    """GPUs of a trial: a fraction (several trials share a card), or one for each worker. The most, with `shares`."""
    max_concurrent: int | None
    workers: int = 1
    """Processes that train one trial together."""
    shares: Shares | None = None
    """Given where each trial has its own share of a card."""

    @property
    def threads(self) -> int:
        """PyTorch threads of a worker: its CPUs, so that trials side by side do not fight for cores."""
        return self.cpus

    @property
    def worker(self) -> dict[str, float]:
        """What each of a trial's processes takes."""
        return {"CPU": self.cpus, "GPU": self.gpus / self.workers}

    def at_once(self, cpus: float, gpus: float) -> int | None:
        """Trials at a time on a machine with so many: no more than it has room for, unless each has its own share."""
        if self.shares:
            return self.max_concurrent
        cards = int(gpus * self.workers / self.gpus) if self.gpus else int(cpus)
        room = max(min(int(cpus / self.cpus), cards) // self.workers, 1)
        return min(self.max_concurrent or room, room)

    def of(self, planned: Planned) -> dict[str, float]:
        """What one process of a trial takes."""
        return {"CPU": self.cpus, "GPU": self.shares.of(planned.config)} if self.shares else self.worker

    def bundles(self, planned: Planned) -> list[dict[str, float]]:
        """What Ray Tune sets aside for a trial: for its process, or for each of several workers beside it."""
        return [{}, *[self.worker] * self.workers] if self.workers > 1 else [self.of(planned)]

    def alone(self) -> Resources:
        """For trials that ran out of memory: one at a time, each with whole cards."""
        return self._replace(max_concurrent=1, gpus=float(math.ceil(self.gpus)), shares=None)


def choose_resources(
    cpus_per_trial: int | None,
    gpus_per_trial: float | Literal["auto"] | None,
    max_concurrent: int | None,
    *,
    study_threads: int | None,
    workers_per_trial: int | None = None,
    nodes: Sequence[Node] | None = None,
    measured: Iterable[tuple[TrialConfig, Record]] = (),
) -> Resources:
    """Resources from what was asked, the study's own number of threads, and what is there.

    By default one CPU a trial, which uses a machine best while trials outnumber cores, and one whole GPU where there is
    one. With `auto`, trials share cards by the memory that each is foretold to take.

    Args:
        nodes: the machines (`ablate.runners.execution.nodes.check_nodes`); by default this one.
        measured: trials that ended, by which `auto` corrects what it foretells.

    Raises:
        InputError: more is asked than there is, or what does not go together.
    """
    nodes = [this_node()] if nodes is None else nodes
    here = "this machine has" if len(nodes) == 1 else "the cluster's nodes have"
    cpus = cpus_per_trial or study_threads or 1
    most = max(node.cpus for node in nodes)
    if cpus > most:
        raise InputError(f"--cpus-per-trial {cpus}: {here} {most}; give at most that")
    there = sum(node.gpus for node in nodes)
    auto = gpus_per_trial == "auto"
    workers = _workers(gpus_per_trial, workers_per_trial)
    gpus = float(workers) if gpus_per_trial is None or gpus_per_trial == "auto" else gpus_per_trial
    if gpus_per_trial is None and not there:
        gpus = 0.0
    given = "--workers-per-trial" if gpus_per_trial is None else "--gpus-per-trial"
    asked = f"{given} {'auto' if auto else f'{gpus:g}'}"
    if gpus > 0 and not there:
        raise InputError(f"{asked}: {here} no CUDA GPU; leave it out to train on the CPU")
    if gpus > there:
        raise InputError(f"{asked}: {here} {there} in all; give at most that, or --gpus-per-trial 0 for the CPU")
    if workers > 1:
        max_concurrent = _groups(nodes, cpus, gpus > 0, workers, here, max_concurrent)
    return Resources(cpus, gpus, max_concurrent, workers, _shares(nodes, measured) if auto else None)


def parse_gpus(text: str) -> float | Literal["auto"]:
    """`--gpus-per-trial` as it is typed. Raises `InputError` for what is neither a number from 0 nor `auto`."""
    if text == "auto":
        return "auto"
    try:
        gpus = float(text)
    except ValueError:
        gpus = math.nan
    if not 0 <= gpus < math.inf:
        raise InputError(f"--gpus-per-trial {text}: expected a number of GPUs (0.5, 1, 2, …) or auto")
    return gpus


def correction(measured: Iterable[tuple[TrialConfig, Record]]) -> float:
    """The geometric mean of measured over foretold memory, of trials that one process trained on CUDA; 1 of none."""
    ratios = [
        1e6 * record.training_memory_mb / _foretold(trial, record.precision)
        for trial, record in measured
        if record.device == "cuda" and record.training_memory_mb and record.state != "failed" and record.workers == 1
    ]
    return math.exp(sum(map(math.log, ratios)) / len(ratios)) if ratios else 1.0


def _workers(gpus: float | Literal["auto"] | None, workers: int | None) -> int:
    if gpus == "auto" or (gpus is not None and 0 < gpus < 1):
        if workers is not None and workers > 1:
            raise InputError(
                f"--workers-per-trial {workers}: each of several workers has a GPU of its own; "
                f"--gpus-per-trial {gpus} shares one"
            )
        return 1
    if gpus is None or gpus == 0:
        return workers or 1
    if not float(gpus).is_integer():
        raise InputError(f"--gpus-per-trial {gpus:g}: expected a fraction of one GPU, or a whole number")
    if workers is not None and workers != gpus:
        raise InputError(
            f"--workers-per-trial {workers}: a trial on {gpus:g} GPUs has {gpus:g}, one a GPU; give one of the two"
        )
    return int(gpus)


def _groups(
    nodes: Sequence[Node], cpus: int, on_gpus: bool, workers: int, here: str, max_concurrent: int | None
) -> int:
    """Trials of several workers at once: never more than fit, or they wait for each other's workers for ever."""
    places = sum(min(node.cpus // cpus, node.gpus if on_gpus else node.cpus) for node in nodes)
    if places < workers:
        raise InputError(
            f"--workers-per-trial {workers}: {here} room for {places} of {cpus} CPUs each; lower one of both"
        )
    fit = places // workers
    return min(max_concurrent or fit, fit)


def _shares(nodes: Sequence[Node], measured: Iterable[tuple[TrialConfig, Record]]) -> Shares:
    for node in nodes:
        if node.gpus and not node.cards:
            raise InputError(
                f"--gpus-per-trial auto: nvidia-smi does not tell the memory of node {node.name}'s GPUs; give a number"
            )
    return Shares(min(card.memory for node in nodes for card in node.cards), correction(measured))


def _foretold(trial: TrialConfig, precision: str) -> int:
    """Bytes that `trial` takes in training on a card."""
    import torch

    from ablate.cost.memory import training_memory

    assert not trial.is_trivial
    data = trial.data
    # An epoch's last batch may have one image more, where otherwise one would be left.
    batch = trial.protocol.batch_size + 1
    dtype: torch.dtype = getattr(torch, precision)
    return training_memory(trial.model, data.channels, data.classes, data.size, batch, dtype)
