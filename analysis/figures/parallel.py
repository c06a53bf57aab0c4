"""Parallel coordinates: every network as a line through its levels, its costs and its score."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import plotly.graph_objects as go

from ablate.analysis.figures.style import FAINT, GRID, INK, LEGEND, TEMPLATE, plain, shortened, styles
from ablate.analysis.format import score
from ablate.analysis.levels import is_number, logarithmic, natural, of_factor
from ablate.analysis.pareto import COSTS, Cell, amount, offered, value
from ablate.metrics.counts import METRICS

if TYPE_CHECKING:
    import pandas as pd

    from ablate.metrics.counts import MetricName
    from ablate.study.runs import Run

_MOST_LINES, _MOST_NAMED, _MOST_LEVELS = 300, 10, 12


class Axis(NamedTuple):
    """A coordinate: its name, and ticks as (place from 0 to 1, text)."""

    name: str
    ticks: tuple[tuple[float, str], ...]


class Line(NamedTuple):
    """A network: its place from 0 to 1 on each axis (NaN where it has none), and what its places mean."""

    cell: str
    label: str
    model: str
    places: tuple[float, ...]
    texts: tuple[str, ...]


class Parallel(NamedTuple):
    """The networks of one space and task, best first; `left_out` counts those that there was no room for."""

    space: str
    task: str
    axes: tuple[Axis, ...]
    lines: tuple[Line, ...]
    left_out: int = 0


def parallel(
    trials: pd.DataFrame, run: Run, known: Mapping[str, Cell], metric: MetricName = "dice"
) -> tuple[Parallel, ...]:
    """One record a task of `run` in which at least two factors vary.

    Of many networks the lines are the best, and as many again evenly down to the worst, so that both ends show.
    """
    planned = trials[trials["key"].isin(set(run.trials)) & trials["cell"].isin(set(known))]
    found = []
    for task, rows in planned.groupby("data"):
        levels = {str(cell): run.trials[key] for key, cell in zip(rows["key"], rows["cell"], strict=True)}
        factors = [f for f in run.factors if len({places.get(f) for places in levels.values()}) > 1]
        if len(factors) < 2:
            continue
        cells = sorted((known[cell] for cell in levels), key=lambda cell: -METRICS[metric].sign * value(cell, metric))
        chosen = _sample(cells)
        coordinates = [
            *(_levels(run, f, [levels[cell.id].get(f, "") for cell in chosen]) for f in factors),
            *(_number(COSTS[c], [value(cell, c) for cell in chosen], partial(amount, c)) for c in offered(chosen)),
            _number(METRICS[metric].heading, [value(cell, metric) for cell in chosen], score),
        ]
        lines = tuple(
            Line(
                cell=cell.id,
                label=cell.label,
                model=cell.model,
                places=tuple(places[at] for _, places, _ in coordinates),
                texts=tuple(texts[at] for _, _, texts in coordinates),
            )
            for at, cell in enumerate(chosen)
        )
        axes = tuple(axis for axis, _, _ in coordinates)
        found.append(Parallel(run.space, str(task), axes, lines, len(cells) - len(chosen)))
    return tuple(found)


def _sample(cells: Sequence[Cell]) -> list[Cell]:
    if len(cells) <= _MOST_LINES:
        return list(cells)
    best, rest = cells[: _MOST_LINES // 2], cells[_MOST_LINES // 2 :]
    last = _MOST_LINES - len(best) - 1
    return [*best, *(rest[round(at * (len(rest) - 1) / last)] for at in range(last + 1))]


_Coordinate = tuple[Axis, list[float], list[str]]


def _levels(run: Run, name: str, values: list[str]) -> _Coordinate:
    """A factor: levels in their order, evenly, below them networks that do not have it; the levels of a range, and many
    numbers, where they lie."""
    log = logarithmic(run, name)
    present = of_factor(run, name, filter(None, values))
    if all(map(is_number, present)) and (log is not None or len(present) > _MOST_LEVELS):
        numbers = [float(value) if value else math.nan for value in values]
        return _number(name, numbers, lambda value: f"{value:.4g}", log=log)
    present = [*([""] if "" in values else []), *present]
    place = {level: at / max(len(present) - 1, 1) for at, level in enumerate(present)}
    every = max(1, math.ceil(len(present) / _MOST_LEVELS))
    ticks = tuple((place[level], level or "–") for at, level in enumerate(present) if at % every == 0)
    return Axis(name, ticks), [place[value] for value in values], [value or "–" for value in values]


def _number(name: str, values: list[float], text: Callable[[float], str], *, log: bool | None = None) -> _Coordinate:
    """A quantity: on a logarithmic scale if `log`; where that is None, if it spans more than a decade."""
    finite = [value for value in values if math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=1.0)
    log = low > 0 and (high >= 10 * low if log is None else log)

    def scaled(at: float) -> float:
        return math.log(at) if log else at

    def place(at: float) -> float:
        if not math.isfinite(at):
            return math.nan
        return (scaled(at) - scaled(low)) / (scaled(high) - scaled(low)) if high > low else 0.5

    middle = [
        math.exp(at) if log else at for at in (scaled(low) + (scaled(high) - scaled(low)) * k / 4 for k in range(5))
    ]
    ticks = tuple((place(value), text(value)) for value in (middle if high > low else [low]))
    return Axis(name, ticks), [place(value) for value in values], [text(value) for value in values]


def parallel_figure(record: Parallel, front: Collection[str] = ()) -> go.Figure:
    """A line a network: those of `front` strong, each in its colour, dash and symbol; the others thin and grey."""
    ahead = [line for line in record.lines if line.cell in front][:_MOST_NAMED]
    behind = [line for line in record.lines if line not in ahead]
    ahead.sort(key=lambda line: natural(line.label))
    style = styles((line.cell, line.label, line.model) for line in ahead)
    across = list(range(len(record.axes)))
    figure = go.Figure()
    if behind:
        figure.add_scatter(
            x=[x for _ in behind for x in [*across, None]],
            y=[y for line in behind for y in [*map(_known, line.places), None]],
            mode="lines+markers",
            name="others" if ahead else "networks",
            line={"color": "#b3b3b3", "width": 1},
            marker={"size": 4, "color": "#999999"},
            customdata=[text for line in behind for text in [*[_hover(record, line)] * len(across), ""]],
            hovertemplate="%{customdata}<extra></extra>",
            meta={"lines": [line.cell for line in behind]},
        )
    for line in ahead:
        look = style[line.cell]
        figure.add_scatter(
            x=across,
            y=[_known(place) for place in line.places],
            mode="lines+markers",
            name=plain(shortened(line.label)),
            line={"color": look.shade, "width": 2.5, "dash": look.dash},
            marker={"size": 8, "symbol": look.symbol, "color": look.shade},
            customdata=[_hover(record, line)] * len(across),
            hovertemplate="%{customdata}<extra></extra>",
            meta={"lines": [line.cell]},
        )
    figure.update_layout(
        template=TEMPLATE,
        height=440,
        margin={"l": 24, "r": 64, "t": 40, "b": 64},
        hovermode="closest",
        xaxis={
            "tickvals": across,
            "ticktext": [f"<b>{plain(shortened(axis.name.split('.')[-1], 16))}</b>" for axis in record.axes],
            "side": "top",
            "range": [-0.1, len(record.axes) - 1 + 0.1],
            "gridcolor": FAINT,
            "fixedrange": True,
        },
        yaxis={"visible": False, "range": [-0.05, 1.05], "fixedrange": True},
        legend=LEGEND,
        annotations=[_tick(x, place, text) for x, axis in enumerate(record.axes) for place, text in axis.ticks],
    )
    return figure


def _tick(x: int, place: float, text: str) -> dict[str, Any]:
    """What stands beside a place on an axis."""
    return {
        "x": x,
        "y": place,
        "text": plain(shortened(text, 16)),
        "xanchor": "left",
        "xshift": 5,
        "showarrow": False,
        "font": {"size": 11, "color": INK},
        "bgcolor": "rgba(255,255,255,0.75)",
        "bordercolor": GRID,
        "borderpad": 1,
    }


def _known(place: float) -> float | None:
    return place if math.isfinite(place) else None


def _hover(record: Parallel, line: Line) -> str:
    places = (f"{plain(a.name)}: {plain(shortened(t))}" for a, t in zip(record.axes, line.texts, strict=True))
    return "<br>".join([f"<b>{plain(shortened(line.label, 60))}</b>", *places])
