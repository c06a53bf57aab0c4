"""The hypervolume that a configuration may still add, where its price is known and its score is not.

In the box of prices (their logarithms) lie points, evenly. At each of them, what counts is the best score that can be
had for no more than that: its level. A configuration of score s adds max(s − level, 0) at every point that it can be
paid for, so the expected hypervolume is a mean over points of ordinary expected improvements. That holds for any
number of costs; its error is that of the points, a thousandth of the box or so.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr
from scipy.stats.qmc import Sobol

from ablate.runners.search.surrogate import Floats

_POINTS = 2**12


_MARGIN = 1.1


def box_of(costs: Sequence[Sequence[float]] | Floats, margins: Floats | float = 1.0) -> tuple[Floats, Floats]:
    """Logarithms of the lowest of these costs (m, costs), and of 1.1 times the highest, times `margins` (costs,)."""
    logs = np.log(costs)
    return logs.min(axis=0), logs.max(axis=0) + np.log(_MARGIN) + np.log(margins)


class Prices:
    """The box from the lowest to the highest prices (costs,), logarithms all."""

    def __init__(self, low: Floats, high: Floats) -> None:
        spread = np.maximum(high - low, 1e-9)
        self._points = low + spread * Sobol(len(low), rng=0).random(_POINTS)

    def within(self, prices: Floats) -> NDArray[np.float32]:
        """Which points each of `prices` (m, costs) can be paid at: (m, points), ones and noughts."""
        found = np.ones((len(prices), len(self._points)), dtype=bool)
        for cost, points in zip(prices.T, self._points.T, strict=True):
            found &= cost[:, None] <= points[None, :]
        return found.astype(np.float32)

    def levels(self, within: NDArray[np.float32], scores: Floats, bar: float) -> Floats:
        """The best of `scores` (m,) that can be had at each point, and at least `bar`: (points,)."""
        found = np.full(within.shape[1], bar)
        for row, score in zip(within, scores, strict=True):
            if score > bar:
                found = np.where((row > 0) & (score > found), score, found)
        return found


def volume(levels: Floats, bar: float) -> float:
    """The hypervolume below `levels` and above `bar`, as a share of the box's."""
    return float(levels.mean() - bar)


def expected(mean: Floats, deviation: Floats, within: NDArray[np.float32], levels: Floats) -> Floats:
    """The expected hypervolume of configurations whose −log(1 − score) is normal: (m,), shares of the box's."""
    steps, place = np.unique(levels, return_inverse=True)
    counts = within @ np.eye(len(steps), dtype=np.float32)[place]
    return np.asarray((counts * above(mean, deviation, steps)).sum(axis=1) / len(levels))


def above(mean: Floats, deviation: Floats, steps: Floats) -> Floats:
    """E[max(score − step, 0)] of scores whose −log(1 − score) is normal: (m, steps).

    The error 1 − score is lognormal, so this is what a put option is worth (Black & Scholes 1973).
    """
    room = np.maximum(1 - steps, 1e-12)
    z = (np.log(room) + mean[:, None]) / deviation[:, None]
    error = np.exp(-mean + deviation**2 / 2)[:, None]
    return np.maximum(room * ndtr(z) - error * ndtr(z - deviation[:, None]), 0.0)
