"""What a search spent: its hypervolume against seconds, and the seconds of each network by what became of it."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from ablate.analysis.figures.style import INK, LEGEND, TEMPLATE, plain, wrapped
from ablate.analysis.format import score, several
from ablate.analysis.searches import FAILED, FINISHED, FRONT, Moment, Network, Spending, seconds_of

_LOOKS = {FRONT: ("#0072B2", ""), FINISHED: ("#56B4E9", "/"), FAILED: ("#D55E00", "x")}
"""Colour and pattern, so that a grey print tells them apart too."""
_EARLY, _LATE = (232, 232, 228), (153, 142, 110)
"""Of those that were stopped, from the first epoch to the last."""
_MOST_POINTS = 1000


def path_figure(path: Sequence[Moment]) -> go.Figure:
    """The hypervolume, as a share of what it was at the end, against the seconds that were spent by then."""
    figure = go.Figure()
    shown = _thinned(path)
    figure.add_scatter(
        x=[0.0, *(one.seconds for one in shown)],
        y=[0.0, *(one.share for one in shown)],
        mode="lines+markers" if len(shown) <= 60 else "lines",
        line={"color": INK, "width": 2, "shape": "hv"},
        marker={"size": 5, "color": INK},
        customdata=["the start", *map(_moment, shown)],
        hovertemplate="%{customdata}<extra></extra>",
        showlegend=False,
    )
    figure.update_xaxes(title_text="Seconds of training", rangemode="tozero")
    figure.update_yaxes(title_text="Hypervolume, share of<br>that at the end", range=[0, 1.04], tickformat=".0%")
    figure.update_layout(
        template=TEMPLATE, height=320, margin={"l": 64, "r": 16, "t": 16, "b": 56}, hovermode="closest"
    )
    return figure


def _thinned(path: Sequence[Moment]) -> Sequence[Moment]:
    """Those at which it rose, and the last; of many, evenly among them."""
    risen = [one for at, one in enumerate(path) if at == len(path) - 1 or at == 0 or one.share != path[at - 1].share]
    every = -(-len(risen) // _MOST_POINTS)
    return risen if every < 2 else [*risen[:-1:every], risen[-1]]


def _moment(one: Moment) -> str:
    return (
        f"{seconds_of(one.seconds)} s, {several(one.epochs, 'epoch')}: {one.share:.1%}<br>"
        f"after {plain(one.network)} had come to epoch {one.epoch}"
    )


def spending_figure(spending: Spending) -> go.Figure:
    """A bar a network, in the order in which they were begun, coloured and hatched by what became of it."""
    figure = go.Figure()
    stops = sorted({one.stopped_at for one in spending.networks if one.stopped_at})
    for fate, networks in spending.by_fate.items():
        colour, pattern = _LOOKS.get(fate) or (_stopped(stops.index(networks[0].stopped_at), len(stops)), "")
        figure.add_bar(
            x=[plain(one.named.name) for one in networks],
            y=[one.seconds for one in networks],
            name=plain(f"{fate} ({len(networks)})"),
            marker={"color": colour, "line": {"width": 0.5, "color": INK}, "pattern": {"shape": pattern, "size": 5}},
            customdata=[_hover(one) for one in networks],
            hovertemplate="%{customdata}<extra></extra>",
            meta={"cells": [one.cell for one in networks]},
        )
    figure.update_layout(
        template=TEMPLATE,
        height=380,
        margin={"l": 64, "r": 16, "t": 16, "b": 72},
        barmode="overlay",
        bargap=0.15,
        hovermode="closest",
        legend=LEGEND,
        xaxis={
            "type": "category",
            "categoryorder": "array",
            "categoryarray": [plain(one.named.name) for one in spending.networks],
            "showgrid": False,
            "title": {"text": "Networks, as they were begun"},
        },
        yaxis={"title": {"text": "Seconds of training"}, "rangemode": "tozero"},
    )
    return figure


def _stopped(place: int, of: int) -> str:
    share = place / max(of - 1, 1)
    mixed = (round(early + share * (late - early)) for early, late in zip(_EARLY, _LATE, strict=True))
    return "#" + "".join(f"{channel:02X}" for channel in mixed)


def _hover(one: Network) -> str:
    seeds = f" of {several(one.seeds, 'seed')}" if one.seeds > 1 else ""
    lines = [
        f"<b>{plain(one.named.name)}</b>: {one.fate}",
        wrapped(one.named.configuration),
        f"{seconds_of(one.seconds)} s, {several(one.epochs, 'epoch')}{seeds}, validation Dice {score(one.val_dice)}",
    ]
    return "<br>".join(lines)
