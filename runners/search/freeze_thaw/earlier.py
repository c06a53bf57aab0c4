"""What earlier studies of the same factors say of curves, before any of these is observed.

Each earlier study is modelled by itself, as a search models its own (`curves`). Its model says how each configuration
departs from the mean of all. What is searched is expected to do the same, in part: departures, as shares of the spread
of values, count times a number that is normal about `_TRUST`, and is learnt together with all else. Where the networks
of an earlier study are ranked otherwise, that number goes to nought, or below. One number cannot say where two studies
agree and where they do not, so what is expected also fades as configurations are begun.

The idea of a prior from earlier tasks whose scale is learnt: Kennedy & O'Hagan 2000, "Predicting the output from a
complex computer code when fast approximations are available" (Biometrika 87).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ablate.runners.search.freeze_thaw.cells import Offered, rungs
from ablate.runners.search.freeze_thaw.curves import HIGHEST, Curves, Observed, fitted
from ablate.runners.search.surrogate import Floats

MOST_OBSERVED = 240
"""Rungs that are taken of an earlier study; of more, configurations that are evenly spread over parameters."""
_TRUST, _DOUBT = 0.75, 0.5
"""Mean and standard deviation of the share of an earlier study that holds."""
_FADES = 10
"""Once so many configurations were begun, it counts half; after three times as many, a quarter."""


class EarlierCurve(NamedTuple):
    """A configuration of an earlier study, as far as it was trained."""

    levels: dict[str, str]
    params: int
    points: tuple[tuple[float, float, int], ...]
    """Of each rung that it reached: the logarithm of the epoch over that of the study's last, −log(1 − s) of the best
    score s so far, the mean of its trials, and of how many."""


def earlier_curve(
    levels: Mapping[str, str], params: int, best: Sequence[Mapping[int, float]], last: int
) -> EarlierCurve:
    """`best`: of each trial the best score so far by epoch; `last`: the most epochs of any trial of its study."""
    scale, points = math.log(max(last, 2)), []
    for rung in rungs(last):
        scores = [of_trial[rung] for of_trial in best if rung in of_trial]
        if scores:
            value = -math.log1p(-min(float(np.mean(scores)), HIGHEST))
            points.append((math.log(rung) / scale, value, len(scores)))
    return EarlierCurve(dict(levels), params, tuple(points))


T = TypeVar("T")


def evenly(cells: Iterable[T], last: int, *, of: Callable[[T], EarlierCurve]) -> list[T]:
    """As many of one study's configurations as have at most `MOST_OBSERVED` rungs by epoch `last`, evenly spread over
    parameters; the same in whatever order they are given."""
    ordered = sorted(cells, key=lambda one: (of(one).params, sorted(of(one).levels.items())))
    return ordered[:: max(math.ceil(len(ordered) * len(rungs(last)) / MOST_OBSERVED), 1)]


class Foreseen(NamedTuple):
    """Of configurations in rows how each departs from the mean in each study (studies, rows, times), of standardised
    values; a `curves.Beforehand`."""

    times: Floats
    departures: Floats
    begun: int = 0
    """Configurations of this search: what is known beforehand fades by them."""

    def expected(self, cells: NDArray[np.intp], times: Floats) -> Floats:
        return np.asarray(_TRUST * self._share * self._at(cells, times).mean(axis=1))

    def basis(self, cells: NDArray[np.intp], times: Floats) -> Floats:
        return np.asarray(_DOUBT * self._share / math.sqrt(len(self.departures)) * self._at(cells, times))

    @property
    def _share(self) -> float:
        return _FADES / (_FADES + self.begun)

    def _at(self, cells: NDArray[np.intp], times: Floats) -> Floats:
        return self.departures[:, cells, np.searchsorted(self.times, times)].T


class Earlier:
    """Earlier studies, as they bear on what is searched."""

    def __init__(
        self,
        studies: Sequence[Sequence[EarlierCurve]],
        place: Callable[[Mapping[str, str]], Sequence[float]],
        named: NDArray[np.bool_],
        params: int | None,
    ) -> None:
        """
        Args:
            studies: of each its curves, one at least.
            place: where levels lie in the factors' columns of `Offered.features`, which come first; NaN for none.
            named: which of these columns have no order.
            params: which of `Offered.costs` is the number of parameters. Other costs depend on the images.
        """
        self._factors, self._params = len(named), params
        with threadpool_limits(1):  # small matrices; and the same bits, however many threads there are
            self._models = [_Model(curves, place, np.append(named, False), params is not None) for curves in studies]
        self._known: dict[tuple[str, tuple[float, ...]], list[Floats]] = {}
        """Departures of each study, by cell, and times."""

    def foreseen(self, everything: Sequence[Offered], last: int, begun: int = 0) -> Foreseen:
        """`last`: the most epochs of any trial, by whose logarithm times are divided; `begun`: as of `Foreseen`."""
        scale = math.log(max(last, 2))
        times = tuple(
            sorted({math.log(rung) / scale for most in {one.epochs for one in everything} for rung in rungs(most)})
        )
        new = [offered for offered in everything if (offered.cell, times) not in self._known]
        if new:
            rows = np.array([self._row(offered) for offered in new])
            for offered, *found in zip(new, *(model.departures(rows, times) for model in self._models), strict=True):
                self._known[offered.cell, times] = found
        departures = np.array([self._known[offered.cell, times] for offered in everything]).transpose(1, 0, 2)
        return Foreseen(np.array(times), departures, begun)

    def _row(self, offered: Offered) -> tuple[float, ...]:
        params = 0.0 if self._params is None else math.log10(max(offered.costs[self._params], 1))
        return (*offered.features[: self._factors], params)


class _Model:
    """One earlier study's curves."""

    def __init__(
        self,
        curves: Sequence[EarlierCurve],
        place: Callable[[Mapping[str, str]], Sequence[float]],
        named: NDArray[np.bool_],
        by_params: bool,
    ) -> None:
        params = [math.log10(max(curve.params, 1)) if by_params else 0.0 for curve in curves]
        rows = np.array([[*place(curve.levels), log] for curve, log in zip(curves, params, strict=True)])
        self._columns = ~np.isnan(rows).all(axis=0)
        """What the study has any level of."""
        self._cells: dict[tuple[float | None, ...], int] = {}
        """By place: configurations that this search does not tell apart are one."""
        distinct: list[Floats] = []
        found: list[tuple[float, ...]] = []
        for row, curve in zip(rows[:, self._columns], curves, strict=True):
            if _identity(row) not in self._cells:
                self._cells[_identity(row)] = len(distinct)
                distinct.append(row)
            found += [(self._cells[_identity(row)], *point) for point in curve.points]
        columns = np.array(found, dtype=np.float64).T
        observed = Observed(columns[0].astype(np.intp), columns[1], columns[2], columns[3])
        features, named = np.array(distinct), named[self._columns]
        self._curves = Curves.given(features, named, observed, fitted(features, named, observed))

    def departures(self, rows: Floats, times: tuple[float, ...]) -> Floats:
        """From the mean of its configurations: (rows, times)."""
        rows, own = rows[:, self._columns], self._curves.features
        cells = [self._cells.get(_identity(row), len(own) + at) for at, row in enumerate(rows)]
        curves = self._curves._replace(features=np.concatenate([own, rows]))
        mean = _means(curves, np.arange(len(own)), times).mean(axis=0)
        return (_means(curves, np.array(cells, dtype=np.intp), times) - mean) / curves.spread


def _means(curves: Curves, cells: NDArray[np.intp], times: tuple[float, ...]) -> Floats:
    mean, _ = curves.at(np.repeat(cells, len(times)), np.tile(np.array(times), len(cells)))
    return mean.reshape(len(cells), len(times))


def _identity(row: Floats) -> tuple[float | None, ...]:
    return tuple(None if math.isnan(value) else value for value in row.tolist())
