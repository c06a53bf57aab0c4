"""One trial inside a Ray worker: train, report each epoch, leave the finished trial in the storage for the driver."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import time
import traceback
from typing import TYPE_CHECKING, Any, NamedTuple

from ray.exceptions import RayError

from ablate.cost.machine import processor_of
from ablate.errors import TrialError
from ablate.modules import use_code
from ablate.origin import origin_of
from ablate.runners.execution.storage import Storage, StorageError, StoredCheckpoint
from ablate.study.records import Record
from ablate.study.trial_folder import pack
from ablate.trial import TrialConfig

if TYPE_CHECKING:
    import ray

    from ablate.cost.foretold import Images
    from ablate.data.dataset import Dataset
    from ablate.runners.execution.distributed import Machine
    from ablate.runners.execution.queue import Job
    from ablate.search_spaces.plan import Planned
    from ablate.training.checkpoint import Epoch
    from ablate.training.loop import Result


class Workplace(NamedTuple):
    """What all trials of a run share. `datasets`: by their configuration's JSON, in Ray's object store."""

    datasets: dict[str, ray.ObjectRef]
    storage: Storage
    threads: int
    use_gpu: bool
    workers: int = 1
    pauses: bool = False
    """Whether a trial may be stopped after any epoch and go on in another process, before this one knows of it."""
    last_chance: bool = False
    """Whether a trial that runs out of memory has failed, or is tried again alone."""


def checkpoint_name(key: str) -> str:
    """Where the storage keeps an unfinished trial's last epoch."""
    return f"checkpoints/{key}.safetensors"


def arrival_name(key: str) -> str:
    """Where the storage keeps a finished trial until the driver has taken it."""
    return f"arrivals/{key}.zip"


def run_trial(config: dict[str, Any], workplace: Workplace) -> None:
    """The function that Ray Tune runs; `config` is a `ablate.runners.execution.queue.suggestion`.

    It reports every epoch, with what was printed meanwhile and whether it is `restored` from the trial's checkpoint; at
    last `ended`, once the trial is in the storage. A trial
    that fails by itself is a record like any other: only a dying process is an error to Ray, which starts it again. A
    storage that cannot be written is nobody's failure: reported as `halt`, it stops the run.
    """
    from ray import tune

    # Before the next trial is begun here, a checkpoint of this one may have to be written to its end.
    os.environ.setdefault("TUNE_FUNCTION_THREAD_TIMEOUT_S", "600")
    job: Job = config["job"]
    use_code(job.code)
    printed = io.StringIO()

    def report(ended: bool = False, **what: Any) -> None:
        said = printed.getvalue()
        printed.seek(0)
        printed.truncate()
        tune.report({"ended": ended, "said": said, **what})

    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            _run(job.planned, workplace, report)
        except StorageError as error:
            report(halt=f"{error} (on {socket.gethostname()})")
        finally:
            _leave_the_card()


def _leave_the_card() -> None:
    """Give back what this process keeps of a GPU that other trials share."""
    import torch

    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def _run(planned: Planned, workplace: Workplace, report: Any) -> None:
    import torch

    from ablate.training.devices import choose_device

    trial = planned.config
    torch.set_num_threads(workplace.threads)
    device = choose_device() if workplace.use_gpu or not torch.cuda.is_available() else torch.device("cpu")
    print(f"on {socket.gethostname()}, process {os.getpid()}, {device}, {workplace.threads} threads")
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    team: list[Machine] = []
    """Where its workers are, if several train it."""
    epochs: list[Epoch] = []
    last = time.perf_counter()

    def each_epoch(epoch: Epoch) -> None:
        nonlocal last
        now = time.perf_counter()
        restored, last = now - last < epoch.seconds, now  # nothing trains an epoch in less than it took
        epochs.append(epoch)
        report(**epoch._asdict(), restored=restored)

    result, error = None, None
    try:
        result = _train(trial, device, workplace, each_epoch, team)
    except (StorageError, RayError):  # a RayError: another process, or its machine, is gone
        raise
    except TrialError as reason:
        error = str(reason)
    except Exception as reason:
        from ablate.cost.memory import out_of_memory

        traceback.print_exc()
        error = f"{type(reason).__name__}: {' '.join(str(reason).split())}"
        if out_of_memory(reason):
            if not workplace.last_chance:
                report(out_of_memory=error)
                return
            error = f"out of memory, also alone: {error}"
    record = make_record(
        trial, planned.params, planned.macs, epochs, result, error=error,
        device=team[0].device if team else device.type, precision=team[0].precision if team else None,
        threads=workplace.threads, workers=workplace.workers,
        processor="" if team else processor_of(device.type), images=planned.images,
    )  # fmt: skip
    workplace.storage.write(arrival_name(trial.key), pack(trial, record, epochs, result))
    report(ended=True, state=record.state, done=True)  # Ray need not ask whether more is coming


def _train(trial: TrialConfig, device: Any, workplace: Workplace, report: Any, team: list[Machine]) -> Result:
    import ray

    from ablate.training.loop import train

    checkpoint = StoredCheckpoint(workplace.storage, checkpoint_name(trial.key), "/".join(origin_of(trial).decides))
    images = workplace.datasets[trial.data.text]
    if workplace.workers > 1:
        from ablate.runners.execution.distributed import train_parallel

        def started(machines: list[Machine]) -> None:
            team.extend(machines)
            for machine in machines:
                print(f"worker on {machine.host}, process {machine.process}, {machine.device}")

        return train_parallel(
            trial, images, workers=workplace.workers, gpus=workplace.use_gpu, threads=workplace.threads, report=report,
            checkpoint=checkpoint, each_epoch=workplace.pauses, started=started,
        )  # fmt: skip
    dataset: Dataset = ray.get(images)
    return train(trial, dataset, device=device, report=report, checkpoint=checkpoint, each_epoch=workplace.pauses)


def make_record(
    config: TrialConfig,
    params: int,
    macs: int,
    epochs: list[Epoch],
    result: Result | None,
    *,
    error: str | None = None,
    stopped: bool = False,
    device: str = "cpu",
    precision: str | None = None,
    threads: int = 1,
    workers: int = 1,
    processor: str = "",
    images: Images | None = None,
) -> Record:
    """The record of a trial that ended. Validation scores are those of the best epoch.

    Of a trial that was stopped it is the best by what selects it; where that is a metric of its own, which its epochs
    do not have, by Dice.
    """
    import torch

    from ablate.training.devices import precision as precision_on

    best = epochs[result.best_epoch - 1] if result and epochs else None
    if stopped and epochs:
        select = config.protocol.select
        selects = (-e.val_loss if select == "loss" else getattr(e, f"val_{select}", e.val_dice) for e in epochs)
        best = max(zip(selects, epochs, strict=True), key=lambda pair: (pair[0], -pair[1].val_loss))[1]
    state = "stopped" if stopped else "failed" if result is None else "trivial" if config.is_trivial else "complete"
    memory = torch.cuda.max_memory_reserved() / 1e6 if device == "cuda" and torch.cuda.is_available() else None
    return Record(
        key=config.key,
        cell=config.cell,
        model=config.model.name,
        seed=config.seed,
        fold=config.fold,
        state=state,
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
        precision=precision or str(precision_on(torch.device(device))).removeprefix("torch."),
        threads=threads,
        workers=workers,
        processor=processor,
        images=images,
        training_memory_mb=memory,
        origin=origin_of(config),
    )
