"""The critical-difference diagram: networks by their mean ranks, and which of them are not told apart."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from ablate.analysis.figures.style import FAINT, GRID, INK, TEMPLATE, plain, shortened
from ablate.analysis.format import listing
from ablate.analysis.ranks import PostHoc

_ROW, _FRAME = 26, 96
"""Pixels of a row, and of the axis and the margins."""
_MOST_NAMED = 6


def ranks_figure(found: PostHoc) -> go.Figure:
    """A row a network, the best at the top, with its mean rank; at the right, a bar beside those of which no two are
    shown to differ. Demšar's diagram (2006, Figure 1) turned by a quarter, so that long names have room.
    """
    count = len(found.networks)
    figure = go.Figure()
    figure.add_scatter(**_marks(found))
    for column, (first, last) in enumerate(found.groups):
        figure.add_scatter(**_bar(found, column, first, last))
    height = _ROW * count + _FRAME
    layout = {"height": height, "xaxis.domain": [0, 0.8], "xaxis2.domain": [0.83, 1]}
    figure.update_layout(
        template=TEMPLATE,
        height=height,
        margin={"l": 8, "r": 12, "t": 36, "b": 8},
        hovermode="closest",
        showlegend=False,
        xaxis={
            "domain": layout["xaxis.domain"],
            "side": "top",
            "title": {"text": "Mean rank (1 is the best)"},
            "range": [0.8, count + 0.2],
            "dtick": max(1, count // 8),
            "tick0": 1,
            "fixedrange": True,
        },
        xaxis2={
            "domain": layout["xaxis2.domain"],
            "range": [-0.5, max(len(found.groups), 6) - 0.5],
            "visible": False,
            "fixedrange": True,
        },
        yaxis={
            "range": [count - 0.4, -0.6],
            "fixedrange": True,
            "tickvals": list(range(count)),
            "ticktext": [plain(shortened(name, 24)) for name in found.networks],
            "gridcolor": GRID,
        },
        meta={"wide": layout, "narrow": layout},
    )
    return figure


def _marks(found: PostHoc) -> dict[str, Any]:
    return {
        "x": list(found.mean_ranks),
        "y": list(range(len(found.networks))),
        "mode": "markers+text",
        "text": [f"{rank:.2f}" for rank in found.mean_ranks],
        "textposition": [
            "middle right" if rank < len(found.networks) * 0.6 else "middle left" for rank in found.mean_ranks
        ],
        "textfont": {"size": 12, "color": FAINT},
        "marker": {"symbol": "circle", "size": 10, "color": INK},
        "customdata": [_hover(found, name, rank) for name, rank in zip(found.networks, found.mean_ranks, strict=True)],
        "hovertemplate": "%{customdata}<extra></extra>",
    }


def _bar(found: PostHoc, column: int, first: int, last: int) -> dict[str, Any]:
    """Beside the networks from `first` to `last`; its points lie on their rows, so that each can be pointed at."""
    rows = list(range(first, last + 1))
    named = listing([shortened(found.networks[row], 24) for row in rows], _MOST_NAMED)
    return {
        "x": [column] * len(rows),
        "y": rows,
        "xaxis": "x2",
        "mode": "lines+markers",
        "line": {"color": INK, "width": 5},
        "marker": {"size": 9, "color": INK, "symbol": "circle"},
        "customdata": [f"not told apart: {plain(named)}"] * len(rows),
        "hovertemplate": "%{customdata}<extra></extra>",
    }


def _hover(found: PostHoc, name: str, rank: float) -> str:
    apart = [
        shortened(pair.b if pair.a == name else pair.a, 24)
        for pair in found.pairs
        if pair.significant and name in (pair.a, pair.b)
    ]
    said = f"told apart from {plain(listing(apart, _MOST_NAMED))}" if apart else "told apart from none"
    return f"<b>{plain(shortened(name))}</b><br>mean rank {rank:.2f}<br>{said}"
