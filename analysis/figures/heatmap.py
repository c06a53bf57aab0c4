"""Two factors at once: the mean score of every combination of their levels."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import plotly.graph_objects as go

from ablate.analysis.figures.style import TEMPLATE, plain, shortened
from ablate.analysis.format import score
from ablate.analysis.levels import of_factor
from ablate.metrics.counts import METRICS

if TYPE_CHECKING:
    import pandas as pd

    from ablate.metrics.counts import MetricName
    from ablate.study.runs import Run

_MOST_LEVELS, _MOST_MAPS = 12, 3
_CROSSED = ("one_factor", "leave_one_out")
"""Designs that vary one factor at a time: of two at once they have the rim only."""


class LevelMeans(NamedTuple):
    """Mean test score of each combination of two factors' levels, `means[row][column]`, NaN where nothing was trained.

    `cells` counts the configurations that a mean is over: several where the space has further factors.
    """

    space: str
    metric: MetricName
    factors: tuple[str, str]
    levels: tuple[tuple[str, ...], tuple[str, ...]]
    means: tuple[tuple[float, ...], ...]
    cells: tuple[tuple[int, ...], ...]
    tasks: int
    """Data sets that the cells were judged on; with several, scores of different test images stand side by side."""


def level_means(trials: pd.DataFrame, runs: Sequence[Run], metric: MetricName = "dice") -> tuple[LevelMeans, ...]:
    """The pairs of factors of every space whose levels were combined; of many, those whose means differ most."""
    complete = trials[trials["state"] == "complete"].set_index("key")
    found = [
        record
        for run in runs
        if run.design not in _CROSSED
        for pair in itertools.combinations([f for f, levels in run.factors.items() if len(levels) >= 2], 2)
        if (record := _level_means(complete, run, pair, metric)) is not None
    ]
    return tuple(sorted(found, key=_range, reverse=True)[:_MOST_MAPS])


def _level_means(complete: pd.DataFrame, run: Run, pair: tuple[str, str], metric: MetricName) -> LevelMeans | None:
    import pandas as pd

    places = {key: levels for key, levels in run.trials.items() if key in complete.index}
    rows, columns = (
        of_factor(run, f, (level for p in places.values() if (level := p.get(f)) is not None)) for f in pair
    )
    if not 2 <= min(len(rows), len(columns)) <= max(len(rows), len(columns)) <= _MOST_LEVELS:
        return None
    scored = complete.loc[list(places), ["cell", "data", metric]].copy()
    for at, factor in enumerate(pair):
        scored[f"level {at}"] = [places[key].get(factor) for key in scored.index]
    by_cell = scored.groupby(["level 0", "level 1", "cell"])[metric].mean().groupby(["level 0", "level 1"])
    place = pd.MultiIndex.from_product([rows, columns])
    means = by_cell.mean().reindex(place).to_numpy().reshape(len(rows), len(columns))
    cells = by_cell.count().reindex(place, fill_value=0).to_numpy().reshape(len(rows), len(columns))
    if (cells > 0).mean() < 0.5:
        return None
    return LevelMeans(
        space=run.space,
        metric=metric,
        factors=pair,
        levels=(tuple(rows), tuple(columns)),
        means=tuple(tuple(float(value) for value in row) for row in means),
        cells=tuple(tuple(int(value) for value in row) for row in cells),
        tasks=int(scored["data"].nunique()),
    )


def _range(record: LevelMeans) -> float:
    values = [value for row in record.means for value in row if math.isfinite(value)]
    return max(values) - min(values)


def heatmap_figure(record: LevelMeans) -> go.Figure:
    """The combinations as squares: dark is low in print as on screen (Cividis), with the mean written in each."""
    rows, columns = record.levels
    metric = METRICS[record.metric]
    names = [[shortened(level, 24) for level in levels] for levels in record.levels]
    figure = go.Figure(
        go.Heatmap(
            z=[[value if math.isfinite(value) else None for value in row] for row in record.means],
            text=[[score(value) for value in row] for row in record.means],
            texttemplate="%{text}",
            customdata=_hover(record),
            hovertemplate="%{customdata}<extra></extra>",
            hoverongaps=False,
            colorscale="Cividis",
            colorbar={"title": {"text": metric.heading, "side": "right"}, "tickformat": ".3f", "thickness": 12},
            xgap=2,
            ygap=2,
            meta={"factors": list(record.factors)},
        )
    )
    narrow, wide = {"xaxis.tickangle": -50}, {"xaxis.tickangle": 0 if len(columns) <= 6 else -35}
    height = 44 * len(rows) + 150
    figure.update_layout(
        template=TEMPLATE,
        height=height,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        xaxis={
            "tickvals": list(range(len(columns))),
            "ticktext": [plain(name) for name in names[1]],
            "title": {"text": plain(shortened(record.factors[1]))},
            "tickangle": wide["xaxis.tickangle"],
            "showgrid": False,
            "fixedrange": True,
        },
        yaxis={
            "tickvals": list(range(len(rows))),
            "ticktext": [plain(name) for name in names[0]],
            "title": {"text": plain(shortened(record.factors[0]))},
            "autorange": "reversed",
            "showgrid": False,
            "fixedrange": True,
        },
        meta={"wide": {**wide, "height": height}, "narrow": {**narrow, "height": height}},
    )
    return figure


def _hover(record: LevelMeans) -> list[list[str]]:
    """What is said of each square, (rows, columns)."""
    metric, (down, across) = METRICS[record.metric], record.factors

    def square(i: int, j: int) -> str:
        networks = f", {record.cells[i][j]} networks" if record.cells[i][j] != 1 else ""
        return "<br>".join(
            [
                f"<b>{plain(down)} = {plain(record.levels[0][i])}</b>",
                f"<b>{plain(across)} = {plain(record.levels[1][j])}</b>",
                f"{metric.label} {score(record.means[i][j])}{networks}",
            ]
        )

    return [[square(i, j) for j in range(len(record.levels[1]))] for i in range(len(record.levels[0]))]
