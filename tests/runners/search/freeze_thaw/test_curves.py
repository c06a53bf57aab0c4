"""Learning curves as one Gaussian process, held against scikit-learn's, against differences, and against sampling."""

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Kernel

from ablate.runners.search.freeze_thaw import curves
from ablate.runners.search.freeze_thaw.curves import Curves, Observed, Parameters, fitted
from ablate.runners.search.freeze_thaw.gains import Prices, above, box_of, expected, volume
from ablate.runners.search.surrogate import improvement, matern

NAMED = np.array([False, True, False])


def problem(cells: int = 9, seed: int = 0) -> tuple[np.ndarray, Observed]:
    """Curves that end at different rungs, of cells with a number, a level, and a factor that some do not have."""
    rng = np.random.default_rng(seed)
    features = np.column_stack([rng.random(cells), rng.integers(3, size=cells).astype(float), rng.random(cells)])
    features[::4, 2] = np.nan
    rows = [(cell, rung) for cell in range(cells) for rung in range(1 + cell % 4)]
    at = np.array([cell for cell, _ in rows])
    times = np.array([rung / 3 for _, rung in rows])
    values = 1 + features[at, 0] + 0.5 * times + 0.3 * features[at, 1] * times + 0.05 * rng.standard_normal(len(at))
    return features, Observed(at, times, values, rng.integers(1, 4, size=len(at)).astype(float))


class Sum(Kernel):
    """The process's covariance, written down once more, one pair after another; rows are (cell, time)."""

    def __init__(self, features, named, parameters):
        self.features, self.named, self.parameters = features, named, parameters

    def _of(self, a, b):
        p, (i, s), (j, t) = self.parameters, (int(a[0]), a[1]), (int(b[0]), b[1])
        squared = 0.0
        for weight, name, one, other in zip(
            np.exp(p.factors), self.named, self.features[i], self.features[j], strict=True
        ):
            if np.isnan(one) or np.isnan(other):
                squared += weight * (np.isnan(one) != np.isnan(other))
            else:
                squared += weight * ((one != other) if name else (one - other) ** 2)
        common, changed, own = (
            np.exp(scale) * matern(np.exp(weight) * (s - t) ** 2)
            for scale, weight in zip(p.scales, p.weights, strict=True)
        )
        return common + changed * matern(squared) + own * (i == j) + curves._GROWTH * s * t

    def __call__(self, one, other=None, eval_gradient=False):
        return np.array([[self._of(a, b) for b in (one if other is None else other)] for a in one])

    def diag(self, one):
        return np.array([self._of(a, a) for a in one])

    def is_stationary(self):
        return False


def test_what_is_expected_is_scikit_learn_s():
    features, observed = problem()
    parameters = Parameters.prior(3)
    noise = np.exp(parameters.noise) / observed.seeds + curves._JITTER
    shift, spread = curves.standard_of(observed.values)
    reference = GaussianProcessRegressor(Sum(features, NAMED, parameters), alpha=noise, optimizer=None)
    reference.fit(np.column_stack([observed.cells, observed.times]), (observed.values - shift) / spread)
    asked = np.arange(len(features)), np.ones(len(features))
    mean, deviation = reference.predict(np.column_stack(asked), return_std=True)
    ours = Curves.given(features, NAMED, observed, parameters).at(*asked)
    assert ours[0] == pytest.approx(shift + spread * mean)
    assert ours[1] == pytest.approx(spread * deviation)


def test_the_gradient_is_that_of_the_posterior():
    features, observed = problem()
    posterior = curves._Posterior(features, NAMED, observed)
    at = Parameters.prior(3).flat + np.linspace(-0.5, 0.5, 10)
    _, gradient = posterior(at)
    steps = 1e-5 * np.eye(len(at))
    differences = [(posterior(at + step)[0] - posterior(at - step)[0]) / 2e-5 for step in steps]
    assert gradient == pytest.approx(differences, rel=1e-4, abs=1e-5)


def test_fitted_parameters_are_more_probable_than_the_prior_s_centre():
    features, observed = problem(30)
    posterior = curves._Posterior(features, NAMED, observed)
    found = fitted(features, NAMED, observed)
    assert posterior(found.flat)[0] < posterior(Parameters.prior(3).flat)[0]
    assert fitted(features, NAMED, observed, found).flat == pytest.approx(found.flat, abs=0.2)


def test_a_long_study_is_thinned_by_whole_curves():
    _, observed = problem(400)
    few = curves._thinned(observed)
    assert len(few.values) <= 1.2 * curves._MOST_FITTED
    of = {cell: (observed.cells == cell).sum() for cell in few.cells}
    assert all((few.cells == cell).sum() == count for cell, count in of.items())
    assert max(of.values()) == 4


def test_what_is_drawn_has_the_mean_and_deviation_of_what_is_expected():
    features, observed = problem()
    known = Curves.given(features, NAMED, observed, Parameters.prior(3))
    asked = np.array([0, 4, 5]), np.ones(3)
    mean, deviation = known.at(*asked)
    drawn = known.drawn(*asked, 20_000, np.random.default_rng(0))
    assert drawn.mean(axis=1) == pytest.approx(mean, abs=4 * deviation.max() / np.sqrt(20_000))
    assert drawn.std(axis=1) == pytest.approx(deviation, rel=0.03)


def test_what_is_believed_is_expected_and_tells_of_its_like():
    features, observed = problem()
    features[1] = features[0]  # a twin
    known = Curves.given(features, NAMED, observed, Parameters.prior(3))
    ends = np.ones(2)
    before, _ = known.at(np.array([0, 1]), ends)
    then, _ = known.believing(np.array([0]), np.ones(1), np.array([[before[0] + 1, before[0] - 1]])).at(
        np.array([0, 1]), ends
    )
    assert then[0] == pytest.approx([before[0] + 1, before[0] - 1], abs=0.1)
    assert then[1, 0] > before[1] > then[1, 1]


# What may still be gained --------------------------------------------------------------------------------------------


def test_the_improvement_of_a_score_is_the_mean_over_its_samples():
    rng = np.random.default_rng(0)
    mean, deviation, steps = np.array([0.5, 2.0]), np.array([0.3, 0.6]), np.array([0.1, 0.5, 0.9])
    scores = -np.expm1(-(mean[:, None] + deviation[:, None] * rng.standard_normal((2, 400_000))))
    sampled = np.maximum(scores[:, None, :] - steps[None, :, None], 0).mean(axis=2)
    assert above(mean, deviation, steps) == pytest.approx(sampled, rel=0.02, abs=2e-4)


def test_the_hypervolume_of_certain_scores_is_the_exact_one():
    """Against the project's other reckoning, for two costs: exact, of normal scores."""
    rng = np.random.default_rng(1)
    costs, paid = np.exp(rng.normal(size=(6, 2))), np.exp(rng.normal(size=(8, 2)))
    had, scores = 0.6 * rng.random(8), 0.4 + 0.6 * rng.random(6)
    low, high = box_of([*costs.tolist(), *paid.tolist()])
    prices = Prices(low, high)
    levels = prices.levels(prices.within(np.log(paid)), had, 0.2)
    certain = np.full(6, 1e-9)
    ours = expected(-np.log1p(-scores), certain, prices.within(np.log(costs)), levels)
    exact = improvement(scores, certain, np.log(costs), had, np.log(paid), (0.2, float(high[0]), float(high[1])))
    assert ours == pytest.approx(exact / np.prod(high - low), abs=3e-3)
    assert exact.max() > 0.01
    assert volume(levels, 0.2) > 0


@pytest.mark.parametrize("costs", [1, 2, 3, 4])
def test_the_hypervolume_of_one_network_is_its_score_above_the_bar_times_its_box(costs):
    at = np.full((1, costs), 0.5)
    prices = Prices(np.zeros(costs), np.ones(costs))
    levels = prices.levels(prices.within(at), np.array([0.8]), 0.3)
    assert volume(levels, 0.3) == pytest.approx(0.5 * 0.5**costs, rel=0.02)
