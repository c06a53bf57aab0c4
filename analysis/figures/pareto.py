"""The Pareto plot: score against cost, with the attained boundary, and both axes switchable.

What is drawn is in `pareto_record`, as traces in `pareto_traces`; `switches` has the menus of the axes. (Plotly's WebGL
traces would draw all of many cells, but compile code at run time, which the report's security policy forbids.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from ablate.analysis.deployed import caption_words
from ablate.analysis.figures.pareto_record import drawn, percent
from ablate.analysis.figures.pareto_traces import bands, boundaries, cloud, labels, points, trivial_rows
from ablate.analysis.figures.style import LEGEND, TEMPLATE, wrapped
from ablate.analysis.figures.switches import button, by_cost, by_metric, menu, nested
from ablate.analysis.front_words import chosen_note
from ablate.analysis.pareto import COSTS, Pareto, axis_title
from ablate.metrics.counts import METRICS, MetricName

if TYPE_CHECKING:
    from ablate.analysis.failures import Failures
    from ablate.analysis.figures.pareto_record import Intervals
    from ablate.analysis.names import Named
    from ablate.analysis.uncertainty import UncertainFront

_MOST_LABELS = 12
_MENUS = {"wide": (0.0, 0.17, 0.29), "narrow": (-0.12, 0.36, 0.69)}
"""Where the menus begin, on a wide and on a narrow page."""
_TICKS = {"linear": 0, "log": 3}
"""At most so many ticks (0: as fits); with more, Plotly labels each digit of a logarithmic axis."""


def pareto_figure(
    fronts: Sequence[Pareto],
    uncertain: Sequence[UncertainFront] = (),
    intervals: Intervals | None = None,
    failures: Mapping[str, Failures] | None = None,
    named: Mapping[str, Named] | None = None,
) -> go.Figure:
    """The Pareto plot of one study, for each pair of axes in `fronts`; it opens on the first pair.

    `fronts` hold the same study under every cost with every score (`ablate.analysis.pareto.fronts`). With `uncertain`
    (`uncertain_fronts`) each front has its band and each cell its probability of being on it; error bars are the
    `intervals`, or, without them, the standard deviation over seeds. On hover come `failures`, and what short names
    stand for (`named`), by cell.
    """
    costs = [cost for cost in COSTS if any(front.x == cost for front in fronts)]
    metrics = _metrics(fronts)
    shown = fronts[0]
    scale = "log" if _spreads(shown) else "linear"
    record = drawn(fronts, uncertain, intervals, failures, named)
    traces = [
        *bands(record),
        *cloud(record, costs, metrics),
        *boundaries(fronts),
        *points(record, costs, metrics),
        *trivial_rows(record, metrics),
    ]
    texts = labels(record, scale, all_of=len(shown.points) <= _MOST_LABELS)
    traces += texts

    x_axes = {cost: _x_axis(next(front for front in fronts if front.x == cost)) for cost in costs}
    y_axes = {metric: {"yaxis.title.text": f"Test {METRICS[metric].heading}"} for metric in metrics}
    x_buttons = [button(f"x: {COSTS[cost]}", by_cost(traces, cost), x_axes[cost]) for cost in costs]
    y_buttons = [
        button(f"y: {METRICS[metric].heading}", by_metric(traces, metric), y_axes[metric]) for metric in metrics
    ]
    for trace in traces:
        trace.choose(shown.x, shown.y)
    figure = go.Figure([trace.trace for trace in traces])
    figure.update_layout(
        template=TEMPLATE,
        height=560,
        margin={"l": 64, "r": 16, "t": 56, "b": 56},
        hovermode="closest",
        dragmode="zoom",
        xaxis={"tickformat": "~s", "type": scale, "nticks": _TICKS[scale]},
        yaxis={"tickformat": ".3f"},
        xaxis2={"overlaying": "x", "range": [0, 1], "visible": False, "fixedrange": True},
        legend=LEGEND,
        updatemenus=[
            menu(_MENUS["wide"][0], x_buttons, costs.index(shown.x)),
            menu(_MENUS["wide"][1], y_buttons, metrics.index(shown.y)),
            menu(_MENUS["wide"][2], _scale_buttons(), list(_TICKS).index(scale)),
        ],
        meta={
            "labels": list(range(len(traces) - len(texts), len(traces))),
            **{form: {f"updatemenus[{i}].x": x for i, x in enumerate(places)} for form, places in _MENUS.items()},
        },
    )
    figure.update_layout(nested({**x_axes[shown.x], **y_axes[shown.y]}))
    return figure


def _metrics(fronts: Sequence[Pareto]) -> list[MetricName]:
    """Those of every study in their order, then others."""
    drawn_by = {front.y for front in fronts}
    return [*(metric for metric in METRICS if metric in drawn_by), *sorted(drawn_by - METRICS.keys())]


def _scale_buttons() -> list[dict[str, Any]]:
    return [
        {
            "label": f"x {scale}",
            "method": "relayout",
            "args": [{"xaxis.type": scale, "xaxis.nticks": ticks, "xaxis.autorange": True}],
        }
        for scale, ticks in _TICKS.items()
    ]


def pareto_caption(
    fronts: Sequence[Pareto], uncertain: Sequence[UncertainFront] = (), intervals: Intervals | None = None
) -> str:
    """What the marks of `pareto_figure` mean, in plain text, for the same arguments."""
    record = drawn(fronts, uncertain, intervals)
    said = ["The line is the Pareto front: the score attained at each cost; rings mark the networks on it."]
    if uncertain:
        found = uncertain[0]
        said.append(
            f"Grey: the pointwise {percent(found.level)} band of the front and, dotted, its median, over "
            f"{found.resamples:,} resamples of seeds and test images. In a network's text: the share of resamples in "
            f"which it is on a front, and whether it is told apart from it (all networks compared at once, "
            f"{percent(found.level)})."
        )
        said += [f"Of the resamples: {note}." for note in dict.fromkeys(one.note for one in uncertain) if note]
    if record.errors:
        bars = "standard deviation over seeds" if record.level is None else f"{percent(record.level)} intervals"
        whose = " of networks on the front" if record.others else ""
        said.append(f"Error bars{whose}: {bars}.")
    if record.chosen:
        said.append(chosen_note("networks on a front"))
    if record.others:
        said.append(
            f"Named are the {len(record.named):,} networks that are on a front or likeliest to be; of the "
            f"{record.others:,} others, {len(record.cloud):,} drawn at random are dots."
            if len(record.cloud) < record.others
            else f"The {record.others:,} networks that are least likely on a front are dots."
        )
    said += caption_words(fronts)
    return " ".join(said)


def _x_axis(front: Pareto) -> dict[str, Any]:
    """What an axis of this cost is called, and what it must have in view: a margin, which one point needs as well."""
    costs = [point.x for point in front.points]
    margin = [min(costs) * 0.9, max(costs) * 1.1] if costs else []
    return {"xaxis.title.text": wrapped(axis_title(front.x, front.device)), "xaxis.autorangeoptions.include": margin}


def _spreads(front: Pareto) -> bool:
    """Whether costs differ by so much that a linear axis would crowd the cheap ones."""
    costs = [point.x for point in front.points]
    return bool(costs) and min(costs) > 0 and max(costs) >= 4 * min(costs)
