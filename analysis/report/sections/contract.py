"""What a section must do: show something of a small study, and leave its tables as they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from ablate.analysis.frames import Frames
from ablate.analysis.report.content import About, Content, Evidence
from ablate.contracts.contract import Contract, Doubt, reason
from ablate.kinds import KINDS, make
from ablate.part import Part
from ablate.study.tables import CASE, EPOCH_COLUMNS, IMAGE_COLUMNS, TRIAL_COLUMNS

_ABOUT = About(title="A small study", question="Which is best?", profiles=(), facts={"Data": "made up"})
_CELLS = {"unet width=8": 1e4, "unet width=16": 4e4, "pyconvunet width=32": 9e4}
_SEEDS, _EPOCHS, _IMAGES = 2, 3, 4


class TriedSection:
    def __init__(self, part: Part) -> None:
        self.section: Any = make(KINDS["section"], part)

    def shown(self, frames: Frames) -> str:
        """The HTML of all its parts."""
        return "".join(Markup(part()) for part in self.section.parts(Content(frames, _ABOUT, Evidence())))


def small_study() -> Frames:
    """The tables of three networks with two seeds each, and of the trivial predictors."""
    trials, epochs, images = [], [], []
    for cell, (label, params) in enumerate(_CELLS.items()):
        for seed in range(_SEEDS):
            dice = 0.7 + 0.05 * cell + 0.01 * seed
            row = _trial(f"{cell}{seed}", label, params, dice, seed=seed, state="complete", model=label.split()[0])
            trials.append(row)
            for epoch in range(1, _EPOCHS + 1):
                values = {"epoch": epoch, "val_dice": dice * epoch / _EPOCHS}
                epochs.append(dict.fromkeys(EPOCH_COLUMNS, 0.5) | {"key": row["key"]} | values)
            for image in range(_IMAGES):
                counts = {"tp": 50, "fp": 5 + image, "fn": 5, "tn": 40}
                named = {"key": row["key"], "image": f"image {image}", CASE: f"image {image}", "class": 1}
                images.append(named | counts)
    trials.append(_trial("t0", "all background", 0, 0.0, state="trivial", model="all_background"))
    return Frames(_table(trials, TRIAL_COLUMNS), _table(epochs, EPOCH_COLUMNS), _table(images, (*IMAGE_COLUMNS, CASE)))


def _trial(key: str, label: str, params: float, dice: float, **columns: Any) -> dict[str, Any]:
    iou = dice / (2 - dice)
    scores = {"dice": dice, "iou": iou, "miou": (iou + 0.9) / 2}
    return {
        "key": key, "cell": key[0], "space": "small", "data": "slices", "seed": 0, "label": label,
        "configuration": label, "params": params, "macs": 400 * params, "latency_ms": np.nan,
        "peak_memory_mb": np.nan, "best_epoch": 2, "epochs": _EPOCHS, "train_seconds": 30.0, "error": None,
        **scores, **{f"val_{name}": value for name, value in scores.items()}, **columns,
    }  # fmt: skip


def _table(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> pd.DataFrame:
    found = pd.DataFrame(rows)
    return found.reindex(columns=[*columns, *(name for name in found if name not in columns)])


def it_has_a_heading_and_a_place(tried: TriedSection) -> str:
    if not str(tried.section.heading).strip():
        return "it has no heading: give it a title"
    return "" if np.isfinite(tried.section.place) else f"its place is {tried.section.place}: expected a number"


def it_shows_something_of_a_small_study(tried: TriedSection) -> str:
    if tried.shown(small_study()).strip():
        return ""
    return Doubt("it shows nothing of three networks with two seeds each: is it of what a study seldom has?")


def the_tables_stay_as_they_are(tried: TriedSection) -> str:
    before, after = small_study(), small_study()
    tried.shown(after)
    for name, was, now in zip(Frames._fields[:3], before[:3], after[:3], strict=True):
        if not was.equals(now):
            return f"it changes the table {name}, which others read too: work on a copy (frames.{name}.assign(…))"
    return ""


def it_shows_the_same_twice(tried: TriedSection) -> str:
    if tried.shown(small_study()) == tried.shown(small_study()):
        return ""
    return "one study gives two pages: draw from a seed of its own, and show no times"


def a_study_without_results_is_no_error(tried: TriedSection) -> str:
    tables = small_study()
    empty = tables._replace(**{name: getattr(tables, name).iloc[:0] for name in Frames._fields[:3]})
    try:
        tried.shown(empty)
    except Exception as error:
        return Doubt(f"of a study in which nothing is trained yet it says: {reason(error)}")
    return ""


CONTRACT = Contract(
    TriedSection,
    first=(it_has_a_heading_and_a_place, it_shows_something_of_a_small_study),
    then=(the_tables_stay_as_they_are, it_shows_the_same_twice, a_study_without_results_is_no_error),
)
