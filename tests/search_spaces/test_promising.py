"""What a space calls promising: how it is written, what does not fit it, and that no trial depends on it."""

import pytest
from test_search_space import SEARCHED, written

from ablate.errors import InputError
from ablate.search_spaces.promising import Span, doubt
from ablate.search_spaces.space import Space

BELIEVED = (
    SEARCHED
    + """\
promising:
  model.stages: 2
  stage 1: [small]
  protocol.learning_rate: {low: 1.0e-3, high: 2.0e-3}
"""
)


def test_beliefs_are_levels_and_parts_of_ranges_and_a_definition_reads_back(tmp_path):
    space = written(tmp_path, BELIEVED)
    assert space.promising == {
        "model.stages": Span(low=2, high=2),
        "stage 1": ("small",),
        "protocol.learning_rate": Span(low=1e-3, high=2e-3),
    }
    assert Space.model_validate(space.model_dump(mode="json", exclude_none=True)) == space
    assert "promising" not in written(tmp_path).model_dump(mode="json", exclude_none=True)


def test_a_list_says_nothing_of_factors(tmp_path):
    with pytest.raises(InputError, match=r"mine\.yaml, line \d+: promising: expected factor: its promising level"):
        written(tmp_path, SEARCHED + "promising: [small]\n")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("stage 1: [small]", "stag 1: small", "there is no factor 'stag 1', did you mean 'stage 1'?"),
        ("[small]", "smal", "stage 1: there is no level 'smal', did you mean 'small'?"),
        ("[small]", "[]", "stage 1: expected at least one level"),
        ("high: 2.0e-3}", "high: 2.0e-2}", "protocol.learning_rate: from 0.001 to 0.02 is not within its range"),
        ("high: 2.0e-3}", "high: 5.0e-4}", "from 0.001 to 0.0005: low must not be above high"),
        (
            "model.stages: 2\n  stage 1",
            "model.stages: [2]\n  stage 1",
            "expected a number, or low and high, of its range",
        ),
    ],
)
def test_a_slip_is_one_line_with_its_place(tmp_path, old, new, message):
    assert BELIEVED.count(old) == 1
    with pytest.raises(InputError, match=r"mine\.yaml, line \d+: promising: ") as error:
        written(tmp_path, BELIEVED.replace(old, new))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_doubt_is_the_share_of_beliefs_that_do_not_hold_of_the_factors_that_there_are(tmp_path):
    space = written(tmp_path, BELIEVED)

    def of(**choice) -> float:
        named = {"stages": "model.stages", "first": "stage 1", "rate": "protocol.learning_rate"}
        return doubt(space.promising, space.factors, {named[name]: value for name, value in choice.items()})

    assert of(stages=2, first="small", rate=1.5e-3) == 0
    assert of(stages=2, first="large", rate=1.5e-3) == pytest.approx(1 / 3)
    assert of(stages=3, first="large", rate=1e-4) == 1
    assert of(first="large") == 1
    assert of() == 0
    # The range has two decades: an eighth of them away, half of the belief is left.
    assert of(rate=2e-3 * 10**0.25) == pytest.approx(0.5)
    assert of(rate=2e-3 * 10**0.6) == 1


def test_a_component_that_is_left_in_may_be_promising():
    space = {
        "name": "s",
        "question": "?",
        "design": "leave_one_out",
        "factors": {"skip": {"without": {"model.width": 4}}},
    }
    assert Space.model_validate(space | {"promising": {"skip": "with"}}).promising == {"skip": ("with",)}
