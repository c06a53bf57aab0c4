"""What strategies would have found: hypervolume against machine time, over the repeats of a replay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from ablate.analysis.figures.style import FAINT, LEGEND, TEMPLATE, plain, styles

_MOST_POINTS = 2_000
"""Of a line: more than a figure is wide."""


class Band(NamedTuple):
    """A strategy's hypervolume after `seconds` of machine time: the median over its repeats, and the band of all but
    the outer tenths; `epochs` are the median of what they had trained by then.

    A repeat that has ended stays at what it reached. `seconds` are those at which a quantile changes.
    """

    name: str
    repeats: int
    seconds: tuple[float, ...]
    epochs: tuple[int, ...]
    low: tuple[float, ...]
    median: tuple[float, ...]
    high: tuple[float, ...]


def band(name: str, paths: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]]) -> Band:
    """The record of a strategy; `paths` (repeats,) have, each (epochs,), the seconds spent and the hypervolume after
    each epoch of a repeat. Before its first, a repeat has reached nothing."""
    changes = [seconds[np.diff(reached, prepend=0.0) != 0] for seconds, reached in paths]
    at = np.unique(
        np.concatenate([*changes, [max((float(s) for seconds, _ in paths for s in seconds[-1:]), default=0.0)]])
    )
    if len(at) > _MOST_POINTS:
        at = at[np.linspace(0, len(at) - 1, _MOST_POINTS).round().astype(int)]
    # How many epochs each repeat had trained at each of these times: (repeats, times).
    trained = np.array([np.searchsorted(seconds, at, side="right") for seconds, _ in paths])
    table = np.array([np.concatenate([[0.0], reached])[row] for row, (_, reached) in zip(trained, paths, strict=True)])
    low, median, high = np.quantile(table, (0.1, 0.5, 0.9), axis=0)
    changed = (np.diff([low, median, high], axis=1, prepend=-1.0) != 0).any(axis=0)
    changed[-1] = True
    kept = np.flatnonzero(changed)
    return Band(
        name,
        len(paths),
        tuple(float(s) for s in at[kept]),
        tuple(int(n) for n in np.median(trained[:, kept], axis=0)),
        *(tuple(float(v) for v in line[kept]) for line in (low, median, high)),
    )


def replay_figure(bands: Sequence[Band], whole: float, shares: Sequence[float] = (0.95, 0.99)) -> go.Figure:
    """A line and a band a strategy; `whole` is how many seconds the full grid takes one machine."""
    figure = go.Figure()
    looks = styles((one.name, one.name, "strategy") for one in bands)
    for one in bands:
        colour, dash = looks[one.name].colour, looks[one.name].dash
        for edge, fill in ((one.low, "none"), (one.high, "tonexty")):
            figure.add_scatter(
                x=list(one.seconds),
                y=list(edge),
                mode="lines",
                line={"width": 0, "shape": "hv"},
                fill=fill,
                fillcolor=f"rgba{(*bytes.fromhex(colour[1:]), 0.15)}",
                hoverinfo="skip",
                showlegend=False,
                legendgroup=one.name,
            )
        figure.add_scatter(
            x=list(one.seconds),
            y=list(one.median),
            mode="lines",
            line={"color": colour, "width": 2, "dash": dash, "shape": "hv"},
            name=plain(one.name),
            legendgroup=one.name,
            customdata=list(one.epochs),
            hovertemplate=f"{plain(one.name)}<br>%{{x:,.0f}} s, %{{customdata:,}} epochs: %{{y:.3f}} "
            f"(median of {one.repeats})<extra></extra>",
            meta={"strategy": one.name},
        )
    for share in shares:
        figure.add_hline(
            y=share,
            line={"width": 1, "dash": "dot", "color": FAINT},
            annotation_text=f"{share:.0%}",
            annotation_position="bottom right",
        )
    figure.update_xaxes(title_text="Machine time spent, seconds", range=[0, whole])
    figure.update_yaxes(title_text="Hypervolume, share of the full grid's", range=[0.5, 1.005])
    figure.update_layout(
        template=TEMPLATE,
        height=460,
        margin={"l": 64, "r": 16, "t": 16, "b": 72},
        hovermode="closest",
        legend=LEGEND,
    )
    return figure


def replay_caption(bands: Sequence[Band], workers: int, costs: Sequence[str]) -> str:
    repeats = {one.repeats for one in bands}
    return (
        f"Median over {' or '.join(str(n) for n in sorted(repeats))} simulated runs with {workers} "
        f"{'worker' if workers == 1 else 'workers'} each; bands hold all but the lowest and the highest tenth. "
        "Machine time is the sum of what epochs took when they were recorded, and of what starts take. "
        f"Hypervolume of validation Dice against {' and '.join(costs)} (costs by their logarithms)."
    )
