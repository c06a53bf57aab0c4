"""Designs: how a space's factors become configurations."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from ablate.errors import InputError
from ablate.search_spaces.space import MOST_CONFIGURATIONS, WITH, WITHOUT, Fields, Range, Space

Choice = dict[str, str | int | float]
"""What a configuration has of each of its factors: a level by name, or a number of a range."""


class Variant(NamedTuple):
    """One configuration of a space: the level of each factor, and the fields that those levels set."""

    levels: dict[str, str]
    fields: Fields


def expand(space: Space) -> list[Variant]:
    """The configurations of `space`, each once, in a stable order.

    Raises `InputError`, before any is made, where they are more than `MOST_CONFIGURATIONS`.
    """
    if count(space) > MOST_CONFIGURATIONS:
        raise InputError(
            f"space {space.name}: its {space.design} has {_in_figures(count(space))} configurations, at most "
            f"{MOST_CONFIGURATIONS:,} are planned; take levels out, draw some of them (design: random, samples: N), or "
            "let a search propose them (ablate run --sampler)"
        )
    makers = {"grid": _grid, "one_factor": _one_factor, "leave_one_out": _leave_one_out, "random": _random}
    distinct = {tuple(variant.levels.items()): variant for variant in makers[space.design](space)}
    return list(distinct.values())


def count(space: Space) -> int:
    """The most configurations that a space's design can have; conditions may leave fewer."""
    sizes = [len(space.levels(name)) for name in space.factors] if space.design != "random" else []
    counts = {"grid": math.prod(sizes), "one_factor": 1 + sum(sizes), "leave_one_out": 1 + len(sizes)}
    return counts.get(space.design, space.samples or 0)


def _in_figures(number: int) -> str:
    return f"{number:,}" if number < 10**15 else f"some 10^{round(math.log10(number))}"


def choose(space: Space, pick: Callable[[str, list[str] | Range], str | int | float]) -> Choice:
    """A configuration of any of the space's combinations, whatever its design, made factor by factor.

    `pick` is asked, in the factors' order, for one of a factor's levels or a number of its range; for a factor whose
    condition does not hold it is not asked.
    """
    choice: Choice = {}
    levels: dict[str, str] = {}
    for name in space.factors:
        if space.applies(name, levels):
            options = space.options(name)
            picked = pick(name, options)
            choice[name] = _number(options, picked) if isinstance(options, Range) else picked
            levels[name] = str(choice[name])
    return choice


def variant(space: Space, choice: Mapping[str, str | int | float]) -> Variant:
    """The configuration of a choice."""
    levels = {name: str(value) for name, value in choice.items()}
    fields: Fields = {}
    for name, value in choice.items():
        factor = space.factors[name]
        fields |= {name: value} if isinstance(factor, Range) else factor.get(str(value), {})
    return Variant(levels, fields)


def _number(factor: Range, value: str | int | float) -> int | float:
    """A number of the range, with the six digits that are kept of it."""
    if factor.whole:
        return min(max(round(float(value)), int(factor.low)), int(factor.high))
    return float(min(max(float(f"{float(value):.6g}"), factor.low), factor.high))


def _grid(space: Space) -> Iterator[Variant]:
    """Every combination of levels."""
    for combination in itertools.product(*(space.levels(name) for name in space.factors)):
        levels: dict[str, str] = {}
        for name, level in zip(space.factors, combination, strict=True):
            if space.applies(name, levels):
                levels[name] = level
        yield variant(space, levels)


def _one_factor(space: Space) -> Iterator[Variant]:
    """The reference, then each factor varied alone about it."""
    reference = {name: space.reference[name] for name in space.factors}
    yield variant(space, reference)
    for name in space.factors:
        for level in space.levels(name):
            yield variant(space, reference | {name: level})


def _leave_one_out(space: Space) -> Iterator[Variant]:
    """The full model, then the model without each component."""
    full = dict.fromkeys(space.factors, WITH)
    yield variant(space, full)
    for name in space.factors:
        yield variant(space, full | {name: WITHOUT})


def _random(space: Space) -> Iterator[Variant]:
    """`samples` configurations drawn independently; a drawn duplicate is drawn again while there is hope of another."""
    rng = np.random.default_rng(space.design_seed)
    seen: set[tuple[tuple[str, str], ...]] = set()
    assert space.samples is not None
    wanted, in_vain = min(space.samples, _combinations(space)), 0
    for _ in range(100 * wanted):
        if len(seen) == wanted or in_vain > _HOPE + 20 * len(seen):
            return
        drawn = variant(space, draw(space, rng))
        in_vain += 1
        if tuple(drawn.levels.items()) not in seen:
            in_vain = 0
            seen.add(tuple(drawn.levels.items()))
            yield drawn


_HOPE = 1000
"""Duplicates in a row, beside twenty for each known configuration, after which no other is hoped for."""


def _combinations(space: Space) -> int:
    """The most configurations that can differ: a range counts as without end."""
    options = [space.options(name) for name in space.factors]
    if any(isinstance(option, Range) for option in options):
        return MOST_CONFIGURATIONS
    return math.prod(len(option) for option in options if isinstance(option, list))


def draw(space: Space, rng: np.random.Generator) -> Choice:
    """A configuration drawn at random: every level alike, every number of a range alike (in its logarithm if `log`)."""
    return choose(space, lambda _, options: draw_one(options, rng))


def draw_one(options: list[str] | Range, rng: np.random.Generator) -> str | int | float:
    """One of a factor's levels, or a number of its range, drawn at random."""
    return _draw(options, rng) if isinstance(options, Range) else str(rng.choice(options))


def _draw(factor: Range, rng: np.random.Generator) -> int | float:
    if factor.step is not None:
        steps = math.floor((factor.high - factor.low) / factor.step + 1e-9)
        return factor.low + factor.step * int(rng.integers(steps + 1))
    low, high = (factor.low - 0.5, factor.high + 0.5) if factor.whole else (factor.low, factor.high)
    return math.exp(rng.uniform(math.log(low), math.log(high))) if factor.log else rng.uniform(low, high)
