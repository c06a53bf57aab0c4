"""Differences of several data sets together: held against scipy's t and sign tests, and against simulated truths."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from ablate.analysis.synthesis import signs, synthesis


def test_the_interval_is_students_over_data_sets():
    differences = [0.012, -0.004, 0.020, 0.009]
    found = synthesis(differences, [0.003] * 4, 0.9)
    test = stats.ttest_1samp(differences, 0)
    assert found.interval[1:3] == pytest.approx(tuple(test.confidence_interval(0.9)))
    assert 2 * min(found.p_above(0), found.p_below(0)) == pytest.approx(test.pvalue)
    assert found.p_above(-0.01) == pytest.approx(stats.ttest_1samp(differences, -0.01, alternative="greater").pvalue)


def test_the_spread_is_what_errors_do_not_explain():
    differences = np.array([0.01, 0.03, 0.05])
    found = synthesis(differences, [0.005, 0.010, 0.015])
    variance = 0.02**2
    within = (0.005**2 + 0.010**2 + 0.015**2) / 3
    assert found.spread == pytest.approx(math.sqrt(variance - within))
    assert found.share == pytest.approx(1 - within / variance)
    assert synthesis(differences, [0.1] * 3)[3:5] == (0, 0)
    unknown = synthesis(differences, [0.005, math.nan, 0.015])
    assert math.isnan(unknown.spread)
    assert math.isnan(unknown.share)
    assert unknown.interval == found.interval  # which needs no errors


def test_data_sets_that_agree_to_the_digit_leave_no_doubt_of_the_model():
    found = synthesis([0.01, 0.01], [0.001, 0.001])
    assert found.interval[1:3] == (0.01, 0.01)
    assert (found.p_above(0), found.p_above(0.01), found.p_below(0)) == (0, 1, 1)


def test_one_data_set_is_no_synthesis():
    with pytest.raises(ValueError, match="two data sets"):
        synthesis([0.01], [0.001])


@pytest.mark.parametrize("k", [2, 3, 10])
def test_intervals_hold_the_mean_whatever_the_precisions(k):
    """4,000 studies: a standard error of 0.35 percentage points at 95 %."""
    rng = np.random.default_rng(k)
    errors = np.resize([0.001, 0.02], k)
    true = rng.normal(0.01, 0.005, (4000, k))
    measured = true + rng.normal(0, 1, true.shape) * errors
    found = [synthesis(row, errors) for row in measured]
    assert np.mean([one.interval.low <= 0.01 <= one.interval.high for one in found]) > 0.94
    further = rng.normal(0.01, 0.005, 4000)
    held = [one.predicted.low <= new <= one.predicted.high for one, new in zip(found, further, strict=True)]
    assert np.mean(held) > 0.94


def test_signs_are_counted_exactly():
    assert signs([0.1, 0.2, 0.3]) == (3, 3, pytest.approx(0.125), 0.125)
    found = signs([0.1, 0.2, -0.1, 0.0])
    assert found[:2] == (2, 3)
    assert found.p_value == pytest.approx(0.5)  # two or three heads of three: (3 + 1) / 8
    assert signs([0.0, -0.005, -0.02], -0.01)[:2] == (2, 3)
    assert signs([0.0, 0.0]) == (0, 0, 1.0, 1.0)
    assert signs([0.1] * 5).p_value < 0.05 < signs([0.1] * 4).p_value
