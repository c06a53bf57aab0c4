"""Small studies for the tests: trials that were trained on a phantom in well under a second."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ablate.data.dataset import Dataset
from ablate.data.load import load_data
from ablate.data.settings import Phantom
from ablate.models.settings import UNet
from ablate.study.records import Record
from ablate.study.runs import Run
from ablate.study.study import Study
from ablate.study.trial_folder import pack
from ablate.trial import Protocol, TrialConfig

if TYPE_CHECKING:  # torch is slow to start, which tests of several processes need not wait for
    from ablate.training.loop import Result


class Trained(NamedTuple):
    trial: TrialConfig
    dataset: Dataset
    result: Result


def trained(dataset: Dataset | None = None, *, seed: int = 0) -> Trained:
    import torch

    from ablate.training.loop import train

    torch.set_num_threads(1)
    dataset = dataset or load_data(Phantom(size=(16, 16), count=10))
    trial = TrialConfig(
        model=UNet(width=4, stages=2), data=dataset.config, protocol=Protocol(epochs=2, augment=()), seed=seed
    )
    return Trained(trial, dataset, train(trial, dataset, device=torch.device("cpu")))


def with_seed(one: Trained, seed: int) -> Trained:
    """The same result, as of another seed."""
    return one._replace(trial=one.trial.model_copy(update={"seed": seed}))


def trivial(one: Trained) -> list[Trained]:
    from ablate.training.loop import judge_trivial

    return [Trained(trial, one.dataset, judge_trivial(trial, one.dataset)) for trial in one.trial.trivial()]


def record_of(one: Trained, **changes: object) -> Record:
    trial, result = one.trial, one.result
    fields = {"key": trial.key, "cell": trial.cell, "model": trial.model.name, "seed": trial.seed, "state": "trivial"}
    if result.epochs:
        best = result.epochs[result.best_epoch - 1]
        fields |= {"state": "complete", "epochs": len(result.epochs), "best_epoch": best.epoch}
        fields |= {"val_dice": best.val_dice, "val_iou": best.val_iou, "val_miou": best.val_miou}
    return Record(**({**fields, "params": 10, "macs": 20} | changes))


def packed(one: Trained, **changes: object) -> bytes:
    record = record_of(one, **changes)
    result = one.result if record.state in ("complete", "trivial") else None
    return pack(one.trial, record, one.result.epochs[: record.epochs], result)


def run_of(*trials: TrialConfig, space: str = "widths") -> Run:
    keys = {trial.key: {"seed": str(trial.seed)} for trial in trials}
    return Run(
        space=space, question="?", profile="quick", design="grid", factors={"seed": []}, definition={}, trials=keys
    )


def made_study(path: Path, *trials: Trained, data_dir: Path | None = None) -> Study:
    study = Study.open_or_new(path)
    with study.writing():
        study.plan(run_of(*(one.trial for one in trials if one.result.epochs)), threads=1, data_dir=data_dir)
        for one in trials:
            study.accept(one.trial.key, packed(one))
    return study
