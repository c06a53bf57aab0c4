"""The errors of a claim as a whole, and the p-values that they are made of."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from ablate.analysis.claims.sure import sure_of
from ablate.analysis.claims.verdict import ClaimResult, Verdict, outcome_of
from ablate.analysis.claims.whole import chances, said_of_error, said_of_power, whole
from ablate.analysis.scores import CellScores


def verdict(p_supported: float, p_refuted: float, kind: str = "non_inferior", power: float = math.nan) -> Verdict:
    outcome = outcome_of(p_supported <= 0.05, p_refuted <= 0.05)
    none = math.nan, math.nan, math.nan
    return Verdict("v", kind, outcome, *none, "", "")._replace(
        p_supported=p_supported, p_refuted=p_refuted, power=power
    )


def cell(name: str, values: np.ndarray) -> CellScores:
    seeds, images = values.shape
    return CellScores(name, name, "unet", "d", False, tuple(range(seeds)), tuple(map(str, range(images))), values)


def test_a_claim_is_supported_if_all_verdicts_are_at_5_per_cent():
    assert whole([verdict(0.05, 1), verdict(0.01, 1)])[:2] == ("supported", 0.05)
    assert whole([verdict(0.051, 1), verdict(0.01, 1)]).outcome == "inconclusive"
    assert whole([verdict(math.nan, math.nan), verdict(0.01, 1)]).outcome == "inconclusive"
    assert whole([]).outcome == "inconclusive"


def test_one_verdict_refutes_at_its_share_of_5_per_cent():
    others = [verdict(0.5, 0.5)] * 4
    assert whole([verdict(1, 0.011), *others]).outcome == "inconclusive"
    assert whole([verdict(1, 0.01), *others])[:3] == ("refuted", 1, 0.05)
    assert whole([verdict(1, 0.04)]).outcome == "refuted"  # it is the only chance


def test_what_is_counted_refutes_by_itself_and_takes_no_share():
    counted = verdict(1.0, 0.0, "fewest")
    assert whole([counted, verdict(0.01, 1)]).outcome == "refuted"
    holds = verdict(0.0, 1.0, "fewest")
    assert chances([holds, holds, verdict(0.01, 1)]) == 1
    assert whole([holds, verdict(1, 0.05)]).outcome == "refuted"


def test_a_verdict_refuted_by_itself_is_said_where_it_does_not_refute_the_claim():
    verdicts = (verdict(1, 0.03), verdict(0.01, 1))
    result = ClaimResult("c", "s", "d", whole(verdicts).outcome, verdicts, "")
    assert result.outcome == "inconclusive"
    assert "p <= 0.025, 5% over 2 verdicts" in said_of_error(result)
    assert "1 verdict refuted by itself is not so at that level" in said_of_error(result)


def test_the_power_of_all_is_at_least_the_product_and_at_most_the_least():
    verdicts = (verdict(0.5, 0.5, power=0.8), verdict(0.5, 0.5, power=0.5))
    found = whole(verdicts)
    assert found.power == pytest.approx(0.4)
    result = ClaimResult("c", "s", "d", found.outcome, verdicts, "", power=found.power)
    assert "would show all 2 of its margins in 40% to 50%" in said_of_power(result)


def test_p_values_are_those_of_a_t_test_where_only_seeds_vary():
    rng = np.random.default_rng(1)
    ours, theirs = (np.repeat(rng.normal(0.8, 0.01, (5, 1)), 6, axis=1) for _ in range(2))
    found = sure_of(cell("a", ours), cell("b", theirs), "dice", 0.02, ("a", "b"))
    difference = ours[:, 0] - theirs[:, 0]
    assert found.p_supported == pytest.approx(stats.ttest_1samp(difference, -0.02, alternative="greater").pvalue)
    assert found.p_refuted == pytest.approx(stats.ttest_1samp(difference, -0.02, alternative="less").pvalue)
    twice = sure_of(cell("a", ours), cell("b", theirs), "dice", 0.02, ("a", "b"), sides=2)
    assert twice.p_supported == pytest.approx(2 * found.p_supported)


def test_one_seed_has_no_p_value():
    found = sure_of(cell("a", np.full((1, 6), 0.8)), cell("b", np.full((1, 6), 0.7)), "dice", 0.01, ("a", "b"))
    assert math.isnan(found.p_supported)
    assert math.isnan(found.p_refuted)


@pytest.mark.parametrize(("seed", "image"), [(0.01, 0.0), (0.006, 0.006)])
def test_far_below_5_per_cent_a_p_value_is_no_smaller_than_it_says(seed, image):
    """Three seeds: by the model's degrees of freedom alone up to seven times as many are below 0.2 %."""
    rng = np.random.default_rng(2)
    studies, level = 1500, 0.01
    zero = cell("b", np.full((3, 12), 0.5))
    below = 0
    for _ in range(studies):
        values = rng.normal(0, seed, (3, 1)) + rng.normal(0, image, 12) + rng.normal(0, 0.004, (3, 12))
        below += sure_of(cell("a", 0.49 + values), zero, "dice", 0.01, ("a", "b")).p_refuted <= level
    assert below / studies <= level + 2.6 * math.sqrt(level * (1 - level) / studies)
