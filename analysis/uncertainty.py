"""How sure a front is: what it might have been with other seeds and other test images.

Each resample of the hierarchical bootstrap (`ablate.analysis.significance.hierarchical_bootstrap`: seeds, then test
images within them, the images paired across cells) gives every cell another mean score, and so another front. Costs do
not vary. Test images that not every cell was scored on are left out of it.

A front is made of the best of noisy means: it is too high, and its members are in part lucky. So beside the estimated
front stands a confidence set of it, from comparisons of all cells at once (`ablate.analysis.best`): a cell is excluded
if a cell that is no dearer is told apart from it as better, and sure if it is told apart as better from every one. The
front's band has as its lower end what the best of means that may each be too high still attains, and as its upper end
what any cell that is not excluded may attain; the intervals of the front's members are corrected in the same way, and
the hypervolume's is that of the two ends. The band's median is the basic bootstrap's (reflected: twice the estimate
less the median of resamples; Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 5.2), which
takes off most of the optimism.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import moocore
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ablate.analysis.best import AllPairs, all_pairs, none_better
from ablate.analysis.by_seed import by_seed
from ablate.analysis.crossed import Interval
from ablate.analysis.format import several
from ablate.analysis.front_set import front_set
from ablate.analysis.independent import too_few
from ablate.analysis.pareto import Cost, Pareto, most_dominated, nondominated, pareto, tasks
from ablate.analysis.scores import CellScores, cell_scores
from ablate.analysis.shared import of_images, shared_columns, shared_images
from ablate.analysis.significance import hierarchical_bootstrap, mean_interval, one_sided_bound
from ablate.analysis.staircases import Staircases, blocks, reflected_median
from ablate.errors import InputError
from ablate.metrics.counts import METRICS, MetricName

if TYPE_CHECKING:
    from ablate.analysis.frames import Frames

RESAMPLES, LEVEL = 1000, 0.95
_SEEDS_FOR_ATTAINMENT = 5
_MOST_STEPS = 200
"""Costs at which a band is known; of more cells, the front's and others evenly among them."""


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

    `possible` are the cells that may be on the true front, by rising cost, and `sure` those of them that are on it: at
    `level`, all of these statements together. `best` may have the best score of all. `chosen` has the intervals of the
    front's members, corrected for their having been chosen.
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
    possible: tuple[str, ...] = ()
    sure: tuple[str, ...] = ()
    best: tuple[str, ...] = ()
    chosen: Mapping[str, Interval] = {}


class FrontProbability(NamedTuple):
    """The probability that one cell is on a front; `seeds` and `note` as in `UncertainFront`.

    A probability is no error rate: of equal cells one comes out likely by luck. `sure` is a test, at the level that was
    asked for: that every cell that is no dearer is worse. `p_excluded` is the p-value of "none of these is better".
    """

    probability: float
    seeds: int
    resamples: int
    note: str
    sure: bool
    p_excluded: float


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
        pairs = all_pairs({cell: sample.scores[cell] for cell in sample.cells}, metric, level=level, seed=seed)
        for at, front in enumerate(fronts):
            if front.y == metric:
                found[at] = _uncertain(front, sample, pairs, level)
    return tuple(found[at] for at in range(len(fronts)))


def front_probability(
    frames: Frames,
    cost: Cost,
    metric: MetricName,
    cell: str,
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> FrontProbability | None:
    """How likely `cell` is on its task's front of `metric` against `cost`, and whether it is or is not at `level`.

    `None` where it lacks either.
    """
    for trials in tasks(by_seed(frames)).values():
        front = pareto(trials, cost, metric)
        own = next((point for point in front.points if point.cell == cell), None)
        if own is None:
            continue
        sample = _resample([point.cell for point in front.points], cell_scores(frames, metric), resamples, seed)
        if cell not in sample.cells:
            return None
        scored = [point for point in front.points if point.cell in sample.scores]
        sign, columns = METRICS[metric].sign, {name: at for at, name in enumerate(sample.cells)}
        chances = probabilities(
            [point.x for point in scored], sign * sample.means[:, [columns[point.cell] for point in scored]]
        )
        rivals = [point.cell for point in scored if point.x <= own.x and point.cell != cell]
        excluded = none_better({name: sample.scores[name] for name in sample.cells}, metric, cell, rivals, seed=seed)
        return FrontProbability(
            probability=float(chances[scored.index(own)]),
            seeds=sample.seeds,
            resamples=resamples,
            note=sample.note,
            sure=all(_above(sample.scores[cell], sample.scores[rival], level, sign) for rival in rivals),
            p_excluded=excluded,
        )
    return None


def _above(own: CellScores, rival: CellScores, level: float, sign: int) -> bool:
    try:
        return one_sided_bound(own, rival, level, sign).not_below(0.0)
    except InputError:
        return False


def with_chosen(
    intervals: Mapping[MetricName, Mapping[str, Interval]], uncertain: Iterable[UncertainFront]
) -> dict[MetricName, dict[str, Interval]]:
    """The intervals by metric and cell, those of members of the fronts corrected for their having been chosen.

    A member of several fronts of one metric has the widest of its corrected intervals.
    """
    found = {metric: dict(of_cell) for metric, of_cell in intervals.items()}
    for front in uncertain:
        of_cell = found.get(front.y, {})
        for cell, one in front.chosen.items():
            known = of_cell.get(cell)
            if known is not None and math.isfinite(known.low) and math.isfinite(one.low):
                of_cell[cell] = known._replace(low=min(known.low, one.low), high=max(known.high, one.high))
    return found


def probabilities(costs: ArrayLike, scores: ArrayLike) -> NDArray[np.float64]:
    """The share of resamples in which each cell is non-dominated: (cells,).

    Args:
        costs: (cells,), or (cells, costs) for more than one cost; none varies.
        scores: (resamples, cells), to be large.
    """
    prices, drawn = np.asarray(costs, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    if prices.ndim == 1 or prices.shape[1] == 1:
        return Staircases(prices.reshape(-1)).on_front(drawn) / max(len(drawn), 1)
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


def _resample(cells: Sequence[str], scores: Mapping[str, CellScores], resamples: int, seed: int) -> _Sample:
    """Resampled means of the cells that have scores; the others do not take part."""
    known = {cell: scores[cell] for cell in cells if cell in scores}
    images = shared_images(list(known.values()))
    columns = shared_columns(list(known.values()), images)
    note = _note([len(found.values) for found in known.values()], len(images), list(known.values()), len(cells))
    few = too_few(columns) if columns is not None else ""
    note = "; ".join(filter(None, [note, few]))
    if not images:
        known = {}
    matrices = [of_images(found, images) for found in known.values()]
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
    )


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


def _uncertain(front: Pareto, sample: _Sample, pairs: AllPairs, level: float) -> UncertainFront:
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
    stairs = Staircases(np.array([point.x for point in points]))
    shown = _shown_steps(stairs.steps, {point.x for point in points if point.on_front})
    counts, steps = np.zeros(len(points)), []
    for block in blocks(means):
        attained = stairs.attained(block)
        counts += stairs.hits(block, attained)
        steps.append(attained[:, shown])
    told = front_set(stairs, chosen, pairs)
    own = stairs.attained(sign * sample.estimates[None, chosen])[0]
    ends = np.stack([np.minimum(told.low, own), np.maximum(told.high, own)])
    low, high = ends[:, shown]
    median = np.clip(reflected_median(np.concatenate(steps), own[shown]), low, high)
    corrected = {
        point.cell: pairs.chosen(
            chosen[at],
            float(told.reach[np.searchsorted(stairs.steps, point.x)]),
            mean_interval(sample.scores[point.cell], level),
        )
        for at, point in enumerate(points)
        if point.on_front
    }

    def those(chosen: NDArray[np.bool_]) -> tuple[str, ...]:
        return tuple(point.cell for point, its in zip(points, chosen, strict=True) if its)

    return UncertainFront(
        x=front.x,
        y=front.y,
        level=level,
        resamples=resamples,
        probability=dict(zip((point.cell for point in points), (counts / resamples).tolist(), strict=True)),
        band=_band(stairs.steps[shown], (low, median, high), sign) if pairs.known else empty,
        hypervolume=_volume(front, stairs.hypervolumes(np.clip(ends, *_bounds(sign)), reference), pairs.known),
        attained=_attainment(front, sample),
        seeds=sample.seeds,
        images=sample.images,
        note=sample.note,
        possible=those(told.possible),
        sure=those(told.sure),
        best=those(told.best),
        chosen=corrected,
    )


def _band(steps: NDArray[np.float64], lines: Sequence[NDArray[np.float64]], sign: int) -> Band:
    """Of low, median and high, scores the larger the better: as the metric has them, within what it can be."""
    low, median, high = np.clip(lines, *_bounds(sign))
    low, median, high = (low, median, high) if sign > 0 else (-high, -median, -low)
    return Band(*(tuple(line.tolist()) for line in (steps, low, median, high)))


def _volume(front: Pareto, ends: NDArray[np.float64], known: bool) -> Hypervolume:
    """The hypervolume with that of the band's two ends, which holds the estimate and no more than there can be."""
    most = max(most_dominated(front.reference, front.y), front.hypervolume)
    low, high = np.clip(ends[0], 0.0, front.hypervolume), np.clip(ends[1], front.hypervolume, most)
    if not known:
        low, high = np.float64(np.nan), np.float64(np.nan)
    return Hypervolume(front.hypervolume, float(low), float(high), front.reference)


def _bounds(sign: int) -> tuple[float, float]:
    """Of scores, the larger the better: shares, or distances turned round."""
    return (0.0, 1.0) if sign > 0 else (-np.inf, 0.0)


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
