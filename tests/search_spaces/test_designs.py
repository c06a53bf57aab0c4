"""Designs: which configurations each makes of the factors."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablate.errors import InputError
from ablate.search_spaces import designs
from ablate.search_spaces.designs import count, expand
from ablate.search_spaces.space import Space

FACTORS = {
    "model.width": [8, 16, 32],
    "model.stages": [2, 3],
    "up": {"t": {"model.upsampling": "transposed"}, "b": {"model.upsampling": "bilinear"}},
}
REFERENCE = {"model.width": "16", "model.stages": "3", "up": "t"}


def space(design: str, factors: dict = FACTORS, **fields: object) -> Space:
    return Space(name="s", question="?", design=design, base={"model.name": "unet"}, factors=factors, **fields)


def levels(designed: Space) -> list[tuple[str, ...]]:
    return [tuple(v.levels.values()) for v in expand(designed)]


def test_grid_is_every_combination():
    assert levels(space("grid")) == list(itertools.product(["8", "16", "32"], ["2", "3"], ["t", "b"]))


def test_one_factor_varies_each_alone_about_the_reference():
    found = levels(space("one_factor", reference=REFERENCE))
    reference = ("16", "3", "t")
    assert found[0] == reference
    assert len(found) == len(set(found)) == 1 + 2 + 1 + 1
    assert all(sum(a != b for a, b in zip(row, reference, strict=True)) == 1 for row in found[1:])


def test_leave_one_out_removes_each_component_from_the_full_model():
    factors = {"augment": {"without": {"protocol.augment": []}}, "residual": {"without": {"model.residual": False}}}
    variants = expand(space("leave_one_out", factors))
    assert [tuple(v.levels.values()) for v in variants] == [("with", "with"), ("without", "with"), ("with", "without")]
    assert [v.fields for v in variants] == [{}, {"protocol.augment": []}, {"model.residual": False}]


def test_random_is_reproducible_and_distinct():
    one = levels(space("random", samples=8, design_seed=1))
    assert one == levels(space("random", samples=8, design_seed=1))
    assert one != levels(space("random", samples=8, design_seed=2))
    assert len(set(one)) == 8
    # More than there are: all of them, and no hang.
    assert len(levels(space("random", samples=100))) == 12


@given(
    low=st.integers(1, 20), extra=st.integers(1, 100), log=st.booleans(), seed=st.integers(0, 5), whole=st.booleans()
)
def test_drawn_values_lie_in_their_range(low, extra, log, seed, whole):
    bounds = (low, low + extra) if whole else (low / 10, (low + extra) / 10)
    factor = {"protocol.learning_rate": {"low": bounds[0], "high": bounds[1], "log": log}}
    for variant in expand(space("random", factor, samples=20, design_seed=seed)):
        value = variant.fields["protocol.learning_rate"]
        assert bounds[0] <= value <= bounds[1]
        assert isinstance(value, int) == whole


def test_a_step_is_kept():
    factor = {"model.width": {"low": 8, "high": 30, "step": 8}}
    found = {v.fields["model.width"] for v in expand(space("random", factor, samples=50))}
    assert found == {8, 16, 24}
    factor = {"data.noise": {"low": 0.0, "high": 0.3, "step": 0.1}}  # in floats, three steps are less than that
    drawn = {round(v.fields["data.noise"], 9) for v in expand(space("random", factor, samples=50))}
    assert drawn == {0, 0.1, 0.2, 0.3}


def test_a_range_reaches_both_ends_as_often_as_the_middle():
    factor = {"model.width": {"low": 1, "high": 3}, "protocol.learning_rate": {"low": 0.1, "high": 1.0}}
    drawn = [v.fields["model.width"] for v in expand(space("random", factor, samples=4000))]
    for value in (1, 2, 3):
        assert drawn.count(value) == pytest.approx(4000 / 3, abs=120)  # four standard errors


def of_nine(factors: int) -> dict:
    return {f"f{i}": {f"l{j}": {"model.width": j + 1} for j in range(9)} for i in range(factors)}


def test_a_grid_without_end_is_refused_before_it_is_made():
    with pytest.raises(InputError, match="its grid has 387,420,489 configurations, at most 100,000 are planned"):
        expand(space("grid", of_nine(9)))
    with pytest.raises(InputError, match=r"its grid has some 10\^95 configurations"):
        expand(space("grid", of_nine(100)))
    assert len(expand(space("grid", of_nine(5)))) == 9**5
    assert len(expand(space("grid", {"model.width": list(range(1, 100_001))}))) == 100_000


def test_drawing_ends_where_there_is_nothing_more_to_draw():
    found = expand(space("random", of_nine(2), samples=100_000))
    assert len(found) == 81


@pytest.mark.parametrize("whole", [True, False])
def test_a_value_beyond_a_range_is_its_end(whole):
    width = {"low": 2, "high": 30} if whole else {"low": 2.5, "high": 30.5}
    made = space("random", {"model.width": width}, samples=1)
    for picked, expected in ((0, width["low"]), (99, width["high"]), (7.25, 7 if whole else 7.25), (2.75, None)):
        value = designs.choose(made, lambda name, options, picked=picked: picked)["model.width"]
        assert value == (expected if expected is not None else 3 if whole else 2.75)


def test_a_design_is_counted_before_it_is_made():
    assert count(space("grid")) == len(expand(space("grid"))) == 3 * 2 * 2
    assert count(space("random", samples=7)) == len(expand(space("random", samples=7))) == 7
    assert count(space("one_factor", reference=REFERENCE)) == 1 + 3 + 2 + 2  # the reference is each factor's too
    components = {f"c{i}": {"without": {"model.width": 8 + i}} for i in range(4)}
    assert count(space("leave_one_out", components)) == len(expand(space("leave_one_out", components))) == 1 + 4


def test_fifteen_digits_are_the_most_that_are_written_out():
    ten = {f"f{i}": {f"l{j}": {"model.width": j + 1} for j in range(10)} for i in range(15)}
    with pytest.raises(InputError, match=r"its grid has some 10\^15 configurations"):
        expand(space("grid", ten))
    with pytest.raises(InputError, match="its grid has 205,891,132,094,649 configurations"):
        expand(space("grid", of_nine(15)))


def test_a_range_beside_levels_has_configurations_without_end():
    factors = {"model.width": [8, 16], "protocol.learning_rate": {"low": 0.1, "high": 1.0}}
    assert len(expand(space("random", factors, samples=50))) == 50


@pytest.mark.parametrize(("known", "samples", "draws"), [(1, 100, 1 + 1021), (2, 100, 2 + 1041), (1, 2, 200)])
def test_drawing_gives_up_after_a_thousand_duplicates_and_twenty_for_each_known(known, samples, draws, monkeypatch):
    drawn = []

    def draw(*_: object) -> dict[str, str]:
        drawn.append({"f0": f"l{min(len(drawn), known - 1)}", "f1": "l0"})
        return drawn[-1]

    monkeypatch.setattr(designs, "draw", draw)
    assert len(expand(space("random", of_nine(2), samples=samples))) == known
    assert len(drawn) == draws
