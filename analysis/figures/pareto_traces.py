"""The traces of a Pareto plot: bands, the cloud, boundaries, points, trivial rows and labels, for each pair of axes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go

from ablate.analysis.crossed import Interval
from ablate.analysis.failure_words import failed_of
from ablate.analysis.failures import Failures
from ablate.analysis.figures.label_places import label_places
from ablate.analysis.figures.pareto_record import Drawn, percent
from ablate.analysis.figures.style import FAINT, INK, Style, plain, shortened, styles, wrapped
from ablate.analysis.figures.switches import Switched, only_on
from ablate.analysis.format import CHOSEN, between, listing, score, several
from ablate.analysis.levels import natural
from ablate.analysis.pareto import COSTS, Cost, Pareto, Point, amount, maximised
from ablate.metrics.counts import METRICS, MetricName

_MOST_NAMED = 40
_BAND, _CLOUD = "rgba(34,34,34,0.09)", "rgba(102,102,102,0.35)"
_DECIMALS = 5
"""Of the scores of bands and clouds: what a screen can show, and a page should carry."""


def bands(drawn: Drawn) -> list[Switched]:
    """For each pair of axes whose uncertainty is known, the band of the front and its median."""
    traces = []
    for front in drawn.fronts:
        found = drawn.uncertain.get((front.x, front.y))
        if found is None or not found.band.costs:
            continue
        last, band = front.points[-1].x, found.band
        above, below = _steps(band.costs, band.high, last), _steps(band.costs, band.low, last)
        area = go.Scatter(
            mode="lines",
            name=f"{percent(found.level)} band of the front",
            legendgroup="band",
            line={"width": 0, "color": _BAND},
            fill="toself",
            fillcolor=_BAND,
            hoverinfo="skip",
            meta={"band": [front.x, front.y]},
        )
        around = ([*up, *reversed(down)] for up, down in zip(above, below, strict=True))
        traces.append(only_on(front, area, *around))
        xs, median = _steps(band.costs, band.median, last)
        line = go.Scatter(
            mode="lines",
            legendgroup="band",
            showlegend=False,
            line={"width": 1, "color": FAINT, "dash": "dot"},
            hoverinfo="skip",
            meta={"median": [front.x, front.y]},
        )
        traces.append(only_on(front, line, xs, median))
    return traces


def _steps(costs: Sequence[float], scores: Sequence[float], last: float) -> tuple[list[float], list[float]]:
    """The corners of a staircase whose values each hold up to the next cost, and the last one up to `last`."""
    xs, ys = [costs[0]], [round(scores[0], _DECIMALS)]
    for cost, value in zip(costs[1:], scores[1:], strict=True):
        if round(value, _DECIMALS) != ys[-1]:
            xs += [cost, cost]
            ys += [ys[-1], round(value, _DECIMALS)]
    return [*xs, last], [*ys, ys[-1]]


def cloud(drawn: Drawn, costs: Sequence[Cost], metrics: Sequence[MetricName]) -> list[Switched]:
    """One trace of small grey dots: cells that are far from any front."""
    if not drawn.cloud:
        return []
    x: dict[tuple[str, str], float] = {}
    y: dict[tuple[str, str], float] = {}
    for front in drawn.fronts:
        for point in front.points:
            if point.cell in drawn.cloud:
                x[front.x, point.cell] = float(f"{point.x:.6g}")
                y[front.y, point.cell] = round(point.y, _DECIMALS)
    count = len(drawn.cloud)
    trace = go.Scatter(
        mode="markers",
        name=f"{count:,} of {drawn.others:,} others" if count < drawn.others else f"{count:,} others",
        marker={"color": _CLOUD, "symbol": "circle", "size": 4},
        text=[
            "<br>".join([plain(point.label), *([wrapped(found)] if (found := drawn.configurations.get(cell)) else [])])
            for cell, point in drawn.cloud.items()
        ],
        hovertemplate="%{text}<br>%{x:.4s}, %{y:.3f}<extra></extra>",
        meta={"cloud": list(drawn.cloud)},
    )
    return [
        Switched(
            trace,
            {cost: {"x": [x.get((cost, cell)) for cell in drawn.cloud]} for cost in costs},
            {metric: {"y": [y.get((metric, cell)) for cell in drawn.cloud]} for metric in metrics},
        )
    ]


def boundaries(fronts: Sequence[Pareto]) -> list[Switched]:
    """For each pair of axes, the score that is attained at each cost: a staircase, ringed where it was measured."""

    def boundary(front: Pareto) -> Switched:
        corners = [point for point in front.points if point.on_front]
        xs, ys, sizes = [p.x for p in corners], [p.y for p in corners], [17.0] * len(corners)
        if corners and front.points[-1].x > xs[-1]:
            xs, ys, sizes = [*xs, front.points[-1].x], [*ys, max(ys) if maximised(front.y) else min(ys)], [*sizes, 0.0]
        trace = go.Scatter(
            mode="lines+markers",
            name="Pareto front",
            legendgroup="front",
            line={"shape": "hv", "color": FAINT, "width": 1.5},
            marker={"symbol": "circle-open", "size": sizes, "color": INK, "line": {"width": 1.5}},
            hoverinfo="skip",
            meta={"front": [front.x, front.y]},
        )
        return only_on(front, trace, xs, ys)

    return [boundary(front) for front in fronts]


class _Known(NamedTuple):
    """The named cells under every axis: costs by (cost, cell), points by (metric, cell)."""

    drawn: Drawn
    costs: Sequence[Cost]
    metrics: Sequence[MetricName]
    cost: Mapping[tuple[Cost, str], float]
    measured: Mapping[tuple[MetricName, str], Point]


def points(drawn: Drawn, costs: Sequence[Cost], metrics: Sequence[MetricName]) -> list[Switched]:
    """One trace a group of cells: where they are under each axis, and everything known of them on hover."""
    named = [(front, point) for front in drawn.fronts for point in front.points if point.cell in drawn.named]
    known = _Known(
        drawn,
        costs,
        metrics,
        {(front.x, point.cell): point.x for front, point in named},
        {(front.y, point.cell): point for front, point in named},
    )
    style = styles((point.cell, point.label, point.model) for point in drawn.named.values())
    groups: dict[str, list[str]] = {}
    for cell in drawn.named:
        groups.setdefault(style[cell].group, []).append(cell)
    return [
        _group(known, group, members, style[members[0]])
        for group, members in sorted(groups.items(), key=lambda item: natural(item[0]))
    ]


def _group(known: _Known, group: str, members: Sequence[str], look: Style) -> Switched:
    trace = go.Scatter(
        mode="markers",
        name=plain(group),
        legendgroup=group,
        marker={
            "color": look.colour,
            "symbol": look.symbol,
            "size": 7 if known.drawn.cloud else 11,
            "line": {"color": "white", "width": 0.5},
        },
        error_y={"type": "data", "symmetric": False, "thickness": 1.2, "width": 4, "color": look.colour},
        customdata=[_hover(known, cell) for cell in members],
        hovertemplate="%{customdata}<extra></extra>",
        meta={"cells": list(members)},
    )

    def reach(metric: MetricName, side: int) -> list[float | None]:
        found = [known.drawn.errors.get((metric, cell)) for cell in members]
        return [None if one is None else one[side] for one in found]

    def scores(metric: MetricName) -> list[float | None]:
        found = [known.measured.get((metric, cell)) for cell in members]
        return [None if one is None else one.y for one in found]

    return Switched(
        trace,
        {cost: {"x": [known.cost.get((cost, cell)) for cell in members]} for cost in known.costs},
        {
            metric: {"y": scores(metric), "error_y.array": reach(metric, 1), "error_y.arrayminus": reach(metric, 0)}
            for metric in known.metrics
        },
    )


def _hover(known: _Known, cell: str) -> str:
    drawn, point = known.drawn, known.drawn.named[cell]
    lines = [f"<b>{plain(point.label)}</b>", wrapped(drawn.configurations.get(cell, point.configuration))]
    lines += [f"{COSTS[cost]}: {amount(cost, known.cost.get((cost, cell), math.nan))}" for cost in known.costs]
    measured = {metric: known.measured.get((metric, cell)) for metric in known.metrics}
    lines += [_scored(drawn, metric, found) for metric, found in measured.items() if found is not None]
    interval = (drawn.intervals or {}).get(known.metrics[0], {}).get(cell)
    lines.append(_seeds(drawn, point, interval))
    if cell in drawn.failures:
        lines.append(_lost(drawn.failures[cell]))
    on, others = [], []
    for front in drawn.fronts:
        standing = drawn.standing(front.x, front.y, cell)
        plane = f"{METRICS[front.y].label}/{COSTS[front.x]}"
        said = f"{plane}{drawn.chance(front.x, front.y, cell)}"
        if cell in front.front:
            on.append(f"{said}, surely" if standing == "sure" else said)
        elif standing == "possible":
            others.append(said)
    lines.append(wrapped(f"on the front: {'; '.join(on)}") if on else "on no front")
    if others:
        lines.append(wrapped(f"not told apart from it: {'; '.join(others)}"))
    return "<br>".join(lines)


def _scored(drawn: Drawn, metric: MetricName, point: Point) -> str:
    """A cell's score with what its error bar shows."""
    if not drawn.intervals:
        return f"{METRICS[metric].label}: {score(point.y, point.spread)}"
    interval = drawn.intervals.get(metric, {}).get(point.cell)
    text = between(point.y, interval.low, interval.high) if interval else score(point.y)
    return f"{METRICS[metric].label}: {text}{CHOSEN * ((metric, point.cell) in drawn.chosen)}"


def _seeds(drawn: Drawn, point: Point, interval: Interval | None) -> str:
    seeds = several(point.seeds, "seed")
    if point.seeds == 1:
        return seeds
    if interval is not None and interval.why:
        return wrapped(f"mean of {interval.over or seeds}; no interval: {interval.why}")
    if drawn.level is not None and interval is not None and interval.over:
        return f"mean [{percent(drawn.level)} interval] over {interval.over}"
    if drawn.level is None:
        return f"mean ± standard deviation over {seeds}"
    return f"mean [{percent(drawn.level)} interval] of {seeds}"


def _lost(found: Failures) -> str:
    """What a cell lost, of how many cases, and which of its seeds failed."""
    failed = [str(seed) for seed in found.counted.failed_seeds]
    named = f"; {'seed' if len(failed) == 1 else 'seeds'} {listing(failed)} failed" if failed else ""
    return f"fails: {failed_of(found.counted)}, of {several(found.counted.cases, 'case')}{named}"


def trivial_rows(drawn: Drawn, metrics: Sequence[MetricName]) -> list[Switched]:
    """A dashed line across the plot for each predictor that looks at no image, with its score.

    A row so far below that the networks would be squeezed into a strip starts switched off, its score in the legend.
    """
    one_for_each = {metric: next(front for front in drawn.fronts if front.y == metric) for metric in metrics}
    names = {row.cell: row.label for front in one_for_each.values() for row in front.trivial}
    traces = []
    for index, (cell, name) in enumerate(names.items()):
        place = index % 3
        by_metric: dict[MetricName, dict[str, Any]] = {}
        for metric, front in one_for_each.items():
            row = next((row for row in front.trivial if row.cell == cell), None)
            text = f"{plain(name)} {score(row.y)}" if row else ""
            in_view = row is not None and drawn.in_view(row.y, front)
            by_metric[metric] = {
                "y": [row.y] * 3 if row else [],
                "text": [text if at == place else "" for at in range(3)],
                "name": text if in_view else f"{text} ({'below' if maximised(metric) else 'above'})",
                "visible": True if in_view else "legendonly",
            }
        trace = go.Scatter(
            x=[0, 0.5, 1],
            xaxis="x2",
            mode="lines+markers+text",
            marker={"size": 8, "color": "rgba(0,0,0,0)"},
            line={"color": FAINT, "width": 1.2, "dash": ("dash", "dot", "dashdot")[place]},
            textposition=("top right", "top center", "top left")[place],
            textfont={"size": 12, "color": FAINT},
            hoverinfo="text",
            hovertext=plain(f"{name}: a predictor that looks at no image"),
            legendgroup=f"trivial {cell}",
            cliponaxis=False,
            meta={"trivial": cell},
        )
        traces.append(Switched(trace, {}, by_metric))
    return traces


def labels(drawn: Drawn, x_type: str, *, all_of: bool) -> list[Switched]:
    """For each pair of axes, the names of the front's cells, evenly along it if they are many, or of all cells, each on
    the side of its point where there is room; what finds none is left to hovering."""

    def labels(front: Pareto) -> Switched:
        ahead = [point.cell for point in front.points if point.on_front]
        chosen = {ahead[at] for at in np.linspace(0, len(ahead) - 1, min(len(ahead), _MOST_NAMED)).astype(int)}
        named = [all_of or point.cell in chosen for point in front.points]
        places = label_places(front, drawn, x_type, named)
        trace = go.Scatter(
            # Unseen markers, as large as the rings, keep the text off them.
            mode="markers+text",
            marker={"size": 17, "color": "rgba(0,0,0,0)"},
            text=[plain(shortened(p.label)) if place else "" for p, place in zip(front.points, places, strict=True)],
            textposition=[place or "top center" for place in places],
            textfont={"size": 12, "color": INK},
            hoverinfo="skip",
            showlegend=False,
            cliponaxis=False,
            meta={"labels": [front.x, front.y]},
        )
        return only_on(front, trace, [p.x for p in front.points], [p.y for p in front.points])

    return [labels(front) for front in drawn.fronts]
