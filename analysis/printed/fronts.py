"""Score against cost, and what the training bought."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from ablate.analysis.figures.hypervolume import Spent
from ablate.analysis.figures.style import FAINT, INK, styles
from ablate.analysis.format import NO_BREAK
from ablate.analysis.pareto import Pareto, amount, axis_title, maximised
from ablate.analysis.printed.labels import name_points
from ablate.analysis.printed.sheet import DASHES, MARKERS, note, sheet
from ablate.metrics.counts import METRICS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ablate.analysis.crossed import Interval
    from ablate.analysis.uncertainty import UncertainFront

_MOST_NAMED = 24
_LETTERS = 0.55
"""Of an axis' title, for a millimetre of the figure's width."""
_SPREAD = 8.0
"""Times the least cost from which costs are drawn by their logarithms."""


def front_figure(
    front: Pareto,
    sure: UncertainFront | None,
    intervals: Mapping[str, Interval],
    called: Mapping[str, str],
    width: float,
) -> tuple[Figure, list[str]]:
    """A study's networks, with the front as a line, intervals and names on the front alone; and the names used.

    A predictor that looks at no image is a dashed line where that does not squeeze the networks, else a note.

    Args:
        intervals: of the mean scores, by cell.
        called: as of `labels.short`.
        width: in millimetres.
    """
    figure = sheet(width, 0.72 * min(width, 120))
    axes = figure.add_subplot()
    points = [point for point in front.points if math.isfinite(point.x) and math.isfinite(point.y)]
    ahead = [point for point in points if point.on_front]
    behind = [point for point in points if not point.on_front]
    look = styles((point.cell, point.label, point.model) for point in points)
    if points and min(point.x for point in points) > 0:
        costs = [point.x for point in points]
        axes.set_xscale("log" if max(costs) > _SPREAD * min(costs) else "linear")
    axes.plot(
        [p.x for p in behind], [p.y for p in behind], "o", mfc="white", mec=FAINT, mew=0.6, ms=3.2, label="not on it"
    )
    if sure is not None and len(sure.band.costs) > 1:
        axes.fill_between(sure.band.costs, sure.band.low, sure.band.high, step="post", color="#d9d9d9", lw=0)
    line = sorted(ahead, key=lambda point: point.x)
    axes.step([p.x for p in line], [p.y for p in line], where="post", color=INK, lw=0.9)
    for point in line:
        interval = intervals.get(point.cell)
        if interval is not None and math.isfinite(interval.low):
            axes.plot([point.x, point.x], [interval.low, interval.high], color=INK, lw=0.8, solid_capstyle="butt")
        axes.plot(point.x, point.y, MARKERS.get(look[point.cell].symbol, "o"), color=look[point.cell].colour, ms=5)
    _trivial(axes, front, points)
    axes.set_xlabel(textwrap.fill(axis_title(front.x, front.device), round(_LETTERS * width)))
    axes.set_ylabel(f"Test {METRICS[front.y].heading}")
    axes.xaxis.set_major_formatter(lambda value, _: _tick(amount(front.x, value)) if value > 0 else "0")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(0.09, 0.12)
    named = line[:_MOST_NAMED]
    name_points(axes, [(p.x, p.y, called[p.label]) for p in named], [(point.x, point.y) for point in points])
    return figure, [point.label for point in named]


def _tick(text: str) -> str:
    """`7.50 M` as `7.5 M`."""
    number, *unit = text.split()
    return NO_BREAK.join([number.rstrip("0").rstrip(".") if "." in number else number, *unit])


def _trivial(axes: Axes, front: Pareto, points: Sequence[object]) -> None:
    """The best predictor that looks at no image."""
    best = next((row for row in front.trivial if math.isfinite(row.y)), None)
    if best is None or not points:
        return
    scores = [point.y for point in front.points if math.isfinite(point.y)]
    low, high = min(scores), max(scores)
    reach = 2 * max(high - low, 0.02)
    if (low - best.y if maximised(front.y) else best.y - high) <= reach:
        axes.axhline(best.y, color=FAINT, lw=0.8, ls=(0, (3, 2)))
        axes.annotate(
            best.label, (1, best.y), (0, 1.5), xycoords=("axes fraction", "data"), textcoords="offset points",
            ha="right", va="bottom", color=FAINT, fontsize="small",
        )  # fmt: skip
    else:
        note(axes, f"{best.label}: {best.y:.3f}")


def spent_figure(records: Sequence[Spent], width: float) -> Figure:
    """The hypervolume of the front so far against epochs, a line a data set."""
    figure = sheet(width, 0.62 * min(width, 120))
    axes = figure.add_subplot()
    for record, dash in zip(records, [*DASHES.values()] * len(records), strict=False):
        cost, bar = record.reference
        shares = [area / (cost * (1 - bar)) for area in record.hypervolume]
        axes.plot(record.epochs, shares, color=INK, ls=dash, label=record.task)
    axes.set_xlabel("Epochs spent, all trials together")
    axes.set_ylabel("Hypervolume, share\nof the largest")
    axes.set_xlim(left=0)
    if len(records) > 1:
        axes.legend()
    return figure
