"""Which test images a report shows, and of which networks."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from synthetic import png, table, trial, trivial

from ablation.errors import InputError
from ablation.study import Run
from ablation.trial_folder import picture_name
from analysis.frames import Frames
from analysis.report import About, render
from analysis.study_report import evidence, pictures


class Folder:
    """As much of a study as the pictures need: files of 4×4 pixels for each trial and image."""

    def __init__(self, path: Path, frames: Frames, runs: tuple[Run, ...] = ()) -> None:
        self.path = path
        self.manifest = SimpleNamespace(runs=runs)
        mask = png(255 * np.eye(4))
        data = dict(zip(frames.trials["key"], frames.trials["data"], strict=True))
        for key, image in frames.images[["key", "image"]].drop_duplicates().itertuples(index=False):
            for file in (
                self.trial_dir(key) / "samples" / f"{picture_name(image)}.png",
                path / data[key] / f"{picture_name(image)}.png",
                path / data[key] / f"{picture_name(image)}_mask.png",
            ):
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(mask)
        self._data = data

    def trial_dir(self, key: str) -> Path:
        return self.path / key

    def config(self, key: str) -> str:
        return key

    def pictures_dir(self, trial: str) -> Path:
        return self.path / self._data[trial]


def _frames(scores: dict[str, list[float]], seeds: int = 1, data: str = "slices") -> Frames:
    """Networks with a Dice for each image; further seeds are worse, and must not be shown."""
    rows, images = [], []
    for at, (name, dices) in enumerate(scores.items()):
        for seed in range(seeds):
            row = trial(f"{data}-{name}", float(np.mean(dices)), 1e6 + at, seed=seed, label=name, data=data)
            rows.append(row)
            for image, dice in enumerate(dices):
                tp = round(1000 * dice) // (1 + seed)
                counts = {"tp": tp, "fp": 1000 - tp, "fn": 1000 - tp, "tn": 0}
                images.append({"key": row["key"], "image": f"{data}/z{image:02}", "class": 1, **counts})
    return Frames(table(*rows, *trivial()), pd.DataFrame({"key": []}), pd.DataFrame(images))


def _pictures(path: Path, frames: Frames) -> Any:
    return pictures(Folder(path, frames), frames, [])  # type: ignore[arg-type]


def test_worst_median_and_best_image_by_mean_dice_come_first_then_others_evenly(tmp_path: Path) -> None:
    dices = [0.50, 0.90, 0.60, 0.70, 0.80, 0.75, 0.65, 0.85, 0.55]
    found = _pictures(tmp_path, _frames({"a": dices, "b": [dice - 0.1 for dice in dices]}))
    assert [(picture.image, picture.role) for picture in found][:3] == [
        ("slices/z00", "worst"),
        ("slices/z03", "median"),
        ("slices/z01", "best"),
    ]
    assert [picture.role for picture in found][3:] == [""] * 3
    rest = [picture.image for picture in found][3:]
    assert rest == sorted(rest)
    assert len({picture.image for picture in found}) == 6
    assert found[0].predictions["slices-a"].dice == pytest.approx(0.50)
    assert found[0].predictions["slices-b"].dice == pytest.approx(0.40)


def test_the_mean_over_networks_decides_and_not_the_best_network(tmp_path: Path) -> None:
    found = _pictures(tmp_path, _frames({"a": [0.9, 0.8, 0.7], "b": [0.1, 0.8, 0.7]}))
    roles = {picture.role: picture.image for picture in found}
    assert roles == {"worst": "slices/z00", "median": "slices/z02", "best": "slices/z01"}


def test_predictions_are_of_the_first_seed(tmp_path: Path) -> None:
    found = _pictures(tmp_path, _frames({"a": [0.8, 0.6, 0.7]}, seeds=3))
    assert {picture.role: picture.predictions["slices-a"].dice for picture in found} == pytest.approx(
        {"worst": 0.6, "median": 0.7, "best": 0.8}
    )


@pytest.mark.parametrize("count", [1, 2])
def test_a_single_image_or_two_are_shown_once(tmp_path: Path, count: int) -> None:
    found = _pictures(tmp_path, _frames({"a": [0.8, 0.6][:count]}))
    assert len(found) == count
    assert len({picture.image for picture in found}) == count


def test_each_data_set_has_its_own_images_and_networks(tmp_path: Path) -> None:
    parts = [_frames({"a": [0.8, 0.6, 0.7]}, data=name) for name in ("one", "two")]
    both = Frames(*(pd.concat(part, ignore_index=True) for part in zip(*parts, strict=True)))
    found = _pictures(tmp_path, both)
    assert {(picture.task, *picture.predictions) for picture in found} == {("one", "one-a"), ("two", "two-a")}
    assert [picture.role for picture in found if picture.task == "two"] == ["worst", "median", "best"]


def test_a_study_without_a_complete_trial_has_no_pictures(tmp_path: Path) -> None:
    frames = _frames({"a": [0.8]})
    frames.trials.loc[frames.trials["state"] == "complete", "state"] = "failed"
    assert _pictures(tmp_path, frames) == []


def test_what_cannot_be_computed_is_said_and_the_rest_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import analysis.study_report as module

    def refuse(*_: object) -> None:
        raise InputError("no level has a reference")

    monkeypatch.setattr(module, "effects", refuse)
    one, other = _frames({"a": [0.8, 0.7]}), _frames({"b": [0.6, 0.5]})
    other.images["image"] += "-elsewhere"  # other test images under the same data set
    frames = Frames(*(pd.concat(part, ignore_index=True) for part in zip(one, other, strict=True)))
    frames = frames._replace(
        trials=frames.trials.drop_duplicates("key"),
        epochs=pd.DataFrame(columns=["key", "epoch", "train_loss", "val_loss", "val_dice", "val_iou", "val_miou"]),
    )
    found = evidence(Folder(tmp_path, frames), frames)  # type: ignore[arg-type]
    assert found.notes == ("effects: no level has a reference",)
    assert found.effects is None
    html = render(frames, About("A study", "", (), {}), (), found)
    assert "effects: no level has a reference" in html
    assert "share no test image" in html
    assert 'id="pareto"' in html
