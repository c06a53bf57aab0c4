from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import special, stats

from ablate.analysis.crossed import (
    Components,
    Interval,
    components,
    images_prevent,
    interval_of,
    of_seeds_alone,
    p_value_of,
    seeds_needed,
    standard_error,
)
from ablate.analysis.independent import FEWEST
from ablate.analysis.scores import CellScores
from ablate.analysis.significance import (
    MOST_SEEDS,
    Difference,
    bound_of,
    complete_part,
    difference,
    difference_of,
    hierarchical_bootstrap,
    holm,
    mean_interval,
    one_sided_bound,
)
from ablate.errors import InputError


def _cell(values: np.ndarray, cell: str = "a", **fields: object) -> CellScores:
    seeds, images = values.shape
    known = {
        "cell": cell,
        "label": cell,
        "model": "unet",
        "task": "slices",
        "trivial": False,
        "seeds": tuple(range(seeds)),
        "images": tuple(f"{i:02d}" for i in range(images)),
        "values": np.asarray(values, dtype=np.float64),
        "stack": False,
    }
    return CellScores(**(known | fields))  # type: ignore[arg-type]


def _matrix(
    rng: np.random.Generator, seed: float, image: float, residual: float, seeds: int = 3, images: int = 12
) -> np.ndarray:
    return (
        rng.normal(0, seed, (seeds, 1)) + rng.normal(0, image, (1, images)) + rng.normal(0, residual, (seeds, images))
    )


# Against closed forms ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("images", [1, 2, 3])
def test_fewer_than_four_images_stand_for_no_others_and_what_can_be_said_is(images: int) -> None:
    """Of other seeds on these very images it is the paired t test over seeds."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(0.82, 0.01, (5, images)), rng.normal(0.80, 0.01, (5, images))
    found = difference(_cell(a), _cell(b, "b"), "dice")
    assert (math.isnan(found.interval.low), found.p_value, found.significant) == (True, None, False)
    assert found.interval.why in found.note
    assert "too few to speak of others, at least 4: more images, or folds, would help" in found.note
    low, high = stats.ttest_rel(a.mean(axis=1), b.mean(axis=1)).confidence_interval(0.95)
    if images == 1:
        assert f"on these images alone, of other seeds: {low:+.4f} to {high:+.4f}" in found.note
    alone = interval_of(of_seeds_alone(Components(0.0, 5, images, 0.01**2, 0.02**2, 0.03**2)))
    half = stats.t.ppf(0.975, 4) * math.sqrt((0.01**2 + 0.03**2 / images) / 5)
    assert (alone.low, alone.high, alone.units) == (pytest.approx(-half), pytest.approx(half), 0)


def test_where_seeds_agree_it_is_the_paired_t_test_over_images() -> None:
    rng = np.random.default_rng(1)
    a, b = np.tile(rng.normal(0.82, 0.03, 12), (3, 1)), np.tile(rng.normal(0.80, 0.03, 12), (3, 1))
    found = difference(_cell(a), _cell(b, "b"), "dice", level=0.9)
    expected = stats.ttest_rel(a[0], b[0])
    assert found.p_value == pytest.approx(expected.pvalue)
    assert found.interval[1:3] == pytest.approx(tuple(expected.confidence_interval(0.9)))


def test_where_neither_counts_it_is_the_t_test_over_all_scores() -> None:
    # Rows and columns of a Latin square have equal sums, so seeds and images explain nothing.
    square = np.array([[1, 2, 3, 4], [2, 1, 4, 3], [3, 4, 1, 2], [4, 3, 2, 1]]) / 100
    expected = stats.ttest_1samp(square.ravel(), 0)
    assert p_value_of(components(square)) == pytest.approx(expected.pvalue)


def test_components_are_those_of_the_two_way_analysis_of_variance() -> None:
    rng = np.random.default_rng(2)
    found = [components(_matrix(rng, 0.02, 0.03, 0.01, seeds=6, images=20)) for _ in range(1500)]
    assert np.sqrt(np.mean([one.seed for one in found])) == pytest.approx(0.02, rel=0.05)
    assert np.sqrt(np.mean([one.image for one in found])) == pytest.approx(0.03, rel=0.05)
    assert np.sqrt(np.mean([one.residual for one in found])) == pytest.approx(0.01, rel=0.05)


def test_standard_error_is_the_spread_of_the_mean_over_studies() -> None:
    rng = np.random.default_rng(3)
    found = [components(_matrix(rng, 0.01, 0.02, 0.005)) for _ in range(3000)]
    spread = np.std([one.mean for one in found])
    assert np.sqrt(np.mean([standard_error(one)[0] ** 2 for one in found])) == pytest.approx(spread, rel=0.05)


def test_wilcoxon_is_scipys_on_differences_averaged_over_seeds() -> None:
    rng = np.random.default_rng(4)
    a, b = rng.normal(0.82, 0.03, (3, 12)), rng.normal(0.80, 0.03, (3, 12))
    found = difference(_cell(a), _cell(b, "b"), "dice")
    assert found.wilcoxon == pytest.approx(stats.wilcoxon(a.mean(axis=0), b.mean(axis=0)).pvalue)


def test_a_cell_against_itself_is_no_difference() -> None:
    values = np.random.default_rng(5).normal(0.8, 0.02, (3, 12))
    found = difference(_cell(values), _cell(values, "b"), "dice")
    assert (found.interval.estimate, found.p_value, found.wilcoxon) == (0.0, 1.0, 1.0)
    assert not found.significant


# Coverage ------------------------------------------------------------------------------------------------------------

SETTINGS = {
    "typical": (0.006, 0.006, 0.004),
    "seeds dominate": (0.02, 0.012, 0.004),
    "no seed variance": (0.0, 0.01, 0.005),
    "no image variance": (0.01, 0.0, 0.005),
    "neither": (0.0, 0.0, 0.01),
}


@pytest.mark.parametrize("deviations", SETTINGS.values(), ids=SETTINGS)
def test_intervals_hold_the_truth_and_equal_cells_are_seldom_called_different(
    deviations: tuple[float, float, float],
) -> None:
    """2,000 studies: three standard errors of a share of 95 % are 1.5 %."""
    rng = np.random.default_rng(6)
    found = [components(0.01 + _matrix(rng, *deviations)) for _ in range(2000)]
    held = np.mean([low <= 0.01 <= high for _, low, high, *_ in map(interval_of, found)])
    equal = [p_value_of(one._replace(mean=one.mean - 0.01)) for one in found]
    at_margin = [bound_of(one._replace(mean=one.mean - 0.02)).not_below(0.01) for one in found]
    assert 0.93 <= held <= 0.985
    assert np.mean([p is not None and p <= 0.05 for p in equal]) <= 0.07
    assert np.mean(at_margin) <= 0.07


def test_two_seeds_that_agree_by_chance_are_not_trusted() -> None:
    """Taking the seeds' variance for zero wherever two happen to agree would cover 88 % here."""
    rng = np.random.default_rng(21)
    found = [components(_matrix(rng, math.sqrt(10 / 12), 0.0, 1.0, seeds=2)) for _ in range(2000)]
    held = np.mean([low <= 0 <= high for _, low, high, *_ in map(interval_of, found)])
    assert held >= 0.905


def test_non_inferiority_is_found_where_it_holds_and_its_p_value_agrees_with_the_bound() -> None:
    rng = np.random.default_rng(7)
    better = one_sided_bound(_cell(0.9 + _matrix(rng, 0.001, 0.001, 0.001)), _cell(np.full((3, 12), 0.9), "b"))
    assert better.not_below(0.01)
    for margin in (0.0005, 0.001, 0.002, 0.01):
        p = better.p_value(margin)
        assert p is not None
        assert better.not_below(margin) == (p < 0.05)


# One seed, and what is missing ---------------------------------------------------------------------------------------


def test_a_single_seed_is_never_significant() -> None:
    rng = np.random.default_rng(8)
    a, b = rng.normal(0.9, 0.001, (1, 12)), rng.normal(0.1, 0.001, (1, 12))
    found = difference(_cell(a), _cell(b, "b"), "dice")
    assert found.interval.estimate == pytest.approx(a.mean() - b.mean())
    assert math.isnan(found.interval.low)
    assert math.isnan(found.interval.high)
    assert (found.p_value, found.seeds, found.seeds_needed, found.note) == (None, 1, None, "one seed")
    assert found.interval.why == "one seed"
    assert not found.significant
    assert not holm([found])[0].significant
    bound = one_sided_bound(_cell(a), _cell(b, "b"))
    assert not bound.not_below(0.5)
    assert bound.p_value(0.5) is None


def test_unequal_seeds_and_images_are_compared_on_what_both_share_and_it_is_said() -> None:
    rng = np.random.default_rng(9)
    values = rng.normal(0.8, 0.02, (5, 12))
    a = _cell(values + 0.01)
    b = _cell(values[1:4, 2:], "b", seeds=(1, 2, 3), images=a.images[2:])
    found = difference(a, b, "dice")
    assert found.interval.estimate == pytest.approx(0.01)
    assert (found.seeds, found.images) == (3, 10)
    assert found.note == "seeds differ (5 and 3): the 3 they share; images differ: the 10 they share"


def test_scores_that_are_missing_cost_a_seed_or_an_image_whichever_lacks_more() -> None:
    values = np.arange(48.0).reshape(4, 12) / 480
    whole = values.copy()
    values[2] = np.nan
    values[0, 5] = np.nan
    part, missing = complete_part(values)
    assert missing
    assert part.tolist() == np.delete(np.delete(whole, 2, 0), 5, 1).tolist()
    found = difference(_cell(values), _cell(np.zeros((4, 12)), "b"), "dice")
    assert found.note == "scores are missing: 3 seeds and 11 images left"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"images": tuple(f"x{i}" for i in range(12))}, "share no test images"),
        ({"seeds": (7, 8, 9)}, "share no seeds"),
        ({"task": "other"}, "one data set only"),
        ({"values": np.full((3, 12), np.nan)}, "no image that both were scored on"),
    ],
)
def test_cells_that_share_nothing_are_an_input_error(fields: dict, message: str) -> None:
    values = np.random.default_rng(10).normal(0.8, 0.02, (3, 12))
    with pytest.raises(InputError, match=message):
        difference(_cell(values), _cell(**({"values": values, "cell": "b"} | fields)), "dice")


def test_a_trivial_predictor_is_compared_with_every_seed_and_its_own_interval_is_over_images() -> None:
    rng = np.random.default_rng(11)
    row = rng.normal(0.5, 0.03, (1, 12))
    network, bar = _cell(rng.normal(0.8, 0.02, (3, 12))), _cell(row, "b", trivial=True)
    assert difference(network, bar, "dice").seeds == 3
    # On the logit scale: the t interval's half width, divided by the slope of the mean's logit.
    mean = row.mean()
    half = (stats.ttest_1samp(row[0], 0).confidence_interval(0.95).high - mean) / (mean * (1 - mean))
    assert special.logit(mean_interval(bar)[1:3]) == pytest.approx(
        (special.logit(mean) - half, special.logit(mean) + half)
    )
    assert mean_interval(bar).over == "12 images"
    assert math.isnan(mean_interval(_cell(row)).low)


# Families ------------------------------------------------------------------------------------------------------------


def _tested(p: float | None) -> Difference:
    return Difference("a", "b", "dice", Interval(0.1, 0.0, 0.2, 0.95), p, None, None, 3 if p else 1, 12, None, "")


def test_holm_is_the_published_example() -> None:
    """Four hypotheses, raw p of 0.01, 0.04, 0.03, 0.005: adjusted 0.03, 0.06, 0.06, 0.02."""
    corrected = holm([_tested(p) for p in (0.01, 0.04, 0.03, 0.005)])
    assert [found.p_holm for found in corrected] == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert [found.significant for found in corrected] == [True, False, False, True]


def test_holm_rejects_what_the_closed_test_of_bonferroni_rejects() -> None:
    """By definition: a hypothesis falls if Bonferroni rejects every intersection of hypotheses that it is part of."""
    rng = np.random.default_rng(12)
    for _ in range(50):
        raw = rng.uniform(0, 0.1, 5) ** 1.5
        sets = [s for size in range(1, 6) for s in itertools.combinations(range(5), size)]
        closed = [max(min(1.0, len(s) * min(raw[j] for j in s)) for s in sets if i in s) for i in range(5)]
        assert [found.p_holm for found in holm([_tested(p) for p in raw])] == pytest.approx(closed)


def test_holm_leaves_single_seeds_out_of_the_family() -> None:
    corrected = holm([_tested(0.02), _tested(None), _tested(0.03)])
    assert [found.p_holm for found in corrected] == [pytest.approx(0.04), None, pytest.approx(0.04)]
    assert holm([]) == []


# How many seeds ------------------------------------------------------------------------------------------------------


def test_seeds_needed_are_the_fewest_whose_expected_interval_leaves_zero_out() -> None:
    known = Components(0.01, 3, 12, 0.01**2, 0.005**2, 0.004**2)
    needed = seeds_needed(known, 0.01)
    assert needed is not None

    def half(seeds: int) -> float:
        seed, image = 0.004**2 + 12 * 0.01**2, 0.004**2 + seeds * 0.005**2
        df = (seed + image) / (seed / (seeds - 1) + image / 11)
        return stats.t.ppf(0.975, df) * math.sqrt((seed + image - 0.004**2) / (seeds * 12))

    assert half(needed) < 0.01 <= half(needed - 1)
    rng = np.random.default_rng(13)
    decided = [p_value_of(components(0.01 + _matrix(rng, 0.01, 0.005, 0.004, seeds=needed))) for _ in range(400)]
    assert np.mean([p is not None and p <= 0.05 for p in decided]) > 0.4


def test_no_number_of_seeds_decides_what_the_images_leave_open() -> None:
    rng = np.random.default_rng(14)
    wide = _matrix(rng, 0.0, 0.05, 0.002)
    found = difference_of(wide - wide.mean() + 0.002, "a", "b", "dice")
    assert found.seeds_needed is None
    assert "images vary too much" in found.note
    far = Components(1e-6, 3, 12, 0.01**2, 0.0, 0.001**2)
    assert not images_prevent(far, 1e-6)
    assert seeds_needed(far, 1e-6) is None
    rough = np.tile([[0.02], [-0.01], [-0.01]], (1, 12))
    assert f"more than {MOST_SEEDS}" in difference_of(rough + 1e-6, "a", "b", "dice").note


@pytest.mark.parametrize(("metric", "sign"), [("dice", 1), ("hd95", -1)])
def test_what_would_decide_is_said_of_the_margin_that_is_asked_about(metric: str, sign: int) -> None:
    """Of zero the images leave it open for ever; of a margin of 0.05 a few seeds more would do. Never both."""
    rng = np.random.default_rng(14)
    wide = _matrix(rng, 0.04, 0.02, 0.002)
    matrix = sign * (wide - wide.mean() + 0.001)
    asked = {margin: difference_of(matrix, "a", "b", metric, 0.9, margin=margin) for margin in (0.0, 0.05)}
    assert asked[0.0].seeds_needed is None
    assert "more seeds would not decide it" in asked[0.0].note
    bound = bound_of(components(wide - wide.mean() + 0.001))
    assert asked[0.05].seeds_needed == bound.seeds_needed(0.05)
    assert asked[0.05].seeds_needed is not None
    assert "decide" not in asked[0.05].note
    assert difference_of(matrix, "a", "b", metric, 0.9, margin=5.0).seeds_needed is None  # decided already


def test_a_decided_difference_needs_no_more_seeds() -> None:
    found = difference_of(0.1 + _matrix(np.random.default_rng(15), 0.001, 0.001, 0.001), "a", "b", "dice")
    assert found.significant
    assert found.seeds_needed is None
    assert found.note == ""


# Bootstrap -----------------------------------------------------------------------------------------------------------


def test_bootstrap_variance_is_that_of_the_mean() -> None:
    rng = np.random.default_rng(16)
    matrices = [_matrix(rng, 0.01, 0.02, 0.005) for _ in range(400)]
    means = hierarchical_bootstrap(matrices, 500, rng)
    assert means.shape == (500, 400)
    truth = 0.01**2 / 3 + 0.02**2 / 12 + 0.005**2 / 36
    assert means.var(axis=0).mean() == pytest.approx(truth, rel=0.1)
    assert means.mean(axis=0) == pytest.approx([matrix.mean() for matrix in matrices], abs=0.003)


def test_bootstrap_shares_image_draws_across_cells() -> None:
    rng = np.random.default_rng(17)
    difficulty = rng.normal(0.8, 0.1, 12)
    means = hierarchical_bootstrap([np.tile(difficulty, (3, 1)), np.tile(difficulty + 0.01, (2, 1))], 300, rng)
    assert means[:, 0].std() > 0.01
    assert means[:, 1] - means[:, 0] == pytest.approx(np.full(300, 0.01))


def test_bootstrap_draws_each_cells_own_seeds() -> None:
    levels = np.array([0.1, 0.2, 0.3])[:, None] * np.ones((1, 4))
    means = hierarchical_bootstrap([levels, levels], 4000, np.random.default_rng(18))
    # Two of three seeds are drawn: nine equal pairs.
    assert sorted(set(np.round(means[:, 0], 6))) == [0.1, 0.15, 0.2, 0.25, 0.3]
    assert abs(np.corrcoef(means.T)[0, 1]) < 0.06


def test_bootstrap_of_one_seed_or_image_draws_only_the_other() -> None:
    rng = np.random.default_rng(19)
    assert hierarchical_bootstrap([np.array([[0.5]])], 10, rng).tolist() == [[0.5]] * 10
    only_images = hierarchical_bootstrap([rng.normal(0.8, 0.1, (1, 12))], 200, rng)
    only_seeds = hierarchical_bootstrap([rng.normal(0.8, 0.1, (4, 1))], 200, rng)
    assert only_images.std() > 0.01
    assert only_seeds.std() > 0.01


def test_bootstrap_leaves_missing_scores_out() -> None:
    values = np.full((3, 6), 0.7)
    values[0, :5] = np.nan
    values[1, 2] = np.nan
    means = hierarchical_bootstrap([values, np.full((3, 6), 0.6)], 200, np.random.default_rng(20))
    assert means == pytest.approx(np.tile([0.7, 0.6], (200, 1)))


def test_bootstrap_refuses_cells_of_different_images() -> None:
    with pytest.raises(ValueError, match="same images"):
        hierarchical_bootstrap([np.zeros((3, 4)), np.zeros((3, 5))], 10, np.random.default_rng(0))


# Against another way of writing it -----------------------------------------------------------------------------------


def _by_loops(matrix: np.ndarray) -> tuple[float, float, float]:
    """The variance components by their definition, an image and a seed at a time: (seed, image, residual)."""
    seeds, images = matrix.shape
    mean = sum(matrix[s, i] for s in range(seeds) for i in range(images)) / (seeds * images)
    of_seed = [sum(matrix[s, i] for i in range(images)) / images - mean for s in range(seeds)]
    of_image = [sum(matrix[s, i] for s in range(seeds)) / seeds - mean for i in range(images)]
    rest = sum((matrix[s, i] - mean - of_seed[s] - of_image[i]) ** 2 for s in range(seeds) for i in range(images))
    squares = {"seed": images * sum(v * v for v in of_seed), "image": seeds * sum(v * v for v in of_image)}
    df = {"seed": seeds - 1, "image": images - 1}
    pooled, of = rest, (seeds - 1) * (images - 1)
    first = rest / of
    counts = {name: squares[name] / df[name] > first for name in squares}
    for name, count in counts.items():
        if not count:
            pooled, of = pooled + squares[name], of + df[name]
    residual = pooled / of
    spread = {"seed": images, "image": seeds}
    found = {name: (squares[name] / df[name] - residual) / spread[name] if counts[name] else 0.0 for name in squares}
    return found["seed"], found["image"], residual


def test_images_that_are_worth_one_have_a_spread_and_no_degrees_of_freedom() -> None:
    """Slices of one volume that all vary together."""
    for seeds in (2, 3):
        worth_one = Components(0.1, seeds, 12, 0.01**2, 0.02**2, 0.01**2, effective=1.0)
        error, df = standard_error(worth_one)
        assert error == pytest.approx(standard_error(worth_one._replace(effective=None))[0])
        assert df == 0
        assert np.isnan(interval_of(worth_one).low)


@pytest.mark.parametrize(("seeds", "images"), list(itertools.product((2, 3, 5), (2, 3, 6))))
def test_components_and_standard_errors_are_those_of_their_definitions(seeds: int, images: int) -> None:
    rng = np.random.default_rng(seeds * 10 + images)
    kinds = set()
    for _ in range(60):
        matrix = _matrix(rng, rng.choice([0, 0.5, 2]), rng.choice([0, 0.5, 2]), 1, seeds, images)
        found = components(matrix)
        seed, image, residual = _by_loops(matrix)
        assert (found.seed, found.image, found.residual) == pytest.approx((seed, image, residual))
        kinds.add((seed > 0, image > 0))
        rows, columns = residual + images * seed, residual + seeds * image
        if (seed > 0 and image > 0) or seeds == 2:
            variance, df = rows + columns - residual, (rows + columns) / (rows / (seeds - 1) + columns / (images - 1))
        elif seed > 0:
            variance, df = rows, seeds - 1
        elif image > 0:
            variance, df = columns, images - 1
        else:
            variance, df = residual, seeds * images - 1
        error = math.sqrt(variance / (seeds * images))
        assert standard_error(found) == pytest.approx((error, df))
        t = matrix.mean() / error
        if images < FEWEST:
            assert (p_value_of(found), math.isnan(interval_of(found).low)) == (None, True)
            continue
        assert p_value_of(found) == pytest.approx(2 * stats.t.sf(abs(t), df))
        half = stats.t.ppf(0.975, df) * error
        assert (interval_of(found).low, interval_of(found).high) == pytest.approx((t * error - half, t * error + half))
    assert len(kinds) == 4


def test_bounds_and_p_values_at_their_very_edge() -> None:
    even = Components(0.0, 2, 4, 0.0, 0.0, 0.0)
    bound = one_sided_bound(_cell(np.full((2, 4), 0.5)), _cell(np.full((2, 4), 0.5), "b"))
    assert bound.p_value(0.0) == 1.0  # exactly the margin below is not surely above
    assert bound.p_value(0.01) == 0.0
    assert bound.p_value(-0.01) == 1.0
    assert bound._replace(low=-0.25).not_below(0.25) is False
    assert bound._replace(low=-0.2499).not_below(0.25) is True
    assert p_value_of(even._replace(seeds=1, seed=math.nan)) is None
    assert bound._replace(components=even._replace(seed=math.nan)).p_value(0.1) is None
    assert bound._replace(components=even._replace(images=3)).p_value(0.1) is None


def test_a_p_value_of_exactly_the_level_is_significant() -> None:
    rng = np.random.default_rng(0)
    found = difference(_cell(_matrix(rng, 0, 1, 1)), _cell(_matrix(rng, 0, 1, 1), "b"), "dice")
    edge = 1 - found.interval.level
    for p_value, holm_value, expected in ((edge, None, True), (edge + 1e-9, None, False), (0.0, edge + 1e-9, False)):
        assert found._replace(p_value=p_value, p_holm=holm_value).significant is expected
    assert not found._replace(p_value=0.0, p_holm=None, seeds=1).significant
    assert found._replace(p_value=0.0, p_holm=None, seeds=2).significant


def test_the_seeds_that_a_bound_needs_are_those_of_its_distance_and_level() -> None:
    rng = np.random.default_rng(1)
    tried = set()
    for _ in range(20):
        found = _matrix(rng, 1, 0.1, 0.3, 3, 6)
        bound = bound_of(components(found))
        for margin in (0.3, 1.0):
            needed = seeds_needed(bound.components, bound.estimate + margin, 2 * bound.level - 1)
            assert bound.seeds_needed(margin) == needed
            tried.add(needed)
    assert len(tried) > 5


def test_of_two_images_a_bootstrap_draws_one() -> None:
    means = hierarchical_bootstrap([np.array([[0.2, 0.8]])], 400, np.random.default_rng(0))
    assert set(np.round(means.ravel(), 12)) == {0.2, 0.8}
    means = hierarchical_bootstrap([np.array([[0.0, 0.0, 1.0]])], 400, np.random.default_rng(0))
    assert set(np.round(means.ravel(), 12)) == {0.0, 0.5, 1.0}


# At their edges ------------------------------------------------------------------------------------------------------


def test_two_seeds_of_which_images_make_no_difference_are_a_paired_t_test_over_seeds() -> None:
    a, b = np.tile([[0.81], [0.84]], 5), np.tile([[0.80], [0.79]], 5)
    found, expected = difference(_cell(a), _cell(b, "b"), "dice"), stats.ttest_rel(a[:, 0], b[:, 0])
    assert found.p_value == pytest.approx(expected.pvalue)
    assert found.interval[1:3] == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert found.note.startswith("two seeds: the interval may be too narrow")
    lower = stats.ttest_rel(a[:, 0], b[:, 0], alternative="greater").confidence_interval(0.95).low
    bound = one_sided_bound(_cell(a), _cell(b, "b"))
    assert bound.low == pytest.approx(lower)
    expected = stats.ttest_1samp((a - b)[:, 0], -0.01, alternative="greater")
    assert bound.p_value(0.01) == pytest.approx(expected.pvalue)


def test_scores_that_are_all_alike_have_no_error_and_the_images_degrees_of_freedom() -> None:
    for seeds in (2, 3):
        found = components(np.full((seeds, 5), 0.75))
        assert found == Components(0.75, seeds, 5, 0.0, 0.0, 0.0)
        assert standard_error(found) == (0.0, 4.0 if seeds == 2 else 14.0)
        assert interval_of(found)[:3] == pytest.approx((0.75, 0.75, 0.75))
        assert p_value_of(found) == 0.0


def test_one_seed_has_a_mean_and_no_variance() -> None:
    found = components(np.array([[0.2, 0.4]]))
    assert found[:3] == (pytest.approx(0.3), 1, 2)
    assert all(math.isnan(value) for value in found[3:6])
    assert seeds_needed(found, 1.0) is None
    assert math.isnan(bound_of(found).low)


def test_one_image_has_its_variance_from_the_seeds_alone() -> None:
    column = np.array([0.1, 0.4, 0.2])
    found = components(column[:, None])
    assert found[:6] == (pytest.approx(column.mean()), 3, 1, pytest.approx(column.var(ddof=1)), 0.0, 0.0)


def test_seeds_that_are_needed_go_from_one_more_to_a_hundred() -> None:
    """Where only seeds vary it is the t interval of their mean, whose half width has a closed form."""
    known = Components(0.0, 3, 12, 0.01**2, 0.0, 0.0)
    half = {n: stats.t.ppf(0.975, n - 1) * 0.01 / math.sqrt(n) for n in (3, 4, 5, 99, 100, 101)}
    between = {n: (half[n] + half[n + 1]) / 2 for n in (3, 4, 99, 100)}
    assert seeds_needed(known, between[4]) == 5
    assert seeds_needed(known, between[3]) == 4
    assert seeds_needed(known, 1.0) == 4  # three were not enough, or nobody would ask
    assert seeds_needed(known, -between[3]) == 4
    assert seeds_needed(known, between[99]) == 100 == MOST_SEEDS
    assert seeds_needed(known, between[100]) is None
    assert seeds_needed(known._replace(seeds=2), between[3]) == 4
    wider = stats.t.ppf(0.995, 4) / stats.t.ppf(0.975, 4) * half[5]
    assert seeds_needed(known, wider * 1.001, level=0.99) == 5
    assert seeds_needed(known, wider * 0.999, level=0.99) == 6


def test_an_interval_exactly_as_wide_as_the_distance_does_not_decide() -> None:
    known = Components(0.0, 3, 12, 0.01**2, 0.0, 0.0)
    error, df = standard_error(known, 10)
    edge = float(stats.t.ppf((1 + 0.95) / 2, np.array([df]))[0] * error)
    assert seeds_needed(known, edge) == 11
    assert seeds_needed(known, math.nextafter(edge, 1)) == 10


def test_images_prevent_what_their_own_interval_does_not_leave_out() -> None:
    known = Components(0.0, 3, 12, 0.01**2, 0.02**2, 0.0)
    for level in (0.9, 0.95):
        half = stats.t.ppf((1 + level) / 2, 11) * math.sqrt(0.02**2 / 12)
        assert images_prevent(known, half * 0.999, level)
        assert images_prevent(known, -half * 0.999, level)
        assert not images_prevent(known, half * 1.001, level)
        assert images_prevent(known, half, level)  # exactly as wide is not narrower
    assert images_prevent(known, half) is images_prevent(known, half, 0.95)
    assert images_prevent(known, half * 0.999)
    assert not images_prevent(known._replace(image=0.0), 0.0)


def test_a_p_value_of_exactly_what_is_allowed_asks_for_no_more_seeds() -> None:
    balanced = np.tile([[0.1, -0.1], [-0.2, 0.2], [0.1, -0.1]], 2)
    found = difference_of(balanced, "a", "b", "dice", level=0.0)
    assert (found.p_value, found.significant, found.seeds_needed, found.note) == (1.0, True, None, "")
    found = difference_of(balanced, "a", "b", "dice", level=0.01)
    assert not found.significant
    assert found.note != ""


def test_notes_of_few_seeds_and_images_are_said_of_those_alone() -> None:
    def note(seeds: int, images: int) -> str:
        return difference_of(1 + _matrix(np.random.default_rng(0), 0.001, 0, 0.001, seeds, images), "", "", "dice").note

    few = "too few to speak of others, at least 4: more images, or folds, would help"
    assert note(3, 4) == ""
    assert note(2, 4) == "two seeds: the interval may be too narrow"
    assert note(3, 1).startswith(f"1 image is {few}; on these images alone, of other seeds: ")
    assert note(3, 3).startswith(f"3 images are {few}; on these images alone")
    assert note(1, 1) == f"one seed; 1 image is {few}"


def test_holm_goes_no_further_than_one() -> None:
    assert [found.p_holm for found in holm([_tested(p) for p in (0.9, 0.3, 0.8)])] == [1.0, pytest.approx(0.9), 1.0]


def test_of_what_lacks_equal_shares_the_seed_goes() -> None:
    part, missing = complete_part(np.array([[np.nan, 1.0], [2.0, 3.0]]))
    assert (part.tolist(), missing) == ([[2.0, 3.0]], True)


def test_shares_decide_what_goes_and_not_numbers() -> None:
    wide = np.arange(24.0).reshape(2, 12)
    wide[0, [3, 7]] = np.nan  # a sixth of a seed, half of either image
    part, missing = complete_part(wide)
    assert missing
    assert part.tolist() == np.delete(np.arange(24.0).reshape(2, 12), [3, 7], axis=1).tolist()
    tall = np.arange(24.0).reshape(12, 2)
    tall[[3, 7], 0] = np.nan
    assert complete_part(tall)[0].tolist() == np.delete(np.arange(24.0).reshape(12, 2), [3, 7], axis=0).tolist()


def test_what_is_whole_is_left_as_it_is_and_what_is_empty_ends() -> None:
    whole = np.arange(6.0).reshape(2, 3)
    part, missing = complete_part(whole)
    assert (part.tolist(), missing) == (whole.tolist(), False)
    assert complete_part(np.full((2, 3), np.nan))[0].size == 0


def test_a_trivial_predictor_has_no_seeds_that_could_differ() -> None:
    rng = np.random.default_rng(0)
    network, bar = _cell(rng.normal(0.8, 0.02, (3, 12))), _cell(rng.normal(0.5, 0.02, (1, 12)), "b", trivial=True)
    assert difference(network, bar, "dice").note == ""
    assert difference(bar, network, "dice").note == ""
    few = _cell(network.values[:2], "b")
    assert difference(network, few, "dice").note.startswith("seeds differ (3 and 2): the 2 they share")
    assert "seeds differ" not in difference(network, network._replace(cell="b"), "dice").note


@pytest.mark.parametrize("differences", [[0.1], [0.1, 0.2], [0.0, 0.1, 0.2, 0.3, 0.4], [0.0, 0.0, 0.1], [0.0, 0.0]])
def test_wilcoxon_of_few_images_and_of_none_that_differs(differences: list[float]) -> None:
    found = difference_of(np.tile(differences, (3, 1)), "a", "b", "dice").wilcoxon
    if len(differences) == 1:
        assert found is None
    else:
        expected = stats.wilcoxon(differences).pvalue if any(differences) else 1.0
        assert found == pytest.approx(expected)


# The bootstrap at its edges ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("matrices", [[], [np.zeros((2, 0))], [np.zeros((0, 3))], [np.zeros((2, 3)), np.zeros((0, 3))]])
def test_bootstrap_of_nothing_is_refused(matrices: list[np.ndarray]) -> None:
    with pytest.raises(ValueError, match="each with a seed"):
        hierarchical_bootstrap(matrices, 10, np.random.default_rng(0))


def test_bootstrap_of_more_cells_than_are_taken_at_once_keeps_their_order() -> None:
    levels = np.arange(1100) / 1100
    cells = [np.full((1 + at % 3, 2), level) for at, level in enumerate(levels)]
    means = hierarchical_bootstrap(cells, 3, np.random.default_rng(0))
    assert means == pytest.approx(np.tile(levels, (3, 1)))


def test_bootstrap_means_of_missing_scores_are_over_those_that_were_drawn() -> None:
    """Two of three images are drawn, one of them without a score: the outcomes can be listed."""
    means = hierarchical_bootstrap([np.array([[0.2, np.nan, 0.8]])], 6000, np.random.default_rng(0))[:, 0]
    values, counts = np.unique(np.round(means, 9), return_counts=True)
    # Both images once, or twice the one that the seed lacks: then it keeps its mean.
    assert values.tolist() == [0.2, 0.5, 0.8]
    assert counts / 6000 == pytest.approx([1 / 3, 1 / 3, 1 / 3], abs=0.03)


def test_bootstrap_of_a_seed_without_scores_has_none() -> None:
    means = hierarchical_bootstrap([np.full((1, 3), np.nan), np.full((1, 3), 0.5)], 5, np.random.default_rng(0))
    assert np.isnan(means[:, 0]).all()
    assert means[:, 1] == pytest.approx(np.full(5, 0.5))


@pytest.mark.parametrize("seeds", [2, 3, 256, 257, 300])
def test_bootstrap_draws_any_of_the_seeds(seeds: int) -> None:
    column = np.zeros((seeds, 1))
    column[-1] = 1.0
    means = hierarchical_bootstrap([column] * 100, 200, np.random.default_rng(0))
    assert means.mean() == pytest.approx(1 / seeds, rel=0.05)  # the last is drawn as often as any
