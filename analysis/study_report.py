"""A study's report: its tables, what they are about, and pictures of its test images, put into one page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeVar

import yaml

from ablation.errors import InputError
from analysis.confirmation import DESIGN, confirmation, of_fresh_seeds, searched_and_fresh
from analysis.effects import effects
from analysis.figures.heatmap import level_means
from analysis.figures.hypervolume import spent
from analysis.figures.parallel import parallel
from analysis.format import listing, several
from analysis.measured import disagreements
from analysis.pareto import METRICS, cells, fronts, tasks
from analysis.report import About, Evidence, Picture, Prediction, render
from analysis.scores import CellScores, cell_scores, image_scores
from analysis.significance import Interval, mean_interval
from analysis.uncertainty import uncertain_fronts

if TYPE_CHECKING:
    import pandas as pd

    from ablation.config import TrialConfig
    from ablation.study import Run, Study
    from analysis.frames import Frames

T = TypeVar("T")
_MOST_PICTURES, _LEAST_PICTURES, _MOST_TASKS = 6, 3, 6
"""Images in all, and of each data set; data sets that images are shown of."""
_MOST_CELLS, _LEAST_CELLS = 36, 6


_STATISTICS = (
    "Intervals are of 95 %, from variance components of seeds and test images with matching degrees of freedom; "
    "differences are paired by seed and image, and their p-values Holm-corrected over a family. The probability of "
    "being on a front, and the bands of fronts, are a hierarchical bootstrap's (seeds, then images; 1,000 resamples, "
    "fixed seed). One seed has no interval."
)


def study_report(study: Study, frames: Frames) -> str:
    """The HTML document of `study`, whose tables are `frames`."""
    return render(frames, about(study, frames), pictures(study, frames), evidence(study, frames))


def about(study: Study, frames: Frames) -> About:
    """What a study is about, and how its numbers were made."""
    runs = study.manifest.runs
    configs = [study.config(key) for key in frames.trials["key"]]
    trained = [config for config in configs if not config.is_trivial] or configs
    records = [record for record in study.records().values() if record.state != "trivial"]
    facts = {
        "Spaces": ", ".join(f"{run.space} ({run.design}, {run.profile} profile)" for run in runs),
        "Data": _distinct(_data(config) for config in trained),
        "Split": _distinct(_split(config) for config in trained),
        "Training": _distinct(_training(config) for config in trained),
        "Selection": _distinct(
            "epoch with the best Dice on the test images themselves"
            if config.protocol.split.method == "paper"
            else "epoch with the best Dice on the validation images; scores are of the test images"
            for config in trained
        ),
        "Scores": "Dice and IoU of the foreground, MIoU over all classes (Eq. 1): means over images. "
        "An image whose mask and prediction are both empty scores 1.",
        "MACs": _distinct(
            f"multiply–accumulates of one {c.data.channels}×{c.data.size[0]}×{c.data.size[1]} image, ptflops, modules"
            for c in trained
        ),
        "Seeds": ", ".join(map(str, sorted({config.seed for config in trained}))),
        "Statistics": _STATISTICS,
        "Device": _distinct(f"{r.device}, {r.precision}, {r.threads} CPU threads a trial" for r in records),
        "Versions": ", ".join(f"{name} {version}" for name, version in study.manifest.versions.items()),
    }
    missing = len(set(study.manifest.planned()) - set(study.records()))
    notes = [f"{several(missing, 'planned trial')} not trained yet."] if missing else []
    notes += [text for run in runs if (text := _unbuildable(run))]
    return About(
        title=", ".join(dict.fromkeys(run.space.replace("_", " ") for run in runs)) or study.path.name,
        question=" ".join(dict.fromkeys(run.question for run in runs)),
        profiles=tuple(dict.fromkeys(run.profile for run in runs)),
        facts=facts,
        notes=tuple(notes),
        definitions={f"{run.space} ({run.profile} profile)": _definition(run) for run in runs},
    )


def evidence(study: Study, frames: Frames) -> Evidence:
    """All that the statistics can say of a study. What they cannot is in its notes, and stops nothing else."""
    from analysis.claims.evaluate import applicable

    notes: list[str] = []
    scores = {metric: cell_scores(frames, metric) for metric in METRICS}
    searched, fresh = searched_and_fresh(study.manifest.runs)
    judged = of_fresh_seeds(frames, fresh) if fresh else frames
    runs = [run for run in study.manifest.runs if run.design != DESIGN]
    known = {cell.id: cell for cell in cells(frames.trials) if not cell.trivial}
    by_task = {task: fronts(trials) for task, trials in tasks(frames.trials).items()}

    def tried(what: str, compute: Callable[[], T], otherwise: T) -> T:
        try:
            return compute()
        except InputError as error:
            notes.append(f"{what}: {error}")
            return otherwise

    return Evidence(
        claims=tried("claims", lambda: applicable(judged), []),
        confirmation=tried("confirmation", lambda: confirmation(frames, searched, fresh), None),
        intervals={metric: intervals(found) for metric, found in scores.items()},
        uncertain={task: uncertain_fronts(found, scores) for task, found in by_task.items()},
        disagreements=disagreements(frames.trials),
        effects=tried("effects", lambda: effects(frames, runs, "dice"), None),
        maps=level_means(frames.trials, runs),
        parallels=[record for run in runs for record in parallel(frames.trials, run, known)],
        spent=spent(frames),
        notes=tuple(notes),
    )


def intervals(scores: Mapping[str, CellScores]) -> dict[str, Interval]:
    """Of the mean scores of the cells with more than one seed."""
    return {cell: mean_interval(found) for cell, found in scores.items() if len(found.seeds) > 1}


# Test images ---------------------------------------------------------------------------------------------------------


def pictures(study: Study, frames: Frames) -> list[Picture]:
    """Test images with the predictions of each cell's first seed: worst, median and best, and others evenly spaced.

    Of many cells those on a front come first, then the best.
    """
    complete = frames.trials[frames.trials["state"] == "complete"].sort_values("seed")
    if complete.empty:
        return []
    first = complete.drop_duplicates("cell")
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
            picture = _picture(study, dict(zip(rows["cell"], rows["key"], strict=True)), image, by_key)
            found.append(picture._replace(role=role, task=task))
    return found


def _chosen(dice: pd.Series[float], most: int) -> list[tuple[str, str]]:
    """Images with their roles, by the rank of their `dice`: the worst, the median, the best; then others, evenly."""
    ranked = [str(image) for image in dice.sort_values(kind="stable").index]
    roles = {ranked[0]: "worst", ranked[-1]: "best", ranked[(len(ranked) - 1) // 2]: "median"}
    order = [image for role in ("worst", "median", "best") for image, its in roles.items() if its == role]
    others = [str(image) for image in dice.index if image not in roles]
    room = min(len(others), most - len(order))
    evenly = [others[int((at + 0.5) * len(others) / room)] for at in range(room)]
    return [*((image, roles[image]) for image in order), *((image, "") for image in evenly)]


def _picture(study: Study, trials: Mapping[str, str], image: str, dice: Mapping[str, float]) -> Picture:
    """One image with the predictions of `trials`, keys by cell; `dice` is by key."""
    from ablation.trial_folder import picture_name

    folder = study.pictures_dir(study.config(next(iter(trials.values()))))
    name = picture_name(image)
    predictions = {
        cell: Prediction((study.trial_dir(key) / "samples" / f"{name}.png").read_bytes(), dice[key])
        for cell, key in trials.items()
        if key in dice and (study.trial_dir(key) / "samples" / f"{name}.png").exists()
    }
    source, mask = ((folder / f"{name}{suffix}.png").read_bytes() for suffix in ("", "_mask"))
    return Picture(image, source, mask, predictions)


def _best_cells(frames: Frames) -> set[str]:
    """Of each data set, the cells on a front and then the best."""
    chosen: set[str] = set()
    by_task = tasks(frames.trials)
    for trials in by_task.values():
        on_front = {cell for record in fronts(trials) for cell in record.front}
        ranked = sorted(
            (cell for cell in cells(trials) if not cell.trivial),
            key=lambda cell: (cell.id not in on_front, -cell.dice.mean),
        )
        chosen |= {cell.id for cell in ranked[: max(_LEAST_CELLS, _MOST_CELLS // len(by_task))]}
    return chosen


# In words ------------------------------------------------------------------------------------------------------------


def _definition(run: Run) -> str:
    return yaml.safe_dump(run.definition, sort_keys=False, allow_unicode=True, default_flow_style=None, width=100)


def _unbuildable(run: Run) -> str:
    """Which of a space's configurations were never planned, because they cannot be built."""
    from pydantic import ValidationError

    from search_spaces.designs import expand
    from search_spaces.space import Space

    if run.design != run.definition.get("design"):  # a search proposes what it likes
        return ""
    try:
        variants = expand(Space.model_validate(run.definition))
    except (ValidationError, InputError):  # a space of another version
        return ""
    planned = {tuple(sorted(levels.items())) for levels in run.trials.values()}
    absent = [variant.levels for variant in variants if tuple(sorted(variant.levels.items())) not in planned]
    names = [", ".join(f"{name}={level}" for name, level in levels.items()) for levels in absent]
    return (
        f"{several(len(absent), 'configuration')} of {run.space} cannot be built (`ablate plan` has the reasons): "
        f"{listing(names)}."
        if absent
        else ""
    )


def _distinct(texts: Iterator[str]) -> str:
    return "; ".join(dict.fromkeys(texts))


def _data(config: TrialConfig) -> str:
    height, width = config.data.size
    options = config.data.model_dump(exclude={"name", "size", "channels", "fingerprint"})
    return " ".join(
        [
            f"{config.data.name} at {config.data.channels}×{height}×{width}",
            *(f"{name}={value}" for name, value in options.items()),
            f"(fingerprint {config.data.fingerprint})",
        ]
    )


def _split(config: TrialConfig) -> str:
    split = config.protocol.split
    if split.method == "paper":
        return "as the paper: 80 % train, 20 % both select and judge (scikit-learn, random_state=41)"
    order = f"shuffled with seed {split.seed}" if split.shuffle else "contiguous blocks"
    if split.method == "kfold":
        return f"fold {split.fold} of {split.folds} tests, the next validates; {order}"
    return f"{1 - split.val - split.test:.0%} train, {split.val:.0%} validation, {split.test:.0%} test; {order}"


def _training(config: TrialConfig) -> str:
    protocol = config.protocol
    augment = f"augmented by {', '.join(protocol.augment)}" if protocol.augment else "not augmented"
    loss = "binary cross-entropy" if config.data.classes == 1 else "cross-entropy"
    return (
        f"{protocol.epochs} epochs, batch {protocol.batch_size}, Adam at {protocol.learning_rate:g}, {loss}, {augment}"
    )
