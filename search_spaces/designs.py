"""Designs: how a space's factors become configurations."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from search_spaces.space import WITH, WITHOUT, Fields, Range, Space


class Variant(NamedTuple):
    """One configuration of a space: the level of each factor, and the fields that those levels set."""

    levels: dict[str, str]
    fields: Fields


def expand(space: Space) -> list[Variant]:
    """The configurations of `space`, each once, in a stable order."""
    makers = {"grid": _grid, "one_factor": _one_factor, "leave_one_out": _leave_one_out, "random": _random}
    distinct = {tuple(variant.levels.items()): variant for variant in makers[space.design](space)}
    return list(distinct.values())


def _variant(space: Space, levels: dict[str, str]) -> Variant:
    fields: Fields = {}
    for name, level in levels.items():
        fields |= space.levels(name).get(level, {})
    return Variant(levels, fields)


def _grid(space: Space) -> Iterator[Variant]:
    """Every combination of levels."""
    levels = [[(name, level) for level in space.levels(name)] for name in space.factors]
    for combination in itertools.product(*levels):
        yield _variant(space, dict(combination))


def _one_factor(space: Space) -> Iterator[Variant]:
    """The reference, then each factor varied alone about it."""
    reference = {name: space.reference[name] for name in space.factors}
    yield _variant(space, reference)
    for name in space.factors:
        for level in space.levels(name):
            yield _variant(space, reference | {name: level})


def _leave_one_out(space: Space) -> Iterator[Variant]:
    """The full model, then the model without each component."""
    full = dict.fromkeys(space.factors, WITH)
    yield _variant(space, full)
    for name in space.factors:
        yield _variant(space, full | {name: WITHOUT})


def _random(space: Space) -> Iterator[Variant]:
    """`samples` configurations drawn independently; a drawn duplicate is drawn again while there is hope of another."""
    rng = np.random.default_rng(space.design_seed)
    seen: set[tuple[tuple[str, str], ...]] = set()
    assert space.samples is not None
    for _ in range(100 * space.samples):
        if len(seen) == space.samples:
            return
        levels, fields = {}, {}
        for name, factor in space.factors.items():
            if isinstance(factor, Range):
                value = _draw(factor, rng)
                levels[name], fields[name] = str(value), value
            else:
                levels[name] = str(rng.choice(list(factor)))
                fields |= factor[levels[name]]
        if tuple(levels.items()) not in seen:
            seen.add(tuple(levels.items()))
            yield Variant(levels, fields)


def _draw(factor: Range, rng: np.random.Generator) -> int | float:
    if factor.step is not None:
        steps = math.floor((factor.high - factor.low) / factor.step + 1e-9)
        return factor.low + factor.step * int(rng.integers(steps + 1))
    integer = isinstance(factor.low, int) and isinstance(factor.high, int)
    low, high = (factor.low - 0.5, factor.high + 0.5) if integer else (factor.low, factor.high)
    value = math.exp(rng.uniform(math.log(low), math.log(high))) if factor.log else rng.uniform(low, high)
    if integer:
        return min(max(round(value), int(factor.low)), int(factor.high))
    return float(f"{value:.6g}")
