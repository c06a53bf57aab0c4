"""A front as a confidence set: which cells may be on it, which surely are, and what may be attained at each cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ablate.analysis.best import AllPairs
from ablate.analysis.staircases import Staircases


class FrontSet(NamedTuple):
    """What comparisons of all cells at once leave of a front.

    `possible`, `sure`, `best` are (cells,): may be on the true front, surely is, may have the best score of all. `low`
    and `high` are (steps,): the pointwise interval of the score attained for no more than each step's cost, scores the
    larger the better. `reach` (steps,): by how many standard errors the most flattered mean of the cells up to there
    that can be on the front may be too high.
    """

    possible: NDArray[np.bool_]
    sure: NDArray[np.bool_]
    best: NDArray[np.bool_]
    reach: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def front_set(stairs: Staircases, columns: Sequence[int], pairs: AllPairs) -> FrontSet:
    """The confidence set of the front of the cells of `pairs` that are numbered `columns`, whose costs `stairs` has.

    A cell is excluded if one that is no dearer is told apart from it as better, and sure if it is told apart as better
    from every one that is no dearer.

    The band's low end is what the cells attain whose means are each lowered by `reach`; its high end is the best of
    the cells' own one-sided ends, whichever of them is the true one. Both are sorted, for what is attained rises.
    """
    costs = stairs.costs
    place = np.full(len(pairs.cells), -1)
    place[pairs.able] = np.arange(len(pairs.able))
    able = np.flatnonzero(place[columns] >= 0)
    numbers = place[columns][able]
    better = pairs.better[np.ix_(numbers, numbers)]
    no_dearer = costs[able][:, None] <= costs[able]
    possible, best = np.ones(len(costs), dtype=bool), np.ones(len(costs), dtype=bool)
    possible[able], best[able] = ~(better & no_dearer).any(axis=0), ~better.any(axis=0)
    beaten = np.zeros(len(costs), dtype=int)
    beaten[able] = (better & no_dearer.T).sum(axis=1)
    rivals = np.searchsorted(np.sort(costs), costs, side="right") - 1
    means, errors = np.where(possible, pairs.means[columns], -np.inf), pairs.errors[columns]
    deviations = np.where(possible, pairs.deviations[:, columns], -np.inf)
    reach = np.quantile(stairs.attained(deviations), (1 + pairs.level) / 2, axis=0)
    lowered = (means - far * errors for far in reach)
    low = [ends[stairs.order][:count].max() for ends, count in zip(lowered, stairs.counts, strict=True)]
    raised = np.full(len(costs), -np.inf)
    up = -np.quantile(deviations[:, possible], (1 - pairs.level) / 2, axis=0)
    raised[possible] = means[possible] + up * errors[possible]
    return FrontSet(
        possible=possible,
        sure=beaten == rivals,
        best=best,
        reach=reach,
        low=np.sort(low),
        high=stairs.attained(raised[None])[0],
    )
