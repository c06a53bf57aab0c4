"""What the training bought: the hypervolume of the front so far against the epochs spent.

The tables have no clock, so trials count as trained side by side: after every trial has had `e` epochs, or as many as
it was given, the epochs spent are the sum over trials, and each trial stands at its best validation score so far.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import plotly.graph_objects as go

from ablate.analysis.figures.style import INK, LEGEND, TEMPLATE, plain
from ablate.analysis.format import several
from ablate.analysis.pareto import COSTS, MARGIN, Cost, cells, hypervolume, tasks, value
from ablate.metrics.counts import METRICS, MetricName

if TYPE_CHECKING:
    import pandas as pd

    from ablate.analysis.frames import Frames

_DASHES = ("solid", "dash", "dot", "dashdot")


class Spent(NamedTuple):
    """The hypervolume of a task's trained cells under validation score `y` against cost `x`, as epochs are spent.

    `epochs` are summed over `trials`, rising; `hypervolume` is in cost times score, up to `reference` (cost, score); a
    cell stands at the mean over its seeds. Only trials with a known cost and a validation score count.
    """

    task: str
    x: Cost
    y: MetricName
    trials: int
    epochs: tuple[int, ...]
    hypervolume: tuple[float, ...]
    reference: tuple[float, float]


def spent(frames: Frames, x: Cost = "params", y: MetricName = "dice") -> tuple[Spent, ...]:
    """The record of each task with a trained cell that costs something; the reference is 1.1 times the largest cost,
    and score 0."""
    found = (_spent(task, trials, frames.epochs, x, y) for task, trials in tasks(frames.trials).items())
    return tuple(record for record in found if record is not None)


def spent_figure(records: tuple[Spent, ...]) -> go.Figure:
    """A line a task: the hypervolume as a share of what a free and perfect network would have."""
    figure = go.Figure()
    for at, record in enumerate(records):
        cost, bar = record.reference
        figure.add_scatter(
            x=list(record.epochs),
            y=[area / (cost * (1 - bar)) for area in record.hypervolume],
            mode="lines+markers" if len(record.epochs) <= 30 else "lines",
            name=plain(record.task),
            line={"color": INK, "width": 2, "dash": _DASHES[at % len(_DASHES)]},
            marker={"size": 5},
            showlegend=len(records) > 1,
            hovertemplate=f"{plain(record.task)}: {several(record.trials, 'trial')}<br>"
            "%{x:,} epochs in all: %{y:.3f}<extra></extra>",
            meta={"task": record.task},
        )
    if records:
        axes = f"{METRICS[records[0].y].label} against {COSTS[records[0].x]}"
        figure.update_yaxes(title_text=f"Hypervolume, share of the largest<br>(validation {axes})")
    figure.update_xaxes(title_text="Epochs spent, all trials together", rangemode="tozero")
    figure.update_layout(
        template=TEMPLATE,
        height=380,
        margin={"l": 64, "r": 16, "t": 16, "b": 56},
        hovermode="closest",
        legend=LEGEND,
    )
    return figure


def _spent(task: str, trials: pd.DataFrame, epochs: pd.DataFrame, x: Cost, y: MetricName) -> Spent | None:
    column = f"val_{y}"
    cost = {cell.id: value(cell, x) for cell in cells(trials) if not cell.trivial}
    trained = trials.loc[(trials["state"] == "complete") & trials["cell"].map(cost).notna(), ["key", "cell"]]
    rows = trained.merge(epochs[["key", "epoch", column]], on="key").dropna(subset=[column])
    if rows.empty:
        return None
    table = rows.pivot(index=["cell", "key"], columns="epoch", values=column).sort_index(axis=1)
    scores = table.to_numpy(dtype=np.float64)
    best = np.fmax.accumulate(scores, axis=1)
    had = np.isfinite(scores).sum(axis=0).cumsum()
    names, starts = np.unique(table.index.get_level_values("cell"), return_index=True)
    counts = np.diff(starts, append=len(best))
    # A cell stands as soon as each of its seeds has a score.
    means = np.add.reduceat(best, starts, axis=0) / counts[:, None]
    prices = np.array([cost[str(name)] for name in names])
    if not prices.max() > 0:
        return None
    reference = (MARGIN * float(prices.max()), 0.0)
    areas = []
    for column_of_means in means.T:
        known = np.isfinite(column_of_means)
        areas.append(hypervolume(np.column_stack([prices, column_of_means])[known], reference, (False, True)))
    return Spent(task, x, y, len(best), tuple(int(n) for n in had), tuple(areas), reference)
