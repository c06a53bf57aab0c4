"""A study's report: its tables, what they are about, and pictures of its test images, put into one page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import yaml

from ablate.analysis.confirmation import DESIGN, confirmation, of_fresh_seeds, searched_and_fresh
from ablate.analysis.crossed import Interval
from ablate.analysis.effects import effects
from ablate.analysis.figures.heatmap import level_means
from ablate.analysis.figures.hypervolume import spent
from ablate.analysis.figures.parallel import parallel
from ablate.analysis.format import listing, several
from ablate.analysis.guard import noted
from ablate.analysis.measured import disagreements
from ablate.analysis.pareto import cells, fronts, tasks
from ablate.analysis.report.report import About, Evidence, Picture, Prediction, render
from ablate.analysis.scores import CellScores, cell_scores, image_scores
from ablate.analysis.significance import mean_interval
from ablate.analysis.uncertainty import uncertain_fronts
from ablate.errors import InputError
from ablate.metrics.counts import METRICS
from ablate.study.pictures import pictures_dir, read_pictures

if TYPE_CHECKING:
    import pandas as pd

    from ablate.analysis.frames import Frames
    from ablate.analysis.uncertainty import UncertainFront
    from ablate.metrics.counts import MetricName
    from ablate.origin import Origin
    from ablate.study.study import Run, Study
    from ablate.trial import TrialConfig

_MOST_PICTURES, _LEAST_PICTURES, _MOST_TASKS = 6, 3, 6
"""Images in all, and of each data set; data sets that images are shown of."""
_MOST_CELLS, _LEAST_CELLS = 36, 6
_MOST_CAUTIONS = 10


_STATISTICS = (
    "Intervals are of 95 %, from variance components of seeds and test images with matching degrees of freedom; "
    "differences are paired by seed and image, and their p-values Holm-corrected over a family. The probability of "
    "being on a front, and the bands of fronts, are a hierarchical bootstrap's (seeds, then images; 1,000 resamples, "
    "fixed seed). One seed has no interval."
)


def study_report(study: Study, frames: Frames) -> str:
    """The HTML document of `study`, whose tables are `frames`. Whatever cannot be made of it is said in its place."""
    notes: list[str] = []
    shown = noted(notes, "test images", lambda: pictures(study, frames, notes), [])
    found = evidence(study, frames)
    return render(frames, about(study, frames), shown, found._replace(notes=(*found.notes, *notes)))


def about(study: Study, frames: Frames) -> About:
    """What a study is about, and how its numbers were made. What cannot be said is among its notes."""
    runs = study.manifest.runs
    notes: list[str] = []
    read = (noted(notes, f"trial {key}", partial(study.config, key), None) for key in frames.trials["key"])
    configs = [config for config in read if config is not None]
    trained = [config for config in configs if not config.is_trivial] or configs
    records = noted(notes, "records", study.records, {})
    trials = [record for record in records.values() if record.state != "trivial"]
    facts = {
        "Spaces": lambda: ", ".join(f"{run.space} ({run.design}, {run.profile} profile)" for run in runs),
        "Data": lambda: _distinct(map(_data, trained)),
        "Split": lambda: _distinct(map(_split, trained)),
        "Training": lambda: _distinct(map(_training, trained)),
        "Selection": lambda: _distinct(
            "epoch with the best Dice on the test images themselves"
            if config.protocol.split.method == "paper"
            else "epoch with the best Dice on the validation images; scores are of the test images"
            for config in trained
        ),
        "Scores": lambda: (
            "Dice and IoU of the foreground, MIoU over all classes (Eq. 1): means over images. "
            "An image whose mask and prediction are both empty scores 1."
        ),
        "MACs": lambda: _distinct(
            f"multiply–accumulates of one {c.data.channels}×{c.data.size[0]}×{c.data.size[1]} image, ptflops, modules"
            for c in trained
        ),
        "Seeds": lambda: ", ".join(map(str, sorted({config.seed for config in trained}))),
        "Statistics": lambda: _STATISTICS,
        "Device": lambda: _counted(f"{r.device}, {r.precision}, {r.threads} CPU threads a trial" for r in trials),
        "Made by": lambda: _counted(_made_by(study.origin(record)) for record in trials),
    }
    missing = len(set(study.manifest.planned()) - set(records))
    if missing:
        notes.append(f"{several(missing, 'planned trial')} not trained yet.")
    definitions = {}
    for run in runs:
        what = f"definition of {run.space}"
        definitions[f"{run.space} ({run.profile} profile)"] = noted(notes, what, partial(_definition, run), "")
        unbuildable = noted(notes, what, partial(_unbuildable, run), "")
        notes += [unbuildable] if unbuildable else []
    said = {name: noted(notes, name, make, "") for name, make in facts.items()}
    return About(
        title=", ".join(dict.fromkeys(run.space.replace("_", " ") for run in runs)) or study.path.name,
        question=" ".join(dict.fromkeys(run.question for run in runs)),
        profiles=tuple(dict.fromkeys(run.profile for run in runs)),
        facts=said,
        notes=tuple(notes),
        definitions=definitions,
        cautions=_cautions(study.said_of_faults()),
    )


def _cautions(left_out: Sequence[str]) -> tuple[str, ...]:
    """What the tables lack, since it is not what was written; of much, the first of it."""
    more = len(left_out) - _MOST_CAUTIONS
    return (*left_out[:_MOST_CAUTIONS], *([f"And {more} more: `ablate verify` has them all."] if more > 0 else []))


def evidence(study: Study, frames: Frames) -> Evidence:
    """All that the statistics can say of a study. What they cannot is in its notes, and stops nothing else."""
    from ablate.analysis.claims.evaluate import Applicable, applicable

    notes: list[str] = []
    runs = [run for run in study.manifest.runs if run.design != DESIGN]
    searched, fresh = searched_and_fresh(study.manifest.runs)
    judged = noted(notes, "fresh seeds", lambda: of_fresh_seeds(frames, fresh) if fresh else frames, frames)
    scores = {
        metric: noted(notes, f"{METRICS[metric].label} of images", partial(cell_scores, frames, metric), {})
        for metric in METRICS
    }
    known = {cell.id: cell for cell in noted(notes, "networks", lambda: cells(frames.trials), ()) if not cell.trivial}
    claims = noted(notes, "claims", lambda: applicable(judged), Applicable((), ()))
    uncertain = {
        task: noted(notes, f"fronts of {task}", partial(_uncertain, trials, scores), ())
        for task, trials in noted(notes, "data sets", lambda: tasks(frames.trials), {}).items()
    }
    found = Evidence(
        claims=claims.results,
        confirmation=noted(notes, "confirmation", lambda: confirmation(frames, searched, fresh), None),
        intervals={
            metric: noted(notes, "intervals", partial(intervals, found), {}) for metric, found in scores.items()
        },
        uncertain=uncertain,
        disagreements=noted(notes, "latency against MACs", lambda: disagreements(frames.trials), ()),
        effects=noted(notes, "effects", lambda: effects(frames, runs, "dice"), None),
        maps=noted(notes, "maps of two factors", lambda: level_means(frames.trials, runs), ()),
        parallels=[
            record
            for run in runs
            for record in noted(notes, f"networks of {run.space}", partial(parallel, frames.trials, run, known), ())
        ],
        spent=noted(notes, "what the training bought", lambda: spent(frames), ()),
    )
    return found._replace(notes=(*notes, *claims.notes))


def _uncertain(
    trials: pd.DataFrame, scores: Mapping[MetricName, Mapping[str, CellScores]]
) -> tuple[UncertainFront, ...]:
    return uncertain_fronts(fronts(trials), scores)


def intervals(scores: Mapping[str, CellScores]) -> dict[str, Interval]:
    """Of the mean scores of the cells with more than one seed, and a score."""
    return {
        cell: mean_interval(found)
        for cell, found in scores.items()
        if len(found.seeds) > 1 and np.isfinite(found.values).any()
    }


# Test images ---------------------------------------------------------------------------------------------------------


def pictures(study: Study, frames: Frames, notes: list[str]) -> list[Picture]:
    """Test images with the predictions of each cell's first seed: worst, median and best, and others evenly spaced.

    Of many cells those on a front come first, then the best. An image that cannot be read is said in `notes`.
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
            trials = dict(zip(rows["cell"], rows["key"], strict=True))
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
    folder = pictures_dir(study.path, study.config(next(iter(trials.values()))))
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
    return Picture(image, kept.image, kept.mask, predictions)


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

    from ablate.search_spaces.designs import expand
    from ablate.search_spaces.space import Space

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


def _made_by(origin: Origin) -> str:
    others = {"numpy": origin.numpy, "Python": origin.python}
    return ", ".join([str(origin), *(f"{name} {version}" for name, version in others.items() if version)])


def _counted(texts: Iterable[str]) -> str:
    """What is true of trials: of several, how many."""
    counts = Counter(texts)
    return "; ".join(counts if len(counts) < 2 else (f"{text} ({several(n, 'trial')})" for text, n in counts.items()))


def _distinct(texts: Iterable[str]) -> str:
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
