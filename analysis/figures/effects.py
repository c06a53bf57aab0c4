"""What each level of a factor is worth, as a forest plot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import plotly.graph_objects as go

from ablate.analysis.figures.style import (
    FAINT,
    GRID,
    INK,
    LEGEND,
    SIGNIFICANT,
    TEMPLATE,
    UNDECIDED,
    UNKNOWN,
    plain,
    shortened,
)
from ablate.analysis.format import several
from ablate.analysis.levels import in_order
from ablate.metrics.counts import METRICS

if TYPE_CHECKING:
    from ablate.analysis.effects import Effect

_MINUS = "\N{MINUS SIGN}"
_ROW, _FRAME = 26, 110
"""Pixels of a row, and of the axis and the margins."""
_COLUMNS = (0.0, 0.64, 0.83)
"""Where the three columns of text begin, of difference, parameters and MACs."""


class _Kind(NamedTuple):
    """How effects of one kind are drawn. Filled or open, dark or not: told apart without colour."""

    name: str
    symbol: str
    colour: str


_KINDS = {
    "better": _Kind("better, significant", SIGNIFICANT, "#0072B2"),
    "worse": _Kind("worse, significant", SIGNIFICANT, "#D55E00"),
    "open": _Kind("not significant", UNDECIDED, FAINT),
    "one seed": _Kind("one seed: no interval", UNKNOWN, INK),
}


def effects_figure(effects: Sequence[Effect]) -> go.Figure:
    """A row an effect, grouped by factor: the difference of the score from the reference's, with its interval, against
    zero; beside it what the level costs. `effects` are of one space and task.
    """
    rows = _rows(effects)
    figure = go.Figure()
    for kind, look in _KINDS.items():
        of_kind = [(y, effect) for y, effect in rows if effect is not None and _kind(effect) == kind]
        if of_kind:
            figure.add_scatter(**_marks(of_kind, look))
    figure.add_scatter(**_texts(rows))
    metric = METRICS[effects[0].difference.metric].heading if effects else "score"
    height = _ROW * len(rows) + _FRAME
    wide: dict[str, Any] = {"height": height, "xaxis.domain": [0, 0.44], "xaxis2.domain": [0.46, 1]}
    narrow: dict[str, Any] = {"height": height, "xaxis.domain": [0, 1], "xaxis2.domain": [0.98, 1]}
    figure.update_layout(
        template=TEMPLATE,
        height=height,
        margin={"l": 8, "r": 12, "t": 8, "b": 72},
        hovermode="closest",
        xaxis={
            "domain": wide["xaxis.domain"],
            "title": {"text": f"Difference in test {metric}"},
            "zeroline": True,
            "zerolinecolor": INK,
            "zerolinewidth": 1.2,
            "range": _range([effect for _, effect in rows if effect is not None]),
        },
        xaxis2={"domain": wide["xaxis2.domain"], "range": [0, 1], "visible": False, "fixedrange": True},
        yaxis={
            "range": [len(rows) - 0.4, -0.6],
            "fixedrange": True,
            "tickvals": [y for y, _ in rows],
            "ticktext": _row_names(rows, effects),
            "showgrid": False,
        },
        legend=LEGEND,
        shapes=[_line_above(y) for y, effect in rows if effect is None and y > 0],
        meta={"wide": wide, "narrow": narrow, "labels": [len(figure.data) - 1]},
    )
    return figure


def _marks(of_kind: Sequence[tuple[int, Effect]], look: _Kind) -> dict[str, Any]:
    """Effects of one kind with their intervals."""
    intervals = [effect.difference.interval for _, effect in of_kind]
    return {
        "x": [interval.estimate for interval in intervals],
        "y": [y for y, _ in of_kind],
        "mode": "markers",
        "name": look.name,
        "marker": {"symbol": look.symbol, "size": 11, "color": look.colour, "line": {"width": 2, "color": look.colour}},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [_finite(interval.high - interval.estimate) for interval in intervals],
            "arrayminus": [_finite(interval.estimate - interval.low) for interval in intervals],
            "thickness": 1.6,
            "width": 5,
            "color": look.colour,
        },
        "customdata": [_hover(effect) for _, effect in of_kind],
        "hovertemplate": "%{customdata}<extra></extra>",
        "meta": {"effects": [[effect.factor, effect.level] for _, effect in of_kind]},
    }


def _texts(rows: Sequence[tuple[int, Effect | None]]) -> dict[str, Any]:
    """The three columns of text beside the effects; the first row has their names."""
    texts = [
        (y, (difference_text(effect), cost_text(effect.params), cost_text(effect.macs)))
        if effect is not None
        else (y, ("difference", "params", "MACs") if y == 0 else ("", "", ""))
        for y, effect in rows
    ]
    return {
        "x": [x for _ in texts for x in _COLUMNS],
        "y": [y for y, _ in texts for _ in _COLUMNS],
        "xaxis": "x2",
        "mode": "text",
        "text": [text for _, columns in texts for text in columns],
        "textposition": "middle right",
        "textfont": {"size": 12, "color": INK},
        "hoverinfo": "skip",
        "showlegend": False,
        "meta": {"text": True},
    }


def _line_above(y: int) -> dict[str, Any]:
    """Between one factor and the next."""
    across = {"xref": "paper", "x0": 0, "x1": 1, "y0": y - 0.5, "y1": y - 0.5}
    return {"type": "line", **across, "line": {"color": GRID, "width": 1}}


def difference_text(effect: Effect) -> str:
    """`+0.013 [−0.002, +0.028]`; with one seed, or too few images, there is no interval."""
    estimate, low, high = effect.difference.interval[:3]
    if not math.isfinite(low):
        few = "one seed" if effect.difference.seeds == 1 else "no interval"
        return f"{signed(estimate)} ({few})"
    return f"{signed(estimate)} [{signed(low)}, {signed(high)}]"


def signed(value: float, digits: int = 3) -> str:
    """A difference with its sign, a true minus: `−0.012`."""
    return "–" if not math.isfinite(value) else f"{value:+.{digits}f}".replace("-", _MINUS)


def cost_text(ratio: float) -> str:
    """`×0.66`."""
    return f"×{ratio:.2f}" if math.isfinite(ratio) else "–"


def _range(effects: Sequence[Effect]) -> list[float]:
    """From the lowest to the highest interval, and zero, with a margin."""
    ends = [end for effect in effects for end in effect.difference.interval[:3] if math.isfinite(end)]
    low, high = min([0.0, *ends]), max([0.0, *ends])
    margin = 0.06 * (high - low) or 0.01
    return [low - margin, high + margin]


def _rows(effects: Sequence[Effect]) -> list[tuple[int, Effect | None]]:
    """The rows from the top, numbered: for each factor a heading (`None`), and its levels beneath."""
    rows: list[Effect | None] = []
    for factor in dict.fromkeys(effect.factor for effect in effects):
        of_factor = [effect for effect in effects if effect.factor == factor]
        order = in_order((effect.level for effect in of_factor), [effect.level for effect in of_factor])
        rows += [None, *sorted(of_factor, key=lambda effect: order.index(effect.level))]
    return list(enumerate(rows))


def _row_names(rows: Sequence[tuple[int, Effect | None]], effects: Sequence[Effect]) -> list[str]:
    factors = iter(dict.fromkeys((effect.factor, effect.reference) for effect in effects))
    names, seen = [], set()
    for _, effect in rows:
        if effect is not None:
            names.append(plain(shortened(effect.level, 28)))
            continue
        factor, reference = next(factors)
        while factor in seen:  # a factor held against several references has one heading
            factor, reference = next(factors)
        seen.add(factor)
        names.append(f"<b>{plain(shortened(factor, 24))}</b> from {plain(shortened(reference, 16))}")
    return names


def _kind(effect: Effect) -> str:
    difference = effect.difference
    if not math.isfinite(difference.interval.low):
        return "one seed"
    if not difference.significant:
        return "open"
    return "better" if difference.gain > 0 else "worse"


def _hover(effect: Effect) -> str:
    difference = effect.difference
    p = difference.p_value if difference.p_holm is None else difference.p_holm
    return "<br>".join(
        [
            f"<b>{plain(shortened(effect.factor))} = {plain(shortened(effect.level))}</b>",
            f"from {plain(shortened(effect.reference))}: {METRICS[difference.metric].label} {difference_text(effect)}",
            *([f"p = {p:.3g}{' (Holm)' if difference.p_holm is not None else ''}"] if p is not None else []),
            f"parameters {cost_text(effect.params)}, MACs {cost_text(effect.macs)}",
            f"{several(effect.pairs, 'pair')} of networks, over {difference.interval.over or 'these images alone'}",
            *([plain(difference.note)] if difference.note else []),
        ]
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
