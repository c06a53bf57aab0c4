"""What a Pareto plot draws of a study: its fronts, how sure they are, and which cells are shown how.

Of many cells the plot names those that are, or may be, on a front; the others are a grey cloud, thinned by chance.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ablate.analysis.format import NO_BREAK
from ablate.analysis.pareto import Cost, Pareto, Point, maximised
from ablate.analysis.uncertainty import with_chosen
from ablate.metrics.counts import MetricName

if TYPE_CHECKING:
    from ablate.analysis.crossed import Interval
    from ablate.analysis.failures import Failures
    from ablate.analysis.names import Named
    from ablate.analysis.uncertainty import UncertainFront

    Intervals = Mapping[MetricName, Mapping[str, Interval]]
    """By metric and cell."""

_MOST_CELLS, _MOST_CLOUD, _MOST_BARS = 300, 1500, 40
"""Cells that are drawn with a name and all that is known of them, dots in the cloud of the others, and cells that all
have an error bar."""


class Drawn(NamedTuple):
    """What is drawn of a study: its fronts, what is known of their uncertainty, and which cells are shown how."""

    fronts: Sequence[Pareto]
    uncertain: Mapping[tuple[Cost, MetricName], UncertainFront]
    errors: Mapping[tuple[MetricName, str], tuple[float, float]]
    """By metric and cell, how far its error bar reaches down and up."""
    intervals: Intervals
    named: Mapping[str, Point]
    cloud: Mapping[str, Point]
    others: int
    """Cells that are not named; the cloud has so many dots or fewer."""
    chosen: frozenset[tuple[MetricName, str]]
    """By metric and cell, whose intervals are corrected for having been chosen."""
    failures: Mapping[str, Failures]
    """By cell, as far as they are known."""
    configurations: Mapping[str, str]
    """By cell, what short names stand for."""

    @property
    def level(self) -> float | None:
        """That of the intervals, where there is one."""
        return next((one.level for found in self.intervals.values() for one in found.values()), None)

    def standing(self, x: Cost, y: MetricName, cell: str) -> str:
        """How a cell stands to a front: `sure`, `possible`, `excluded`, or empty where it is not known."""
        found = self.uncertain.get((x, y))
        if found is None or cell not in found.probability:
            return ""
        return "sure" if cell in found.sure else "possible" if cell in found.possible else "excluded"

    def chance(self, x: Cost, y: MetricName, cell: str) -> str:
        """The probability of being on a front, where it is known and not nothing."""
        found = self.uncertain.get((x, y))
        probability = found.probability.get(cell, 0.0) if found else 0.0
        return f" ({percent(probability)})" if probability >= 0.005 else ""

    def extent(self, front: Pareto) -> tuple[float, float]:
        """The scores from the least to the greatest end of an error bar."""
        ends = [(point.y, *self.errors.get((front.y, point.cell), (0.0, 0.0))) for point in front.points]
        return min((y - down for y, down, _ in ends), default=0.0), max((y + up for y, _, up in ends), default=1.0)

    def in_view(self, value: float, front: Pareto) -> bool:
        """Whether a score is so near the networks' that showing it does not squeeze them into a strip."""
        low, high = self.extent(front)
        reach = 4 * max(high - low, 0.02)
        return not front.points or (value >= high - reach if maximised(front.y) else value <= low + reach)


def drawn(
    fronts: Sequence[Pareto],
    uncertain: Sequence[UncertainFront],
    intervals: Intervals | None,
    failures: Mapping[str, Failures] | None = None,
    short: Mapping[str, Named] | None = None,
) -> Drawn:
    shown = with_chosen(intervals, uncertain) if intervals else {}
    known: dict[str, Point] = {point.cell: point for front in reversed(fronts) for point in front.points}
    named, rest = known, []
    if len(known) > _MOST_CELLS:
        chosen = _likeliest(fronts, uncertain)
        named = {cell: point for cell, point in known.items() if cell in chosen}
        rest = [cell for cell in known if cell not in chosen]
    thinned = sorted(np.random.default_rng(0).permutation(len(rest))[:_MOST_CLOUD])
    errors: dict[tuple[MetricName, str], tuple[float, float]] = {}
    for front in fronts:
        # Among many, error bars of cells off the front would hide it.
        barred = [point for point in front.points if point.on_front or len(known) <= _MOST_BARS]
        for point in barred:
            if point.cell in named and (reach := _reach(front.y, point, shown or None)):
                errors[front.y, point.cell] = reach
    return Drawn(
        fronts=fronts,
        uncertain={(found.x, found.y): found for found in uncertain},
        errors=errors,
        intervals=shown,
        named=named,
        cloud={rest[at]: known[rest[at]] for at in thinned},
        others=len(rest),
        chosen=frozenset(
            (metric, cell)
            for metric, of_cell in shown.items()
            for cell, one in of_cell.items()
            if intervals and one != intervals[metric][cell]
        ),
        failures=failures or {},
        configurations={cell: one.configuration for cell, one in (short or {}).items()},
    )


def _likeliest(fronts: Sequence[Pareto], uncertain: Sequence[UncertainFront]) -> set[str]:
    """As many cells as are named: those on fronts first (evenly along them if too many), then the likeliest."""
    on_front = list(dict.fromkeys(cell for front in fronts for cell in front.front))
    if len(on_front) >= _MOST_CELLS:
        return {on_front[at] for at in np.linspace(0, len(on_front) - 1, _MOST_CELLS).astype(int)}
    chance: dict[str, float] = {}
    for found in uncertain:
        for cell, probability in found.probability.items():
            chance[cell] = max(chance.get(cell, 0.0), probability)
    likely = sorted((cell for cell in chance if chance[cell] > 0), key=lambda cell: -chance[cell])
    return set(list(dict.fromkeys([*on_front, *likely]))[:_MOST_CELLS])


def _reach(metric: MetricName, point: Point, intervals: Intervals | None) -> tuple[float, float] | None:
    """How far a point's error bar reaches down and up; `None` where there is nothing to draw."""
    if intervals is None:
        return None if point.spread is None else (point.spread, point.spread)
    found = intervals.get(metric, {}).get(point.cell)
    if found is None or not (math.isfinite(found.low) and math.isfinite(found.high)):
        return None
    return max(0.0, point.y - found.low), max(0.0, found.high - point.y)


def percent(share: float) -> str:
    return f"{100 * share:.0f}{NO_BREAK}%"
