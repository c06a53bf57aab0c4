"""What networks cost a search: known beforehand, measured of what it starts, and foretold of all else.

To measure a network takes ten seconds and more, so not all that could be started are measured. The first few are spread
over the seconds that are foretold by layers; then each one as it is chosen to start, once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from ablate.runners.search.surrogate import Floats, Surrogate, fit

if TYPE_CHECKING:
    from ablate.cost.measured import Measured
    from ablate.search_spaces.constraints import Constraint

KNOWN = ("params", "macs")
"""Costs that are known beforehand."""
MEASURED = ("latency_ms", "peak_memory_mb")
SPREAD = 5
"""Configurations that are measured before anything is foretold."""
_OFF = 0.2
"""By how much the logarithm of what is foretold is off at least: 0.26, then 0.12 were measured (docs/search.md)."""
ROOM = math.exp(2 * _OFF)
"""A measured cost may come out so many times as high as the highest that was foretold."""


class Basis(NamedTuple):
    """What is known of a configuration's costs before it is measured."""

    cell: str
    known: tuple[float, ...]
    """By `KNOWN`."""
    row: tuple[float, ...]
    """What costs are foretold by."""
    seconds: float
    """Of an epoch, as foretold."""


class Costs:
    """The costs that a search goes by, of configurations whether they were measured or not.

    The logarithm of a measured cost, for latency over the foretold seconds, is a Gaussian process over factors and the
    logarithms of parameters, MACs and seconds. Its mean is taken for the cost of what was not measured, as if that were
    sure. Under a bound, a configuration counts by the probability that it meets it.
    """

    def __init__(self, names: Sequence[str], bounds: Sequence[Constraint], named: NDArray[np.bool_]) -> None:
        """`bounds`: of a space; those on what is known beforehand are none of this one's business. `named`: which
        columns of `Basis.row` are levels without an order."""
        self.names = tuple(names)
        self._bounds: dict[str, float] = {
            b.cost: min(o.most for o in bounds if o.cost == b.cost) for b in bounds if b.cost in MEASURED
        }
        self._named = named
        self.measured = tuple(name for name in MEASURED if name in self.names or name in self._bounds)
        """Which are to be measured."""
        self._figures: dict[str, Mapping[str, float]] = {}
        """What was found, by cell; of what could not be measured nothing."""
        self._of: dict[str, Basis] = {}
        self._why: dict[str, str] = {}
        self._models: dict[str, Surrogate] | None = None

    @property
    def most(self) -> Floats:
        """What each cost may be by the bounds: (costs,)."""
        return np.array([self._bounds.get(name, math.inf) for name in self.names])

    @property
    def margins(self) -> Floats:
        """By what the highest price that is known or foretold may be exceeded, at least: (costs,)."""
        return np.array([ROOM if name in MEASURED and name not in self._bounds else 1.0 for name in self.names])

    def is_settled(self, cell: str) -> bool:
        """Whether nothing of a configuration is left to measure."""
        return not self.measured or cell in self._figures

    def see(self, basis: Basis, figures: Mapping[str, float], why: str | None = None) -> None:
        """Note what was measured of a configuration, or why it could not be."""
        self._of[basis.cell], self._figures[basis.cell] = basis, figures
        self._why.pop(basis.cell, None)
        if why:
            self._why[basis.cell] = why
        for name, most in self._bounds.items():
            if figures.get(name, 0.0) > most:
                self._why[basis.cell] = f"{name} {figures[name]:.4g}: the space allows {most:g}"
        self._models = None

    def can_foretell(self) -> bool:
        """Whether something was measured of each cost that is."""
        return all(any(name in figures for figures in self._figures.values()) for name in self.measured)

    def rejected(self) -> Mapping[str, str]:
        """What must not be trained, by cell, and why: it exceeds a bound, or could not be measured."""
        return self._why

    def of(self, those: Sequence[Basis]) -> tuple[Floats, Floats]:
        """The costs of configurations (m, costs), and how likely they are to be within the bounds (m,)."""
        columns = dict(zip(KNOWN, np.array([one.known for one in those], dtype=np.float64).T, strict=True))
        chances = np.ones(len(those))
        for name in self.measured:
            found = (self._figures.get(one.cell, {}).get(name) for one in those)
            column = np.array([math.nan if figure is None else figure for figure in found])
            left = np.flatnonzero(np.isnan(column)).tolist()
            if left:
                mean, deviation = self._foretold(name, [those[row] for row in left])
                column[left] = np.exp(mean)
                if name in self._bounds:
                    chances[left] *= ndtr((math.log(self._bounds[name]) - mean) / np.hypot(deviation, _OFF))
            columns[name] = column
        return np.column_stack([columns[name] for name in self.names]), chances

    def _foretold(self, name: str, those: Sequence[Basis]) -> tuple[Floats, Floats]:
        """The logarithm of a measured cost, and its deviation: (m,) both."""
        if self._models is None:
            self._models = {name: self._fitted(name) for name in self.measured}
        mean, deviation = self._models[name].posterior(np.array([one.row for one in those]))
        return mean + _base(name, those), deviation

    def _fitted(self, name: str) -> Surrogate:
        seen = [self._of[cell] for cell, figures in self._figures.items() if name in figures]
        logs = np.log([self._figures[one.cell][name] for one in seen])
        return fit(np.array([one.row for one in seen]), logs - _base(name, seen), self._named)


def _base(name: str, those: Sequence[Basis]) -> Floats:
    """What the logarithm of a cost follows: that of latency the foretold seconds."""
    return np.array([math.log(one.seconds) if name == "latency_ms" else 0.0 for one in those])


def figures_of(found: Measured) -> dict[str, float]:
    """What a search goes by of a measurement.

    It is made while trials train. Of one thread of a CPU the latency is therefore what a pass takes of the processor,
    which is the same where it has a core to itself: what neighbours take is not in it.
    """
    alone = found.threads == 1 and found.device.startswith("cpu") and bool(found.latency_cpu_ms)
    latency = found.latency_cpu_ms if alone and found.latency_cpu_ms else found.latency_ms
    return {"latency_ms": max(latency, 1e-6), "peak_memory_mb": max(found.peak_memory_mb, 1e-6)}
