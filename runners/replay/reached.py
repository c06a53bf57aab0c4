"""What a simulated run had reached after each epoch: hypervolume of cells, against what was spent."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import moocore
import numpy as np
from numpy.typing import NDArray

from ablate.errors import InputError
from ablate.runners.replay.curves import Curve, cells_of
from ablate.runners.simulate import Step

MARGIN = 1.1
"""The reference point's costs, in units of the largest."""


class Path(NamedTuple):
    """What one repeat reached, after each of its epochs: `hypervolume` (epochs,) as a share of the full grid's.

    `seconds` (epochs,) are simulated wall time; `spent` (epochs,) is machine time, what the epochs and the starts so
    far took together; `starts` (epochs,) how many of these there were. The number of epochs is the position, from 1.
    """

    hypervolume: NDArray[np.float64]
    seconds: NDArray[np.float64]
    spent: NDArray[np.float64]
    starts: NDArray[np.intp]

    def epochs_to(self, share: float) -> float:
        """Epochs spent until `share` of the grid's hypervolume was reached; infinite if it never was."""
        return self._at(np.arange(1, len(self.seconds) + 1), share)

    def seconds_to(self, share: float) -> float:
        """Wall time, likewise."""
        return self._at(self.seconds, share)

    def spent_to(self, share: float) -> float:
        """Seconds of machine time, likewise."""
        return self._at(self.spent, share)

    def _at(self, values: NDArray[np.generic], share: float) -> float:
        reached = self.hypervolume >= share - 1e-12
        return float(values[reached.argmax()]) if reached.any() else math.inf


class Reference(NamedTuple):
    """What hypervolume is measured against: a score and the largest costs, and the hypervolume of all curves whole.

    Costs count by their logarithms: a price range from 1 to 2 million is worth as much as one from 10 to 20.
    """

    point: tuple[float, ...]
    whole: float


def reference(curves: Mapping[str, Curve], bar: float = 0.0) -> Reference:
    """The reference of a finished grid: `bar` (a score, that of the best trivial predictor say), 1.1 times each of the
    largest costs, and what all cells reach in the end."""
    logs = _log_costs(curves)
    point = (bar, *(math.log(MARGIN) + logs.max(axis=0)).tolist())
    finals = {key: _standing(curve, curve.scores, bar) for key, curve in curves.items()}
    means = [_mean([finals[key] for key in keys]) for keys in cells_of(curves).values()]
    area = _hypervolume(np.column_stack([means, logs]), point)
    if not area > 0:
        raise InputError(f"no curve gets above a validation Dice of {bar:g}: there is no hypervolume to reach")
    return Reference(point, area)


def reached(steps: Iterable[Step], curves: Mapping[str, Curve], against: Reference, restart: float = 0.0) -> Path:
    """The hypervolume of (score, costs) of the cells after each step; `restart`: seconds of a start.

    A trial stands at its best epoch so far, but at the bar at least, for the trivial predictor is always to be had: so
    do those that were not begun, and those that fail, which leave no network. A cell scores the mean of its trials.
    """
    bar = against.point[0]
    cells = cells_of(curves)
    place = {key: (row, keys) for row, keys in enumerate(cells.values()) for key in keys}
    points = np.column_stack([np.full(len(cells), bar), _log_costs(curves)])
    stands = dict.fromkeys(curves, bar)
    shares: list[float] = []
    seconds, spent, starts = [], [], []
    share = trained = 0.0
    for step in steps:
        curve = curves[step.key]
        score = _standing(curve, curve.scores[step.epoch - 1 : step.epoch], bar)
        if score > stands[step.key]:
            stands[step.key] = score
            row, keys = place[step.key]
            points[row, 0] = mean = _mean([stands[key] for key in keys])
            if not _behind(mean, row, points):
                above = points[points[:, 0] > bar]
                share = min(1.0, _hypervolume(above, against.point) / against.whole)  # of sums in another order
        trained += curve.seconds[step.epoch - 1]
        shares.append(share)
        seconds.append(step.time)
        spent.append(trained + restart * step.starts)
        starts.append(step.starts)
    return Path(np.array(shares), np.array(seconds), np.array(spent), np.array(starts, dtype=np.intp))


def _standing(curve: Curve, scores: Sequence[float], bar: float) -> float:
    """What a trial is worth that has scored these."""
    return bar if curve.state == "failed" else max(bar, *scores, bar)


def _mean(scores: Sequence[float]) -> float:
    return scores[0] if len(scores) == 1 else math.fsum(scores) / len(scores)


def _log_costs(curves: Mapping[str, Curve]) -> NDArray[np.float64]:
    """(cells, costs): logarithms, of the mean over a cell's trials."""
    costs = [np.mean([curves[key].costs for key in keys], axis=0) for keys in cells_of(curves).values()]
    return np.log(np.array(costs))


def _behind(score: float, row: int, points: NDArray[np.float64]) -> bool:
    """Whether another point scores as much at no higher costs, so that this one adds nothing."""
    others = (points[:, 0] >= score) & (points[:, 1:] <= points[row, 1:]).all(axis=1)
    others[row] = False
    return bool(others.any())


def _hypervolume(points: NDArray[np.float64], at: tuple[float, ...]) -> float:
    if not (np.isfinite(points).all() and np.isfinite(at).all()):  # moocore would crash the process
        raise ValueError("hypervolume needs finite numbers")
    return float(moocore.hypervolume(points, ref=list(at), maximise=[True] + [False] * (len(at) - 1)))
