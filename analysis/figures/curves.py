"""Training curves: how loss and validation scores went, epoch by epoch, over the seeds of each cell."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import plotly.graph_objects as go

from ablate.analysis.figures.style import LEGEND, TEMPLATE, Style, plain, styles, wrapped
from ablate.analysis.format import several
from ablate.analysis.levels import natural
from ablate.metrics.counts import METRICS

if TYPE_CHECKING:
    from ablate.analysis.frames import Frames

PANELS = {"train_loss": "Training loss"} | {
    f"val_{metric.name}": f"Validation {metric.label}" for metric in (METRICS["dice"], METRICS["miou"])
}
_MOST_SHOWN = 8
_GAP = 0.09
"""Between panels, as a share of the figure."""


class Curve(NamedTuple):
    """One quantity of one cell against the epoch (from 1), over its complete trials, as far as all of them went."""

    cell: str
    label: str
    model: str
    quantity: str
    seeds: int
    of: str
    """What there are so many of: seeds, or of a split in folds the trainings of its folds."""
    epochs: tuple[int, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    configuration: str = ""
    """What a short name stands for."""


def curves(frames: Frames, quantities: Collection[str] = tuple(PANELS)) -> tuple[Curve, ...]:
    """The curves of every cell with complete trials, for each of `quantities`, columns of the table of epochs."""
    complete = frames.trials.loc[frames.trials["state"] == "complete", ["key", "cell", "label", "model", "seed"]]
    epochs = complete.merge(frames.epochs, on="key")
    found = []
    for cell, rows in epochs.groupby("cell", sort=False):
        seeds = rows["key"].nunique()
        by_epoch = rows.groupby("epoch")
        shared = by_epoch["key"].nunique() == seeds
        for quantity in quantities:
            values = by_epoch[quantity].agg(["mean", "min", "max"])[shared].dropna()
            if values.empty:
                continue
            found.append(
                Curve(
                    cell=str(cell),
                    label=str(rows["label"].iloc[0]),
                    model=str(rows["model"].iloc[0]),
                    quantity=quantity,
                    seeds=seeds,
                    of="seed" if rows["seed"].nunique() == seeds else "training",
                    epochs=tuple(int(epoch) for epoch in values.index),
                    mean=tuple(values["mean"]),
                    low=tuple(values["min"]),
                    high=tuple(values["max"]),
                    configuration=frames.named[str(cell)].configuration if cell in frames.named else "",
                )
            )
    return tuple(found)


def curves_figure(drawn: Sequence[Curve], first: Collection[str] = ()) -> go.Figure:
    """A panel a quantity; a mean line for each cell, and a band from the least to the greatest of its seeds.

    Where there are many cells, only those in `first` (the front, say) start switched on; the legend switches the rest.
    """
    style = styles((curve.cell, curve.label, curve.model) for curve in drawn)
    panels = [quantity for quantity in PANELS if any(curve.quantity == quantity for curve in drawn)]
    figure = go.Figure()
    named: set[str] = set()
    for curve in sorted(drawn, key=lambda curve: (natural(style[curve.cell].group), natural(curve.label), curve.cell)):
        number = _number(panels.index(curve.quantity))
        visible = True if len(style) <= _MOST_SHOWN or curve.cell in first or not first else "legendonly"
        shared = {"xaxis": f"x{number}", "yaxis": f"y{number}", "legendgroup": curve.cell, "visible": visible}
        if curve.seeds > 1:
            figure.add_scatter(**_band(curve, style[curve.cell]), **shared)
        figure.add_scatter(**_mean(curve, style[curve.cell]), showlegend=curve.cell not in named, **shared)
        named.add(curve.cell)
    last = max((curve.epochs[-1] for curve in drawn), default=1)
    wide, narrow = _side_by_side(len(panels)), _stacked(len(panels))
    figure.update_layout(
        template=TEMPLATE,
        margin={"l": 56, "r": 12, "t": 16, "b": 48},
        hovermode="closest",
        legend=LEGEND,
        meta={"wide": wide, "narrow": narrow},
        **{
            f"{axis}axis{_number(index)}": {
                "anchor": f"{'y' if axis == 'x' else 'x'}{_number(index)}",
                "title": {"text": "Epoch" if axis == "x" else PANELS[quantity]},
                **({"tickformat": "d", "dtick": 1 if last <= 10 else None} if axis == "x" else {}),
            }
            for index, quantity in enumerate(panels)
            for axis in "xy"
        },
    )
    figure.update_layout({name.replace(".", "_"): value for name, value in wide.items()})
    return figure


def _number(panel: int) -> str:
    """What Plotly has behind an axis's name: nothing for the first."""
    return str(panel + 1) if panel else ""


def _band(curve: Curve, look: Style) -> dict[str, Any]:
    return {
        "x": [*curve.epochs, *reversed(curve.epochs)],
        "y": [*curve.high, *reversed(curve.low)],
        "mode": "lines",
        "line": {"width": 0},
        "fill": "toself",
        "fillcolor": _translucent(look.shade),
        "hoverinfo": "skip",
        "showlegend": False,
        "meta": {"band": curve.cell, "quantity": curve.quantity},
    }


def _mean(curve: Curve, look: Style) -> dict[str, Any]:
    stands_for = f"<br>{wrapped(curve.configuration)}" if curve.configuration else ""
    return {
        "x": list(curve.epochs),
        "y": list(curve.mean),
        "mode": "lines" if len(curve.epochs) > 1 else "markers",
        "name": plain(curve.label),
        "line": {"color": look.shade, "width": 2, "dash": look.dash},
        "marker": {"symbol": look.symbol, "color": look.shade, "size": 8},
        "text": [f"<b>{plain(curve.label)}</b>, {several(curve.seeds, curve.of)}{stands_for}"] * len(curve.epochs),
        "hovertemplate": "%{text}<br>epoch %{x}: %{y:.4f}<extra></extra>",
        "meta": {"mean": curve.cell, "quantity": curve.quantity},
    }


def _side_by_side(panels: int) -> dict[str, Any]:
    """Layout properties that put the panels in a row."""
    width = (1 - _GAP * (panels - 1)) / max(panels, 1)
    layout: dict[str, Any] = {"height": 420}
    for index in range(panels):
        left = index * (width + _GAP)
        layout |= _domain(index, [left, min(1.0, left + width)], [0, 1])
    return layout


def _stacked(panels: int) -> dict[str, Any]:
    """Layout properties that put the panels below each other, for a narrow page."""
    height = (1 - _GAP * (panels - 1)) / max(panels, 1)
    layout: dict[str, Any] = {"height": 280 * max(panels, 1) + 120}
    for index in range(panels):
        bottom = 1 - index * (height + _GAP)
        layout |= _domain(index, [0, 1], [max(0.0, bottom - height), bottom])
    return layout


def _domain(index: int, x: list[float], y: list[float]) -> dict[str, Any]:
    number = _number(index)
    return {f"xaxis{number}.domain": x, f"yaxis{number}.domain": y}


def _translucent(colour: str) -> str:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.12)"
