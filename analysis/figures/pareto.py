"""The Pareto plot: score against cost, with the attained boundary, and both axes switchable.

The two switches are independent menus, and Plotly's menus know nothing of each other. So the menu of the costs sets
only what depends on the cost (the x of every trace), that of the scores only the y. What depends on both, a front and
its labels, has one trace for each pair of axes, whose x is empty unless its cost is chosen and whose y is empty unless
its score is: Plotly draws the one trace that has both.

Of many cells the plot names those that are, or may be, on a front; the others are a grey cloud, thinned by chance.
(Plotly's WebGL traces would draw them all, but compile code at run time, which the report's security policy forbids.)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import plotly.graph_objects as go

from ablate.analysis.figures.style import FAINT, INK, TEMPLATE, plain, shortened, styles, wrapped
from ablate.analysis.format import NO_BREAK, between, score, several
from ablate.analysis.pareto import COSTS, Cost, Pareto, Point, amount, axis_title
from ablate.metrics.counts import METRICS, MetricName

if TYPE_CHECKING:
    from ablate.analysis.significance import Interval
    from ablate.analysis.uncertainty import UncertainFront

    Intervals = Mapping[MetricName, Mapping[str, Interval]]
    """By metric and cell."""

_MOST_LABELS = 12
_MOST_CELLS, _MOST_CLOUD = 300, 1500
"""Cells that are drawn with a name and all that is known of them, and dots in the cloud of the others."""
_WIDTH, _HEIGHT = 940.0, 380.0
"""Pixels of the plotting area that labels are placed for."""
_POSITIONS = {
    "top center": (0, -1),
    "bottom center": (0, 1),
    "middle right": (1, 0),
    "middle left": (-1, 0),
    "top right": (1, -1),
    "bottom right": (1, 1),
    "top left": (-1, -1),
    "bottom left": (-1, 1),
}
_MENUS = {"wide": (0.0, 0.17, 0.29), "narrow": (-0.12, 0.36, 0.69)}
"""Where the menus begin, on a wide and on a narrow page."""
_TICKS = {"linear": 0, "log": 3}
"""At most so many ticks (0: as fits); with more, Plotly labels each digit of a logarithmic axis."""
_BAND, _CLOUD = "rgba(34,34,34,0.09)", "rgba(102,102,102,0.35)"
_DECIMALS = 5
"""Of the scores of bands and clouds: what a screen can show, and a page should carry."""


class _Trace(NamedTuple):
    """A trace, with what each choice of an axis makes of it."""

    trace: go.Scatter
    by_cost: dict[Cost, dict[str, Any]]
    by_metric: dict[MetricName, dict[str, Any]]


class _Drawn(NamedTuple):
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


def pareto_figure(
    fronts: Sequence[Pareto], uncertain: Sequence[UncertainFront] = (), intervals: Intervals | None = None
) -> go.Figure:
    """The Pareto plot of one study, for each pair of axes in `fronts`; it opens on the first pair.

    `fronts` hold the same study under a cost and a score each, and every cost with every score
    (`ablate.analysis.pareto.fronts` makes them). With `uncertain` (`ablate.analysis.uncertainty.uncertain_fronts`) each
    front has its band and each cell its probability of being on it; error bars are the `intervals`
    (`ablate.analysis.significance`), or, without them, the standard deviation over seeds.
    """
    costs = [cost for cost in COSTS if any(front.x == cost for front in fronts)]
    metrics = [metric for metric in METRICS if any(front.y == metric for front in fronts)]
    shown = fronts[0]
    x_type = "log" if _spreads(shown) else "linear"
    drawn = _drawn(fronts, uncertain, intervals)
    traces = [
        *_bands(drawn),
        *_cloud(drawn, costs, metrics),
        *_boundaries(fronts),
        *_points(drawn, costs, metrics),
        *_trivial_rows(drawn, metrics),
    ]
    labels = _labels(drawn, x_type) if len(shown.points) <= _MOST_LABELS else []
    label_indices = list(range(len(traces), len(traces) + len(labels)))
    traces += labels

    x_axes = {cost: _x_axis(next(front for front in fronts if front.x == cost)) for cost in costs}
    y_axes = {metric: {"yaxis.title.text": f"Test {METRICS[metric].label}"} for metric in metrics}
    x_buttons = [
        _button(f"x: {COSTS[cost]}", [(t.trace, t.by_cost.get(cost, {})) for t in traces], x_axes[cost])
        for cost in costs
    ]
    y_buttons = [
        _button(f"y: {METRICS[metric].label}", [(t.trace, t.by_metric.get(metric, {})) for t in traces], y_axes[metric])
        for metric in metrics
    ]

    for trace in traces:
        trace.trace.update(_nested({**trace.by_cost.get(shown.x, {}), **trace.by_metric.get(shown.y, {})}))
    figure = go.Figure([trace.trace for trace in traces])
    figure.update_layout(
        template=TEMPLATE,
        height=560,
        margin={"l": 64, "r": 16, "t": 56, "b": 56},
        hovermode="closest",
        dragmode="zoom",
        xaxis={"tickformat": "~s", "type": x_type, "nticks": _TICKS[x_type]},
        yaxis={"tickformat": ".3f"},
        xaxis2={"overlaying": "x", "range": [0, 1], "visible": False, "fixedrange": True},
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0, "font": {"size": 12}},
        updatemenus=[
            _menu(_MENUS["wide"][0], x_buttons, costs.index(shown.x)),
            _menu(_MENUS["wide"][1], y_buttons, metrics.index(shown.y)),
            _menu(
                _MENUS["wide"][2],
                [
                    {
                        "label": f"x {scale}",
                        "method": "relayout",
                        "args": [{"xaxis.type": scale, "xaxis.nticks": ticks, "xaxis.autorange": True}],
                    }
                    for scale, ticks in _TICKS.items()
                ],
                list(_TICKS).index(x_type),
            ),
        ],
        meta={
            "labels": label_indices,
            **{form: {f"updatemenus[{i}].x": x for i, x in enumerate(places)} for form, places in _MENUS.items()},
        },
    )
    figure.update_layout(_nested({**x_axes[shown.x], **y_axes[shown.y]}))
    return figure


def pareto_caption(
    fronts: Sequence[Pareto], uncertain: Sequence[UncertainFront] = (), intervals: Intervals | None = None
) -> str:
    """What the marks of `pareto_figure` mean, in plain text, for the same arguments."""
    drawn = _drawn(fronts, uncertain, intervals)
    said = ["The line is the Pareto front: the score attained at each cost; rings mark the networks on it."]
    if uncertain:
        found = uncertain[0]
        said.append(
            f"Grey: the pointwise {_percent(found.level)} band of the front and, dotted, its median, over "
            f"{found.resamples:,} resamples of seeds and test images."
        )
        said += [f"Of the resamples: {note}." for note in dict.fromkeys(one.note for one in uncertain) if note]
    level = next(
        (f"{_percent(one.level)} intervals" for found in (intervals or {}).values() for one in found.values()), ""
    )
    if drawn.errors:
        whose = " of networks on the front" if drawn.others else ""
        said.append(f"Error bars{whose}: {level or 'standard deviation over seeds'}.")
    if drawn.others:
        said.append(
            f"Named are the {len(drawn.named):,} networks that are on a front or likeliest to be; of the "
            f"{drawn.others:,} others, {len(drawn.cloud):,} drawn at random are dots."
            if len(drawn.cloud) < drawn.others
            else f"The {drawn.others:,} networks that are least likely on a front are dots."
        )
    return " ".join(said)


def _drawn(fronts: Sequence[Pareto], uncertain: Sequence[UncertainFront], intervals: Intervals | None) -> _Drawn:
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
        barred = [point for point in front.points if point.on_front or not rest]
        for point in barred:
            if point.cell in named and (reach := _reach(front.y, point, intervals or None)):
                errors[front.y, point.cell] = reach
    return _Drawn(
        fronts=fronts,
        uncertain={(found.x, found.y): found for found in uncertain},
        errors=errors,
        intervals=intervals or {},
        named=named,
        cloud={rest[at]: known[rest[at]] for at in thinned},
        others=len(rest),
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


def _x_axis(front: Pareto) -> dict[str, Any]:
    """What an axis of this cost is called, and what it must have in view: a margin, which one point needs as well."""
    costs = [point.x for point in front.points]
    margin = [min(costs) * 0.9, max(costs) * 1.1] if costs else []
    return {"xaxis.title.text": wrapped(axis_title(front.x, front.device)), "xaxis.autorangeoptions.include": margin}


def _spreads(front: Pareto) -> bool:
    """Whether costs differ by so much that a linear axis would crowd the cheap ones."""
    costs = [point.x for point in front.points]
    return bool(costs) and min(costs) > 0 and max(costs) >= 4 * min(costs)


# What is drawn -------------------------------------------------------------------------------------------------------


def _bands(drawn: _Drawn) -> list[_Trace]:
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
            name=f"{_percent(found.level)} band of the front",
            legendgroup="band",
            line={"width": 0, "color": _BAND},
            fill="toself",
            fillcolor=_BAND,
            hoverinfo="skip",
            meta={"band": [front.x, front.y]},
        )
        traces.append(
            _Trace(area, *_only_on(front, *([*up, *reversed(down)] for up, down in zip(above, below, strict=True))))
        )
        xs, median = _steps(band.costs, band.median, last)
        line = go.Scatter(
            mode="lines",
            legendgroup="band",
            showlegend=False,
            line={"width": 1, "color": FAINT, "dash": "dot"},
            hoverinfo="skip",
            meta={"median": [front.x, front.y]},
        )
        traces.append(_Trace(line, *_only_on(front, xs, median)))
    return traces


def _steps(costs: Sequence[float], scores: Sequence[float], last: float) -> tuple[list[float], list[float]]:
    """The corners of a staircase whose values each hold up to the next cost, and the last one up to `last`."""
    xs, ys = [costs[0]], [round(scores[0], _DECIMALS)]
    for cost, value in zip(costs[1:], scores[1:], strict=True):
        if round(value, _DECIMALS) != ys[-1]:
            xs += [cost, cost]
            ys += [ys[-1], round(value, _DECIMALS)]
    return [*xs, last], [*ys, ys[-1]]


def _cloud(drawn: _Drawn, costs: list[Cost], metrics: list[MetricName]) -> list[_Trace]:
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
        text=[plain(point.label) for point in drawn.cloud.values()],
        hovertemplate="%{text}<br>%{x:.4s}, %{y:.3f}<extra></extra>",
        meta={"cloud": list(drawn.cloud)},
    )
    return [
        _Trace(
            trace,
            {cost: {"x": [x.get((cost, cell)) for cell in drawn.cloud]} for cost in costs},
            {metric: {"y": [y.get((metric, cell)) for cell in drawn.cloud]} for metric in metrics},
        )
    ]


def _boundaries(fronts: Sequence[Pareto]) -> list[_Trace]:
    """For each pair of axes, the score that is attained at each cost: a staircase, ringed where it was measured."""

    def boundary(front: Pareto) -> _Trace:
        corners = [point for point in front.points if point.on_front]
        xs, ys, sizes = [p.x for p in corners], [p.y for p in corners], [17.0] * len(corners)
        if corners and front.points[-1].x > xs[-1]:
            xs, ys, sizes = [*xs, front.points[-1].x], [*ys, max(ys)], [*sizes, 0.0]
        trace = go.Scatter(
            mode="lines+markers",
            name="Pareto front",
            legendgroup="front",
            line={"shape": "hv", "color": FAINT, "width": 1.5},
            marker={"symbol": "circle-open", "size": sizes, "color": INK, "line": {"width": 1.5}},
            hoverinfo="skip",
            meta={"front": [front.x, front.y]},
        )
        return _Trace(trace, *_only_on(front, xs, ys))

    return [boundary(front) for front in fronts]


def _points(drawn: _Drawn, costs: list[Cost], metrics: list[MetricName]) -> list[_Trace]:
    """One trace a group of cells: where they are under each axis, and everything known of them on hover."""
    known, fronts = drawn.named, drawn.fronts
    style = styles((point.cell, point.label, point.model) for point in known.values())
    cost = {(front.x, point.cell): point.x for front in fronts for point in front.points if point.cell in known}
    measured = {(front.y, point.cell): point for front in fronts for point in front.points if point.cell in known}
    on_front = {(front.x, front.y): set(front.front) for front in fronts}
    traces = []

    def reach(metric: MetricName, cell: str, side: int) -> float | None:
        found = drawn.errors.get((metric, cell))
        return None if found is None else found[side]

    def hover(cell: str) -> str:
        point = known[cell]
        lines = [f"<b>{plain(point.label)}</b>", wrapped(point.configuration)]
        lines += [f"{COSTS[c]}: {amount(c, cost.get((c, cell), math.nan))}" for c in costs]
        lines += [_scored(drawn, metric, measured[metric, cell]) for metric in metrics if (metric, cell) in measured]
        lines.append(_seeds(drawn, point))
        named = [
            f"{METRICS[y].label}/{COSTS[x]}{_chance(drawn, x, y, cell)}"
            for (x, y), front in on_front.items()
            if cell in front
        ]
        lines.append(wrapped(f"on the front: {', '.join(named)}") if named else "on no front")
        likely = [
            f"{METRICS[y].label}/{COSTS[x]}{chance}"
            for (x, y), front in on_front.items()
            if cell not in front and (chance := _chance(drawn, x, y, cell))
        ]
        if likely:
            lines.append(wrapped(f"possibly: {', '.join(likely)}"))
        return "<br>".join(lines)

    for group in dict.fromkeys(style[cell].group for cell in sorted(known, key=lambda cell: style[cell].group)):
        members = [cell for cell in known if style[cell].group == group]
        first = style[members[0]]
        trace = go.Scatter(
            mode="markers",
            name=plain(group),
            legendgroup=group,
            marker={
                "color": first.colour,
                "symbol": first.symbol,
                "size": 7 if drawn.cloud else 11,
                "line": {"color": "white", "width": 0.5},
            },
            error_y={"type": "data", "symmetric": False, "thickness": 1.2, "width": 4, "color": first.colour},
            customdata=[hover(cell) for cell in members],
            hovertemplate="%{customdata}<extra></extra>",
            meta={"cells": members},
        )
        traces.append(
            _Trace(
                trace,
                {c: {"x": [cost.get((c, cell)) for cell in members]} for c in costs},
                {
                    m: {
                        "y": [measured[m, cell].y if (m, cell) in measured else None for cell in members],
                        "error_y.array": [reach(m, cell, 1) for cell in members],
                        "error_y.arrayminus": [reach(m, cell, 0) for cell in members],
                    }
                    for m in metrics
                },
            )
        )
    return traces


def _scored(drawn: _Drawn, metric: MetricName, point: Point) -> str:
    """A cell's score with what its error bar shows."""
    if not drawn.intervals:
        return f"{METRICS[metric].label}: {score(point.y, point.spread)}"
    interval = drawn.intervals.get(metric, {}).get(point.cell)
    text = between(point.y, interval.low, interval.high) if interval else score(point.y)
    return f"{METRICS[metric].label}: {text}"


def _seeds(drawn: _Drawn, point: Point) -> str:
    seeds = several(point.seeds, "seed")
    if point.seeds == 1:
        return seeds
    level = next((one.level for found in drawn.intervals.values() for one in found.values()), None)
    return (
        f"mean ± standard deviation over {seeds}" if level is None else f"mean [{_percent(level)} interval] of {seeds}"
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f}{NO_BREAK}%"


def _chance(drawn: _Drawn, x: Cost, y: MetricName, cell: str) -> str:
    """The probability of being on a front, where it is known and not nothing."""
    found = drawn.uncertain.get((x, y))
    probability = found.probability.get(cell, 0.0) if found else 0.0
    return f" ({_percent(probability)})" if probability >= 0.005 else ""


def _trivial_rows(drawn: _Drawn, metrics: list[MetricName]) -> list[_Trace]:
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
            in_view = row is not None and _in_view(row.y, front, drawn)
            by_metric[metric] = {
                "y": [row.y] * 3 if row else [],
                "text": [text if at == place else "" for at in range(3)],
                "name": text if in_view else f"{text} (below)",
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
        traces.append(_Trace(trace, {}, by_metric))
    return traces


def _in_view(value: float, front: Pareto, drawn: _Drawn) -> bool:
    low, high = _range(front, drawn)
    return not front.points or value >= high - 4 * max(high - low, 0.02)


def _range(front: Pareto, drawn: _Drawn) -> tuple[float, float]:
    ends = [(point.y, *drawn.errors.get((front.y, point.cell), (0.0, 0.0))) for point in front.points]
    return min((y - down for y, down, _ in ends), default=0.0), max((y + up for y, _, up in ends), default=1.0)


def _labels(drawn: _Drawn, x_type: str) -> list[_Trace]:
    """For each pair of axes, the cells' names, each on the side of its point where there is room."""

    def labels(front: Pareto) -> _Trace:
        trace = go.Scatter(
            # Unseen markers, as large as the rings, keep the text off them.
            mode="markers+text",
            marker={"size": 17, "color": "rgba(0,0,0,0)"},
            text=[plain(shortened(point.label)) for point in front.points],
            textposition=_places(front, drawn, x_type),
            textfont={"size": 12, "color": INK},
            hoverinfo="skip",
            showlegend=False,
            cliponaxis=False,
            meta={"labels": [front.x, front.y]},
        )
        return _Trace(trace, *_only_on(front, [p.x for p in front.points], [p.y for p in front.points]))

    return [labels(front) for front in drawn.fronts]


def _places(front: Pareto, drawn: _Drawn, x_type: str) -> list[str]:
    """For each point, the position of its label that covers least of points, of other labels and of the edges."""
    low, high = _range(front, drawn)
    rows = [row.y for row in front.trivial if _in_view(row.y, front, drawn)]
    low = min([low, *rows])
    xs = [math.log10(point.x) if x_type == "log" and point.x > 0 else point.x for point in front.points]
    left, wide, tall = min(xs, default=0.0), (max(xs, default=1.0) - min(xs, default=0.0)) or 1.0, (high - low) or 1.0

    def height(y: float) -> float:
        return _HEIGHT * (0.94 - 0.88 * (y - low) / tall)

    at = [
        (_WIDTH * (0.06 + 0.88 * (x - left) / wide), height(point.y)) for x, point in zip(xs, front.points, strict=True)
    ]
    taken = [(x - 9, y - 9, x + 9, y + 9) for x, y in at]
    for (x, y), point in zip(at, front.points, strict=True):
        down, up = (_HEIGHT * 0.88 * reach / tall for reach in drawn.errors.get((front.y, point.cell), (0.0, 0.0)))
        taken.append((x - 4, y - up, x + 4, y + down))
    taken += [(0.0, y - 3, _WIDTH, y + 3) for y in map(height, rows)]
    corners = [place for place, point in zip(at, front.points, strict=True) if point.on_front]
    for (x, y), (next_x, next_y) in pairwise([*corners, *((at[-1][0], corners[-1][1]) for _ in corners[:1])]):
        taken += [(x, y - 3, next_x, y + 3), (next_x - 3, min(y, next_y), next_x + 3, max(y, next_y))]

    def box(index: int, side: tuple[int, int]) -> tuple[float, float, float, float]:
        (x, y), (right, down) = at[index], side
        half = 3.4 * len(shortened(front.points[index].label)) + 2
        x += right * (half + 10)
        y += down * 17
        return x - half, y - 8, x + half, y + 8

    def covered(candidate: tuple[float, float, float, float]) -> float:
        x0, y0, x1, y1 = candidate
        overlap = sum(max(0.0, min(x1, b[2]) - max(x0, b[0])) * max(0.0, min(y1, b[3]) - max(y0, b[1])) for b in taken)
        return overlap + 20 * (max(0.0, -x0) + max(0.0, x1 - _WIDTH) + max(0.0, -y0) + max(0.0, y1 - _HEIGHT))

    places = []
    for index in range(len(at)):
        best = min(_POSITIONS, key=lambda place: covered(box(index, _POSITIONS[place])))
        taken.append(box(index, _POSITIONS[best]))
        places.append(best)
    return places


# Switches ------------------------------------------------------------------------------------------------------------


def _only_on(
    front: Pareto, xs: list[float], ys: list[float]
) -> tuple[dict[Cost, dict[str, Any]], dict[MetricName, dict[str, Any]]]:
    """The data of a trace that is drawn under `front`'s pair of axes and under no other."""
    return (
        {cost: {"x": xs if cost == front.x else []} for cost in COSTS},
        {metric: {"y": ys if metric == front.y else []} for metric in METRICS},
    )


def _button(label: str, changes: list[tuple[go.Scatter, dict[str, Any]]], layout: dict[str, Any]) -> dict[str, Any]:
    """A menu entry that changes the layout and traces: each property that any of them gets, in all of them."""
    affected = [index for index, (_, change) in enumerate(changes) if change]
    properties = dict.fromkeys(name for _, change in changes for name in change)
    data = {
        name: [change[name] if name in change else _value(trace, name) for trace, change in changes if change]
        for name in properties
    }
    fitted = {**layout, "xaxis.autorange": True, "yaxis.autorange": True}
    return {"label": label, "method": "update", "args": [data, fitted, affected]}


def _value(trace: go.Scatter, name: str) -> Any:
    """What a trace has now under a property's dotted name."""
    value: Any = trace.to_plotly_json()
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _nested(properties: dict[str, Any]) -> dict[str, Any]:
    """`{"a.b": 1}` as `{"a": {"b": 1}}`."""
    nested: dict[str, Any] = {}
    for name, value in properties.items():
        *parents, leaf = name.split(".")
        place = nested
        for parent in parents:
            place = place.setdefault(parent, {})
        place[leaf] = value
    return nested


def _menu(x: float, buttons: list[dict[str, Any]], active: int) -> dict[str, Any]:
    return {
        "buttons": buttons,
        "active": active,
        "type": "dropdown",
        "x": x,
        "xanchor": "left",
        "y": 1.02,
        "yanchor": "bottom",
        "showactive": True,
        "bgcolor": "white",
        "bordercolor": "#bbbbbb",
        "font": {"size": 12},
    }
