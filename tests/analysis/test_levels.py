"""The order of levels and labels, in tables and in every plot."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic import table, trial

from ablate.analysis.crossed import Interval
from ablate.analysis.effects import Effect
from ablate.analysis.figures.effects import effects_figure
from ablate.analysis.figures.heatmap import heatmap_figure, level_means
from ablate.analysis.figures.parallel import Parallel, parallel
from ablate.analysis.figures.style import styles
from ablate.analysis.levels import in_order, natural
from ablate.analysis.pareto import cells
from ablate.analysis.significance import Difference
from ablate.study.runs import Run


@pytest.mark.parametrize(
    ("levels", "declared", "expected"),
    [
        (["10", "2", "1"], [], ["1", "2", "10"]),
        (["0.0005", "1e-3", "3e-4"], ["1e-3", "3e-4", "0.0005"], ["3e-4", "0.0005", "1e-3"]),
        (["3-10", "3-9", "3", "3-5-7"], [], ["3", "3-5-7", "3-9", "3-10"]),
        (["small", "large", "10"], ["small", "10", "large"], ["small", "10", "large"]),
        (["b", "large", "small", "a"], ["small", "large"], ["small", "large", "a", "b"]),
        (["none", "8", "16"], [], ["8", "16", "none"]),
        (["True", "False", "True"], ["False", "True"], ["False", "True"]),
    ],
)
def test_numbers_are_in_the_order_of_their_values_and_names_as_declared(levels, declared, expected) -> None:
    assert in_order(levels, declared) == expected
    assert in_order(reversed(levels), declared) == expected


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), unique=True))
def test_any_numbers_are_sorted_as_python_sorts_them(numbers: list[float]) -> None:
    assert [float(level) for level in in_order(map(repr, numbers))] == sorted(numbers)


@given(st.lists(st.text()))
def test_any_texts_can_be_sorted(texts: list[str]) -> None:
    backwards = texts[::-1]
    assert sorted(texts, key=natural) == sorted(backwards, key=natural)
    assert in_order(texts) == in_order(backwards)
    assert set(in_order(texts)) == set(texts)


def searched(**definition: object) -> tuple[list[dict], Run]:
    """Twelve networks in no order, of widths as levels, and of rates from a range."""
    widths, rates = [16, 2, 8, 64, 4, 32] * 2, [3e-3, 1e-4, 1e-2, 3e-4, 1e-3, 5e-4] * 2
    kernels = ["3-5-7", "3", "3-10", "3-9"] * 3
    rows, trials = [], {}
    for at, (width, rate, kernel) in enumerate(zip(widths, rates, kernels, strict=True)):
        row = trial(f"c{at}", 0.5 + 0.01 * at, 1e5 * width, label=f"width={width}")
        rows.append(row)
        trials[row["key"]] = {"width": str(width), "rate": f"{rate:g}", "kernels": kernel}
    factors = {name: list(dict.fromkeys(levels[name] for levels in trials.values())) for name in trials["c0-0"]}
    run = Run(space="s", question="", profile="", design="search", factors=factors, definition={}, trials={})
    return rows, run.model_copy(update={"trials": trials, "definition": definition})


def drawn(**definition: object) -> Parallel:
    rows, run = searched(**definition)
    trials = table(*rows)
    (record,) = parallel(trials, run, {cell.id: cell for cell in cells(trials)})
    return record


def test_parallel_coordinates_have_levels_by_their_values() -> None:
    axes = {axis.name: [text for _, text in sorted(axis.ticks)] for axis in drawn().axes}
    assert axes["width"] == ["2", "4", "8", "16", "32", "64"]
    assert axes["kernels"] == ["3", "3-5-7", "3-9", "3-10"]
    assert axes["rate"] == ["0.0001", "0.0003", "0.0005", "0.001", "0.003", "0.01"]


@pytest.mark.parametrize("log", [True, False])
def test_a_range_is_drawn_where_its_numbers_lie_on_its_own_scale(log: bool) -> None:
    record = drawn(factors={"rate": {"low": 1e-4, "high": 1e-2, "log": log}})
    axis = next(at for at, axis in enumerate(record.axes) if axis.name == "rate")
    places = {line.texts[axis]: line.places[axis] for line in record.lines}
    middle = math.log(10) / math.log(100) if log else (1e-3 - 1e-4) / (1e-2 - 1e-4)
    assert (places["0.0001"], places["0.01"]) == (0, 1)
    assert places["0.001"] == pytest.approx(middle)


def test_a_network_without_a_factor_lies_below_its_levels() -> None:
    rows, run = searched()
    del run.trials["c3-0"]["width"]
    trials = table(*rows)
    (record,) = parallel(trials, run, {cell.id: cell for cell in cells(trials)})
    assert [text for _, text in sorted(record.axes[0].ticks)][:2] == ["–", "2"]
    line = next(line for line in record.lines if line.cell == "c3")
    assert (line.places[0], line.texts[0]) == (0, "–")


def test_the_heat_map_has_levels_by_their_values() -> None:
    rows, trials = [], {}
    for width in (16, 2, 8):
        for kernel in ("3-10", "3-9", "3"):
            row = trial(f"{width} {kernel}", 0.01 * width, 1e5)
            rows.append(row)
            trials[row["key"]] = {"width": str(width), "kernels": kernel}
    factors = {"width": ["16", "2", "8"], "kernels": ["3-10", "3-9", "3"]}
    run = Run.model_construct(
        space="s", question="", profile="", design="grid", factors=factors, definition={}, trials=trials
    )
    declared = run.model_copy(update={"definition": {"factors": {"kernels": {"3-9": {}, "3": {}, "3-10": {}}}}})
    assert level_means(table(*rows), [declared])[0].levels[1] == ("3-9", "3", "3-10")
    found = level_means(table(*rows), [run.model_copy(update={"factors": {"kernels": [], **factors}})])[0]
    assert dict(zip(found.factors, found.levels, strict=True))["width"] == ("2", "8", "16")
    figure = heatmap_figure(level_means(table(*rows), [run])[0])
    assert list(figure.layout.yaxis.ticktext) == ["2", "8", "16"]
    assert [row[0] for row in figure.data[0].z] == pytest.approx([0.02, 0.08, 0.16])


def test_effects_are_in_the_order_of_their_levels() -> None:
    def effect(level: str) -> Effect:
        found = Difference("a", "b", "dice", Interval(0.1, 0.0, 0.2, 0.95), 0.01, None, None, 3, 12, None, "")
        return Effect("s", "t", "width", level, "8", found, 1.0, 1.0, 1)

    figure = effects_figure([effect(level) for level in ("32", "4", "128", "16")])
    assert list(figure.layout.yaxis.ticktext)[1:] == ["4", "16", "32", "128"]


def test_shades_and_legends_go_by_numbers() -> None:
    found = styles((f"c{at}", f"n{at}", "unet") for at in (10, 2, 1, 11, 9, 3, 4, 5, 6, 7, 8))
    dark = sorted(found, key=lambda cell: -sum(int(found[cell].shade[at : at + 2], 16) for at in (1, 3, 5)))
    assert dark == [f"c{at}" for at in range(1, 12)]
