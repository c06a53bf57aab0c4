"""Configurations of a space as rows of numbers, which models of what they score go by."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from ablate.runners.search.catalogue import distributions
from ablate.search_spaces.designs import Choice, choose, draw, draw_one
from ablate.search_spaces.space import Range, Space


class Encoding:
    """A column for each factor, from 0 to 1 or a level's number, and one for each cost, in powers of ten."""

    def __init__(self, space: Space, costs: int = 2) -> None:
        self.distributions = distributions(space)
        named = [_is_named(found) for found in self.distributions.values()]
        self.named: NDArray[np.bool_] = np.array([*named, *[False] * costs])
        """Which columns are levels without an order."""

    def row(self, params: Mapping[str, Any], costs: Sequence[float]) -> list[float]:
        """The row of a configuration, by Optuna's parameters; NaN for a factor that it does not have."""
        factors = (
            _unit(found, params[name]) if name in params else math.nan for name, found in self.distributions.items()
        )
        return [*factors, *(math.log10(cost) if cost > 0 else 0.0 for cost in costs)]

    def place(self, levels: Mapping[str, str]) -> list[float]:
        """Where levels of another space lie in the factors' columns; NaN for a factor that it does not have."""
        return [
            _place(found, levels[name]) if name in levels else math.nan for name, found in self.distributions.items()
        ]


def changed(space: Space, parent: Mapping[str, Any], rng: np.random.Generator) -> Choice:
    """`parent` with one or two of its factors drawn anew, and what depends on them."""
    names = list(parent)
    count = min(len(names), 1 + int(rng.integers(2)))
    anew = frozenset(names[i] for i in rng.choice(len(names), size=count, replace=False))
    return redrawn(space, parent, anew, rng)


def redrawn(space: Space, parent: Mapping[str, Any], anew: frozenset[str], rng: np.random.Generator) -> Choice:
    """`parent` with other values of the factors in `anew`, and what depends on them."""
    return choose(space, _picker(parent, draw(space, rng), anew, rng))


def _picker(
    parent: Mapping[str, Any], other: Mapping[str, Any], anew: frozenset[str], rng: np.random.Generator
) -> Callable[[str, list[str] | Range], str | int | float]:
    """Picks what `parent` has, of the factors in `anew` what `other` has, and what neither has at random."""

    def pick(name: str, options: list[str] | Range) -> str | int | float:
        source = parent if name in parent and name not in anew else other
        if name not in source:
            return draw_one(options, rng)
        value: str | int | float = source[name]
        return value if isinstance(options, Range) else str(value)

    return pick


def _is_named(distribution: BaseDistribution) -> bool:
    """Whether a factor's levels have no order."""
    return isinstance(distribution, CategoricalDistribution) and not _numbers(distribution.choices)


def _numbers(levels: Iterable[Any]) -> list[float]:
    try:
        return [float(level) for level in levels]
    except ValueError:
        return []


def _unit(distribution: BaseDistribution, value: Any) -> float:
    if isinstance(distribution, CategoricalDistribution):
        numbers = _numbers(distribution.choices)
        if not numbers:
            return float(distribution.choices.index(value))
        return sorted(numbers).index(float(value)) / max(len(numbers) - 1, 1)
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    scaled = math.log if distribution.log else float
    low, high = scaled(distribution.low), scaled(distribution.high)
    return (scaled(value) - low) / (high - low) if high > low else 0.5


def _place(distribution: BaseDistribution, level: str) -> float:
    if isinstance(distribution, CategoricalDistribution):
        return placed(level, list(map(str, distribution.choices)))
    try:
        return _unit(distribution, float(level))
    except ValueError:  # no number, or none that has a logarithm
        return math.nan


def are_numbers(levels: Iterable[str]) -> bool:
    """Whether levels have an order."""
    return bool(_numbers(levels))


def placed(level: str, known: Sequence[str]) -> float:
    """Where a level lies among `known` ones, of which it need not be one: as `Encoding.row` has these.

    Between two numbers it lies between them, beyond the last a step further. A name that is none of them is a level of
    its own; text among numbers has no place: NaN.
    """
    numbers = sorted(set(_numbers(known)))
    if not numbers:
        return float(known.index(level) if level in known else len(known) + zlib.crc32(level.encode()))
    try:
        number = float(level)
    except ValueError:
        return math.nan
    steps = max(len(numbers) - 1, 1)
    beyond = (number > numbers[-1]) - (number < numbers[0])
    return float(np.interp(number, numbers, np.arange(len(numbers)) / steps)) + beyond / steps
