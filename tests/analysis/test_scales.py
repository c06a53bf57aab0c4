"""No interval leaves what a mean can be, and where none can be given it is said why."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from ablate.analysis.crossed import Interval, components, counted, half_width, interval_of
from ablate.analysis.scales import DISTANCE, FRACTION, scale_of, scale_of_differences
from ablate.analysis.scores import CellScores
from ablate.analysis.significance import difference, mean_interval


def cell(values: np.ndarray, name: str = "a", metric: str = "dice") -> CellScores:
    seeds, images = values.shape
    ids = tuple(f"{at:02d}" for at in range(images))
    return CellScores(name, name, "unet", "x", False, tuple(range(seeds)), ids, values, (), False, metric)


scores = st.lists(st.lists(st.floats(0, 1), min_size=4, max_size=4), min_size=2, max_size=3)


@settings(max_examples=50, deadline=None)
@given(one=scores, other=scores)
def test_whatever_the_scores_no_interval_of_a_mean_or_difference_leaves_its_bounds(one, other):
    seeds = min(len(one), len(other))
    a, b = cell(np.array(one[:seeds])), cell(np.array(other[:seeds]), "b")
    for found, least in ((mean_interval(a), 0), (mean_interval(b), 0), (difference(a, b, "dice").interval, -1)):
        if math.isnan(found.low):
            assert found.why
        else:
            assert least <= found.low <= found.estimate <= found.high <= 1
            assert not found.why


def test_an_interval_of_a_mean_is_the_t_interval_of_its_logit():
    values = np.random.default_rng(0).beta(19, 1, (3, 12))
    found, model = mean_interval(cell(values)), components(values)
    mean = model.mean
    reach = half_width(model) / (mean * (1 - mean))
    assert special.logit(found[:3]) == pytest.approx(special.logit(mean) + np.array([0, -reach, reach]))
    assert found.estimate - found.low > found.high - found.estimate  # longer to the side of the rare bad image


def test_an_interval_of_a_distance_is_the_t_interval_of_its_logarithm():
    values = np.random.default_rng(0).gamma(2, 3, (3, 12))
    found, model = mean_interval(cell(values, metric="hd95_mm")), components(values)
    reach = half_width(model) / model.mean
    assert np.log(found[:3]) == pytest.approx(np.log(model.mean) + np.array([0, -reach, reach]))
    assert scale_of("hd95_mm") is DISTANCE
    assert scale_of("nsd_at_2mm") is scale_of("dice.liver") is FRACTION


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_mean_of_exactly_0_or_1_has_none(value):
    found = mean_interval(cell(np.full((3, 12), value)))
    assert math.isnan(found.low)
    assert found.why == f"every score is {value:g}: nothing shows how they vary: more seeds or images would help"
    some = np.full((3, 12), 1.0)
    some[:, 3] = 0.0  # images may score exactly 0 or 1
    assert 0 < mean_interval(cell(some)).low < 11 / 12 < mean_interval(cell(some)).high < 1


def test_what_would_be_as_wide_as_the_scale_is_none():
    """As two seeds of two images were: 0.316 [-3.0, 3.7]."""
    values = np.tile([[0.05], [0.60]], 4) + np.linspace(0, 0.02, 4)
    plain = interval_of(components(values))
    assert plain.high - plain.low > 1
    found = mean_interval(cell(values))
    assert math.isnan(found.low)
    assert found.why == "the interval would be as wide as the scale: more seeds or images would help"
    few = mean_interval(cell(values[:, :2]))
    assert "2 images are too few" in few.why
    apart = difference(cell(1 - values), cell(values, "b"), "dice")
    assert math.isnan(apart.interval.low)
    assert "as wide as the scale" in apart.note


def test_a_difference_is_cut_off_at_what_none_can_pass():
    rng = np.random.default_rng(1)
    high, low = rng.beta(60, 1, (3, 6)), rng.beta(1, 60, (3, 6))
    wide = high + np.array([[0.0], [-0.05], [-0.15]])
    found = difference(cell(wide), cell(low, "b"), "dice")
    plain = interval_of(components(wide - low))
    assert plain.high > 1
    assert found.interval[:3] == pytest.approx((plain.estimate, plain.low, 1.0))
    assert scale_of_differences("hd95_mm").most == math.inf
    assert scale_of_differences("dice", terms=4).most == 2


def test_half_a_width_is_printed_where_it_stays_within_the_bounds():
    assert Interval(0.9, 0.88, 0.92, 0.95).plus_minus == "± 0.020"
    assert Interval(0.97, 0.80, 0.99, 0.95).plus_minus == "[0.800, 0.990]"
    assert Interval(0.02, 0.01, 0.10, 0.95).plus_minus == "[0.010, 0.100]"
    assert Interval(0.9, math.nan, math.nan, 0.95).plus_minus == ""


def test_what_intervals_are_over_is_said_together():
    one = Interval(0.9, 0.8, 0.95, 0.95, 3, 12, "case")
    assert one.over == "3 seeds and 12 cases"
    assert counted([one, one]) == "3 seeds and 12 cases"
    assert counted([one, one._replace(seeds=2, units=10)]) == "2 to 3 seeds and 10 to 12 cases"
    assert counted([one._replace(low=math.nan)]) == counted([]) == ""
    assert counted([one._replace(effective=4.2)]).endswith("(as few as 4.2 of which are independent)")
    assert one._replace(seeds=0).over == "12 cases"
