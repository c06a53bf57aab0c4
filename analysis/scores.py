"""The score of every cell on every test image with every seed: what all statistics stand on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ablate.analysis.independent import Columns
from ablate.analysis.scoring import AS_EVER, Scoring
from ablate.errors import InputError, brief, unknown
from ablate.metrics.counts import COUNTS, METRICS, ON_REQUEST, MetricName
from ablate.study.tables import CASE, JUDGED, metric_column, own_metrics

if TYPE_CHECKING:
    from ablate.analysis.frames import Frames

Unit = Literal["image", "case"]
"""What is scored, and what intervals count: each image, or each case with its images pooled."""


class CellScores(NamedTuple):
    """A cell's scores, `values` of shape (seeds, images); `seeds` and `images` name its rows and columns, ascending.

    A seed's row has the images of all its folds. An image that a seed has no score for is NaN; where scores are by
    case, `images` are cases. `cases`: what each image is of (`cases_of`).
    """

    cell: str
    label: str
    model: str
    task: str
    """The data set: only scores of the same test images compare."""
    trivial: bool
    seeds: tuple[int, ...]
    images: tuple[str, ...]
    values: NDArray[np.float64]
    cases: tuple[str, ...] = ()
    """As long as `images`; empty where each image is a case of its own."""
    stack: bool | None = None
    """Whether the images are slices of one volume, in the order of their names; None where nobody said."""
    metric: MetricName = ""
    """What they are scores of; '': of a fraction."""
    unit: Unit = "image"
    """What was scored."""

    @property
    def columns(self) -> Columns:
        """What the columns of `values` are."""
        return Columns(self.images, cases_of(self), self.stack, self.unit == "case")

    @property
    def mean(self) -> float:
        """Over images and seeds, as the trial table's scores are averaged over seeds."""
        return float(np.nanmean(self.values))


def cases_of(scores: CellScores) -> tuple[str, ...]:
    """The case of each of `scores.images`: the image itself where no other is of its case."""
    return scores.cases or scores.images


class CostedScores(NamedTuple):
    """A cell's scores and what it costs; a cost is NaN where it is not known."""

    scores: CellScores
    params: float
    macs: float


def metrics_of(table: pd.DataFrame) -> list[MetricName]:
    """What a table of images, or of trials, has scores by: what follows from counts, then the trials' own metrics."""
    return [*METRICS, *own_metrics(table)]


def image_scores(images: pd.DataFrame, metric: MetricName, scoring: Scoring = AS_EVER) -> pd.DataFrame:
    """`key`, `image`, `score`: the mean over the classes that the metric is of, or the score of its one class.

    Only of trials that have the metric. A class that no test mask has is left out, and so is what an image and class
    scores that is not defined. Raises `InputError` where no trial has the metric, or no test mask its class.
    """
    found, whole = METRICS[metric], metric.partition(".")[0]
    if whole not in (*metrics_of(images), *ON_REQUEST):
        raise unknown("metric", whole, [*metrics_of(images), *ON_REQUEST])
    rows, stored = images, whole in own_metrics(images)  # what trials measured is theirs, whatever it is called
    if stored:
        measured = rows[metric_column(whole)].notna()
        rows = rows[measured | rows["key"].isin(rows["key"][measured].unique())]
    if found.only or scoring.absent:
        rows = rows[_counted(rows, found.only, scoring)]
        if found.only and rows.empty:
            raise InputError(f"no test mask has class {brief(found.only)}: there is no {found.label}")
    if not found.background and not found.only:
        rows = rows[rows["class"] > 0]
    tp, fp, fn, tn = (rows[name].to_numpy() for name in COUNTS)
    if not stored:
        score = found.of_counts(tp, fp, fn, tn, scoring.empty)
    else:
        kept = rows[metric_column(whole)].to_numpy(dtype=np.float64, na_value=np.nan)
        # What a metric of others' gives such an image stands, unless another choice is asked for.
        nothing = (tp + fp + fn == 0) & (np.isnan(kept) | (scoring.empty != "one"))
        score = np.where(nothing, found.of_nothing(scoring.empty), kept)
    per_class = rows[["key", "image"]].assign(score=score)
    if np.isnan(score).any():
        per_class = per_class.dropna(subset=["score"])
    return per_class.groupby(["key", "image"], sort=False)["score"].mean().reset_index()


def _counted(images: pd.DataFrame, only: str, scoring: Scoring) -> NDArray[np.bool_]:
    """Which rows are of a class that their data set's test masks have; and if one is named, of that class."""
    chosen = np.zeros(len(images), dtype=bool)
    tasks, classes = images["key"].map(scoring.tasks).fillna("").to_numpy(), images["class"].to_numpy()
    for task in set(tasks):
        own = tasks == task
        if only:
            own &= classes == scoring.index_of(only, task)
        chosen |= own & ~np.isin(classes, list(scoring.absent.get(task, ())))
    return chosen


def of_unit(images: pd.DataFrame, unit: Unit) -> pd.DataFrame:
    """A table of images with a row a unit and class: of a case, `image` is its name, its counts are the sums over its
    images, and what metrics of the trials' own have of it is the mean over those in which mask or prediction has the
    class."""
    if unit == "image" or CASE not in images:
        return images
    own = [metric_column(label) for label in own_metrics(images)]
    there = images["tp"] + images["fp"] + images["fn"] > 0
    images = images.assign(**{name: images[name].where(there) for name in own})
    how = dict.fromkeys(COUNTS, "sum") | dict.fromkeys(own, "mean")
    pooled = images.groupby(["key", CASE, "class"], sort=False, as_index=False).agg(how)
    pooled.insert(1, "image", pooled[CASE])
    return pooled


def cell_scores(frames: Frames, metric: MetricName) -> dict[str, CellScores]:
    """The scores by `frames.unit` of every cell with a scored trial, by cell, in the trial table's order.

    Raises as `image_scores`.
    """
    return by_cell(frames, metric, image_scores(of_unit(frames.images, frames.unit), metric, frames.scoring))


def by_cell(frames: Frames, metric: MetricName, scores: pd.DataFrame) -> dict[str, CellScores]:
    """Scores by `frames.unit` (`key`, `image`, `score`) of a metric as a matrix a cell, in the trial table's order."""
    columns = ["key", "cell", "label", "model", "data", "state", "seed"]
    trials = frames.trials.loc[frames.trials["state"].isin(JUDGED), columns]
    joined = _with_case(scores.merge(trials, on="key"), frames).sort_values("cell", kind="stable")
    codes, known = pd.factorize(joined["image"], sort=True)
    images = [str(image) for image in known]
    seeds, values_of = joined["seed"].to_numpy(), joined["score"].to_numpy(dtype=np.float64)
    case_codes, cases = pd.factorize(joined[CASE])
    first_of = joined.drop_duplicates("cell")
    starts = np.flatnonzero(~joined["cell"].duplicated().to_numpy())
    ends = np.append(starts, len(joined))[1:]
    found = {}
    for start, end, first in zip(starts, ends, first_of.itertuples(index=False), strict=True):
        own_seeds, row = np.unique(seeds[start:end], return_inverse=True)
        own_images, first_row, column = np.unique(codes[start:end], return_index=True, return_inverse=True)
        values = np.full((len(own_seeds), len(own_images)), np.nan)
        values[row, column] = values_of[start:end]
        found[str(first.cell)] = CellScores(
            cell=str(first.cell),
            label=str(first.label),
            model=str(first.model),
            task=str(first.data),
            trivial=bool(first.state == "trivial"),
            seeds=tuple(own_seeds.tolist()),
            images=tuple(images[code] for code in own_images),
            values=values,
            cases=tuple(str(cases[code]) for code in case_codes[start:end][first_row]),
            stack=False if frames.unit == "case" else frames.scoring.stacks.get(str(first.data)),
            metric=metric,
            unit=frames.unit,
        )
    order = dict.fromkeys(trials["cell"])
    return {cell: found[cell] for cell in order if cell in found}


def _with_case(scores: pd.DataFrame, frames: Frames) -> pd.DataFrame:
    """`scores` (`key`, `image`, …) with the case of each image; itself where scores are by case, or none is known."""
    if frames.unit == "case" or CASE not in frames.images:
        return scores.assign(**{CASE: scores["image"]})
    known = frames.images[["key", "image", CASE]].drop_duplicates(["key", "image"])
    return scores.merge(known, on=["key", "image"], how="left")


def paired(a: CellScores, b: CellScores) -> NDArray[np.float64]:
    """`a`'s scores less `b`'s, (seeds, images) of the seeds and images that both have: `shared_images`.

    A trivial predictor has no seeds: its one row stands against each of the other's.
    Raises `ValueError` where they share no seed or no image.
    """
    images = shared_images(a, b)
    seeds = [seed for seed in a.seeds if b.trivial or seed in b.seeds] if not a.trivial else list(b.seeds)
    if not images or not seeds:
        what = "test images" if not images else "seeds"
        raise ValueError(f"{a.label} and {b.label} share no {what}: they cannot be compared")

    def part(scores: CellScores) -> NDArray[np.float64]:
        columns = [scores.images.index(image) for image in images]
        rows = [0] * len(seeds) if scores.trivial else [scores.seeds.index(seed) for seed in seeds]
        return scores.values[np.ix_(rows, columns)]

    return part(a) - part(b)


def shared_images(a: CellScores, b: CellScores) -> list[str]:
    """The images that both have, in `a`'s order."""
    return [image for image in a.images if image in set(b.images)]
