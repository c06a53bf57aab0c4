"""One trial inside a Ray worker: train, report each epoch, leave the finished folder for the driver."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ablation.config import TrialConfig
from ablation.errors import TrialError
from ablation.study import Record, write_trial

if TYPE_CHECKING:
    import ray

    from ablation.data import Dataset
    from ablation.training import Epoch, Result


class Job(NamedTuple):
    """A trial with what a worker needs to run it. `dataset` refers to arrays in Ray's object store."""

    config: TrialConfig
    params: int
    macs: int
    dataset: ray.ObjectRef
    checkpoint: Path


class Workplace(NamedTuple):
    """What all trials of a run share."""

    arrivals: Path
    threads: int
    use_gpu: bool


def run_trial(config: dict[str, Any], jobs: dict[str, Job], workplace: Workplace) -> None:
    """The function that Ray Tune runs; `config` is {"key": the trial's key}.

    A trial that fails by itself is a record like any other: only a dying process is an error to Ray, which retries it.
    """
    import ray
    import torch
    from ray import tune

    from ablation.training import choose_device, train

    torch.set_num_threads(workplace.threads)
    device = choose_device() if workplace.use_gpu or not torch.cuda.is_available() else torch.device("cpu")
    job = jobs[config["key"]]
    epochs: list[Epoch] = []

    def report(epoch: Epoch) -> None:
        epochs.append(epoch)
        tune.report({"epoch": epoch.epoch, "val_dice": epoch.val_dice, "ended": False})

    result, error = None, None
    try:
        dataset: Dataset = ray.get(job.dataset)
        result = train(job.config, dataset, device=device, report=report, checkpoint=job.checkpoint)
    except TrialError as reason:
        error = str(reason)
    except Exception as reason:
        traceback.print_exc()
        error = f"{type(reason).__name__}: {' '.join(str(reason).split())}"
    record = make_record(
        job.config, job.params, job.macs, epochs, result, error=error, device=device.type, threads=workplace.threads
    )
    write_trial(workplace.arrivals, job.config, record, epochs, result)
    tune.report({"epoch": len(epochs), "val_dice": record.val_dice or 0.0, "ended": True})


def make_record(
    config: TrialConfig,
    params: int,
    macs: int,
    epochs: list[Epoch],
    result: Result | None,
    *,
    error: str | None = None,
    device: str = "cpu",
    threads: int = 1,
) -> Record:
    """The record of a trial that ended. Validation scores are those of the best epoch."""
    import torch

    from ablation.training import precision

    best = epochs[result.best_epoch - 1] if result and epochs else None
    return Record(
        key=config.key,
        cell=config.cell,
        model=config.model.name,
        seed=config.seed,
        state="failed" if result is None else "trivial" if config.is_trivial else "complete",
        params=params,
        macs=macs,
        epochs=len(epochs),
        best_epoch=best.epoch if best else None,
        train_seconds=sum(epoch.seconds for epoch in epochs),
        val_dice=best.val_dice if best else None,
        val_iou=best.val_iou if best else None,
        val_miou=best.val_miou if best else None,
        error=error,
        device=device,
        precision=str(precision(torch.device(device))).removeprefix("torch."),
        threads=threads,
    )
