"""Effects, heat map and parallel coordinates: what is drawn is what the records say."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import pytest
from synthetic import table, trial

from ablate.analysis.effects import Effect
from ablate.analysis.figures.effects import difference_text, effects_figure
from ablate.analysis.figures.heatmap import heatmap_figure, level_means
from ablate.analysis.figures.parallel import parallel, parallel_figure
from ablate.analysis.figures.style import SIGNIFICANT, UNDECIDED, UNKNOWN, shortened, styles
from ablate.analysis.pareto import cells
from ablate.analysis.significance import Difference, Interval
from ablate.study.runs import Run


def _effect(factor: str, level: str, estimate: float, half: float, p: float | None, **fields: Any) -> Effect:
    seeds = 1 if p is None else 3
    interval = Interval(estimate, estimate - half, estimate + half, 0.95)
    difference = Difference("a", "b", "dice", interval, p, p, None, seeds, 12, None, "")
    return Effect("s", "t", factor, level, "ref", difference, 0.66, 0.71, 1)._replace(**fields)


EFFECTS = (
    _effect("kernels", "3-3", 0.02, 0.01, 0.001),
    _effect("kernels", "5-5", -0.03, 0.01, 0.002),
    _effect("groups", "1-4", 0.004, 0.01, 0.4),
    _effect("share", "equal", 0.01, math.nan, None),
)


def _points(figure: go.Figure) -> dict[str, go.Scatter]:
    """The trace of each effect, by its level."""
    return {
        effect[1]: trace
        for trace in figure.data
        if (trace.meta or {}).get("effects")
        for effect in trace.meta["effects"]
    }


def test_an_effect_is_drawn_where_it_is_with_its_interval() -> None:
    figure = effects_figure(EFFECTS)
    points = _points(figure)
    assert set(points) == {"3-3", "5-5", "1-4", "equal"}
    assert tuple(points["3-3"].x) == (0.02,)
    assert tuple(points["3-3"].error_x.array) == pytest.approx((0.01,))
    assert tuple(points["3-3"].error_x.arrayminus) == pytest.approx((0.01,))
    assert points["equal"].error_x.array[0] is None
    low, high = figure.layout.xaxis.range
    assert low < -0.04 < 0 < 0.03 < high


def test_significance_is_marked_by_symbol_and_not_by_colour_alone() -> None:
    points = _points(effects_figure(EFFECTS))
    symbols = {level: trace.marker.symbol for level, trace in points.items()}
    assert symbols == {"3-3": SIGNIFICANT, "5-5": SIGNIFICANT, "1-4": UNDECIDED, "equal": UNKNOWN}
    assert points["3-3"].name != points["5-5"].name


def test_effects_are_grouped_by_factor_under_a_heading() -> None:
    figure = effects_figure(EFFECTS)
    names = list(figure.layout.yaxis.ticktext)
    assert [name for name in names if "<b>" in name] == [f"<b>{f}</b> from ref" for f in ("kernels", "groups", "share")]
    assert names[1:3] == ["3-3", "5-5"]
    rows = {level: names.index(level) for level in ("3-3", "5-5", "1-4", "equal")}
    for level, trace in _points(figure).items():
        at = [effect[1] for effect in trace.meta["effects"]].index(level)
        assert trace.y[at] == rows[level]


def test_effect_in_words_has_a_true_minus_and_its_costs() -> None:
    assert difference_text(EFFECTS[1]) == "−0.030 [−0.040, −0.020]"
    assert difference_text(EFFECTS[3]) == "+0.010 (one seed)"
    texts = next(trace.text for trace in effects_figure(EFFECTS).data if (trace.meta or {}).get("text"))
    assert texts[3:6] == ("+0.020 [+0.010, +0.030]", "×0.66", "×0.71")


# Heat map ------------------------------------------------------------------------------------------------------------


def _run(design: str, factors: dict[str, list[str]], trials: dict[str, dict[str, str]]) -> Run:
    return Run.model_construct(
        space="s", question="q", profile="p", design=design, factors=factors, definition={}, trials=trials
    )


def _grid(design: str = "grid") -> tuple[pd.DataFrame, Run]:
    """Two levels by three by two, two seeds each; the Dice of a cell is its levels' sum, seeds are 0.01 apart."""
    rows, places = [], {}
    for i, a in enumerate("xy"):
        for j, b in enumerate("123"):
            for k, c in enumerate("pq"):
                for seed in range(2):
                    dice = 0.5 + 0.1 * i + 0.02 * j + 0.001 * k + 0.01 * seed
                    row = trial(f"{a}{b}{c}", dice, 1e6 * (1 + i), seed=seed, label=f"a={a}, b={b}, c={c}")
                    rows.append(row)
                    places[row["key"]] = {"a": a, "b": b, "c": c}
    return table(*rows), _run(design, {"a": list("xy"), "b": list("123"), "c": list("pq")}, places)


def test_heat_map_has_the_mean_of_every_combination() -> None:
    trials, run = _grid()
    maps = level_means(trials, [run])
    assert [record.factors for record in maps] == [("a", "b"), ("a", "c"), ("b", "c")]
    first = maps[0]
    for i in range(2):
        for j in range(3):
            # Over both levels of c (mean 0.0005) and both seeds (mean 0.005).
            assert first.means[i][j] == pytest.approx(0.5 + 0.1 * i + 0.02 * j + 0.0005 + 0.005)
            assert first.cells[i][j] == 2
    heat = heatmap_figure(first).data[0]
    assert [list(row) for row in heat.z] == [pytest.approx(list(row)) for row in first.means]
    assert heat.text[1][2] == f"{first.means[1][2]:.3f}"


def test_heat_map_leaves_gaps_where_nothing_was_trained() -> None:
    trials, run = _grid()
    trials.loc[trials["cell"].isin(["x1p", "x1q"]), "state"] = "failed"
    first = level_means(trials, [run])[0]
    assert math.isnan(first.means[0][0])
    assert first.cells[0][0] == 0
    heat = heatmap_figure(first).data[0]
    assert heat.z[0][0] is None or math.isnan(heat.z[0][0])
    assert heat.text[0][0] == "–"


@pytest.mark.parametrize("design", ["one_factor", "leave_one_out"])
def test_designs_that_vary_one_factor_at_a_time_have_no_heat_map(design: str) -> None:
    trials, run = _grid(design)
    assert level_means(trials, [run]) == ()


# Parallel coordinates ------------------------------------------------------------------------------------------------


def test_lines_go_through_levels_costs_and_score() -> None:
    trials, run = _grid()
    (record,) = parallel(trials, run, {cell.id: cell for cell in cells(trials)})
    assert [axis.name for axis in record.axes] == ["a", "b", "c", "Parameters", "MACs", "Dice"]
    lines = {line.cell: line for line in record.lines}
    assert lines["x1p"].places[:3] == (0.0, 0.0, 0.0)
    assert lines["y3q"].places[:3] == (1.0, 1.0, 1.0)
    assert lines["x2p"].places[1] == 0.5
    scores = {cell: line.places[-1] for cell, line in lines.items()}
    assert (scores["x1p"], scores["y3q"]) == (0.0, 1.0)
    assert record.lines[0].cell == "y3q"
    assert lines["y3q"].texts[-1] == "0.646"


def test_figure_draws_each_line_once_and_those_of_the_front_by_themselves() -> None:
    trials, run = _grid()
    (record,) = parallel(trials, run, {cell.id: cell for cell in cells(trials)})
    figure = parallel_figure(record, front={"y3q", "x3q"})
    drawn = [cell for trace in figure.data for cell in trace.meta["lines"]]
    assert sorted(drawn) == sorted(line.cell for line in record.lines)
    alone = {trace.meta["lines"][0]: trace for trace in figure.data if len(trace.meta["lines"]) == 1}
    assert set(alone) == {"y3q", "x3q"}
    assert tuple(alone["y3q"].y) == record.lines[0].places
    assert len({(trace.line.dash, trace.marker.symbol) for trace in alone.values()}) == 2


def test_a_range_is_an_axis_of_numbers() -> None:
    rates = [10 ** (-4 + i / 10) for i in range(20)]
    rows = [trial(f"c{i}", 0.5 + i / 100, 1e6 + i) for i in range(20)]
    places = {
        row["key"]: {"rate": f"{rate:.6g}", "n": str(i % 3)}
        for i, (row, rate) in enumerate(zip(rows, rates, strict=True))
    }
    trials = table(*rows)
    run = _run("random", {"rate": [f"{rate:.6g}" for rate in rates], "n": ["0", "1", "2"]}, places)
    (record,) = parallel(trials, run, {cell.id: cell for cell in cells(trials)})
    places_of_rate = {line.cell: line.places[0] for line in record.lines}
    for i in range(20):  # evenly on a logarithmic axis
        assert places_of_rate[f"c{i}"] == pytest.approx(i / 19, abs=1e-4)


def test_one_factor_that_varies_needs_no_parallel_coordinates() -> None:
    trials, run = _grid()
    some = trials[trials["cell"].isin(["x1p", "x2p", "x3p"])]
    assert parallel(some, run, {cell.id: cell for cell in cells(some)}) == ()


def test_of_many_networks_the_best_and_some_down_to_the_worst_are_drawn() -> None:
    rows = [trial(f"c{i:04}", i / 2000, 1e6 + i) for i in range(1000)]
    trials = table(*rows)
    places = {row["key"]: {"a": str(i % 2), "b": str(i % 5)} for i, row in enumerate(rows)}
    run = _run("grid", {"a": list("01"), "b": list("01234")}, places)
    (record,) = parallel(trials, run, {cell.id: cell for cell in cells(trials)})
    assert len(record.lines) + record.left_out == 1000
    names = [line.cell for line in record.lines]
    assert names[:150] == [f"c{i:04}" for i in range(999, 849, -1)]
    assert names[-1] == "c0000"


# Names ---------------------------------------------------------------------------------------------------------------


def test_long_names_keep_their_ends() -> None:
    assert shortened("levels=4") == "levels=4"
    short = shortened("kernels=" + "3-" * 100 + "last", 40)
    assert len(short) <= 40
    assert short.startswith("kernels=3-")
    assert short.endswith("last")


def test_long_names_that_look_alike_when_short_stay_apart() -> None:
    middle = "x" * 100
    known = [(f"cell{i}", f"begin {middle}{i}{middle} end", "unet") for i in range(3)]
    assert len({style.group for style in styles(known).values()}) == 3


def test_lines_of_one_family_differ_from_light_to_dark() -> None:
    known = [(f"u{i}", f"unet-{i}", "unet") for i in range(6)] + [("p", "p", "pyconvunet")]
    found = styles(known)
    assert {style.colour for cell, style in found.items() if cell != "p"} == {found["u0"].colour}
    light = [sum(int(found[f"u{i}"].shade[at : at + 2], 16) for at in (1, 3, 5)) for i in range(6)]
    assert light == sorted(light, reverse=True)
    assert min(a - b for a, b in pairwise(light)) > 20
    assert found["p"].shade == found["p"].colour
