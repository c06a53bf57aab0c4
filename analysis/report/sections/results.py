"""The report's table of every cell."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple
from urllib.parse import quote

from markupsafe import Markup

from ablate.analysis.crossed import counted
from ablate.analysis.deployed import caption_words
from ablate.analysis.failure_words import percent
from ablate.analysis.failures import Failures
from ablate.analysis.format import CHOSEN, listing, model_name, score
from ablate.analysis.front_words import chosen_note
from ablate.analysis.pareto import COSTS, Cell, Cost, Pareto, amount, offered, value
from ablate.analysis.report.content import Content, Intervals, best_first, interval_of
from ablate.analysis.report.page import NOTHING, Part, laid_out
from ablate.analysis.report.sections.base import Section
from ablate.analysis.report.table import Header, Place, Table, TableRow, headed, number, worded
from ablate.metrics.counts import METRICS, ON_REQUEST, MetricName
from ablate.settings import Number

_MOST_ROWS = 500


class AllResults(Section):
    """Every scored cell and the trivial rows."""

    name: Literal["results"] = "results"
    title: str = "All results"
    place: Number = 90

    def parts(self, content: Content) -> Iterable[Part]:
        return [lambda: _results(content)]


def _results(content: Content) -> Markup:
    if not content.known:
        return NOTHING
    chances = {name: chance for task in content.fronts for name, chance in content.chances(task).items()}
    records = [record for found in content.fronts.values() for record in found]
    found = content.evidence
    more = Results(
        records,
        content.intervals,
        chances,
        content.pictured,
        found.failures,
        found.lost,
        content.all_corrected,
        {cell: one.configuration for cell, one in content.frames.named.items()},
    )
    return results_section(content.known, more)


class Results(NamedTuple):
    """What the table shows of each cell beside its own figures.

    `fronts` has every front, `chances` the probabilities of being on that of Dice against parameters, `pictured` the
    cells whose test images are in the report, `failures` what each cell lost, and `lost` what they are of; `corrected`
    are, by metric and cell, the intervals that are corrected for having been chosen; `configurations`, by cell, what
    short names stand for.
    """

    fronts: Sequence[Pareto]
    intervals: Intervals
    chances: Mapping[str, float]
    pictured: Collection[str]
    failures: Mapping[str, Failures] = {}
    lost: str = ""
    corrected: Collection[tuple[MetricName, str]] = ()
    configurations: Mapping[str, str] = {}


def _own(known: Sequence[Cell]) -> list[MetricName]:
    """Metrics beside those of every study, which every cell has a place for."""
    return list(known[0].more) if known else []


def _named_own(known: Sequence[Cell]) -> str:
    """Which of these are the trials' own, or nothing."""
    own = [METRICS[name].label for name in _own(known) if not METRICS[name].only and name not in ON_REQUEST]
    return listing(own) if own else ""


class _Said(NamedTuple):
    """What must be said beneath the table of what is in it."""

    intervals: str
    """What they are over, or nothing."""
    corrected: str
    """What their mark says, where some are corrected."""
    spreads: bool
    chances: bool
    devices: str
    """What latency and memory were measured on, or nothing."""
    files: str
    """Whose costs in runtimes are, and whose scores, or nothing."""
    shown: str
    shown_of: str
    """How many rows there are, where not all are shown."""
    pictured: bool
    own: str
    """Metrics of the trials' own, or nothing."""
    lost: str
    """What failures are of, or nothing."""


def results_section(known: Sequence[Cell], more: Results) -> Markup:
    """Every scored cell and the trivial rows, best Dice first; sortable by each column."""
    shown = _most_telling(known, {cell for record in more.fronts for cell in record.front})
    return laid_out("results", results=results_table(shown, offered(known), more), said=_said(known, shown, more))


def results_table(shown: Sequence[Cell], costs: Sequence[Cost], more: Results) -> Table:
    on_front: dict[str, list[str]] = {}
    for record in more.fronts:
        for name in record.front if record.y == "dice" else ():
            on_front.setdefault(name, []).append(COSTS[record.x])
    headers = (
        Header("Configuration"),
        *(
            Header(
                metric.heading,
                number=True,
                first="descending" if metric.sign > 0 else "ascending",
                now="descending" if metric.name == "dice" else None,
            )
            for metric in (METRICS[name] for name in (*METRICS, *_own(shown)))
        ),
        *([Header("Fails", number=True)] if more.failures else []),
        *(Header(COSTS[cost], number=True) for cost in costs),
        *([Header("P(front)", number=True, first="descending")] if more.chances else []),
        *(Header(name, number=True) for name in ("Seeds", "Epochs", "Train s")),
        Header("Dice front"),
        Header("Model"),
    )
    rows = tuple(_row(one, costs, on_front.get(one.id, ()), more) for one in shown)
    return Table("All results", "cells", headers, rows, "cells", sorts=True)


def _most_telling(known: Sequence[Cell], on_a_front: Collection[str]) -> list[Cell]:
    """All cells, best first; of many, the trivial rows, those on a front and the best."""
    ordered = best_first(known)
    first = sorted(ordered, key=lambda one: (not one.trivial, one.id not in on_a_front))
    chosen = {one.id for one in first[:_MOST_ROWS]}
    return [one for one in ordered if one.id in chosen]


def _row(found: Cell, costs: Sequence[Cost], marks: Sequence[str], more: Results) -> TableRow:
    trained = not found.trivial
    link = f"#images-{quote(found.id, errors='replace')}" if found.id in more.pictured else ""
    chance = more.chances.get(found.id, math.nan)
    places = (
        headed(found.label, more.configurations.get(found.id, found.configuration), link),
        *(_score(found, metric, more) for metric in (*METRICS, *found.more)),
        *([_fails(more.failures.get(found.id))] if more.failures else []),
        *(number(value(found, cost), amount(cost, value(found, cost))) for cost in costs),
        *([number(chance, f"{chance:.2f}")] if more.chances else []),
        number(found.seeds if trained else None, str(found.seeds)),
        number(found.epochs if trained else None, f"{found.epochs:.0f}"),
        number(found.train_seconds if trained else None, f"{found.train_seconds:,.0f}"),
        worded(", ".join(marks), "–"),
        worded(model_name(found.model) if trained else "trivial"),
    )
    return TableRow(places, "trivial" if found.trivial else "front" if marks else "")


def _score(found: Cell, metric: MetricName, more: Results) -> Place:
    measured, interval = found.score(metric), interval_of(more.intervals, found, metric)
    if interval is None:
        return number(measured.mean, score(*measured))
    below = f"[{interval.low:.3f}, {interval.high:.3f}]".replace("-", "\N{MINUS SIGN}")
    return number(measured.mean, score(measured.mean), below + CHOSEN * ((metric, found.id) in more.corrected))


def _fails(found: Failures | None) -> Place:
    """What was lost of how much, the rate's bound beneath; sorted by that."""
    if found is None:
        return number(None, "")
    counted = found.counted
    return number(found.bounds.most, f"{counted.losses}/{counted.tests}", f"≤ {percent(found.bounds.most)}")


def _said(known: Sequence[Cell], shown: Sequence[Cell], more: Results) -> _Said:
    devices = sorted({one.device for one in shown if one.device})
    return _Said(
        intervals=counted(filter(None, (interval_of(more.intervals, one, "dice") for one in shown))),
        corrected=chosen_note("networks on a front") if more.corrected else "",
        spreads=any(one.dice.spread is not None for one in shown),
        chances=bool(more.chances),
        devices=listing(devices) if devices else "",
        files=" ".join(caption_words(more.fronts)),
        shown=f"{len(shown):,}",
        shown_of=f"{len(known):,}" if len(shown) < len(known) else "",
        pictured=bool(more.pictured),
        own=_named_own(known),
        lost=more.lost,
    )
