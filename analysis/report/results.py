"""The report's table of every cell."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from ablate.analysis.format import listing, model_name, score
from ablate.analysis.pareto import COSTS, METRICS, Cell, Cost, Metric, Pareto, amount, offered
from ablate.analysis.report.page import cell, escape, header, note, number, table

if TYPE_CHECKING:
    from ablate.analysis.significance import Interval

_MOST_ROWS = 500
Intervals = Mapping[Metric, Mapping[str, "Interval"]]
"""Of the mean scores, by metric and cell."""


def interval_of(intervals: Intervals, found: Cell, metric: Metric) -> Interval | None:
    """A cell's interval, unless nothing is known of its seeds."""
    interval = intervals.get(metric, {}).get(found.id)
    return interval if interval is not None and math.isfinite(interval.low) and not found.trivial else None


def best_first(known: Sequence[Cell]) -> list[Cell]:
    """By Dice, those without one last."""
    return sorted(known, key=lambda one: -one.dice.mean if math.isfinite(one.dice.mean) else math.inf)


class Results(NamedTuple):
    """What the table shows of each cell beside its own figures.

    `fronts` has every front, `chances` the probabilities of being on that of Dice against parameters, `pictured` the
    cells whose test images are in the report.
    """

    fronts: Sequence[Pareto]
    intervals: Intervals
    chances: Mapping[str, float]
    pictured: Collection[str]


def results_table(known: Sequence[Cell], more: Results) -> str:
    """Every scored cell and the trivial rows, best Dice first; sortable by each column."""
    on_front: dict[str, list[str]] = {}
    for record in more.fronts:
        for name in record.front if record.y == "dice" else ():
            on_front.setdefault(name, []).append(COSTS[record.x])
    costs = offered(known)
    headers = [
        header("Configuration"),
        *(header(name, "descending", "descending" if metric == "dice" else None) for metric, name in METRICS.items()),
        *(header(COSTS[cost], "ascending") for cost in costs),
        *([header("P(front)", "descending")] if more.chances else []),
        *(header(name, "ascending") for name in ("Seeds", "Epochs", "Train s")),
        header("Dice front"),
        header("Model"),
    ]
    shown = _most_telling(known, {cell for record in more.fronts for cell in record.front})
    rows = (_row(one, costs, on_front.get(one.id, ()), more) for one in shown)
    return table("cells", headers, rows, "All results", "cells") + _explained(known, shown, more)


def _most_telling(known: Sequence[Cell], on_a_front: Collection[str]) -> list[Cell]:
    """All cells, best first; of many, the trivial rows, those on a front and the best."""
    ordered = best_first(known)
    first = sorted(ordered, key=lambda one: (not one.trivial, one.id not in on_a_front))
    chosen = {one.id for one in first[:_MOST_ROWS]}
    return [one for one in ordered if one.id in chosen]


def _row(found: Cell, costs: Sequence[Cost], marks: Sequence[str], more: Results) -> str:
    trained = not found.trivial
    kind = "trivial" if found.trivial else "front" if marks else ""
    label, chance = escape(found.label), more.chances.get(found.id, math.nan)
    name = f'<a href="#images-{quote(found.id, errors="replace")}">{label}</a>' if found.id in more.pictured else label
    columns = [
        f'<th scope="row" data-sort="{label}" title="{escape(found.configuration)}">{name}</th>',
        *(_score(found, metric, more.intervals) for metric in METRICS),
        *(number(getattr(found, cost), amount(cost, getattr(found, cost))) for cost in costs),
        *([number(chance, f"{chance:.2f}")] if more.chances else []),
        number(found.seeds if trained else math.nan, str(found.seeds)),
        number(found.epochs if trained else math.nan, f"{found.epochs:.0f}"),
        number(found.train_seconds if trained else math.nan, f"{found.train_seconds:,.0f}"),
        cell(", ".join(marks), "–"),
        cell(model_name(found.model) if trained else "trivial"),
    ]
    return f'<tr class="{kind}">{"".join(columns)}</tr>'


def _score(found: Cell, metric: Metric, intervals: Intervals) -> str:
    measured, interval = getattr(found, metric), interval_of(intervals, found, metric)
    if interval is None:
        return number(measured.mean, score(*measured))
    return number(
        measured.mean, score(measured.mean), f"[{interval.low:.3f}, {interval.high:.3f}]".replace("-", "\N{MINUS SIGN}")
    )


def _explained(known: Sequence[Cell], shown: Sequence[Cell], more: Results) -> str:
    with_intervals = any(interval_of(more.intervals, one, "dice") for one in shown)
    with_spread = any(one.dice.spread is not None for one in shown)
    devices = sorted({one.device for one in shown if one.device})
    said = [
        "Test scores are means over seeds and images"
        + ("; beneath them, 95 % intervals." if with_intervals else "; ± is the standard deviation over seeds.")
        if with_intervals or with_spread
        else "Test scores are means over images.",
        "Dice and IoU are of the foreground, averaged over images; MIoU is averaged over classes.",
        "● is on the front of Dice against the costs named; trivial rows are predictors that look at no image, and are "
        "on none.",
        "P(front) is the probability of being on the front of Dice against parameters." if more.chances else "",
        f"Latency and peak memory are of inference on {escape(listing(devices))}." if devices else "",
        f"Of {len(known):,} rows the {len(shown):,} are shown that are on a front, trivial, or best in Dice; "
        "<code>ablate export</code> has all."
        if len(shown) < len(known)
        else "",
        '<span class="screen">A click on a header sorts'
        + ("; one on a name shows that network’s test images" if more.pictured else "")
        + ".</span>",
    ]
    return note(" ".join(text for text in said if text))
