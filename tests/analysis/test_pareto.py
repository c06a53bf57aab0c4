from __future__ import annotations

import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic import TRIVIAL, study, table, trial, trivial

from analysis.pareto import cells, fronts, pareto


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
