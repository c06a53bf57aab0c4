"""Studies that hardly are any: one network, one image, nothing complete. Every command has a word for them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
import pytest

from ablate.data.dataset import Dataset
from ablate.data.settings import Phantom, Split
from ablate.errors import InputError
from ablate.models.network import network
from ablate.runners.cli.main import ablate
from ablate.study.pictures import keep_pictures, pictures_dir
from ablate.study.records import Record
from ablate.study.runs import Run
from ablate.study.study import Study
from ablate.study.trial_folder import pack
from ablate.trial import Protocol, TrialConfig

IMAGES = ("p/00", "p/01", "p/02", "p/03")


class Made(NamedTuple):
    """A trial as it ended: its test images, with a Dice each."""

    config: TrialConfig
    levels: dict[str, str]
    images: dict[str, float]
    record: dict[str, Any]


def trained(
    model: str = "unet", seed: int = 0, dice: float = 0.8, images: tuple[str, ...] = IMAGES, **more: Any
) -> Made:
    """A trial of one network; `more` are fields of its record, or `levels`, or `val`, the share of validation."""
    val, levels = more.pop("val", 0.2), more.pop("levels", {"network": model})
    config = TrialConfig(
        model=network(model, width=16, stages=2),
        data=Phantom(size=(16, 16), count=10, fingerprint="0" * 16),
        protocol=Protocol(epochs=2, split=Split(val=val)),
        seed=seed,
    )
    of_image = {image: dice + 0.01 * at for at, image in enumerate(images)}
    return Made(config, levels, of_image, {"state": "complete"} | more)


def study_of(path: Path, *trials: Made, planned: tuple[Made, ...] = (), design: str = "grid") -> Study:
    """A study in which `trials` ended; `planned` are missing."""
    from ablate.training.checkpoint import Epoch
    from ablate.training.loop import Result

    known = [*trials, *planned]
    names = list(dict.fromkeys(name for one in known for name in one.levels))
    factors = {name: list(dict.fromkeys(one.levels[name] for one in known if name in one.levels)) for name in names}
    run = Run(
        space="odd",
        question="Does it hold?",
        profile="quick",
        design=design,
        factors=factors,
        definition={"name": "odd", "design": design, "factors": {n: list(levels) for n, levels in factors.items()}},
        trials={one.config.key: one.levels for one in known if not one.config.is_trivial},
    )
    study = Study.open_or_new(path)
    with study.writing():
        study.plan(run, threads=1, data_dir=None)
        for one in trials:
            config = one.config
            counts = np.zeros((len(one.images), 2, 4), dtype=np.int64)
            for at, dice in enumerate(one.images.values()):
                wrong = round(100 * (1 - dice))
                counts[at] = [100 - wrong, wrong, wrong, 100]
            epochs = [Epoch(n, 0.5 / n, 0.6 / n, 0.7, 0.6, 0.7, 1.0, 20.0) for n in (1, 2)]
            fields = {"key": config.key, "cell": config.cell, "model": config.model.name, "seed": config.seed}
            fields |= {"params": 1000, "macs": 50_000, "epochs": 2, "best_epoch": 2, "val_dice": 0.7}
            record = Record(**(fields | one.record))
            predictions = np.ones((len(one.images), 16, 16), dtype=np.uint8)
            result = Result(epochs, 2, tuple(one.images), counts, predictions, {})
            judged = record.state in ("complete", "trivial")
            count = len(one.images)
            images = np.zeros((count, 1, 16, 16), dtype=np.float32)
            held = Dataset(config.data, result.ids, result.ids, images, predictions)
            keep_pictures(pictures_dir(path, config), held, range(count))
            study.accept(config.key, pack(config, record, epochs[: record.epochs], result if judged else None))
    return study


def trivial() -> list[Made]:
    return [Made(one, {}, dict.fromkeys(IMAGES, 0.4), {"state": "trivial", "params": 0, "macs": 0, "epochs": 0,
            "best_epoch": None, "val_dice": None}) for one in trained().config.trivial()]  # fmt: skip


ODD: dict[str, Callable[[Path], Study]] = {
    "one PyConvU-Net": lambda path: study_of(path, trained("pyconvunet"), *trivial()),
    "PyConvU-Net and UNet++": lambda path: study_of(path, trained("pyconvunet"), trained("unet_plus_plus"), *trivial()),
    "PyConvU-Net of two seeds, its rival planned": lambda path: study_of(
        path, trained("pyconvunet"), trained("pyconvunet", 1), planned=(trained("unet"),)
    ),
    "nothing trained": lambda path: study_of(path, planned=(trained("unet"),)),
    "nothing planned": lambda path: study_of(path),
    "trivial rows alone": lambda path: study_of(path, *trivial(), planned=(trained("unet"),)),
    "all failed": lambda path: study_of(
        path, trained("unet", state="failed", error="loss became NaN", epochs=0, best_epoch=None, val_dice=None)
    ),
    "all stopped": lambda path: study_of(path, *(trained(name, state="stopped") for name in ("unet", "pyconvunet"))),
    "one image": lambda path: study_of(
        path, *(trained(name, seed, images=("p/00",)) for name in ("unet", "pyconvunet") for seed in range(3))
    ),
    "no image": lambda path: study_of(path, trained("unet", images=()), trained("pyconvunet", images=())),
    "seeds judged on different images": lambda path: study_of(
        path,
        *(
            trained(name, seed, images=IMAGES[:2] if seed else IMAGES[2:])
            for name in ("pyconvunet", "unet")
            for seed in range(2)
        ),
    ),
    "networks judged on different images": lambda path: study_of(
        path,
        *(trained("pyconvunet", seed, images=IMAGES[:2]) for seed in range(2)),
        *(trained("unet", seed, images=IMAGES[2:]) for seed in range(2)),
    ),
    "networks of different seeds": lambda path: study_of(
        path, trained("pyconvunet", 0), trained("pyconvunet", 1), trained("unet", 2), trained("unet", 3)
    ),
    "no scores of validation": lambda path: study_of(
        path, trained("pyconvunet", val_dice=None, best_epoch=None, epochs=0), trained("unet", val_dice=None)
    ),
    "two factors of one level": lambda path: study_of(
        path, trained("unet", levels={"width": "4", "depth": "2"}), trained("unet", 1, levels={"width": "4"})
    ),
    "levels without factors": lambda path: study_of(path, trained("unet", levels={}), trained("pyconvunet", levels={})),
    "a sampled design": lambda path: study_of(path, trained("unet"), trained("pyconvunet"), design="random"),
    "a confirmation alone": lambda path: study_of(path, trained("unet"), trained("pyconvunet"), design="confirm"),
    "two data sets, one without a complete trial": lambda path: study_of(
        path,
        *(trained(name, seed) for name in ("pyconvunet", "unet") for seed in range(2)),
        trained("unet", val=0.3, state="failed", error="it diverged"),
    ),
    "two data sets": lambda path: study_of(
        path,
        *(trained(name, seed, val=val) for name in ("pyconvunet", "unet") for seed in range(2) for val in (0.2, 0.3)),
    ),
    "costs of nothing": lambda path: study_of(
        path, trained("pyconvunet", params=0, macs=0), trained("unet", params=0, macs=0)
    ),
    "all the same": lambda path: study_of(
        path, *(trained(name, seed, dice=1.0) for name in ("pyconvunet", "unet") for seed in range(3))
    ),
    "scores of zero": lambda path: study_of(
        path, *(trained(name, seed, dice=0.0, images=IMAGES[:2]) for name in ("pyconvunet", "unet") for seed in (0, 1))
    ),
}  # fmt: skip
COMMANDS = (
    ("status",),
    ("report",),
    ("claim",),
    ("claim", "--json"),
    ("claim", "--claim", "lightweight_strict"),
    ("effects",),
    ("effects", "--metric", "miou", "--json"),
    ("pareto",),
    ("pareto", "--json"),
    ("pareto", "--x", "macs", "--y", "miou", "-o", "front.html"),
    ("pareto", "--x", "latency_ms"),
    ("table",),
    ("table", "--format", "latex"),
    ("table", "--format", "csv"),
    ("export", "--table", "trials"),
    ("export", "--table", "epochs", "--format", "json"),
    ("export", "--table", "images"),
    ("replay", "--repeats", "2"),
    ("replay", "--repeats", "2", "--sampler", "random", "--scheduler", "asha", "--json"),
)


def said_of_refusal(command: str, options: list[str]) -> str:
    """Runs a command; what it says where it refuses, or nothing."""
    try:
        ablate.main([command, "study", *options], standalone_mode=False)
    except (InputError, click.ClickException) as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", ODD)
def test_every_command_has_a_word_for_an_odd_study(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    ODD[name](tmp_path / "study")
    said: dict[tuple[str, ...], str] = {}
    for command, *options in COMMANDS:
        refused = said_of_refusal(command, options)
        if refused:
            assert "\n" not in refused
            assert len(refused) < 400
        else:
            said[command, *options] = capsys.readouterr().out
            if "--json" in options:
                json.loads(said[command, *options])
    assert "could not be made" not in (tmp_path / "study" / "report.html").read_text()
    assert {command for command, *_ in said} >= {"status", "report", "effects", "export"}
