"""What parts are worth: the effect of each level, two factors at once, and networks across all factors."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from ablate.analysis.figures.effects import cost_text, difference_text
from ablate.analysis.figures.heatmap import LevelMeans
from ablate.analysis.figures.parallel import Parallel
from ablate.analysis.figures.style import FAINT, INK, shortened, styles
from ablate.analysis.format import model_name, score
from ablate.analysis.printed.labels import last_part
from ablate.analysis.printed.sheet import DASHES, quiet, sheet
from ablate.metrics.counts import METRICS

if TYPE_CHECKING:
    from ablate.analysis.effects import Effect

_ROW = 4.0
"""Millimetres."""
_MOST_AHEAD = 8
_NETWORK = ("network", "model.name", "model")
"""Factors whose levels are networks."""


def effects_figure(effects: Sequence[Effect], width: float) -> Figure:
    """A row an effect, by factor: the difference in score with its interval against zero, and what the level costs.

    Filled: beyond chance. Open: not. A bar without an interval: one seed, or too few images.
    """
    rows: list[tuple[str, Effect | None]] = []
    for factor in dict.fromkeys(effect.factor for effect in effects):
        own = [effect for effect in effects if effect.factor == factor]
        called = model_name if factor in _NETWORK else str
        rows += [(f"{shortened(last_part(factor), 18)} (from {shortened(called(own[0].reference), 12)})", None)]
        rows += [(shortened(called(effect.level), 22), effect) for effect in own]
    figure = sheet(width, _ROW * len(rows) + 14)
    axes = figure.add_subplot()
    wide = width > 120
    for at, (_, effect) in enumerate(rows):
        if effect is None:
            continue
        estimate, low, high = effect.difference.interval[:3]
        known, sure = math.isfinite(low), effect.difference.significant
        if known:
            axes.plot([low, high], [at, at], color=INK, lw=0.9)
        marker = ("D" if sure else "o") if known else "|"
        axes.plot(estimate, at, marker, color=INK, mfc=INK if sure else "white", ms=4.5, mew=0.9)
        costs = f"{cost_text(effect.params)}  {cost_text(effect.macs)}"
        text = f"{difference_text(effect)}   {costs}" if wide else costs
        axes.text(1.02, at, text, transform=axes.get_yaxis_transform(), va="center", fontsize="small")
    heads = "difference, parameters, MACs" if wide else "params, MACs"
    axes.text(1.02, -0.9, heads, transform=axes.get_yaxis_transform(), va="center", color=FAINT, fontsize="small")
    axes.axvline(0, color=INK, lw=0.7)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    for label, (_, effect) in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_fontweight("bold" if effect is None else "normal")
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    quiet(axes, across=False)
    axes.set_xlabel(f"Difference in test {METRICS[effects[0].difference.metric].heading}")
    return figure


def levels_figure(record: LevelMeans, width: float) -> Figure:
    """Mean score of every combination of two factors' levels, written in squares; dark is low."""
    rows, columns = record.levels
    figure = sheet(width, 9.0 * len(rows) + 26)
    axes = figure.add_subplot()
    means = np.array(record.means, dtype=np.float64)
    shown = axes.imshow(means, cmap="cividis", aspect="auto")
    low, high = np.nanmin(means), np.nanmax(means)
    for i, j in np.argwhere(np.isfinite(means)):
        dark = means[i, j] < (low + high) / 2
        axes.text(j, i, score(means[i, j]), ha="center", va="center", color="white" if dark else INK, fontsize="small")
    turned = sum(len(name) for name in columns) > 0.55 * width
    names = [shortened(name, 20) for name in columns]
    axes.set_xticks(range(len(columns)), names, rotation=35 if turned else 0, ha="right" if turned else "center")
    axes.set_yticks(range(len(rows)), [shortened(name, 20) for name in rows])
    axes.set_xlabel(shortened(last_part(record.factors[1]), 40))
    axes.set_ylabel(shortened(last_part(record.factors[0]), 40))
    axes.tick_params(length=0)
    quiet(axes, across=False, along=False)
    bar = figure.colorbar(shown, ax=axes, fraction=0.05, pad=0.02)
    bar.outline.set_visible(False)
    bar.set_label(f"Test {METRICS[record.metric].heading}")
    return figure


def networks_figure(
    record: Parallel, front: Collection[str], called: Mapping[str, str], width: float
) -> tuple[Figure, list[str]]:
    """A line a network across factors, costs and score: those of the front dark, each with its dash, others grey; and
    the names used. `called`: as of `labels.short`."""
    figure = sheet(width, 70)
    axes = figure.add_subplot()
    across = range(len(record.axes))
    ahead = [line for line in record.lines if line.cell in front][:_MOST_AHEAD]
    look = styles((line.cell, line.label, line.model) for line in ahead)
    for line in record.lines:
        if line not in ahead:
            axes.plot(across, line.places, color="#c4c4c4", lw=0.5)
    for line in ahead:
        own = look[line.cell]
        axes.plot(across, line.places, color=own.colour, ls=DASHES[own.dash], lw=1.2, label=called[line.label])
    for at, axis in enumerate(record.axes):
        axes.axvline(at, color=INK, lw=0.6)
        for place, text in axis.ticks:
            axes.text(at + 0.03, place, shortened(text, 12), fontsize=5.5, va="center", color=INK)
    axes.set_xticks(across, [shortened(last_part(axis.name), 14) for axis in record.axes], rotation=30, ha="right")
    axes.set_yticks([])
    axes.set_xlim(-0.1, len(record.axes) - 0.5)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.tick_params(length=0)
    quiet(axes, across=False, along=False)
    if ahead:
        figure.legend(loc="outside lower center", ncols=4 if all(len(called[line.label]) < 5 for line in ahead) else 2)
    return figure, [line.label for line in ahead]
