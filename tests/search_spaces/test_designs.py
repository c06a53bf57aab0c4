"""Designs: which configurations each makes of the factors."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablate.errors import InputError
from ablate.search_spaces.designs import expand
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
    drawn = [v.fields["model.width"] for v in expand(space("random", factor, samples=900))]
    for value in (1, 2, 3):
        assert drawn.count(value) == pytest.approx(300, abs=60)


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
