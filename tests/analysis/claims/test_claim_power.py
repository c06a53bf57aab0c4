"""Power: against simulation and closed forms, and what a pilot says of a claim."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from test_claims import claim, study

from ablate.analysis.claims.design import Asked, needed
from ablate.analysis.claims.power import cautious, images_for, of_design, power_of, seeds_for
from ablate.analysis.crossed import Components, components, standard_error


def test_power_is_the_share_of_studies_that_decide():
    found = Components(0.0, 5, 12, 0.006**2, 0.0, 0.004**2)
    rng = np.random.default_rng(0)
    means = 0.01 + rng.normal(0, math.sqrt(found.seed + found.residual / 12), (20_000, 5))
    decided = stats.ttest_1samp(means, 0, axis=1, alternative="greater").pvalue <= 0.05
    assert power_of(found, 0.01) == pytest.approx(decided.mean(), abs=0.01)


def test_power_in_the_crossed_model_is_near_that_of_its_own_test():
    truth = Components(0.0, 6, 20, 0.006**2, 0.008**2, 0.004**2)
    rng = np.random.default_rng(3)
    decided = 0
    for _ in range(800):
        matrix = 0.01 + rng.normal(0, 0.006, (6, 1)) + rng.normal(0, 0.008, 20) + rng.normal(0, 0.004, (6, 20))
        found = components(matrix)
        error, df = standard_error(found)
        decided += found.mean / error > stats.t.ppf(0.95, df)
    assert power_of(truth, 0.01) == pytest.approx(decided / 800, abs=0.06)


def test_power_at_no_distance_is_the_error_and_grows_with_it():
    found = Components(0.0, 4, 10, 1e-4, 1e-4, 1e-5)
    assert power_of(found, 0.0) == pytest.approx(0.05, abs=1e-6)
    powers = [power_of(found, distance) for distance in (0.005, 0.01, 0.02, 0.1, 10.0)]
    assert powers == sorted(powers)
    assert powers[-1] == pytest.approx(1.0)
    assert math.isnan(power_of(found._replace(seeds=1), 0.01))


def test_the_seeds_and_images_found_are_the_least_that_suffice():
    found = Components(0.0, 3, 12, 0.006**2, 0.006**2, 0.004**2)
    seeds = seeds_for(found, 0.01)
    assert seeds is not None
    assert power_of(of_design(found, seeds, 12), 0.01) >= 0.8 > power_of(of_design(found, seeds - 1, 12), 0.01)
    images = images_for(found, 0.01, seeds=8)
    assert images is not None
    assert power_of(of_design(found, 8, images), 0.01) >= 0.8 > power_of(of_design(found, 8, images - 1), 0.01)
    assert seeds_for(found._replace(image=0.1**2), 0.01) is None  # the images alone forbid it
    assert images_for(found._replace(seed=0.1**2), 0.01, seeds=5) is None


def test_slices_that_are_alike_count_as_few_in_a_larger_study_too():
    alike = Components(0.0, 5, 12, 1e-6, 1e-4, 1e-6, effective=3.0)
    assert of_design(alike, 5, 24).effective == 6.0
    assert power_of(alike, 0.01) < power_of(alike._replace(effective=None), 0.01)


def test_the_cautious_variance_is_exceeded_by_that_share_of_pilots():
    rng = np.random.default_rng(5)
    truth, bounds = 0.01**2, []
    for _ in range(2000):
        matrix = np.repeat(rng.normal(0, 0.01, (3, 1)), 4, axis=1)
        bounds.append(cautious(components(matrix)).seed)
    assert np.mean(np.array(bounds) >= truth) == pytest.approx(0.8, abs=0.03)


def test_a_pilot_says_what_each_verdict_would_take():
    tables = study({"ours": (0.8, 100), "rival": (0.8, 200)}, noise=0.02)
    hypotheses = [
        {"kind": "non_inferior", "metric": "dice", "margin": 0.01},
        {"kind": "superior", "metric": "dice"},
        {"kind": "fewest", "cost": "params"},
        {"kind": "on_front", "metric": "dice", "cost": "params"},
    ]
    against = [{"model": "rival"}, {"model": "absent"}]
    found = needed(claim(*hypotheses, against=against), tables, Asked(seeds=(3, 10), test_share=0.2))
    not_inferior, missing, better, _, counted, front = found
    assert list(not_inferior.power) == [3, 10]
    assert not_inferior.power[3] < not_inferior.power[10]
    assert not_inferior.images == 12
    assert not_inferior.all_images == 60
    assert not_inferior.seeds_on_folds <= not_inferior.seeds
    assert not_inferior.resolvable == pytest.approx(1 - 0.05 ** (1 / 12))
    assert not_inferior.cases_needed == 29  # 0.9 ** 29 < 0.05
    assert "no trial of it" in missing.why
    assert better.tolerance is None
    assert better.power[10] < not_inferior.power[10]  # two-sided
    assert "counted" in counted.why
    assert "no formula" in front.why
    assert any("or" in line and "(folds)" in line for line in not_inferior.lines)
