"""Ranks over data sets: which networks differ, held against scipy and published figures, and what few sets can show."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import wilcoxon

from ablate.analysis.figures.ranks import ranks_figure
from ablate.analysis.ranks import MOST_RANKED, post_hoc, post_hoc_said, ranks


def test_a_pair_is_tested_by_the_signed_ranks_of_its_differences():
    # Demšar (2006), section 3.1.3: C4.5 and C4.5+m, Table 2. T = 12 of 14 data sets, one of which is a tie.
    plain = [0.763, 0.599, 0.954, 0.628, 0.882, 0.936, 0.661, 0.583, 0.775, 1.000, 0.940, 0.619, 0.972, 0.957]
    tuned = [0.768, 0.591, 0.971, 0.661, 0.888, 0.931, 0.668, 0.583, 0.838, 1.000, 0.962, 0.666, 0.981, 0.978]
    found = post_hoc(["plain", "tuned"], [plain, tuned])
    assert found is not None
    (pair,) = found.pairs
    assert (pair.a, pair.b, pair.better, pair.worse, pair.alike) == ("tuned", "plain", 10, 2, 2)
    assert pair.p_value == pytest.approx(wilcoxon(np.round(np.subtract(tuned, plain), 12)).pvalue)
    assert pair.p_value == pair.p_holm < 0.05  # published as significant at 5 %
    assert pair.significant


def test_holm_goes_over_all_pairs():
    scores = np.random.default_rng(0).random((4, 12)) + np.array([[0.9], [0.3], [0.0], [0.0]])
    found = post_hoc("abcd", scores)
    assert found is not None
    p_values = {frozenset((a, b)): wilcoxon(scores["abcd".index(a)] - scores["abcd".index(b)]).pvalue
                for a, b in combinations("abcd", 2)}  # fmt: skip
    assert {frozenset((pair.a, pair.b)): pair.p_value for pair in found.pairs} == pytest.approx(p_values)
    ordered = sorted(found.pairs, key=lambda pair: pair.p_value)
    stepped = np.maximum.accumulate([p.p_value * (6 - at) for at, p in enumerate(ordered)])
    assert [pair.p_holm for pair in ordered] == pytest.approx(np.minimum(stepped, 1))


def test_bars_join_those_of_which_no_two_differ():
    # Twelve data sets; a is far above b and c, which are alike, and d is far below all.
    noise = np.random.default_rng(1).normal(0, 0.01, (4, 12))
    found = post_hoc(["d", "b", "a", "c"], np.array([[0.1], [0.5], [0.9], [0.5]]) + noise)
    assert found is not None
    assert (found.networks[0], set(found.networks[1:3]), found.networks[3]) == ("a", {"b", "c"}, "d")
    assert found.groups == ((1, 2),)
    assert not found.outside


def test_a_pair_that_no_bar_can_join_is_named():
    # b is below a by a little on each data set; c by much on most but above it on two: only b differs from a.
    rng = np.random.default_rng(2)
    a = rng.random(10)
    b = a - 0.1 - 0.01 * rng.random(10)
    c = a - 0.3
    c[:3] = a[:3] + 0.5
    found = post_hoc(["a", "b", "c"], [a, b, c])
    assert found is not None
    assert {pair.a + pair.b for pair in found.pairs if pair.significant} == {"ab"}
    assert found.networks == ("a", "b", "c")
    assert found.groups == ((1, 2),)
    assert [(pair.a, pair.b) for pair in found.outside] == [("a", "c")]
    assert "though no bar joins them: a and c." in post_hoc_said(found)[1]


def test_few_data_sets_say_that_they_can_show_nothing():
    scores = np.linspace(0.9, 0.4, 6)[:, None] + np.zeros((6, 3))
    scores += np.random.default_rng(3).normal(0, 1e-3, scores.shape)
    found = post_hoc("uvwxyz", scores)
    assert found is not None
    assert not any(pair.significant for pair in found.pairs)
    assert {pair.p_value for pair in found.pairs} == {0.25}  # one better on all three: as small as it gets
    assert found.groups == ((0, 5),)
    assert (found.least, found.data_sets_needed) == (1.0, 10)
    (said,) = post_hoc_said(found)
    assert "of 15 pairs of networks on 3 data sets the least p-value of Wilcoxon's test is 0.25, 1 after" in said
    assert "10 data sets or more could" in said
    # And ten can: 15 pairs at 2/2**10 each are just below 0.05, nine are not.
    ten = post_hoc("uvwxyz", np.repeat(scores[:, :1], 10, axis=1) + np.random.default_rng(4).random(10) / 10)
    assert ten is not None
    assert ten.least == pytest.approx(15 / 2**9)
    assert all(pair.significant for pair in ten.pairs)


def test_networks_that_are_alike_everywhere_are_not_told_apart():
    found = post_hoc("ab", [[0.5, 0.6, 0.7], [0.5, 0.6, 0.7]])
    assert found is not None
    assert (found.pairs[0].p_value, found.pairs[0].alike) == (1.0, 3)


def test_differences_within_floating_point_are_ties():
    assert ranks([[0.1 + 0.2], [0.3], [0.2]]).ravel().tolist() == [1.5, 1.5, 3.0]


def test_what_cannot_be_compared_is_not():
    assert post_hoc("a", [[0.5, 0.6]]) is None
    assert post_hoc("ab", [[0.5], [0.6]]) is None
    many = [str(at) for at in range(MOST_RANKED + 1)]
    assert post_hoc(many, np.random.default_rng(0).random((len(many), 3))) is None


def test_the_diagram_has_a_bar_for_each_group_and_escapes_names():
    noise = np.random.default_rng(1).normal(0, 0.01, (4, 12))
    found = post_hoc(["<b>d", "b", "a", "c"], np.array([[0.1], [0.5], [0.9], [0.5]]) + noise)
    assert found is not None
    drawn = ranks_figure(found)
    marks, bar = drawn.data
    assert list(marks.x) == pytest.approx(found.mean_ranks)
    assert list(bar.y) == [1, 2]
    assert drawn.layout.yaxis.ticktext[3] == "&lt;b&gt;d"
    assert "told apart from" in marks.customdata[0]
