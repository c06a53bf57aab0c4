"""Which test images a study's report shows, and of which networks."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from ablate.analysis.by_seed import by_seed
from ablate.analysis.guard import noted
from ablate.analysis.pareto import cells, fronts, tasks
from ablate.analysis.report.content import Picture, Prediction
from ablate.analysis.scores import image_scores
from ablate.errors import InputError
from ablate.study.pictures import pictures_dir, read_pictures
from ablate.study.trial_folder import ignored_level

if TYPE_CHECKING:
    import pandas as pd

    from ablate.analysis.frames import Frames
    from ablate.study.study import Study

_MOST_PICTURES, _LEAST_PICTURES, _MOST_TASKS = 6, 3, 6
"""Images in all, and of each data set; data sets that images are shown of."""
_MOST_CELLS, _LEAST_CELLS = 36, 6


def pictures(study: Study, frames: Frames, notes: list[str]) -> list[Picture]:
    """Test images with the predictions of each cell's first seed: worst, median and best, and others evenly spaced.

    Of many cells those on a front come first, then the best. An image that cannot be read is said in `notes`.
    """
    complete = frames.trials[frames.trials["state"] == "complete"]
    if complete.empty:
        return []
    first = complete[complete["seed"] == complete.groupby("cell")["seed"].transform("min")]  # with all its folds
    shown = first[first["cell"].isin(_best_cells(frames))]
    by_task = [(str(task), rows) for task, rows in shown.groupby("data")]
    most = max(_LEAST_PICTURES, _MOST_PICTURES // len(by_task))
    dice = image_scores(frames.images[frames.images["key"].isin(set(shown["key"]))], "dice")
    found = []
    for task, rows in by_task[:_MOST_TASKS]:
        scores = dice[dice["key"].isin(set(rows["key"]))]
        for image, role in _chosen(scores.groupby("image", sort=False)["score"].mean(), most):
            of_image = scores[scores["image"] == image]
            by_key = dict(zip(of_image["key"], of_image["score"], strict=True))
            trials = {cell: key for cell, key in zip(rows["cell"], rows["key"], strict=True) if key in by_key}
            picture = noted(notes, f"image {image}", partial(_picture, study, trials, image, by_key, notes), None)
            if picture is not None:
                found.append(picture._replace(role=role, task=task))
    return found


def _chosen(dice: pd.Series[float], most: int) -> list[tuple[str, str]]:
    """Images with their roles, by the rank of their `dice`: the worst, the median, the best; then others, evenly."""
    ranked = [str(image) for image in dice.sort_values(kind="stable").index]
    if not ranked:
        return []
    roles = {ranked[0]: "worst", ranked[-1]: "best", ranked[(len(ranked) - 1) // 2]: "median"}
    order = [image for role in ("worst", "median", "best") for image, its in roles.items() if its == role]
    others = [str(image) for image in dice.index if image not in roles]
    room = min(len(others), most - len(order))
    evenly = [others[int((at + 0.5) * len(others) / room)] for at in range(room)]
    return [*((image, roles[image]) for image in order), *((image, "") for image in evenly)]


def _picture(
    study: Study, trials: Mapping[str, str], image: str, dice: Mapping[str, float], notes: list[str]
) -> Picture:
    """One image with the predictions of `trials`, keys by cell; `dice` is by key. What is not read is in `notes`."""
    config = study.config(next(iter(trials.values())))
    folder = pictures_dir(study.path, config)
    predictions = {}
    for cell, key in trials.items():
        if key in dice:
            found = study.sample(key, image)
            if found is None:
                notes.append(f"prediction of trial {key} for image {image}: it is missing, or not what was written.")
            else:
                predictions[cell] = Prediction(found, dice[key])
    kept = read_pictures(folder, image)
    if kept is None:
        raise InputError("it is missing, or not what was written; the next run makes it again")
    return Picture(image, kept.image, kept.mask, predictions, ignored=ignored_level(config.data.classes))


def _best_cells(frames: Frames) -> set[str]:
    """Of each data set, the cells on a front and then the best."""
    chosen: set[str] = set()
    by_task = tasks(by_seed(frames))
    for trials in by_task.values():
        on_front = {cell for record in fronts(trials) for cell in record.front}
        ranked = sorted(
            (cell for cell in cells(trials) if not cell.trivial),
            key=lambda cell: (cell.id not in on_front, -cell.dice.mean),
        )
        chosen |= {cell.id for cell in ranked[: max(_LEAST_CELLS, _MOST_CELLS // len(by_task))]}
    return chosen
