from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go
import pytest
from synthetic import Tables, study, table, trial, trivial

from analysis.figures.curves import PANELS, curves, curves_figure
from analysis.figures.pareto import pareto_figure
from analysis.figures.style import styles
from analysis.pareto import COSTS, METRICS, Cost, Metric, fronts


def _switched(figure: go.Figure, x: Cost, y: Metric) -> list[dict[str, Any]]:
    """The traces as plotly.js has them once the menus were set to `x` and `y`, and one after the other."""
    traces = [trace.to_plotly_json() for trace in figure.data]
    for menu, wanted in ((0, f"x: {COSTS[x]}"), (1, f"y: {METRICS[y]}")):
        button = next(button for button in figure.layout.updatemenus[menu].buttons if button.label == wanted)
        data, _, indices = button.args
        for name, values in data.items():
            assert len(values) == len(indices)
            for index, value in zip(indices, values, strict=True):
                place = traces[index]
                *parents, leaf = name.split(".")
                for parent in parents:
                    place = place.setdefault(parent, {})
                place[leaf] = value
    return traces


@pytest.mark.parametrize("x", COSTS)
@pytest.mark.parametrize("y", METRICS)
def test_each_switch_shows_its_record(x: Cost, y: Metric) -> None:
    records = fronts(study().trials)
    record = next(record for record in records if (record.x, record.y) == (x, y))
    traces = _switched(pareto_figure(records), x, y)

    points = {}
    for trace in traces:
        for i, cell in enumerate(trace.get("meta", {}).get("cells", [])):
            points[cell] = (trace["x"][i], trace["y"][i], trace["error_y"]["array"][i])
    assert points == {point.cell: (point.x, point.y, point.spread) for point in record.points}

    drawn = [trace for trace in traces if "front" in trace.get("meta", {}) and len(trace["x"]) and len(trace["y"])]
    (front,) = drawn
    assert front["line"]["shape"] == "hv"
    ringed = [at for at, size in enumerate(front["marker"]["size"]) if size]
    on_front = [point for point in record.points if point.on_front]
    assert [(front["x"][at], front["y"][at]) for at in ringed] == [(point.x, point.y) for point in on_front]
    assert max(front["x"]) == record.points[-1].x

    (labels,) = [trace for trace in traces if "labels" in trace.get("meta", {}) and len(trace["x"]) and len(trace["y"])]
    assert list(labels["text"]) == [point.label for point in record.points]

    rows = {trace["meta"]["trivial"]: trace for trace in traces if "trivial" in trace.get("meta", {})}
    assert {cell: set(trace["y"]) for cell, trace in rows.items()} == {row.cell: {row.y} for row in record.trivial}
    for row in record.trivial:
        assert f"{row.label} {row.y:.3f}" in rows[row.cell]["name"]


def test_figure_opens_on_the_first_record() -> None:
    figure = pareto_figure(fronts(study().trials, "macs", "miou"))
    assert "MACs" in figure.layout.xaxis.title.text
    assert "MIoU" in figure.layout.yaxis.title.text
    assert [menu.active for menu in figure.layout.updatemenus[:2]] == [1, 1]
    assert [trace.to_plotly_json().get("x") for trace in figure.data] == [
        trace.get("x") for trace in _switched(figure, "macs", "miou")
    ]


def test_hover_has_the_configuration_the_costs_and_the_scores() -> None:
    rows = [trial("a", dice, 7.77e6, seed=seed, macs=3.03e9, label="mine") for seed, dice in enumerate((0.80, 0.84))]
    figure = pareto_figure(fronts(table(*rows)))
    (text,) = next(trace for trace in figure.data if (trace.meta or {}).get("cells")).customdata
    for expected in ("mine", "a width=32 stages=5", "7.77\N{NO-BREAK SPACE}M", "3.03\N{NO-BREAK SPACE}G", "2 seeds"):
        assert expected in text
    assert "0.820\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}0.028" in text
    assert "on the front: Dice/Parameters" in text


def test_names_are_shown_literally() -> None:
    figure = pareto_figure(fronts(table(trial("a", 0.8, 5, label="<b>&x", configuration="<i>y"))))
    (text,) = next(trace for trace in figure.data if (trace.meta or {}).get("cells")).customdata
    assert "&lt;b&gt;&amp;x" in text
    assert "&lt;i&gt;y" in text


def test_a_trivial_row_near_the_networks_is_in_view_and_a_far_one_is_named_in_the_legend() -> None:
    rows = [trial("a", 0.80, 5), trial("b", 0.84, 6), *trivial()]
    rows[2]["dice"] = 0.79
    figure = pareto_figure(fronts(table(*rows)))
    visible = {trace.meta["trivial"]: trace.visible for trace in figure.data if (trace.meta or {}).get("trivial")}
    assert visible["cell-all_foreground"] is True
    assert visible["cell-all_background"] == "legendonly"


def test_families_differ_in_colour_and_in_symbol() -> None:
    known = [("a", "a", "unet"), ("b", "b", "pyconvunet"), ("c", "c", "fcn8s"), ("d", "d", "mine"), ("e", "e", "yours")]
    found = styles(known)
    assert len({style.symbol for style in found.values()}) == len(known)
    assert found["a"].colour != found["b"].colour != found["c"].colour


def test_cells_of_the_only_family_differ_too() -> None:
    found = styles([(str(i), f"levels={i}", "pyconvunet") for i in range(4)])
    assert len({style.colour for style in found.values()}) == len({style.symbol for style in found.values()}) == 4


def test_figure_of_a_study_without_networks_is_empty_and_valid() -> None:
    pareto_figure(fronts(table(trial("a", 0, 5, state="failed"), *trivial())))


def _two_seeds() -> Tables:
    trials = table(trial("a", 0.8, 5, seed=0), trial("a", 0.8, 5, seed=1), trial("b", 0, 5, state="failed"))
    losses = {"a-0": [0.9, 0.5, 0.4], "a-1": [0.7, 0.3], "b-0": [0.1]}
    epochs = [
        {"key": key, "epoch": epoch, "train_loss": loss, "val_dice": 1 - loss, "val_miou": 1 - loss / 2}
        for key, values in losses.items()
        for epoch, loss in enumerate(values, start=1)
    ]
    return Tables(trials, pd.DataFrame(epochs), pd.DataFrame())


def test_curve_is_the_mean_and_range_over_seeds_as_far_as_all_went() -> None:
    found = {curve.quantity: curve for curve in curves(_two_seeds())}
    loss = found["train_loss"]
    assert set(found) == set(PANELS)
    assert (loss.epochs, loss.seeds) == ((1, 2), 2)
    assert loss.mean == pytest.approx((0.8, 0.4))
    assert (loss.low, loss.high) == ((0.7, 0.3), (0.9, 0.5))


def test_curves_figure_draws_the_records() -> None:
    drawn = curves(_two_seeds())
    figure = curves_figure(drawn)
    for curve in drawn:
        mean = next(t for t in figure.data if t.meta.get("mean") == "a" and t.meta["quantity"] == curve.quantity)
        band = next(t for t in figure.data if t.meta.get("band") == "a" and t.meta["quantity"] == curve.quantity)
        assert (tuple(mean.x), tuple(mean.y)) == (curve.epochs, curve.mean)
        assert tuple(band.y) == (*curve.high, *reversed(curve.low))
        assert mean.legendgroup == band.legendgroup
    assert sum(bool(trace.showlegend) for trace in figure.data) == 1


def test_of_many_cells_only_the_first_start_switched_on() -> None:
    trials = table(*(trial(f"c{i}", 0.8, 5) for i in range(12)))
    epochs = pd.DataFrame(
        [{"key": f"c{i}-0", "epoch": 1, "train_loss": 0.5, "val_dice": 0.5, "val_miou": 0.5} for i in range(12)]
    )
    figure = curves_figure(curves(Tables(trials, epochs, pd.DataFrame())), first=("c3",))
    assert {trace.meta["mean"] for trace in figure.data if trace.visible is True} == {"c3"}
