"""What strategies would have found: hypervolume against epochs spent, over the repeats of a replay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from ablate.analysis.figures.style import FAINT, LEGEND, TEMPLATE, plain, styles


class Band(NamedTuple):
    """A strategy's hypervolume after `epochs`: the median over its repeats, and the band of all but the outer tenths.

    A repeat that has ended stays at what it reached. `epochs` are those at which a quantile changes.
    """

    name: str
    repeats: int
    epochs: tuple[int, ...]
    low: tuple[float, ...]
    median: tuple[float, ...]
    high: tuple[float, ...]


def band(name: str, paths: Sequence[NDArray[np.float64]]) -> Band:
    """The record of a strategy; `paths` (repeats,) have the hypervolume after each epoch of a repeat."""
    longest = max(len(path) for path in paths)
    table = np.array([np.pad(path, (0, longest - len(path)), mode="edge") for path in paths])
    low, median, high = np.quantile(table, (0.1, 0.5, 0.9), axis=0)
    changed = (np.diff([low, median, high], axis=1, prepend=-1.0) != 0).any(axis=0)
    changed[-1] = True
    at = np.flatnonzero(changed)
    return Band(
        name,
        len(paths),
        tuple(int(n) + 1 for n in at),
        *(tuple(float(v) for v in line[at]) for line in (low, median, high)),
    )


def replay_figure(bands: Sequence[Band], whole: int, shares: Sequence[float] = (0.95, 0.99)) -> go.Figure:
    """A line and a band a strategy; `whole` is how many epochs the full grid has."""
    figure = go.Figure()
    looks = styles((one.name, one.name, "strategy") for one in bands)
    for one in bands:
        colour, dash = looks[one.name].colour, looks[one.name].dash
        for edge, fill in ((one.low, "none"), (one.high, "tonexty")):
            figure.add_scatter(
                x=list(one.epochs),
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
            x=list(one.epochs),
            y=list(one.median),
            mode="lines",
            line={"color": colour, "width": 2, "dash": dash, "shape": "hv"},
            name=plain(one.name),
            legendgroup=one.name,
            hovertemplate=f"{plain(one.name)}<br>%{{x:,}} epochs: %{{y:.3f}} (median of {one.repeats})<extra></extra>",
            meta={"strategy": one.name},
        )
    for share in shares:
        figure.add_hline(
            y=share,
            line={"width": 1, "dash": "dot", "color": FAINT},
            annotation_text=f"{share:.0%}",
            annotation_position="bottom right",
        )
    figure.update_xaxes(title_text="Epochs spent", range=[0, whole])
    figure.update_yaxes(title_text="Hypervolume, share of the full grid's", range=[0.5, 1.005])
    figure.update_layout(
        template=TEMPLATE,
        height=460,
        margin={"l": 64, "r": 16, "t": 16, "b": 72},
        hovermode="closest",
        legend=LEGEND,
    )
    return figure


def replay_caption(bands: Sequence[Band], workers: int) -> str:
    repeats = {one.repeats for one in bands}
    return (
        f"Median over {' or '.join(str(n) for n in sorted(repeats))} simulated runs with {workers} "
        f"{'worker' if workers == 1 else 'workers'} each; bands hold all but the lowest and the highest tenth. "
        "Hypervolume of validation Dice against parameters and MACs (costs by their logarithms)."
    )
