from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from synthetic import Tables, measured, scored, study, table, trial, trivial

from ablate.analysis.failures import lost_by
from ablate.analysis.figures.curves import PANELS, curves, curves_figure
from ablate.analysis.figures.hypervolume import spent, spent_figure
from ablate.analysis.figures.pareto import pareto_caption, pareto_figure
from ablate.analysis.figures.style import styles
from ablate.analysis.pareto import COSTS, Cost, Pareto, fronts
from ablate.analysis.scores import CellScores
from ablate.analysis.significance import Interval
from ablate.analysis.uncertainty import UncertainFront, uncertain_fronts
from ablate.cost.names import COSTS_OF_NETWORKS
from ablate.metrics.counts import METRICS, MetricName


def _switched(figure: go.Figure, x: Cost, y: MetricName) -> list[dict[str, Any]]:
    """The traces as plotly.js has them once the menus were set to `x` and `y`, and one after the other."""
    traces = [trace.to_plotly_json() for trace in figure.data]
    for menu, wanted in ((0, f"x: {COSTS[x]}"), (1, f"y: {METRICS[y].label}")):
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


@pytest.mark.parametrize("x", COSTS_OF_NETWORKS)
@pytest.mark.parametrize("y", METRICS)
def test_each_switch_shows_its_record(x: Cost, y: MetricName) -> None:
    records = fronts(measured(study()).trials)
    record = next(record for record in records if (record.x, record.y) == (x, y))
    traces = _switched(pareto_figure(records), x, y)

    points = {}
    for trace in traces:
        for i, cell in enumerate(trace.get("meta", {}).get("cells", [])):
            points[cell] = (trace["x"][i], trace["y"][i], trace["error_y"]["array"][i])
            assert trace["error_y"]["array"][i] == trace["error_y"]["arrayminus"][i]
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


def test_hover_says_what_a_network_lost_and_which_of_its_seeds_failed() -> None:
    scores = CellScores("a", "a", "unet", "slices", False, (0, 1), ("x", "y"), np.array([[0.8, 0.1], [0.8, 0.8]]))
    lost = {"a": lost_by(scores, 0.4, broken=[(2, {"x": "x", "y": "y"})])}
    figure = pareto_figure(fronts(table(trial("a", 0.8, 5), trial("b", 0.8, 6))), failures=lost)
    traces = [trace for trace in figure.data if (trace.meta or {}).get("cells")]
    text = {cell: said for trace in traces for cell, said in zip(trace.meta["cells"], trace.customdata, strict=True)}
    assert "fails: 3/6" in text["a"]
    assert "of 2 cases; seed 2 failed" in text["a"]
    assert "fails" not in text["b"]


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


def test_measured_costs_have_the_device_in_the_axis_title() -> None:
    figure = pareto_figure(fronts(measured(study(), "cpu (<b>test</b>, 1 thread)").trials, "latency_ms"))
    title = figure.layout.xaxis.title.text.replace("<br>", " ")
    assert title == "Latency (ms), cpu (&lt;b&gt;test&lt;/b&gt;, 1 thread), 1x96x96"
    assert [button.label for button in figure.layout.updatemenus[0].buttons] == [
        f"x: {name}" for name in COSTS_OF_NETWORKS.values()
    ]
    unmeasured = pareto_figure(fronts(study().trials))
    assert [button.label for button in unmeasured.layout.updatemenus[0].buttons] == ["x: Parameters", "x: MACs"]


def _uncertain(cells: int = 6, seeds: int = 3) -> tuple[tuple[Pareto, ...], tuple[UncertainFront, ...]]:
    rng = np.random.default_rng(0)
    trials, scores = scored(
        {f"c{i:05}": (float(i + 1), 0.7 + 0.02 * (i % 6) + rng.normal(0, 0.02, (seeds, 8))) for i in range(cells)}
    )
    records = fronts(trials)
    return records, uncertain_fronts(records, dict.fromkeys(METRICS, scores), resamples=50)


def _crossed(trace: dict[str, Any], x: float) -> list[float]:
    """The heights at which a line of horizontal and vertical pieces crosses `x`, ascending."""
    ends = list(zip(trace["x"], trace["y"], strict=True))
    return sorted(y for (left, y), (right, _) in pairwise(ends) if min(left, right) < x < max(left, right))


@pytest.mark.parametrize("x", ["params", "macs"])
@pytest.mark.parametrize("y", METRICS)
def test_each_switch_shows_the_band_of_its_front(x: Cost, y: MetricName) -> None:
    records, uncertain = _uncertain()
    found = next(one for one in uncertain if (one.x, one.y) == (x, y))
    traces = _switched(pareto_figure(records, uncertain), x, y)
    (band,) = [t for t in traces if "band" in t.get("meta", {}) and len(t["x"]) and len(t["y"])]
    (median,) = [t for t in traces if "median" in t.get("meta", {}) and len(t["x"]) and len(t["y"])]
    assert (band["meta"]["band"], median["meta"]["median"]) == ([x, y], [x, y])
    assert band["name"] == "95\N{NO-BREAK SPACE}% band of the front"
    costs = found.band.costs
    for at, middle in enumerate(np.add(costs[1:], costs[:-1]) / 2):
        assert _crossed(band, middle) == pytest.approx([found.band.low[at], found.band.high[at]], abs=1e-5)
        assert _crossed(median, middle) == pytest.approx([found.band.median[at]], abs=1e-5)


def test_hover_has_the_probability_of_being_on_each_front() -> None:
    records, uncertain = _uncertain()
    figure = pareto_figure(records, uncertain)
    texts = {
        cell: text.replace("<br>", " ").replace("\N{NO-BREAK SPACE}", " ")
        for trace in figure.data
        if (trace.meta or {}).get("cells")
        for cell, text in zip(trace.meta["cells"], trace.customdata, strict=True)
    }
    for found in uncertain:
        for cell, probability in found.probability.items():
            shown = f"{METRICS[found.y].label}/{COSTS[found.x]} ({100 * probability:.0f} %)"
            on = cell in next(one.front for one in records if (one.x, one.y) == (found.x, found.y))
            assert (shown in texts[cell]) == (probability >= 0.005 and (on or cell in found.possible))
            assert (f"{shown}, surely" in texts[cell]) == (on and cell in found.sure)


def test_error_bars_are_the_intervals_where_they_are_given() -> None:
    rows = [trial("a", dice, 5, seed=seed) for seed, dice in enumerate((0.80, 0.84))]
    records = fronts(table(*rows, trial("b", 0.7, 6)))
    intervals = {
        metric: {
            "a": Interval(records[0].points[0].y, 0.75, 0.95, 0.95),
            "b": Interval(0.7, float("nan"), float("nan"), 0.95),
        }
        for metric in METRICS
    }
    figure = pareto_figure(records, intervals=intervals)
    shown = {}
    for trace in figure.data:
        for i, cell in enumerate((trace.meta or {}).get("cells", [])):
            shown[cell] = (trace.error_y.arrayminus[i], trace.error_y.array[i], trace.customdata[i])
    assert shown["a"][:2] == pytest.approx((0.07, 0.13))
    assert "0.820\N{NO-BREAK SPACE}[0.750,\N{NO-BREAK SPACE}0.950]" in shown["a"][2]
    assert shown["b"][:2] == (None, None)
    assert "[" not in shown["b"][2].partition("MIoU")[0]
    assert "95\N{NO-BREAK SPACE}% intervals" in pareto_caption(records, intervals=intervals)
    assert "standard deviation over seeds" in pareto_caption(records)


def test_of_many_cells_the_front_is_named_and_the_others_are_a_thinned_cloud() -> None:
    records, uncertain = _uncertain(cells=4000, seeds=1)
    figure = pareto_figure(records, uncertain)
    named = {cell for trace in figure.data for cell in (trace.meta or {}).get("cells", [])}
    (cloud,) = [trace for trace in figure.data if (trace.meta or {}).get("cloud")]
    assert {cell for record in records for cell in record.front} <= named
    assert len(named) <= 300
    assert len(cloud.meta["cloud"]) == len(cloud.x) == len(cloud.y) == 1500
    assert not named & set(cloud.meta["cloud"])
    assert cloud.name == f"1,500 of {4000 - len(named):,} others"
    assert cloud.type == "scatter", "WebGL needs a policy that allows eval"
    points = {point.cell: (point.x, point.y) for point in records[0].points}
    for cell, x, y in zip(cloud.meta["cloud"], cloud.x, cloud.y, strict=True):
        assert (x, y) == pytest.approx(points[cell], abs=1e-5)
    caption = pareto_caption(records, uncertain)
    assert f"{4000 - len(named):,} others, 1,500 drawn at random" in caption
    assert "one seed" in caption
    assert len(figure.to_json()) < 1_500_000


def test_a_front_of_very_many_cells_is_named_evenly_along_it() -> None:
    rows = [trial(f"c{i}", 0.1 + 0.0001 * i, i + 1) for i in range(2000)]
    figure = pareto_figure(fronts(table(*rows)))
    named = [cell for trace in figure.data for cell in (trace.meta or {}).get("cells", [])]
    assert len(named) == 300
    assert {"c0", "c1999"} <= set(named)
    assert len(figure.to_json()) < 5_000_000


def _trained(curves: dict[str, tuple[float, list[float]]]) -> Tables:
    """Trials by key `cell-seed`, each of parameters and a validation Dice for each epoch."""
    rows, epochs = [], []
    for key, (params, scores) in curves.items():
        cell, seed = key.split("-")
        rows.append(trial(cell, max(scores), params, seed=int(seed)))
        epochs += [{"key": key, "epoch": at, "val_dice": score} for at, score in enumerate(scores, start=1)]
    return Tables(table(*rows, *trivial()), pd.DataFrame(epochs), pd.DataFrame())


def test_hypervolume_against_epochs_by_hand() -> None:
    tables = _trained({"a-0": (10, [0.2, 0.6, 0.4]), "a-1": (10, [0.4, 0.4, 0.8]), "b-0": (20, [0.5, 0.9])})
    (record,) = spent(tables)  # type: ignore[arg-type]
    assert (record.task, record.x, record.y, record.trials) == ("slices", "params", "dice", 3)
    assert record.reference == (pytest.approx(22.0), 0.0)
    # Three trials for two epochs and two for a third; `a` at 0.3, 0.5 and 0.7, `b` at 0.5 and 0.9.
    assert record.epochs == (3, 6, 8)
    assert record.hypervolume == pytest.approx((10 * 0.3 + 2 * 0.5, 10 * 0.5 + 2 * 0.9, 10 * 0.7 + 2 * 0.9))


def test_hypervolume_never_falls_and_its_figure_shows_the_record() -> None:
    records = spent(study())  # type: ignore[arg-type]
    (record,) = records
    assert list(record.hypervolume) == sorted(record.hypervolume)
    assert record.trials == 20
    (trace,) = spent_figure(records).data
    assert tuple(trace.x) == record.epochs
    assert tuple(trace.y) == pytest.approx([area / record.reference[0] for area in record.hypervolume])


def test_hypervolume_of_a_study_without_trained_cells_is_empty() -> None:
    tables = study()
    failed = tables._replace(trials=table(trial("a", 0, 5, state="failed"), *trivial()))
    assert spent(failed) == ()  # type: ignore[arg-type]
    spent_figure(())


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
