"""The fronts of many resamples at once: what is attained at each cost, and who attains it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_BLOCK = 2_000_000
"""Numbers that are worked on at once, to bound memory."""


class Staircases:
    """The fronts of many resamples at once, over costs that do not vary.

    Sorted by cost, a front is a running maximum: what takes moocore a call for each resample is one pass over a matrix.
    """

    def __init__(self, costs: NDArray[np.float64]) -> None:
        self.costs = costs
        self.order = np.argsort(costs, kind="stable")
        self.steps, self._starts, counts = np.unique(costs[self.order], return_index=True, return_counts=True)
        """The distinct costs, (steps,)."""
        self.counts = np.cumsum(counts)
        """How many cells cost no more than each, (steps,)."""
        self._step_of = np.repeat(np.arange(len(self.steps)), counts)

    def attained(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """The best score for no more than each step's cost: (resamples, steps)."""
        best = np.maximum.reduceat(scores[:, self.order], self._starts, axis=1)
        return np.maximum.accumulate(best, axis=1, out=best)

    def on_front(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """In how many resamples each cell is on the front: (cells,)."""
        counts = np.zeros(scores.shape[1])
        if not scores.size:
            return counts
        for block in blocks(scores):
            counts += self.hits(block, self.attained(block))
        return counts

    def hits(self, scores: NDArray[np.float64], attained: NDArray[np.float64]) -> NDArray[np.float64]:
        """As `on_front`, where `attained` is at hand: a cell is the best at its cost and better than all below."""
        rises = np.ones(attained.shape, dtype=bool)
        np.greater(attained[:, 1:], attained[:, :-1], out=rises[:, 1:])
        best = scores[:, self.order] == attained[:, self._step_of]
        best &= rises[:, self._step_of]
        counts = np.empty(scores.shape[1])
        counts[self.order] = best.sum(axis=0)
        return counts

    def hypervolumes(self, attained: NDArray[np.float64], reference: tuple[float, float]) -> NDArray[np.float64]:
        """The area up to `reference` (cost, score), of each resample."""
        widths = np.diff(np.minimum(self.steps, reference[0]), append=reference[0])
        return np.maximum(attained - reference[1], 0.0) @ np.maximum(widths, 0.0)


def blocks(scores: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    rows = max(1, _BLOCK // max(scores.shape[1], 1))
    return [scores[at : at + rows] for at in range(0, len(scores), rows)]


def reflected_median(drawn: NDArray[np.float64], estimate: NDArray[np.float64]) -> NDArray[np.float64]:
    """The basic bootstrap's median of rising values: `drawn` (resamples, values), `estimate` (values,): (values,)."""
    return np.sort(2 * estimate - np.median(drawn, axis=0))
