"""What intervals count where images are not alike: cases, and as many slices as are independent."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from ablate.analysis.crossed import (
    Components,
    components,
    components_of,
    interval_of,
    p_value_of,
    seeds_needed,
    standard_error,
)
from ablate.analysis.independent import FEWEST_SLICES, Columns, effective_number, in_order, units_of
from ablate.analysis.scores import CellScores
from ablate.analysis.scoring import stacks_of
from ablate.analysis.significance import difference, hierarchical_bootstrap, mean_interval, one_sided_bound
from ablate.study.runs import DataRecord


def columns(*sizes: int, stack: bool | None = False) -> Columns:
    cases = tuple(f"p{at}" for at, size in enumerate(sizes) for _ in range(size))
    return Columns(tuple(f"{at:03d}" for at in range(len(cases))), cases, stack)


def cell(values: np.ndarray, of: Columns, name: str = "a") -> CellScores:
    seeds = tuple(range(len(values)))
    return CellScores(name, name, "unet", "slices", False, seeds, of.images, values, of.cases, of.stack)


def patients(rng: np.random.Generator, sizes: tuple[int, ...], seeds: int = 3, icc: float = 0.8) -> np.ndarray:
    """Differences of a seed, a patient, a slice, a seed and patient, and the residual."""
    of = np.repeat(np.arange(len(sizes)), sizes)
    return (
        rng.normal(0, 0.006, (seeds, 1))
        + 0.015 * (math.sqrt(icc) * rng.normal(size=len(sizes))[of] + math.sqrt(1 - icc) * rng.normal(size=len(of)))
        + 0.003 * rng.normal(size=(seeds, len(sizes)))[:, of]
        + 0.003 * rng.normal(size=(seeds, len(of)))
    )


def series(rng: np.random.Generator, count: int, along: float) -> np.ndarray:
    values = rng.normal(size=count)
    for at in range(1, count):
        values[at] = along * values[at - 1] + math.sqrt(1 - along**2) * values[at]
    return values


# Cases ---------------------------------------------------------------------------------------------------------------


def test_of_cases_of_one_size_it_is_the_model_of_their_means():
    rng = np.random.default_rng(0)
    matrix, of = rng.normal(0.0, 0.02, (3, 30)), columns(*[5] * 6)
    by_case = matrix.reshape(3, 6, 5).mean(axis=2)
    a, b = cell(0.5 + matrix, of), cell(np.full((3, 30), 0.5), of, "b")
    found, expected = difference(a, b, "dice"), components(by_case)
    assert found.interval[:4] == pytest.approx(interval_of(expected)[:4])
    assert found.p_value == pytest.approx(p_value_of(expected))
    assert not found.significant
    assert found.seeds_needed == seeds_needed(expected, expected.mean)
    assert found.wilcoxon == pytest.approx(stats.wilcoxon(by_case.mean(axis=0)).pvalue)
    assert found.interval.over == "3 seeds and 6 cases"
    assert found.images == 30
    bound = one_sided_bound(a, b)
    assert bound.low == pytest.approx(interval_of(expected, 0.9).low)
    assert mean_interval(a).over == "3 seeds and 6 cases"


def test_where_seeds_agree_it_is_the_t_test_over_cases():
    slices = np.random.default_rng(1).normal(0.01, 0.02, 24)
    matrix, of = np.tile(slices, (3, 1)), columns(*[4] * 6)
    found = interval_of(components_of(units_of(matrix, of)))
    expected = stats.ttest_1samp(slices.reshape(6, 4).mean(axis=1), 0).confidence_interval(0.95)
    assert found[1:3] == pytest.approx(tuple(expected))


@pytest.mark.parametrize("sizes", [(10, 10, 10, 10), (1, 2, 5, 8, 20), (1, 1, 1, 1, 1, 30)])
def test_the_estimate_stays_the_mean_over_images_and_each_seed_its_own(sizes):
    matrix = np.random.default_rng(2).normal(size=(4, sum(sizes)))
    units = units_of(matrix, columns(*sizes))
    assert units.matrix.mean(axis=1) == pytest.approx(matrix.mean(axis=1))
    weights = np.array(sizes) / sum(sizes)
    assert units.effective == pytest.approx(1 / (weights**2).sum())


def test_the_variance_of_a_mean_over_cases_of_unequal_size_is_unbiased():
    """Where cases alone vary it is the sum of squared weights times the variance of a case."""
    rng, sizes = np.random.default_rng(3), (1, 2, 4, 8, 9)
    of, found = columns(*sizes), []
    for _ in range(4000):
        matrix = np.tile(np.repeat(rng.normal(size=5), sizes), (3, 1))
        one = components_of(units_of(matrix, of))
        found.append(one.image / one.images)
    weights = np.array(sizes) / sum(sizes)
    assert np.mean(found) == pytest.approx((weights**2).sum(), rel=0.05)


@pytest.mark.parametrize(("sizes", "less"), [((10,) * 6, 0.86), ((10,) * 20, 0.93), ((2, 4, 8, 12, 20, 30), 0.86)])
def test_intervals_of_patients_hold_the_truth(sizes, less):
    """600 studies: three standard errors of a share of 95 % are 2.7 %. A model without cases covers `less`."""
    rng, of = np.random.default_rng(4), columns(*sizes)
    held = without = 0
    for _ in range(600):
        matrix = patients(rng, sizes)
        found, plain = interval_of(components_of(units_of(matrix, of))), interval_of(components(matrix))
        held += found.low <= 0 <= found.high
        without += plain.low <= 0 <= plain.high
    assert held / 600 >= 0.93
    assert without / 600 < less


@pytest.mark.parametrize("cases", [1, 2, 3])
def test_of_fewer_than_four_cases_there_is_none_and_it_is_said_why(cases):
    of = columns(*[10] * cases)
    matrix = patients(np.random.default_rng(5), (10,) * cases)
    found = difference(cell(0.5 + matrix, of), cell(np.full(matrix.shape, 0.5), of, "b"), "dice")
    assert (math.isnan(found.interval.low), found.p_value, found.seeds_needed) == (True, None, None)
    assert "too few to speak of others, at least 4: more cases, or folds, would help" in found.note
    assert "on these cases alone, of other seeds: " in found.note
    assert not one_sided_bound(cell(0.9 + matrix, of), cell(np.full(matrix.shape, 0.1), of, "b")).not_below(0.5)


def test_a_case_that_has_nearly_all_images_is_no_sample():
    of = columns(1, 1, 1, 1, 400)
    matrix = np.random.default_rng(6).normal(size=(3, 404))
    assert units_of(matrix, of).effective < 1.05
    found = interval_of(components_of(units_of(matrix, of)))
    assert (math.isnan(found.low), found.why) == (True, "nearly all images are of one case")


def test_a_bootstrap_draws_cases_with_all_their_images():
    of, values = columns(3, 3), np.repeat([[0.2, 0.8]], 3, axis=1)
    means = hierarchical_bootstrap([values], 400, np.random.default_rng(0), of)
    assert set(np.round(means.ravel(), 12)) == {0.2, 0.8}
    spread = [
        hierarchical_bootstrap([patients(rng, (10,) * 12)], 200, rng, columns(*[10] * 12)).var()
        for rng in map(np.random.default_rng, range(60))
    ]
    truth = 0.006**2 / 3 + 0.015**2 * (0.8 / 12 + 0.2 / 120) + 0.003**2 / 36 + 0.003**2 / 360
    assert np.mean(spread) == pytest.approx(truth, rel=0.2)


# Slices of one volume ------------------------------------------------------------------------------------------------


def test_names_are_in_the_order_of_their_numbers():
    names = ["z2-slice 10", "z2-slice 9", "z10", "z2-slice 1", "a"]
    assert [names[at] for at in in_order(names)] == ["a", "z2-slice 1", "z2-slice 9", "z2-slice 10", "z10"]


def test_the_effective_number_is_that_of_the_autoregression():
    """Of 4,000 slices whose neighbours correlate by 0.6, a quarter."""
    found = effective_number(series(np.random.default_rng(7), 4000, 0.6), known=True)
    assert found == pytest.approx(1000, rel=0.15)
    assert found < 1000 * 1.05


def test_independent_images_of_which_nothing_is_said_lose_next_to_nothing():
    rng, ratios = np.random.default_rng(8), []
    for _ in range(600):
        matrix = rng.normal(0, 0.006, (3, 1)) + rng.normal(0, 0.01, 12) + rng.normal(0, 0.004, (3, 12))
        unsaid = interval_of(components_of(units_of(matrix, columns(*[1] * 12, stack=None))))
        plain = interval_of(components(matrix))
        ratios.append(((unsaid.high - unsaid.low), (plain.high - plain.low)))
    wider, before = np.mean(ratios, axis=0)
    assert 1 <= wider / before <= 1.1


@pytest.mark.parametrize(("known", "least"), [(True, 0.93), (None, 0.9)])
def test_intervals_of_slices_of_one_volume_hold_for_others_of_its_kind(known, least):
    """30 slices, neighbours correlate by 0.7; without the correction 77 % hold the truth."""
    rng, held, without = np.random.default_rng(9), 0, 0
    of = columns(*[1] * 30, stack=known)
    for _ in range(500):
        matrix = 0.01 * series(rng, 30, 0.7) + rng.normal(0, 0.004, (3, 30)) + rng.normal(0, 0.002, (3, 1))
        found, plain = interval_of(components_of(units_of(matrix, of))), interval_of(components(matrix))
        held += found.low <= 0 <= found.high
        without += plain.low <= 0 <= plain.high
    assert held / 500 >= least
    assert without / 500 < 0.82


def test_what_slices_count_as_is_said():
    values = 0.01 * series(np.random.default_rng(10), 40, 0.7) + np.zeros((3, 1))
    of = columns(*[1] * 40, stack=True)
    rival = np.full((3, 40), 0.5)
    found = difference(cell(0.5 + values, of), cell(rival, of, "b"), "dice")
    effective = found.interval.effective
    assert effective is not None
    assert effective < 20
    assert f"40 slices of one volume count as {effective:.1f}" in found.note
    assert found.interval.over == f"3 seeds and 40 slices (as {effective:.1f})"
    assert found.wilcoxon is None
    unsaid = of._replace(stack=None)
    found = difference(cell(0.5 + values, unsaid), cell(rival, unsaid, "b"), "dice")
    assert "images next to each other score alike: 40 count as" in found.note


def test_fewer_than_twenty_slices_of_one_volume_have_no_interval():
    few = FEWEST_SLICES - 1
    of = columns(*[1] * few, stack=True)
    values = np.random.default_rng(11).normal(0.8, 0.01, (3, few))
    found = mean_interval(cell(values, of))
    assert math.isnan(found.low)
    assert found.why.startswith("19 slices of one volume are too few to see how alike neighbours are, at least 20")
    assert math.isfinite(mean_interval(cell(values, of._replace(stack=False))).low)


def test_slices_that_are_as_sure_as_a_single_image_are_compared_without_an_interval():
    """As in the packaged study with three seeds: 12 slices whose differences hardly change from one to the next."""
    along = np.linspace(-0.05, 0.05, 12) + np.random.default_rng(0).normal(0, 0.01, (3, 1))
    of = columns(*[1] * 12, stack=True)
    found = difference(cell(0.5 + along, of), cell(np.full((3, 12), 0.5), of, "b"), "dice")
    assert math.isnan(found.interval.low)
    assert found.p_value is None
    assert "12 slices of one volume are too few" in found.note
    assert "on these slices alone" in found.note


@pytest.mark.parametrize(
    ("looks", "stack"),
    [
        ([{"train": (18, 1), "val": (6, 1), "test": (6, 1)}], {"slices": True}),
        ([{"train": (18, 18), "test": (6, 6)}, {"train": (24, 24), "test": (1, 1)}], {"slices": False}),
        ([{"train": (18, 3), "val": (6, 1), "test": (6, 1)}], {"slices": False}),
        ([], {}),
        (None, {}),
    ],
)
def test_a_study_knows_whether_its_images_are_slices_of_one_volume(looks, stack):
    """Where a run noted of how many cases each part is; what is not of that form is not believed."""
    named = [
        {"parts": {part: dict(zip(("images", "cases"), both, strict=True)) for part, both in one.items()}}
        for one in looks or []
    ]
    record = DataRecord(facts={} if looks is None else {"looks": [*named, 7, {"parts": {"test": "x", "val": {}}}]})
    study = SimpleNamespace(data_records=lambda: {"f" * 12: record})
    config = SimpleNamespace(data=SimpleNamespace(fingerprint="f" * 12))
    assert stacks_of(study, {"k": config}, {"k": "slices"}) == stack


def test_a_bootstrap_of_slices_draws_as_many_as_they_count_as():
    rng, of = np.random.default_rng(12), columns(*[1] * 60, stack=True)
    drawn = []
    for _ in range(80):
        matrix = np.tile(series(rng, 60, 0.8), (2, 1))
        drawn.append((hierarchical_bootstrap([matrix], 200, rng, of).var(), matrix.mean() ** 2))
    ours, truth = np.mean(drawn, axis=0)
    assert ours >= 0.8 * truth  # a bootstrap of independent slices has an eighth of it


def test_images_that_count_as_one_leave_no_degrees_of_freedom_and_no_interval():
    one = Components(0.1, seeds=3, images=12, seed=1e-4, image=1e-4, residual=1e-4, effective=1.0)
    error, df = standard_error(one)
    assert error == pytest.approx(math.sqrt((1e-4 + 12e-4 + 1e-4 + 3e-4 - 1e-4) / 36))
    assert df == 0
    assert "count as 1.0" in interval_of(one).why
