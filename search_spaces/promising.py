"""What is believed of a space before anything is trained: `promising: {model.width: 16}`.

A belief is about a search, not about a trial: it is in no key, and no trial depends on it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from ablate.errors import brief, did_you_mean
from ablate.places import in_place
from ablate.search_spaces.ranges import Bound, Range
from ablate.settings import explain

_REACH = 0.25
"""Of a range's width: so far from its promising part, nothing of a belief holds."""


class Span(BaseModel):
    """The promising part of a range; both bounds belong to it, and may be one number."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    low: Bound
    high: Bound


Belief = tuple[str, ...] | Span
"""The promising levels of a factor, or the promising part of a range."""
Promising = dict[str, Belief]
"""Beliefs by factor."""


def doubt(promising: Promising, factors: Mapping[str, Any], choice: Mapping[str, str | int | float]) -> float:
    """How much of what is believed does not hold for a configuration: from 0 to 1, the mean over its own factors.

    A level is promising or is not; about the promising part of a range, doubt rises evenly to 1 within a quarter of the
    range (of its logarithm if `log`). A factor that a configuration does not have says nothing.
    """
    found = [_doubt(belief, factors[name], choice[name]) for name, belief in promising.items() if name in choice]
    return sum(found) / len(found) if found else 0.0


def _doubt(belief: Belief, factor: Any, value: str | int | float) -> float:
    if isinstance(belief, tuple):
        return float(str(value) not in belief)
    scaled = math.log if factor.log else float
    low, high, at = scaled(belief.low), scaled(belief.high), scaled(float(value))
    width = scaled(factor.high) - scaled(factor.low)
    return min(max(low - at, at - high, 0.0) / (_REACH * width), 1.0)


def beliefs(given: Any, factors: Mapping[str, dict[str, Any] | Range], also: Iterable[str] = ()) -> Promising | None:
    """Beliefs as a space's file has them: of a factor a level, or a list of levels; of a range a number, or
    `{low: …, high: …}`.

    Args:
        factors: with their levels, or a range.
        also: levels that every factor has beside its own.

    Raises `ValueError` for a factor or a level that is none, and for what is outside of a range.
    """
    if given is None:
        return None
    if not isinstance(given, dict) or not given:
        raise ValueError(
            "expected factor: its promising level, a list of them, or of a range a number, or low and high"
        )
    found = {}
    for name, one in given.items():
        with in_place(name):
            found[str(name)] = _belief(str(name), one, factors, also)
    return found


def _belief(name: str, given: Any, factors: Mapping[str, dict[str, Any] | Range], also: Iterable[str]) -> Belief:
    if name not in factors:
        raise ValueError(f"there is no factor '{brief(name)}'{did_you_mean(name, factors)}")
    factor = factors[name]
    if isinstance(factor, Range):
        return _span(name, given, factor)
    levels = [str(level) for level in (given if isinstance(given, list | tuple) else [given])]
    if not levels:
        raise ValueError(f"{name}: expected at least one level")
    known = [*also, *factor]
    for level in levels:
        if level not in known:
            hint = did_you_mean(level, known) or f", only {brief(', '.join(known))}"
            raise ValueError(f"{name}: there is no level '{brief(level)}'{hint}")
    return tuple(dict.fromkeys(levels))


def _span(name: str, given: Any, factor: Range) -> Span:
    of = f"its range from {factor.low:g} to {factor.high:g}"
    if isinstance(given, Span):
        given = given.model_dump()
    if isinstance(given, list | tuple):
        raise ValueError(f"{name}: expected a number, or low and high, of {of}; not {brief(list(given))}")
    try:
        span = Span.model_validate(given if isinstance(given, dict) else {"low": given, "high": given})
    except ValidationError as error:
        raise ValueError(f"{name}: {explain(error)}; expected a number, or low and high, of {of}") from None
    if span.low > span.high:
        raise ValueError(f"{name}: from {span.low:g} to {span.high:g}: low must not be above high")
    if not factor.low <= span.low <= span.high <= factor.high:
        shown = f"{span.low:g}" if span.low == span.high else f"from {span.low:g} to {span.high:g}"
        raise ValueError(f"{name}: {shown} is not within {of}")
    return span
