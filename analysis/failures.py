"""Failures, a score of their own: how often a network loses a test case, and how often more than its rival.

A mean over twelve images cannot see a loss of one in fifty. So what is lost is counted by itself: cases whose Dice is
below what is stated (or 0: nothing was found of what the mask has), and all cases of a seed whose training failed.

Seeds that are tested on the same cases are no independent tests of them: a case that is hard for the network may be
lost by every seed. So bounds count cases, of which each has the share of the seeds that lost it. `bounds` and
`difference_bounds` say how; `benchmarks/failures.py` prints how well they hold, `docs/statistics.md` has the figures.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ablate.analysis.crossed import components, standard_error
from ablate.analysis.independent import units_of
from ablate.analysis.scores import CellScores, by_cell, cases_of, image_scores, of_unit
from ablate.analysis.significance import complete_part, complete_places
from ablate.metrics.counts import METRICS, MetricName

if TYPE_CHECKING:
    from ablate.analysis.frames import Frames
    from ablate.analysis.scoring import FailBelow

LEVEL = 0.95
"""Of each bound, one-sided."""

_Matrix = NDArray[np.float64]


class Bounds(NamedTuple):
    """A rate, or a difference of two, with its one-sided bounds from below and above, each at the level asked for."""

    rate: float
    least: float
    most: float


class FailureDifference(NamedTuple):
    """How much more often one cell fails than another, with one-sided bounds, on the seeds and cases that both have."""

    rate: float
    least: float
    most: float
    seeds: int
    cases: int
    independent: float
    """As how many independent cases these count."""


class Counted(NamedTuple):
    """What a cell lost, as it is shown: of tests (a case by a seed), their cases, and the seeds that failed."""

    losses: int
    tests: int
    cases: int
    independent: float
    bounds: Bounds
    below: float
    empty: int
    failed_seeds: tuple[int, ...]

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "failed": self.losses,
            "tests": self.tests,
            "cases": self.cases,
            "independent": self.independent,
            "rate": self.bounds.rate,
            "at_least": self.bounds.least,
            "at_most": self.bounds.most,
            "level": LEVEL,
            "below": self.below,
            "empty": self.empty,
            "failed_seeds": list(self.failed_seeds),
        }


class Failures(NamedTuple):
    """What a cell lost. `lost` is (seeds, cases): 1 lost, 0 not, NaN not tested; of a failed training all is lost.

    `cases` name its columns, as scores are by (`Frames.unit`), and `groups` the case that each is of. `failed` is
    (seeds, cases): where no more is known than that the training failed. `empty`: predictions without any foreground
    though the mask has some.
    """

    cell: str
    label: str
    task: str
    seeds: tuple[int, ...]
    cases: tuple[str, ...]
    groups: tuple[str, ...]
    lost: _Matrix
    failed: NDArray[np.bool_]
    independent: float
    """As how many independent cases these count: fewer where they are slices of one volume."""
    below: float
    """A Dice below this is a failure; 0 always is."""
    empty: int
    bounds: Bounds
    """Of the rate, at `LEVEL`."""

    @property
    def counted(self) -> Counted:
        return Counted(
            losses=int(np.nansum(self.lost)),
            tests=int(np.isfinite(self.lost).sum()),
            cases=len(set(self.groups)),
            independent=self.independent,
            bounds=self.bounds,
            below=self.below,
            empty=self.empty,
            failed_seeds=tuple(seed for seed, row in zip(self.seeds, self.failed, strict=True) if row.any()),
        )


# Bounds --------------------------------------------------------------------------------------------------------------


def bounds(lost: _Matrix, level: float = LEVEL, independent: float = math.inf) -> Bounds:
    """The mean of `lost` (seeds, cases; shares from 0 to 1, NaN where not tested) and its one-sided bounds.

    `independent`: as how many the cases count, where that is fewer than they are.

    Those of Clopper and Pearson (1934) for as many tests as there are cases; for fewer where the spread over cases and
    seeds that was seen makes the mean less sure, as Korn and Graubard (Survey Methodology 24, 1998) have it for samples
    in clusters: the variance of a test over that of the mean, times the ratio of squared t quantiles, but at least what
    seeds and cases are that lose all or nothing. Never for more than cases: where few were lost, nothing tells whether
    other seeds would have lost the same. So they are exact where seeds lose the same cases, and wide where each loses
    its own. That seeds differ counts once it is seen: three that lost nothing say little of a fourth.
    """
    from scipy import special

    tested = np.isfinite(lost)
    cases = int(tested.any(axis=0).sum())
    if not cases:
        return Bounds(math.nan, 0.0, 1.0)
    rate = float(lost[tested].mean())
    most_tests = min(float(cases), independent)
    least_tests = 1 / (1 / len(lost) + 1 / most_tests)
    tests = min(most_tests, max(least_tests, _effective(lost, cases, level)))
    found = rate * tests
    most = 1.0 if rate >= 1 else float(special.betaincinv(found + 1, tests - found, level))
    least = 0.0 if rate <= 0 else float(special.betaincinv(found, tests - found + 1, 1 - level))
    return Bounds(rate, least, most)


def _effective(lost: _Matrix, cases: int, level: float) -> float:
    """How many independent tests the spread of `lost` over seeds and cases amounts to; infinite where none was seen."""
    from scipy import special

    part, _ = complete_part(lost)
    if min(part.shape) < 2 or part.min() == part.max():
        return math.inf
    found = components(part)
    error, df = standard_error(found)
    if error <= 0:
        return math.inf
    ratio = float(special.stdtrit(cases - 1, level) / special.stdtrit(df, level))
    of_one = found.mean * (1 - found.mean) * found.images / (found.images - 1)
    return of_one / error**2 * ratio**2


def difference_bounds(a: Failures, b: Failures, level: float = LEVEL) -> FailureDifference:
    """How much more often `a` fails than `b`, on the seeds and cases that both have, with one-sided bounds.

    What both lost, or neither, says nothing. Of the two rates that are left (only `a` lost it, only `b`) each has its
    `bounds`, and those of the difference lie from it by the root of the squared distances (Newcombe, Statistics in
    Medicine 17, 1998; Zou and Donner, ibid. 27, 2008). Where `b` alone lost nothing, the upper bound is that of `a`'s
    rate. A training of `b` that failed is left out: it is no merit of `a`'s.
    """
    ours, theirs = _shared(a, b)
    tested = np.isfinite(ours)
    seeds, cases = (int(tested.any(axis=axis).sum()) for axis in (1, 0))
    independent = min(a.independent, b.independent, float(cases))
    only_a, only_b = (bounds(one, level, independent) for one in (ours * (1 - theirs), theirs * (1 - ours)))
    difference = only_a.rate - only_b.rate
    return FailureDifference(
        difference,
        difference - math.hypot(only_a.rate - only_a.least, only_b.most - only_b.rate),
        difference + math.hypot(only_a.most - only_a.rate, only_b.rate - only_b.least),
        seeds,
        cases,
        independent,
    )


def neither_lost(
    a: Failures, b: Failures, scores: tuple[CellScores, CellScores]
) -> tuple[CellScores, CellScores] | None:
    """The scores of both on what neither lost: what is left is typical of them; `None` where nothing is.

    A seed or image goes whole, that with the largest share of losses first, so that a seed that lost everything costs
    no image.
    """
    ours, theirs = scores
    seeds = [seed for seed in ours.seeds if seed in theirs.seeds]
    images = [image for image in ours.images if image in set(theirs.images)]
    lost = (_known(a, seeds, images) == 1) | (_known(b, seeds, images) == 1)
    rows, columns = np.arange(len(seeds)), np.arange(len(images))
    while lost.any():
        by_seed, by_image = lost.mean(axis=1), lost.mean(axis=0)
        if by_seed.max() >= by_image.max():
            gone = int(by_seed.argmax())
            lost, rows = np.delete(lost, gone, axis=0), np.delete(rows, gone)
        else:
            gone = int(by_image.argmax())
            lost, columns = np.delete(lost, gone, axis=1), np.delete(columns, gone)
    if not lost.size:
        return None
    kept = [seeds[row] for row in rows], [images[column] for column in columns]
    return _part(ours, *kept), _part(theirs, *kept)


def _part(scores: CellScores, seeds: Sequence[int], images: Sequence[str]) -> CellScores:
    rows, columns = [scores.seeds.index(seed) for seed in seeds], [scores.images.index(image) for image in images]
    cases = tuple(scores.cases[column] for column in columns) if scores.cases else ()
    return scores._replace(
        seeds=tuple(seeds), images=tuple(images), values=scores.values[np.ix_(rows, columns)], cases=cases
    )


def _known(one: Failures, seeds: Sequence[int], cases: Sequence[str]) -> _Matrix:
    """What it lost of these, in this order; NaN of what it was not tested on."""
    found = np.full((len(seeds), len(cases)), np.nan)
    row, column = {seed: at for at, seed in enumerate(one.seeds)}, {case: at for at, case in enumerate(one.cases)}
    own_rows = [at for at, seed in enumerate(seeds) if seed in row]
    own_columns = [at for at, case in enumerate(cases) if case in column]
    of = np.ix_([row[seeds[at]] for at in own_rows], [column[cases[at]] for at in own_columns])
    found[np.ix_(own_rows, own_columns)] = one.lost[of]
    return found


def _shared(a: Failures, b: Failures) -> tuple[_Matrix, _Matrix]:
    """What each lost of the cases that both have, by seeds that both have: a column a case, a mean over its images."""
    seeds = [seed for seed in a.seeds if seed in b.seeds]
    cases = [case for case in a.cases if case in set(b.cases)]
    ours = _known(a, seeds, cases)
    theirs = _known(b._replace(lost=np.where(b.failed, np.nan, b.lost)), seeds, cases)
    tested = np.isfinite(ours) & np.isfinite(theirs)
    group = dict(zip(a.cases, a.groups, strict=True))
    groups = [group[case] for case in cases]
    return by_group(np.where(tested, ours, np.nan), groups), by_group(np.where(tested, theirs, np.nan), groups)


def by_group(lost: _Matrix, groups: Sequence[str]) -> _Matrix:
    """`lost` (seeds, images) with a column a case, the share of its images."""
    codes, known = pd.factorize(np.asarray(groups, dtype=object))
    if len(known) == lost.shape[1]:
        return lost
    members = np.eye(len(known))[codes]
    tested = np.isfinite(lost) @ members
    return np.divide(np.nan_to_num(lost) @ members, tested, out=np.full(tested.shape, np.nan), where=tested > 0)


def resolvable(images: float, seeds: int) -> float:
    """The least tolerance that a design can find kept: the bound where no case at all was lost.

    `images`: independent test cases. More seeds do not lower it, for all may lose the same cases; one alone decides
    nothing of a network, so nothing is resolved (1.0).
    """
    return 1.0 if seeds < 2 or images < 1 else 1 - (1 - LEVEL) ** (1 / images)


def cases_needed(tolerance: float) -> int:
    """The least number of test cases that can find `tolerance` (0 to 1) kept, if none of them is lost."""
    return math.ceil(math.log(1 - LEVEL) / math.log1p(-tolerance) - 1e-9)


# Of a study ----------------------------------------------------------------------------------------------------------


def failing(frames: Frames, below: FailBelow | None) -> Frames:
    """The same tables, where a Dice below this is a failure; None leaves it."""
    return frames if below is None else frames._replace(scoring=frames.scoring._replace(fail_below=below))


def failures(frames: Frames, metric: MetricName = "dice") -> dict[str, Failures]:
    """What every trained cell with a scored trial lost, by cell.

    By Dice, of the class that `metric` is of, or else the mean over the classes that mask or prediction has; a case
    that has nothing to find, and of which nothing was claimed, is found. Raises as `image_scores`.
    """
    rows = of_unit(frames.images, frames.unit)
    dice = image_scores(rows, of_metrics([metric]), frames.scoring._replace(empty="skip"))
    every = rows[["key", "image"]].drop_duplicates()
    dice = every.merge(dice, how="left", on=["key", "image"]).fillna({"score": 1.0})
    found = {cell: scores for cell, scores in by_cell(frames, "dice", dice).items() if not scores.trivial}
    below = _thresholds(found, frames.scoring.fail_below)
    empty = _empty_predictions(rows).map(frames.trials.set_index("key")["cell"]).value_counts()
    broken = _failed_trainings(frames, rows, set(found))
    return {
        cell: lost_by(scores, below[scores.task], int(empty.get(cell, 0)), broken.get(cell, ()))
        for cell, scores in found.items()
    }


def of_metrics(metrics: Sequence[MetricName]) -> MetricName:
    """By which Dice failures stand beside these: that of their class where they are of one, else that of all."""
    classes = {METRICS[metric].only for metric in metrics}
    return f"dice.{classes.pop()}" if len(classes) == 1 and classes != {""} else "dice"


def _thresholds(found: Mapping[str, CellScores], below: FailBelow) -> dict[str, float]:
    """By data set. Half of what is typical of the best network: hard data are no failure, and a failed one no bar."""
    typical: dict[str, float] = {}
    for scores in found.values():
        typical[scores.task] = max(typical.get(scores.task, 0.0), float(np.nanmedian(scores.values)))
    return {task: one / 2 if below == "half" else below for task, one in typical.items()}


def _empty_predictions(rows: pd.DataFrame) -> pd.Series:
    """The key of each prediction without any foreground, of a mask that has some."""
    inner = rows[rows["class"] > 0]
    sums = inner.assign(found=inner["tp"] + inner["fp"], there=inner["tp"] + inner["fn"])
    sums = sums.groupby(["key", "image"], sort=False)[["found", "there"]].sum().reset_index()
    return sums["key"][(sums["found"] == 0) & (sums["there"] > 0)]


def _failed_trainings(
    frames: Frames, rows: pd.DataFrame, known: set[str]
) -> dict[str, list[tuple[int, dict[str, str]]]]:
    """Of each cell, the seeds of its failed trials, and the test cases that each would have had (image to case)."""
    trials = frames.trials.assign(fold=frames.trials["fold"].fillna(-1) if "fold" in frames.trials else -1)
    failed = trials[(trials["state"] == "failed") & trials["cell"].isin(known)]
    if failed.empty:
        return {}
    grouped = frames.unit == "image" and "case" in rows
    cases = rows.assign(group=rows["case"] if grouped else rows["image"])[["key", "image", "group"]]
    cases = cases.drop_duplicates().merge(trials[["key", "data", "fold"]], on="key")
    tested = {place: dict(zip(of["image"], of["group"], strict=True)) for place, of in cases.groupby(["data", "fold"])}
    found: dict[str, list[tuple[int, dict[str, str]]]] = {}
    places = zip(failed["cell"], failed["seed"], failed["data"], failed["fold"], strict=True)
    for cell, seed, data, fold in places:
        found.setdefault(str(cell), []).append((int(seed), tested.get((data, fold), {})))
    return found


def lost_by(
    scores: CellScores, below: float, empty: int = 0, broken: Sequence[tuple[int, Mapping[str, str]]] = ()
) -> Failures:
    """What a cell of these Dice scores lost; `broken`: the seed of each failed training, and its test cases."""
    groups = dict(zip(scores.images, cases_of(scores), strict=True))
    for _, cases in broken:
        groups = {**cases, **groups}
    images = sorted(groups)
    seeds = sorted({*scores.seeds, *(seed for seed, _ in broken)})
    lost, failed = np.full((len(seeds), len(images)), np.nan), np.zeros((len(seeds), len(images)), dtype=bool)
    row, column = {seed: at for at, seed in enumerate(seeds)}, {image: at for at, image in enumerate(images)}
    place = np.ix_([row[seed] for seed in scores.seeds], [column[image] for image in scores.images])
    lost[place] = np.where(np.isfinite(scores.values), (scores.values < below) | (scores.values == 0), np.nan)
    for seed, cases in broken:
        failed[row[seed], [column[image] for image in cases]] = True
    failed &= np.isnan(lost)
    lost[failed] = 1
    of = tuple(groups[image] for image in images)
    independent = _independent(scores, len(set(of)))
    return Failures(
        cell=scores.cell,
        label=scores.label,
        task=scores.task,
        seeds=tuple(seeds),
        cases=tuple(images),
        groups=of,
        lost=lost,
        failed=failed,
        independent=independent,
        below=below,
        empty=empty,
        bounds=bounds(by_group(lost, of), LEVEL, independent),
    )


def _independent(scores: CellScores, cases: int) -> float:
    """As how many independent tests its cases count: of slices of one volume, as their scores say (`units_of`)."""
    rows, columns = complete_places(scores.values)
    if not scores.stack or len(set(cases_of(scores))) < len(scores.images) or not rows:
        return float(cases)
    return min(float(cases), units_of(scores.values[np.ix_(rows, columns)], scores.columns.at(columns)).effective)
