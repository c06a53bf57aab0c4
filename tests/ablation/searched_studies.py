"""Studies that were searched, made up for the tests: networks of given widths, with curves and ends of one's choice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ablate.data.load import load_data
from ablate.data.settings import Phantom
from ablate.models.settings import UNet
from ablate.study.records import Record
from ablate.study.runs import Run
from ablate.study.sealed_lines import append_line
from ablate.study.study import Study
from ablate.study.trial_folder import pack
from ablate.training.checkpoint import Epoch
from ablate.training.loop import judge_trivial
from ablate.trial import Protocol, TrialConfig

EPOCHS = 4


class Made(NamedTuple):
    """A trial: its width (which is its parameters in thousands too), its validation Dice and seconds by epoch."""

    width: int
    curve: Sequence[float]
    seed: int = 0
    state: str = "complete"

    @property
    def config(self) -> TrialConfig:
        data = load_data(Phantom(size=(16, 16), count=10)).config
        return TrialConfig(model=UNet(width=self.width), data=data, protocol=Protocol(epochs=EPOCHS), seed=self.seed)

    @property
    def levels(self) -> dict[str, str]:
        return {"model.width": str(self.width), "seed": str(self.seed)}


def run_of(*made: Made, space: str = "s", design: str = "search") -> Run:
    trials = {one.config.key: {name: level for name, level in one.levels.items() if name != "seed"} for one in made}
    levels = list(dict.fromkeys(str(one.width) for one in made))
    return Run(
        space=space, question="?", profile="quick", design=design, factors={"model.width": levels},
        definition={}, trials=trials,
    )  # fmt: skip


def take_in(study: Study, one: Made, *, seconds: float = 2.0) -> None:
    """Of each epoch, `seconds`."""
    config = one.config
    epochs = [
        Epoch(epoch=at, train_loss=0.1, val_loss=0.1, val_dice=dice, val_iou=dice, val_miou=dice, seconds=seconds,
              images_per_second=1.0)
        for at, dice in enumerate(one.curve, 1)
    ]  # fmt: skip
    fields = {"val_dice": max(one.curve), "best_epoch": one.curve.index(max(one.curve)) + 1} if one.curve else {}
    record = Record(
        key=config.key, cell=config.cell, model="unet", seed=one.seed, state=one.state, params=1000 * one.width,
        macs=1000 * one.width, epochs=len(one.curve), error="it diverged" if one.state == "failed" else None, **fields,
    )  # fmt: skip
    judged = judge_trivial(config.trivial()[0], load_data(config.data)) if one.state == "complete" else None
    study.accept(config.key, pack(config, record, epochs, judged))


def searched_study(path: Path, *made: Made) -> Study:
    """One search proposed each of them, a line of the plans a network."""
    study = Study.open_or_new(path)
    with study.writing():
        for width in dict.fromkeys(one.width for one in made):
            study.plan(run_of(*(one for one in made if one.width == width)), threads=1, data_dir=None)
        for one in made:
            take_in(study, one)
    return study


def journal(study: Study, *lines: str, name: str = "s-quick-freeze_thaw-0") -> Path:
    """A search's memory, of these lines of JSON."""
    file = study.path / "searches" / f"{name}.jsonl"
    file.parent.mkdir(exist_ok=True)
    for line in lines:
        append_line(file, line.encode())
    return file
