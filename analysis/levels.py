"""The order of levels and labels, wherever they are listed or drawn: numbers by their value, whatever else by words.

As text, 10 comes before 2 and 1e-3 before 5e-4.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ablate.study.short_names import SEARCH

if TYPE_CHECKING:
    from ablate.study.runs import Run

_NUMBER = re.compile(r"(\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)")


def natural(text: str) -> tuple[tuple[bool, float, str], ...]:
    """By what a text is sorted: its numbers by their value, what is between them as text."""
    return tuple(
        (True, float(part), part) if at % 2 else (False, 0.0, part) for at, part in enumerate(_NUMBER.split(text))
    )


def in_order(levels: Iterable[str], declared: Sequence[str] = ()) -> list[str]:
    """Each of a factor's levels once: numbers by their value; names as they were `declared`, others after them."""
    found = list(dict.fromkeys(levels))
    if all(map(is_number, found)):
        return sorted(found, key=lambda level: (_value(level), level))
    place = {level: at for at, level in enumerate(dict.fromkeys(declared))}
    return sorted(found, key=lambda level: (place.get(level, len(place)), natural(level)))


def declared(run: Run, factor: str) -> list[str]:
    """The levels that a run's space gives a factor, in its order; none of a range."""
    spec = run.definition.get("factors", {}).get(factor)
    return [] if run.is_range(factor) or not isinstance(spec, dict) else [str(level) for level in spec]


def of_factor(run: Run, factor: str, levels: Iterable[str]) -> list[str]:
    """Those of a run's levels of a factor, in order: as its space declares them, or else as its plan has them. A search
    has them as it happened to propose them, which is no order."""
    planned = () if run.design == SEARCH else run.factors.get(factor, ())
    return in_order(levels, [*declared(run, factor), *planned])


def logarithmic(run: Run, factor: str) -> bool | None:
    """Whether a factor is a range on a logarithmic scale; None where it is no range."""
    spec: Any = run.definition.get("factors", {}).get(factor)
    return spec.get("log") is True if run.is_range(factor) else None


def is_number(level: str) -> bool:
    return math.isfinite(_value(level))


def _value(level: str) -> float:
    try:
        return float(level)
    except ValueError:
        return math.nan
