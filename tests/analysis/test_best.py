"""All cells against each other at once, and what is chosen among them, against simulated studies and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats

from ablate.analysis.all_cells import _inverse_trigamma, moderated_variances
from ablate.analysis.best import _STRICTER, _largest, all_pairs, none_better
from ablate.analysis.crossed import Interval
from ablate.analysis.front_set import front_set
from ablate.analysis.scores import CellScores
from ablate.analysis.staircases import Staircases

Array = np.ndarray


def _known(values: Array, cases: tuple[str, ...] = (), stack: bool | None = False) -> dict[str, CellScores]:
    """Scores (cells, seeds, images)."""
    images = tuple(f"{at:02d}" for at in range(values.shape[2]))
    return {
        f"c{at}": CellScores(
            f"c{at}", f"c{at}", "unet", "slices", False, tuple(range(len(own))), images, own, cases, stack
        )
        for at, own in enumerate(values)
    }


def _study(rng: np.random.Generator, means: Array, seeds: int = 3, images: int = 12, spread: float = 0.006) -> Array:
    count = len(means)
    return (
        means[:, None, None]
        + rng.normal(0, 0.05, images)
        + rng.normal(0, spread, (count, seeds, 1))
        + rng.normal(0, 0.005, (count, 1, images))
        + rng.normal(0, 0.004, (count, seeds, images))
    )


def test_the_largest_difference_is_that_of_all_pairs_tried_one_by_one():
    rng = np.random.default_rng(0)
    own, squares = rng.normal(size=(40, 15)), rng.gamma(1, size=(40, 15))
    a, b = np.triu_indices(15, 1)
    every = np.abs(own[:, a] - own[:, b]) / np.sqrt(squares[:, a] + squares[:, b])
    assert _largest(own, squares) == pytest.approx(every.max(axis=1))


def test_of_many_seeds_and_images_the_test_is_tukeys():
    """There variances are known, and all pairs have the studentised range of normal means."""
    rng = np.random.default_rng(1)
    found = all_pairs(_known(_study(rng, np.full(8, 0.8), seeds=60, images=80)), "dice")
    means = found.means
    squares = np.mean(found.errors**2)  # of what all find hard there is too much in these: the spread of means instead
    error = np.sqrt(0.006**2 / 60 + 0.005**2 / 80 + 0.004**2 / (60 * 80))
    assert squares > error**2
    ahead = (means.max() - means) / error
    expected = np.minimum(1, stats.studentized_range.sf(ahead, 8, np.inf) / _STRICTER)
    assert found.p_values == pytest.approx(expected, abs=0.12)


def test_a_clear_best_leaves_the_others_worse_and_every_order_is_found():
    rng = np.random.default_rng(2)
    found = all_pairs(_known(_study(rng, np.array([0.70, 0.80, 0.90]), spread=0.002)), "dice")
    assert found.worse().tolist() == [True, True, False]
    assert found.better.tolist() == [[False, False, False], [True, False, False], [True, True, False]]


def test_of_a_distance_the_smallest_is_best():
    rng = np.random.default_rng(2)
    found = all_pairs(_known(_study(rng, np.array([7.0, 5.0, 6.0]), spread=0.002)), "hd95_mm")
    assert found.worse().tolist() == [True, False, True]
    interval = found.chosen(1, 3.0, Interval(5.0, 4.9, 5.001, 0.95))
    assert (interval.low, interval.high) == (4.9, pytest.approx(found.scale.ends(5.0, 3 * found.errors[1])[1]))


def test_equal_cells_are_rarely_told_apart_though_the_best_of_the_data_would_be():
    rng, wrong = np.random.default_rng(3), 0
    for _ in range(40):
        wrong += all_pairs(_known(_study(rng, np.full(20, 0.8))), "dice").worse().any()
    assert wrong <= 5, "5 % of 40 is 2"


def test_one_wild_cell_makes_all_statements_more_careful():
    rng = np.random.default_rng(4)
    alike = _study(rng, np.full(12, 0.8), spread=0.002)
    wild = alike.copy()
    wild[0] += rng.normal(0, 0.05, (3, 1))
    worst = alike.copy()
    worst[1] -= 0.012
    p_values = []
    for scores in (worst, np.concatenate([wild[:1], worst[1:]])):
        p_values.append(all_pairs(_known(scores), "dice").p_values[1])
    assert p_values[0] < 0.05
    assert p_values[1] > p_values[0]


def test_nothing_is_told_apart_of_one_seed_or_of_fewer_than_four_cases():
    rng = np.random.default_rng(5)
    scores = _study(rng, np.array([0.5, 0.9]))
    assert not all_pairs(_known(scores[:, :1]), "dice").worse().any()
    three = tuple(f"p{at // 4}" for at in range(12))
    assert not all_pairs(_known(scores, three), "dice").worse().any()
    assert none_better(_known(scores, three), "dice", "c0", ["c1"]) == 1.0
    assert all_pairs(_known(scores), "dice").worse().tolist() == [True, False]
    assert all_pairs({}, "dice").cells == ()


def test_slices_of_a_case_do_not_count_as_cases():
    """Twelve images of six cases, each image twice: the same evidence as six images."""
    rng = np.random.default_rng(6)
    six = _study(rng, np.linspace(0.79, 0.8, 5), images=6, spread=0.003)
    twice = np.repeat(six, 2, axis=2)
    cases = tuple(f"p{at // 2}" for at in range(12))
    once, counted, naive = (all_pairs(found, "dice") for found in (_known(six), _known(twice, cases), _known(twice)))
    assert counted.cases == once.cases == 6
    assert counted.p_values == pytest.approx(once.p_values)
    assert counted.errors == pytest.approx(once.errors)
    assert (naive.errors < once.errors).all()


def test_slices_of_one_volume_count_as_their_autocorrelation_leaves():
    """Each slice looks like the one before it, in what is each cell's own: fewer count, and errors are longer."""
    rng = np.random.default_rng(11)
    walk = np.cumsum(rng.normal(0, 0.003, (5, 1, 60)), axis=2) + np.linspace(0.8, 0.82, 5)[:, None, None]
    scores = walk + rng.normal(0, 0.002, (5, 3, 60))
    apart, volume, unsaid = (all_pairs(_known(scores, stack=stack), "dice") for stack in (False, True, None))
    assert (volume.errors > 1.5 * apart.errors).all()
    assert (unsaid.errors > 1.5 * apart.errors).all()
    assert volume.p_values.min() >= apart.p_values.min()
    few = all_pairs(_known(scores[:, :, :12], stack=True), "dice")
    assert not few.known, "of twelve slices nobody knows how alike neighbours are"
    assert not few.worse().any()


def test_without_any_spread_a_difference_is_told_and_none_is_not():
    flat = np.ones((3, 3, 6)) * np.array([0.8, 0.8, 0.7])[:, None, None]
    assert all_pairs(_known(flat), "dice").worse().tolist() == [False, False, True]


def test_variances_are_moderated_as_limma_does():
    """Equal variances become one; with a prior of 4 degrees of freedom about 1, estimates go two thirds of the way."""
    rng = np.random.default_rng(7)
    equal = 2.0 * rng.chisquare(2, 4000) / 2
    everything = np.ones(4000, dtype=bool)
    assert moderated_variances(equal, np.full(4000, 2), everything).std() < 0.2
    true = 4 / rng.chisquare(4, 20_000)
    drawn = true * rng.chisquare(2, 20_000) / 2
    moderated = moderated_variances(drawn, np.full(20_000, 2), np.ones(20_000, dtype=bool))
    assert np.polyfit(drawn, moderated, 1) == pytest.approx([2 / 6, 4 / 6], abs=0.05)


@pytest.mark.parametrize("value", [1e-6, 1e-3, 0.3, 1.0, np.pi**2 / 6, 40.0, 1e7])
def test_the_inverse_of_the_trigamma_function_is_one(value):
    assert special.polygamma(1, _inverse_trigamma(value)) == pytest.approx(value, rel=1e-12)


def test_the_reach_of_one_cell_is_a_quantile_of_its_own_and_of_many_is_more():
    rng = np.random.default_rng(8)
    found = all_pairs(_known(_study(rng, np.full(30, 0.8)) - 0.0), "dice")
    one = np.arange(30) == 0
    assert found.reach(one) == pytest.approx(np.quantile(found.deviations[:, 0], 0.975))
    assert found.reach(np.ones(30, dtype=bool)) > found.reach(one)
    plain = Interval(0.8, 0.79, 0.81, 0.95)
    assert found.chosen(0, 0.0, plain) == plain, "never narrower than the plain one"
    assert found.chosen(0, 99.0, plain).low == 0.0, "a share is not below 0"


def test_none_better_asks_of_the_named_ones_alone():
    rng = np.random.default_rng(9)
    scores = _known(_study(rng, np.array([0.8, 0.9, 0.7, 0.8]), spread=0.002))
    assert none_better(scores, "dice", "c0", ["c1", "c2"]) < 0.05
    assert none_better(scores, "dice", "c0", ["c2"]) > 0.5
    assert none_better(scores, "dice", "c0", []) == 1.0
    assert none_better(scores, "dice", "nobody", ["c1"]) == 1.0


def test_a_front_set_excludes_what_a_cheaper_one_surely_beats_and_is_sure_of_what_beats_all_cheaper():
    rng = np.random.default_rng(10)
    means = np.array([0.80, 0.70, 0.8005, 0.90, 0.80])
    costs = np.array([1.0, 2.0, 3.0, 4.0, 4.0])
    found = front_set(Staircases(costs), range(5), all_pairs(_known(_study(rng, means, spread=0.003)), "dice"))
    assert found.possible.tolist() == [True, False, True, True, False]
    assert found.sure.tolist() == [True, False, False, True, False]
    assert found.best.tolist() == [False, False, False, True, False]
    assert (found.low <= found.high).all()
    assert (np.diff(found.low) >= 0).all()
    assert (np.diff(found.high) >= 0).all()
