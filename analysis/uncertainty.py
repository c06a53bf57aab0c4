"""How sure a front is: what it might have been with other seeds and other test images.

Each resample of the hierarchical bootstrap (`ablate.analysis.significance.hierarchical_bootstrap`: seeds, then test
images within them, the images paired across cells) gives every cell another mean score, and so another front. Costs do
not vary. Test images that not every cell was scored on are left out of it.

A front is made of the best of noisy means, so it is optimistic, and the fronts of resamples, whose means are noisy
twice, are more so by about as much again. Intervals are therefore the basic bootstrap's (reflected: twice the estimate
less the quantiles; Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 5.2), which take it
off. In simulated studies with 6 to 300 cells, 3 seeds and 12 images they held the true front in 0.88 to 0.95, where
percentile intervals fell to 0.60. They are widened to hold the estimate where that takes more off than they are wide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import moocore
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ablate.analysis.by_seed import by_seed
from ablate.analysis.format import several
from ablate.analysis.independent import FEWEST, Columns
from ablate.analysis.pareto import Cost, Pareto, most_dominated, nondominated, pareto, tasks
from ablate.analysis.scores import CellScores, cell_scores
from ablate.analysis.significance import hierarchical_bootstrap
from ablate.metrics.counts import METRICS, MetricName

if TYPE_CHECKING:
    from ablate.analysis.frames import Frames

RESAMPLES, LEVEL = 1000, 0.95
_SEEDS_FOR_ATTAINMENT = 5
_MOST_STEPS = 200
"""Costs at which a band is known; of more cells, the front's and others evenly among them."""
_BLOCK = 2_000_000
"""Numbers that are worked on at once, to bound memory."""


class Band(NamedTuple):
    """The score attained for no more than each cost: a pointwise interval, and the median without optimism.

    The four are as long as each other, and get better; a value holds from its cost up to the next.
    """

    costs: tuple[float, ...]
    low: tuple[float, ...]
    median: tuple[float, ...]
    high: tuple[float, ...]


class Hypervolume(NamedTuple):
    """The measured front's hypervolume up to `reference` (cost, score), and its interval."""

    estimate: float
    low: float
    high: float
    reference: tuple[float, float]


class Attainment(NamedTuple):
    """The empirical attainment surface of `share`: the scores that at least that share of seeds attain at each cost."""

    share: float
    costs: tuple[float, ...]
    scores: tuple[float, ...]


class UncertainFront(NamedTuple):
    """A front's uncertainty: that of `Pareto` with the same axes.

    `probability` is, by cell, the share of resamples in which the cell is on the front; cells that tie share it.
    `band` and `hypervolume` have two-sided intervals at `level`. `attained` has the surfaces that one seed, half of the
    seeds and every seed attain, from the front of each seed by itself; it is empty of fewer than five shared seeds.
    `seeds` is the fewest of any cell, `images` how many were resampled; `note` is what must be said of both, or empty.
    """

    x: Cost
    y: MetricName
    level: float
    resamples: int
    probability: Mapping[str, float]
    band: Band
    hypervolume: Hypervolume
    attained: tuple[Attainment, ...]
    seeds: int
    images: int
    note: str


class FrontProbability(NamedTuple):
    """The probability that one cell is on a front; `seeds` and `note` as in `UncertainFront`."""

    probability: float
    seeds: int
    resamples: int
    note: str


def uncertain_fronts(
    fronts: Sequence[Pareto],
    scores: Mapping[MetricName, Mapping[str, CellScores]],
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> tuple[UncertainFront, ...]:
    """The uncertainty of each of `fronts`, in their order; all of one task.

    `scores` has for each metric the scores of every cell (`ablate.analysis.scores.cell_scores`). The same `seed` gives
    the same numbers. Where cells share no test image there are no probabilities, and the note says so.
    """
    found: dict[int, UncertainFront] = {}
    for metric in dict.fromkeys(front.y for front in fronts):
        cells = list(dict.fromkeys(point.cell for front in fronts if front.y == metric for point in front.points))
        sample = _resample(cells, scores[metric], resamples, seed)
        for at, front in enumerate(fronts):
            if front.y == metric:
                found[at] = _uncertain(front, sample, level)
    return tuple(found[at] for at in range(len(fronts)))


def front_probability(
    frames: Frames, cost: Cost, metric: MetricName, cell: str, *, resamples: int = RESAMPLES, seed: int = 0
) -> FrontProbability | None:
    """How likely `cell` is on its task's front of `metric` against `cost`; `None` where it lacks either."""
    for trials in tasks(by_seed(frames)).values():
        front = pareto(trials, cost, metric)
        if any(point.cell == cell for point in front.points):
            sample = _resample([point.cell for point in front.points], cell_scores(frames, metric), resamples, seed)
            found = _uncertain(front, sample, LEVEL)
            if cell not in found.probability:
                return None
            return FrontProbability(found.probability[cell], found.seeds, found.resamples, found.note)
    return None


def probabilities(costs: ArrayLike, scores: ArrayLike) -> NDArray[np.float64]:
    """The share of resamples in which each cell is non-dominated: (cells,).

    Args:
        costs: (cells,), or (cells, costs) for more than one cost; none varies.
        scores: (resamples, cells), to be large.
    """
    prices, drawn = np.asarray(costs, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    if prices.ndim == 1 or prices.shape[1] == 1:
        return _Staircases(prices.reshape(-1)).on_front(drawn) / max(len(drawn), 1)
    up = [False] * prices.shape[1] + [True]
    wins = sum((nondominated(np.column_stack([prices, row]), up) for row in drawn), np.zeros(len(prices), dtype=int))
    return np.asarray(wins, dtype=np.float64) / max(len(drawn), 1)


# Resamples -----------------------------------------------------------------------------------------------------------


class _Sample(NamedTuple):
    """Mean scores of `cells` in each resample, (resamples, cells), and what they are made of."""

    cells: tuple[str, ...]
    means: NDArray[np.float64]
    estimates: NDArray[np.float64]
    """The cells' own means on the shared images, (cells,)."""
    scores: Mapping[str, CellScores]
    seeds: int
    images: int
    note: str
    few: bool
    """Whether there are too few independent images to speak of others: then there are no intervals."""


def _resample(cells: Sequence[str], scores: Mapping[str, CellScores], resamples: int, seed: int) -> _Sample:
    """Resampled means of the cells that have scores; the others do not take part."""
    known = {cell: scores[cell] for cell in cells if cell in scores}
    images = _shared_images(list(known.values()))
    columns = _columns_of(list(known.values()), images)
    note = _note([len(found.values) for found in known.values()], len(images), list(known.values()), len(cells))
    if 0 < (units := 0 if columns is None else len(set(columns.cases))) < FEWEST:
        note = "; ".join(filter(None, [note, f"of {units} independent test images nothing is known of others"]))
    if not images:
        known = {}
    matrices = [_columns(found, images) for found in known.values()]
    rng = np.random.default_rng(seed)
    means = hierarchical_bootstrap(matrices, resamples, rng, columns) if matrices else np.zeros((resamples, 0))
    return _Sample(
        cells=tuple(known),
        means=means,
        estimates=np.array([matrix.mean() for matrix in matrices]),
        scores=known,
        seeds=min(map(len, matrices), default=0),
        images=len(images),
        note=note,
        few=units < FEWEST,
    )


def _shared_images(scores: Sequence[CellScores]) -> tuple[str, ...]:
    """The images that every cell has a score for with every seed, ascending."""
    shared: set[str] | None = None
    by_columns: dict[tuple[str, ...], list[CellScores]] = {}
    for found in scores:
        by_columns.setdefault(found.images, []).append(found)
    for images, members in by_columns.items():
        missing = np.any([np.isnan(found.values).any(axis=0) for found in members], axis=0)
        complete = {image for image, gone in zip(images, missing, strict=True) if not gone}
        shared = complete if shared is None else shared & complete
    return tuple(sorted(shared or ()))


def _columns_of(scores: Sequence[CellScores], images: tuple[str, ...]) -> Columns | None:
    """What the shared images are, as the first cell has them."""
    if not scores:
        return None
    at = {image: column for column, image in enumerate(scores[0].images)}
    return scores[0].columns.at([at[image] for image in images])


def _columns(found: CellScores, images: tuple[str, ...]) -> NDArray[np.float64]:
    if found.images == images:
        return found.values
    at = {image: column for column, image in enumerate(found.images)}
    return found.values[:, [at[image] for image in images]]


def _note(seeds: Sequence[int], images: int, scores: Sequence[CellScores], cells: int) -> str:
    if scores and not images:
        return "the networks share no test image: how sure the front is cannot be said"
    said = []
    single = sum(count == 1 for count in seeds)
    if single == len(seeds) > 0:
        said.append("one seed: the uncertainty is of the test images alone, not of training again")
    elif single:
        said.append(f"{single} of {several(len(seeds), 'network')} with one seed: theirs is of the test images alone")
    if any(len(found.images) > images for found in scores):
        said.append(f"test images differ: the {images} that all share")
    if len(scores) < cells:
        said.append(f"{cells - len(scores)} of {several(cells, 'network')} without per-image scores: left out")
    return "; ".join(said)


# Fronts of resamples -------------------------------------------------------------------------------------------------


class _Staircases:
    """The fronts of many resamples at once, over costs that do not vary.

    Sorted by cost, a front is a running maximum: what takes moocore a call for each resample is one pass over a matrix.
    """

    def __init__(self, costs: NDArray[np.float64]) -> None:
        self._order = np.argsort(costs, kind="stable")
        self.steps, self._starts, counts = np.unique(costs[self._order], return_index=True, return_counts=True)
        """The distinct costs, (steps,)."""
        self._step_of = np.repeat(np.arange(len(self.steps)), counts)

    def attained(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """The best score for no more than each step's cost: (resamples, steps)."""
        best = np.maximum.reduceat(scores[:, self._order], self._starts, axis=1)
        return np.maximum.accumulate(best, axis=1, out=best)

    def on_front(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """In how many resamples each cell is on the front: (cells,)."""
        counts = np.zeros(scores.shape[1])
        if not scores.size:
            return counts
        for block in _blocks(scores):
            counts += self.hits(block, self.attained(block))
        return counts

    def hits(self, scores: NDArray[np.float64], attained: NDArray[np.float64]) -> NDArray[np.float64]:
        """As `on_front`, where `attained` is at hand: a cell is the best at its cost and better than all below."""
        rises = np.ones(attained.shape, dtype=bool)
        np.greater(attained[:, 1:], attained[:, :-1], out=rises[:, 1:])
        best = scores[:, self._order] == attained[:, self._step_of]
        best &= rises[:, self._step_of]
        counts = np.empty(scores.shape[1])
        counts[self._order] = best.sum(axis=0)
        return counts

    def hypervolumes(self, attained: NDArray[np.float64], reference: tuple[float, float]) -> NDArray[np.float64]:
        """The area up to `reference` (cost, score), of each resample."""
        widths = np.diff(np.minimum(self.steps, reference[0]), append=reference[0])
        return np.maximum(attained - reference[1], 0.0) @ np.maximum(widths, 0.0)


def _blocks(scores: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    rows = max(1, _BLOCK // max(scores.shape[1], 1))
    return [scores[at : at + rows] for at in range(0, len(scores), rows)]


def _uncertain(front: Pareto, sample: _Sample, level: float) -> UncertainFront:
    columns = {cell: at for at, cell in enumerate(sample.cells)}
    points = [point for point in front.points if point.cell in columns]
    resamples = len(sample.means)
    empty = Band((), (), (), ())
    if not points:
        area = Hypervolume(front.hypervolume, np.nan, np.nan, front.reference)
        return UncertainFront(
            front.x, front.y, level, resamples, {}, empty, area, (), sample.seeds, sample.images, sample.note
        )
    chosen = [columns[point.cell] for point in points]
    sign = METRICS[front.y].sign  # within, a score is to be large
    means, reference = sign * sample.means[:, chosen], (front.reference[0], sign * front.reference[1])
    stairs = _Staircases(np.array([point.x for point in points]))
    shown = _shown_steps(stairs.steps, {point.x for point in points if point.on_front})
    counts, areas, steps = np.zeros(len(points)), [], []
    for block in _blocks(means):
        attained = stairs.attained(block)
        counts += stairs.hits(block, attained)
        areas.append(stairs.hypervolumes(attained, reference))
        steps.append(attained[:, shown])
    own = stairs.attained(sign * sample.estimates[None, chosen])
    low, median, high = _reflected(np.concatenate(steps), own[0, shown], level)
    low, median, high = np.clip((low, median, high) if sign > 0 else (-high, -median, -low), 0, 1 if sign > 0 else None)
    area, most = stairs.hypervolumes(own, reference)[0], most_dominated(front.reference, front.y)
    area_low, _, area_high = _reflected(np.concatenate(areas)[:, None], area[None], level)[:, 0]
    band = Band(*(tuple(line.tolist()) for line in (stairs.steps[shown], low, median, high)))
    if sample.few:
        band, area_low, area_high = empty, np.nan, np.nan
    return UncertainFront(
        x=front.x,
        y=front.y,
        level=level,
        resamples=resamples,
        probability=dict(zip((point.cell for point in points), (counts / resamples).tolist(), strict=True)),
        band=band,
        hypervolume=Hypervolume(
            front.hypervolume,
            float(np.clip(area_low, 0.0, front.hypervolume)),
            float(np.clip(area_high, front.hypervolume, max(most, front.hypervolume))),
            front.reference,
        ),
        attained=_attainment(front, sample),
        seeds=sample.seeds,
        images=sample.images,
        note=sample.note,
    )


def _reflected(drawn: NDArray[np.float64], estimate: NDArray[np.float64], level: float) -> NDArray[np.float64]:
    """Low, median and high of the basic bootstrap: `drawn` (resamples, values), `estimate` (values,): (3, values).

    Values are of a rising curve; sorting makes the three rise as well, and covers no worse (Chernozhukov et al.,
    Improving point and interval estimators of monotone functions by rearrangement, Biometrika 96, 2009).
    """
    tails = np.quantile(drawn, [(1 + level) / 2, 0.5, (1 - level) / 2], axis=0)
    low, median, high = np.sort(2 * estimate - tails, axis=1)
    return np.stack([np.minimum(low, estimate), median, np.maximum(high, estimate)])


def _shown_steps(steps: NDArray[np.float64], corners: set[float]) -> NDArray[np.intp]:
    """Indices of the steps that a band is given at: all, or the front's corners and others evenly among the cells."""
    if len(steps) <= _MOST_STEPS:
        return np.arange(len(steps))
    evenly = np.linspace(0, len(steps) - 1, _MOST_STEPS).round().astype(np.intp)
    at_corners = np.searchsorted(steps, sorted(corners))
    return np.union1d(evenly, at_corners)


def _attainment(front: Pareto, sample: _Sample) -> tuple[Attainment, ...]:
    """The surfaces that one seed, half and all attain (Grunert da Fonseca et al. 2001), of the seeds all cells have."""
    scored = [(point.x, sample.scores[point.cell]) for point in front.points if point.cell in sample.scores]
    seeds = sorted(set.intersection(*(set(found.seeds) for _, found in scored)))
    if len(seeds) < _SEEDS_FOR_ATTAINMENT:
        return ()
    rows, sign = [], METRICS[front.y].sign
    for cost, found in scored:
        by_seed = dict(zip(found.seeds, np.nanmean(found.values, axis=1), strict=True))
        rows += [(cost, -sign * by_seed[seed], at) for at, seed in enumerate(seeds, start=1)]
    points = np.array(sorted(rows, key=lambda row: row[2]))
    surfaces = []
    for share in (1 / len(seeds), 0.5, 1.0):
        surface = moocore.eaf(points[:, :2], points[:, 2].astype(int), percentiles=[100 * share])
        surface = surface[np.argsort(surface[:, 0], kind="stable")]
        surfaces.append(Attainment(share, tuple(surface[:, 0].tolist()), tuple((-sign * surface[:, 1]).tolist())))
    return tuple(surfaces)
