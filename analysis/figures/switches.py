"""Two menus that switch the axes of one figure, each knowing nothing of the other.

The menu of the costs sets only what depends on the cost (the x of every trace), that of the scores only the y. What
depends on both, a front and its labels, has one trace for each pair of axes, whose x is empty unless its cost is chosen
and whose y is empty unless its score is: Plotly draws the one trace that has both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from ablate.analysis.pareto import COSTS, Cost, Pareto
from ablate.metrics.counts import MetricName


class Switched(NamedTuple):
    """A trace, with what each choice of an axis makes of it."""

    trace: go.Scatter
    by_cost: dict[Cost, dict[str, Any]]
    by_metric: dict[MetricName, dict[str, Any]]
    by_others: Mapping[str, Any] = {}
    """What metrics that are not in `by_metric` make of it."""

    def choose(self, cost: Cost, metric: MetricName) -> None:
        """Make the trace that of a pair of axes."""
        self.trace.update(nested({**self.by_cost.get(cost, {}), **self.by_metric.get(metric, self.by_others)}))


def only_on(front: Pareto, trace: go.Scatter, xs: list[float], ys: list[float]) -> Switched:
    """A trace of `xs` and `ys` that is drawn under `front`'s pair of axes and under no other."""
    return Switched(
        trace,
        {cost: {"x": xs if cost == front.x else []} for cost in COSTS},
        {front.y: {"y": ys}},
        {"y": []},
    )


Changes = Sequence[tuple[go.Scatter, Mapping[str, Any]]]
"""What becomes of each trace."""


def by_cost(traces: Sequence[Switched], cost: Cost) -> Changes:
    return [(one.trace, one.by_cost.get(cost, {})) for one in traces]


def by_metric(traces: Sequence[Switched], metric: MetricName) -> Changes:
    return [(one.trace, one.by_metric.get(metric, one.by_others)) for one in traces]


def button(label: str, changes: Changes, layout: dict[str, Any]) -> dict[str, Any]:
    """A menu entry that changes the layout and traces: each property that any of them gets, in all of them."""
    affected = [index for index, (_, change) in enumerate(changes) if change]
    properties = dict.fromkeys(name for _, change in changes for name in change)
    data = {
        name: [change[name] if name in change else _value(trace, name) for trace, change in changes if change]
        for name in properties
    }
    fitted = {**layout, "xaxis.autorange": True, "yaxis.autorange": True}
    return {"label": label, "method": "update", "args": [data, fitted, affected]}


def _value(trace: go.Scatter, name: str) -> Any:
    """What a trace has now under a property's dotted name."""
    value: Any = trace.to_plotly_json()
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def menu(x: float, buttons: Sequence[dict[str, Any]], active: int) -> dict[str, Any]:
    """A menu that begins at `x` (0 to 1) above the plot and opens with the button `active`."""
    return {
        "buttons": list(buttons),
        "active": active,
        "type": "dropdown",
        "x": x,
        "xanchor": "left",
        "y": 1.02,
        "yanchor": "bottom",
        "showactive": True,
        "bgcolor": "white",
        "bordercolor": "#bbbbbb",
        "font": {"size": 12},
    }


def nested(properties: dict[str, Any]) -> dict[str, Any]:
    """`{"a.b": 1}` as `{"a": {"b": 1}}`."""
    found: dict[str, Any] = {}
    for name, value in properties.items():
        *parents, leaf = name.split(".")
        place = found
        for parent in parents:
            place = place.setdefault(parent, {})
        place[leaf] = value
    return found
