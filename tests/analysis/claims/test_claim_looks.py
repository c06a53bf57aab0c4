"""Looks: the error that each may spend, what is decided when, and who needs more seeds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from ablate.analysis.claims.looks import check_looks, decide, levels, needed, outcome, spent
from ablate.analysis.claims.verdict import ClaimResult, LostCases, Verdict
from ablate.analysis.format import MIXED
from ablate.errors import InputError

SEEDS = (2, 4, 8)


def verdict(name: str, p_supported: float, p_refuted: float, kind: str = "non_inferior") -> Verdict:
    none = math.nan, math.nan, math.nan
    found = Verdict(name, kind, "inconclusive", *none, "", "")
    return found._replace(p_supported=p_supported, p_refuted=p_refuted, cells=("ours", name))


def result(*verdicts: Verdict) -> ClaimResult:
    return ClaimResult("c", "s", "d", "inconclusive", verdicts, "")


def test_the_looks_spend_five_per_cent_in_all_and_little_at_first():
    found = levels((2, 4, 6, 10))
    assert sum(found) == pytest.approx(0.05)
    assert list(found) == sorted(found)
    assert found[0] < 2e-5
    assert spent(1.0) == pytest.approx(0.05)
    assert spent(0.5) == pytest.approx(2 - 2 * stats.norm.cdf(1.959964 / math.sqrt(0.5)), rel=1e-5)
    assert levels((5,)) == pytest.approx((0.05,))


def test_a_look_decides_at_its_level_and_what_is_decided_stays():
    level = levels(SEEDS)
    first = decide([result(verdict("a", level[0], 1), verdict("b", level[0] * 1.01, 1))], (), SEEDS, 1)
    assert [(one.name, one.state, one.look) for one in first] == [("a", "supported", 1), ("b", "open", 0)]
    assert needed(first) == {"ours", "b"}
    assert outcome(first) == "inconclusive"
    second = decide([result(verdict("a", 1, 0), verdict("b", level[1], 1))], first, SEEDS, 2)
    assert [(one.state, one.look) for one in second] == [("supported", 1), ("supported", 2)]
    assert not needed(second)
    assert outcome(second) == "supported"


def test_a_cell_that_is_marked_from_a_look_on_is_the_one_it_was():
    """Later seeds by another version of the code: the label has a mark then, and the verdict is the same."""
    first = decide([result(verdict("non-inferior to a", 1, 1))], (), SEEDS, 1)
    (second,) = decide([result(verdict(f"non-inferior to a{MIXED}", 0, 1))], first, SEEDS, 2)
    assert (second.state, second.look) == ("supported", 2)
    third = decide([result(verdict("non-inferior to a", 1, 0))], [second], SEEDS, 3)
    assert third == (second,)


def test_a_verdict_refutes_at_its_share_so_that_it_refutes_the_claim():
    share = levels(SEEDS)[1] / 2
    found = decide([result(verdict("a", 1, share * 1.01), verdict("b", 1, share))], (), SEEDS, 2)
    assert [one.state for one in found] == ["open", "refuted"]
    assert outcome(found) == "refuted"
    assert not needed(found)  # the claim is decided
    elsewhere = [one._replace(task="other") for one in found if one.state == "open"]
    assert needed([*found, *elsewhere]) == {"ours", "a"}


def test_a_verdict_that_cannot_be_judged_stays_open_and_needs_nothing():
    unjudged = verdict("a", math.nan, math.nan)._replace(cells=())
    found = decide([result(unjudged)], (), SEEDS, 1)
    assert (found[0].state, found[0].p_supported) == ("open", None)
    assert not needed(found)


def test_a_tolerance_that_no_seeds_can_show_is_not_paid_for():
    lost = LostCases("inconclusive", 0.4, 0.1, 0.39, 2, 6, "0/12", "0/12", 0.0, 0.0, 0.39)
    found = decide([result(verdict("a", 0.4, 1)._replace(failures=lost))], (), SEEDS, 1)
    assert found[0].state == "beyond"
    assert not needed(found)
    enough = lost._replace(cases=60, resolvable=1 - 0.05 ** (1 / 60))
    found = decide([result(verdict("a", 0.4, 1)._replace(failures=enough))], (), SEEDS, 1)
    assert found[0].state == "open"


def test_over_all_looks_a_claim_errs_in_five_per_cent_at_most_whatever_they_share():
    """p-values of looks that have nothing in common err most: and do so in no more than 5 %."""
    rng = np.random.default_rng(0)
    wrong = {"supported": 0, "refuted": 0}
    for _ in range(1500):
        decisions = ()
        for look in (1, 2, 3):
            p = rng.uniform(size=5)
            verdicts = [verdict(str(at), p[0] if at == 0 else 0.0, p[at]) for at in range(5)]
            decisions = decide([result(*verdicts)], decisions, SEEDS, look)
        for state in wrong:
            wrong[state] += outcome(decisions) == state
    for count in wrong.values():
        assert count / 1500 < 0.05 + 2.6 * math.sqrt(0.05 * 0.95 / 1500)
        assert count > 0


@pytest.mark.parametrize("seeds", [(), (1, 2), (4, 4), (6, 2), tuple(range(2, 30)), (2, 5000)])
def test_looks_are_rising_numbers_of_seeds(seeds):
    with pytest.raises(InputError, match=r"--looks .*: expected rising numbers of seeds from 2 on"):
        check_looks(seeds)
    check_looks((2, 3))
