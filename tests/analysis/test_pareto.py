from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from itertools import product

import moocore
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic import TRIVIAL, measured, study, table, trial, trivial

from ablate.analysis.pareto import (
    COST_WORDS,
    amount,
    axis_title,
    cells,
    front,
    fronts,
    hypervolume,
    nondominated,
    offered,
    pareto,
    ranks,
)
from ablate.errors import InputError


def _dominates(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """By definition: no worse in cost and in score, and better in one."""
    return one[0] <= other[0] and one[1] >= other[1] and one != other


# Few distinct values, so that ties of every kind come up.
_points = st.lists(
    st.tuples(st.integers(1, 6), st.integers(0, 6).map(lambda tenth: tenth / 10)), min_size=1, max_size=20
)


@given(_points)
def test_front_is_what_no_other_cell_dominates(points: list[tuple[int, float]]) -> None:
    found = pareto(table(*(trial(f"c{i}", dice, params) for i, (params, dice) in enumerate(points))), "params", "dice")
    expected = {f"c{i}" for i, point in enumerate(points) if not any(_dominates(other, point) for other in points)}
    assert set(found.front) == expected
    assert {point.cell for point in found.points if point.on_front} == expected
    assert len(found.points) == len(points)
    assert [point.x for point in found.points] == sorted(point.x for point in found.points)


def test_cells_that_tie_are_on_the_front_together() -> None:
    found = pareto(table(trial("a", 0.8, 5), trial("b", 0.8, 5), trial("c", 0.8, 6)), "params", "dice")
    assert found.front == ("a", "b")


def test_one_cell_is_its_own_front() -> None:
    assert pareto(table(trial("a", 0.0, 5)), "params", "dice").front == ("a",)


def test_y_is_the_mean_over_complete_seeds_and_spread_their_sample_deviation() -> None:
    scores = [0.80, 0.84, 0.81]
    rows = [trial("a", dice, 5, seed=seed) for seed, dice in enumerate(scores)]
    found = pareto(table(*rows, trial("a", 0, 5, seed=3, state="failed"), trial("b", 0.5, 9)), "params", "dice")
    several, one = found.points
    assert several.y == pytest.approx(statistics.mean(scores))
    assert several.spread == pytest.approx(statistics.stdev(scores))
    assert several.seeds == 3
    assert (one.y, one.spread, one.seeds) == (0.5, None, 1)


def test_a_cell_with_failed_trials_only_is_left_out() -> None:
    found = pareto(table(trial("a", 0, 1, state="failed"), trial("b", 0.5, 9)), "params", "dice")
    assert [point.cell for point in found.points] == ["b"]
    assert found.front == ("b",)


def test_nothing_complete_gives_an_empty_front() -> None:
    found = pareto(table(trial("a", 0, 1, state="failed"), *trivial()), "params", "dice")
    assert found.points == found.front == ()


def test_trivial_rows_are_apart_and_on_no_front() -> None:
    found = pareto(table(trial("a", 0.1, 5), *trivial()), "params", "dice")
    assert {row.model: row.y for row in found.trivial} == TRIVIAL
    assert not any(row.on_front for row in found.trivial)
    assert [row.y for row in found.trivial] == sorted(TRIVIAL.values(), reverse=True)
    assert found.front == ("a",)


def test_axes_are_those_asked_for() -> None:
    rows = table(trial("a", 0.5, 5, macs=9, miou=0.9, iou=0.3), trial("b", 0.6, 6, macs=8, miou=0.8, iou=0.2))
    assert [point.cell for point in pareto(rows, "macs", "dice").points] == ["b", "a"]
    assert pareto(rows, "macs", "dice").front == ("b",)
    assert pareto(rows, "params", "miou").front == ("a",)
    assert [point.y for point in pareto(rows, "params", "iou").points] == [0.3, 0.2]


def test_fronts_has_every_pair_of_axes_and_the_asked_one_first() -> None:
    records = fronts(study().trials, "macs", "miou")
    assert (records[0].x, records[0].y) == ("macs", "miou")
    assert len({(record.x, record.y) for record in records}) == len(records) == 6


def test_a_missing_cost_leaves_the_cell_out_of_that_axis_only() -> None:
    rows = table(trial("a", 0.5, 5, macs=np.nan), trial("b", 0.6, 6))
    assert [point.cell for point in pareto(rows, "macs", "dice").points] == ["b"]
    assert [point.cell for point in pareto(rows, "params", "dice").points] == ["a", "b"]


def test_cells_average_what_training_took() -> None:
    rows = table(trial("a", 0.5, 5, seed=0, train_seconds=10.0), trial("a", 0.5, 5, seed=1, train_seconds=20.0))
    (cell,) = cells(rows)
    assert (cell.train_seconds, cell.seeds, cell.trivial) == (15.0, 2, False)


# Against brute force -------------------------------------------------------------------------------------------------

# Two and three objectives, each up or down, on a coarse grid: ties and duplicates of every kind.
_sets = st.integers(2, 3).flatmap(
    lambda m: st.tuples(
        st.lists(st.tuples(*[st.integers(0, 4)] * m), min_size=1, max_size=14), st.tuples(*[st.booleans()] * m)
    )
)


def _beats(one: Sequence[float], other: Sequence[float], maximise: Sequence[bool]) -> bool:
    """By definition: no worse in any objective, and better in one."""
    signed = [(a, b) if up else (-a, -b) for a, b, up in zip(one, other, maximise, strict=True)]
    return all(a >= b for a, b in signed) and any(a > b for a, b in signed)


def _brute_ranks(points: list[tuple[int, ...]], maximise: Sequence[bool]) -> list[int]:
    """Peeling off one front after the other."""
    found, left, rank = [-1] * len(points), set(range(len(points))), 0
    while left:
        layer = {i for i in left if not any(_beats(points[j], points[i], maximise) for j in left)}
        for i in layer:
            found[i] = rank
        left -= layer
        rank += 1
    return found


@given(_sets)
def test_nondominated_and_ranks_are_those_of_the_definition(drawn: tuple[list, tuple[bool, ...]]) -> None:
    points, maximise = drawn
    expected = [not any(_beats(other, point, maximise) for other in points) for point in points]
    assert nondominated(points, maximise).tolist() == expected
    assert ranks(points, maximise).tolist() == _brute_ranks(points, maximise)


@given(_sets)
def test_hypervolume_counts_the_unit_boxes_between_front_and_reference(drawn: tuple[list, tuple[bool, ...]]) -> None:
    points, maximise = drawn
    reference = [1 if up else 3 for up in maximise]
    boxes = 0
    # A unit box from `corner` away from the reference is dominated if a point is at least as good as its far corner.
    for corner in product(*(range(1, 5) if up else range(3, -1, -1) for up in maximise)):
        far = [c + 1 if up else c - 1 for c, up in zip(corner, maximise, strict=True)]
        inside = (
            all(p >= f if up else p <= f for p, f, up in zip(point, far, maximise, strict=True)) for point in points
        )
        boxes += any(inside)
    assert hypervolume(points, reference, maximise) == pytest.approx(boxes)


def test_no_points_have_no_front_and_no_hypervolume() -> None:
    assert nondominated([], (False, True)).tolist() == ranks([], (False, True)).tolist() == []
    assert hypervolume([], (1, 1), (False, True)) == 0.0


def test_hypervolume_of_published_sets() -> None:
    """moocore's documented example, and the analytic values of ZDT1 and DTLZ2.

    `input1.dat` with reference (10, 10): 93.55331425585321 (moocore's reference manual, `hypervolume`). ZDT1's front
    f2 = 1 - sqrt(f1) leaves 1/3 of the unit square free (Zitzler, Deb and Thiele, Evol. Comput. 8(2), 2000). DTLZ2's is
    the unit sphere's octant, of volume pi/6 (Deb, Thiele, Laumanns and Zitzler, CEC 2002).
    """
    points = moocore.get_dataset("input1.dat")[:, :-1]
    assert len(points) == 100
    assert hypervolume(points, (10, 10), (False, False)) == pytest.approx(93.55331425585321, rel=1e-12)
    assert nondominated(points, (False, False)).sum() == 6
    assert ranks(points, (False, False)).max() == 13

    f1 = np.linspace(0, 1, 4001)
    zdt1 = np.column_stack([f1, 1 - np.sqrt(f1)])
    assert hypervolume(zdt1, (1.1, 1.1), (False, False)) == pytest.approx(1.21 - 1 / 3, abs=5e-4)

    angle = np.linspace(0, np.pi / 2, 161)
    theta, phi = (grid.ravel() for grid in np.meshgrid(angle, angle))
    dtlz2 = np.column_stack([np.cos(theta) * np.cos(phi), np.cos(theta) * np.sin(phi), np.sin(theta)])
    found = hypervolume(dtlz2, (1.1, 1.1, 1.1), (False, False, False))
    assert found == pytest.approx(1.331 - np.pi / 6, abs=0.02)
    assert found < 1.331 - np.pi / 6


# Several objectives, measured costs, the reference point ------------------------------------------------------------


@given(_points)
def test_front_of_three_objectives_is_what_no_other_cell_dominates(points: list[tuple[int, float]]) -> None:
    # MACs against the order of parameters, so that both costs matter.
    rows = table(
        *(trial(f"c{i}", dice, params, macs=7 - params) for i, (params, dice) in enumerate(points)), *trivial()
    )
    found = front(rows, ("dice", "params", "macs"))
    expected = {
        f"c{i}"
        for i, (params, dice) in enumerate(points)
        if not any(other[0] == params and other[1] > dice for other in points)
    }
    assert set(found.front) == expected
    assert found.cells == tuple(f"c{i}" for i in range(len(points)))
    assert found.reference == (
        TRIVIAL["all_foreground"],
        pytest.approx(1.1 * max(p for p, _ in points)),
        found.reference[2],
    )


def test_two_objectives_of_front_agree_with_pareto() -> None:
    plane, several = pareto(study().trials, "macs", "miou"), front(study().trials, ("macs", "miou"))
    assert set(several.front) == set(plane.front)
    assert several.reference == pytest.approx(plane.reference)
    assert several.hypervolume == pytest.approx(plane.hypervolume)


@pytest.mark.parametrize(
    ("objectives", "message"),
    [
        (("dice", "parms"), "unknown objective 'parms': did you mean 'params'"),
        (("dice",), "expected two or more"),
        (("dice", "dice"), "expected two or more different"),
    ],
)
def test_objectives_that_make_no_front_are_refused(objectives: tuple, message: str) -> None:
    with pytest.raises(InputError, match=message):
        front(study().trials, objectives)


def test_the_default_reference_is_the_best_trivial_row_and_a_tenth_beyond_the_largest_cost() -> None:
    rows = [trial("a", 0.8, 5), trial("b", 0.9, 10)]
    found = pareto(table(*rows, *trivial()), "params", "dice")
    assert found.reference == (pytest.approx(11.0), TRIVIAL["all_foreground"])
    # By hand: 0.8 from cost 5 on, 0.9 from cost 10 on, up to 11, above 0.534.
    assert found.hypervolume == pytest.approx(5 * (0.8 - 0.534) + 1 * (0.9 - 0.534))
    assert pareto(table(*rows), "params", "dice").reference == (pytest.approx(11.0), 0.0)
    assert pareto(table(*rows), "params", "dice", (20, 0.5)).hypervolume == pytest.approx(5 * 0.3 + 10 * 0.4)


def test_latency_and_memory_are_offered_once_they_are_measured() -> None:
    assert offered(cells(study().trials)) == ("params", "macs")
    trials = measured(study()).trials
    assert offered(cells(trials)) == ("params", "macs", "latency_ms", "peak_memory_mb")
    assert len(fronts(trials)) == 12
    found = pareto(trials, "latency_ms", "dice")
    assert found.device == "cpu (test, 1 thread), 1x96x96"
    assert found.points[0].cell == "c3", "the most MACs are the quickest here"
    assert len(found.trivial) == 3
    assert all(math.isfinite(row.x) for row in found.trivial)
    assert pareto(trials, "params", "dice").device == ""


def test_cells_that_were_not_measured_are_left_out_of_that_plane() -> None:
    trials = measured(study()).trials
    trials.loc[trials["cell"] == "a1", "latency_ms"] = np.nan
    assert "a1" not in {point.cell for point in pareto(trials, "latency_ms", "dice").points}
    assert "a1" in {point.cell for point in pareto(trials, "peak_memory_mb", "dice").points}


def test_an_unmeasured_cost_that_is_asked_for_has_an_empty_front() -> None:
    asked, *others = fronts(study().trials, "latency_ms")
    assert (asked.x, asked.points, asked.front, asked.hypervolume) == ("latency_ms", (), (), 0.0)
    assert {record.x for record in others} == {"latency_ms", "params", "macs"}


def test_times_of_two_devices_are_never_on_one_front() -> None:
    trials = measured(study()).trials
    trials.loc[trials["cell"] == "c3", "latency_device"] = "cuda (test)"
    found = pareto(trials, "latency_ms", "dice")
    assert found.device == "cpu (test, 1 thread), 1x96x96"
    assert "c3" not in {point.cell for point in found.points}
    assert "c3" in front(trials, ("dice", "params")).cells
    assert "c3" not in front(trials, ("dice", "latency_ms")).cells


def test_a_table_without_the_measured_columns_has_fronts() -> None:
    trials = study().trials.drop(columns=["latency_ms", "peak_memory_mb"])
    assert len(fronts(trials)) == 6


def test_costs_are_shown_with_their_units_and_device() -> None:
    space = "\N{NO-BREAK SPACE}"
    assert amount("latency_ms", 12.345) == f"12.3{space}ms"
    assert amount("peak_memory_mb", 1234.5) == f"1,234{space}MB"
    assert amount("params", 7.77e6) == f"7.77{space}M"
    assert amount("latency_ms", math.nan) == "–"
    assert axis_title("latency_ms", "cuda (H100), 1x96x96") == "Latency (ms), cuda (H100), 1x96x96"
    assert axis_title("params") == "Parameters"


# At their edges ------------------------------------------------------------------------------------------------------


def test_cells_come_in_the_table_s_order_and_trivial_ones_last() -> None:
    rows = [trial("b", 0.5, 5, seed=1), trial("t", 0.1, 0, state="trivial"), trial("c", 0.5, 5), trial("a", 0.5, 5)]
    assert [cell.id for cell in cells(table(*rows, trial("b", 0.6, 5, seed=0)))] == ["b", "c", "a", "t"]


def test_a_cost_is_offered_where_one_trained_cell_has_it() -> None:
    rows = table(trial("a", 0.5, 5, latency_ms=3.0), trial("b", 0.5, 5), trial("t", 0.1, 0, state="trivial"))
    assert offered(cells(rows)) == ("params", "macs", "latency_ms")
    rows.loc[rows["cell"] == "a", "latency_ms"] = np.nan
    rows.loc[rows["cell"] == "t", "latency_ms"] = 1.0  # what a trivial row costs is no cost of training
    assert offered(cells(rows)) == ("params", "macs")


def test_every_score_and_cost_that_was_measured_makes_a_record() -> None:
    records = [(record.x, record.y) for record in fronts(study().trials, "latency_ms", "iou")]
    assert records[0] == ("latency_ms", "iou")
    assert sorted(records) == sorted(product(("params", "macs", "latency_ms"), ("dice", "miou", "iou")))


def test_trivial_rows_cost_nothing_where_their_cost_is_not_known() -> None:
    known = trial("t", 0.1, 3, state="trivial", macs=7)
    unknown = trial("u", 0.2, math.nan, state="trivial")
    found = pareto(table(trial("a", 0.5, 5), known, unknown), "params", "dice")
    assert [(row.cell, row.x, row.on_front) for row in found.trivial] == [("u", 0.0, False), ("t", 3.0, False)]


def test_a_reference_below_one_is_a_tenth_beyond_the_largest_cost_too() -> None:
    rows = table(trial("a", 0.5, 0.25), trial("b", 0.25, 0.5))
    assert pareto(rows, "params", "dice").reference == (pytest.approx(0.55), 0.0)
    assert front(rows, ("dice", "params")).reference == (0.0, pytest.approx(0.55))
    assert front(rows, ("dice", "params"), (0.25, 1.0)).hypervolume == pytest.approx(0.75 * 0.25)
    nothing = table(trial("a", 0, 1, state="failed"))
    assert pareto(nothing, "params", "dice").reference == (0.0, 0.0)
    assert front(nothing, ("dice", "params")).reference == (0.0, 0.0)
    assert front(nothing, ("dice", "params")).points.shape == (0, 2)


def test_the_bar_is_the_best_trivial_row_that_has_a_score() -> None:
    rows = [trial("a", 0.5, 5), trial("t", 0.2, 0, state="trivial"), trial("u", 0.1, 0, state="trivial")]
    rows.append(trial("v", math.nan, 0, state="trivial"))
    found = pareto(table(*rows), "params", "dice")
    assert found.reference[1] == 0.2
    assert [row.cell for row in found.trivial] == ["t", "u"]
    assert front(table(*rows), ("params", "dice")).reference[1] == 0.2
    assert pareto(table(*rows), "params", "dice", (7, 0.3)).reference == (7, 0.3)


def test_a_cell_that_lacks_one_of_the_objectives_is_left_out_of_their_front() -> None:
    rows = table(trial("a", 0.5, 5, macs=math.nan), trial("b", 0.6, 6), trial("c", math.nan, 7))
    assert front(rows, ("dice", "params", "macs")).cells == ("b",)
    assert front(rows, ("params", "macs")).cells == ("b", "c")
    assert front(rows, ("dice", "params")).front == ("a", "b")


def test_points_are_ordered_by_cost_then_the_better_then_by_name() -> None:
    rows = [trial("b", 0.5, 5), trial("a", 0.5, 5), trial("c", 0.6, 5), trial("d", 0.1, 4)]
    assert [point.cell for point in pareto(table(*rows), "params", "dice").points] == ["d", "c", "a", "b"]


def test_a_reference_has_a_value_for_each_objective() -> None:
    assert front(study().trials, ("dice", "params"), (0.5, 1e9)).reference == (0.5, 1e9)
    for reference in ((0.5,), (0.5, 1.0, 1.0)):
        with pytest.raises(InputError, match=f"{len(reference)} values for 2 objectives"):
            front(study().trials, ("dice", "params"), reference)


def test_the_device_is_that_of_most_cells_and_of_measured_costs_alone() -> None:
    trials = measured(study()).trials
    trials.loc[trials["cell"].isin(["a1", "b2"]), "latency_device"] = "cuda (test)"
    assert pareto(trials, "latency_ms", "dice").device == "cpu (test, 1 thread), 1x96x96"
    assert {point.cell for point in pareto(trials, "latency_ms", "dice").points} == {"c3", "d4", "e5", "f6", "g7"}
    assert len(pareto(trials, "macs", "dice").points) == 7
    assert pareto(trials, "macs", "dice").device == ""
    alone = trials[trials["cell"].isin(["a1", "h8"])]
    assert pareto(alone, "latency_ms", "dice").device == "cuda (test), 1x96x96"
    trials["latency_input"] = None
    assert pareto(trials, "latency_ms", "dice").device == "cpu (test, 1 thread)"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0.00"), (9.99, "9.99"), (9.995, "10.0"), (99.94, "99.9"), (99.95, "100"), (-9.99, "-9.99"), (2e3, "2,000")],
)
def test_a_measured_cost_has_three_digits(value: float, shown: str) -> None:
    assert amount("latency_ms", value) == f"{shown}\N{NO-BREAK SPACE}ms"


def test_costs_have_their_names_in_titles_and_sentences() -> None:
    assert COST_WORDS == {
        "params": "parameters", "macs": "MACs", "latency_ms": "latency", "peak_memory_mb": "peak memory",
        "latency_ms@onnx": "latency in ONNX", "peak_memory_mb@onnx": "peak memory in ONNX",
        "file_mb@onnx": "file size in ONNX", "latency_ms@onnx-int8": "latency in ONNX int8",
        "peak_memory_mb@onnx-int8": "peak memory in ONNX int8", "file_mb@onnx-int8": "file size in ONNX int8",
        "latency_ms@executorch": "latency in ExecuTorch", "peak_memory_mb@executorch": "peak memory in ExecuTorch",
        "file_mb@executorch": "file size in ExecuTorch",
    }  # fmt: skip
    assert axis_title("macs", "cpu").startswith("MACs (multiply–accumulates")
    assert axis_title("peak_memory_mb") == "Peak memory (MB)"
    assert axis_title("params", "") == "Parameters"
