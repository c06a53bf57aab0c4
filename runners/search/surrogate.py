"""What a search expects of a configuration that it has not trained, where only the score is unknown.

The score is modelled by a Gaussian process. The costs are known, so the expected hypervolume improvement is exact: a
sum of ordinary expected improvements, each over a level of the score and weighted by the prices at which that level is
not reached yet.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import moocore
import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.optimize import minimize
from scipy.stats import norm

Floats = NDArray[np.float64]
_NOISE = math.log(1e-2)
_JITTER = 1e-6


class Surrogate(NamedTuple):
    """A Gaussian process of scores (n,) at points (n, factors): Matérn 5/2, a length scale for each factor.

    A factor is a number, compared by distance, or where `named` (factors,) is true a level, compared by being the same
    or not. NaN stands for a factor that a configuration does not have; having it or not is a difference of one.
    """

    points: Floats
    named: NDArray[np.bool_]
    weights: Floats
    """Of each factor's squared differences: 1 / length scale²."""
    scale: float
    """Prior variance of the standardised score."""
    shift: float
    spread: float
    cholesky: Floats
    alpha: Floats

    def posterior(self, at: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the score (without noise) at points (m, factors): both (m,)."""
        cross = self.scale * matern(differences(at, self.points, self.named) @ self.weights)
        explained = solve_triangular(self.cholesky, cross.T, lower=True)
        variance = np.maximum(self.scale - np.sum(explained**2, axis=0), 1e-12)
        return self.shift + self.spread * (cross @ self.alpha), self.spread * np.sqrt(variance)

    def believing(self, points: Floats) -> Surrogate:
        """The surrogate once `points` (m, factors) had scored as it expects; its parameters stay."""
        scores = np.concatenate([self.cholesky @ (self.cholesky.T @ self.alpha), self._standard(points)])
        every = np.concatenate([self.points, points])
        noise = self.cholesky[0, 0] ** 2 - self.scale
        return _conditioned(every, scores, self.named, self.weights, self.scale, noise, self.shift, self.spread)

    def _standard(self, points: Floats) -> Floats:
        return (self.posterior(points)[0] - self.shift) / self.spread


def fit(points: Floats, scores: Floats, named: NDArray[np.bool_]) -> Surrogate:
    """The surrogate of `scores` (n,) at `points` (n, factors), its parameters at their most probable.

    Priors on standardised scores: each length scale's logarithm is normal about √2 + log(factors)/2 with variance 3,
    which assumes little of any one factor, however many there are (Hvarfner et al. 2024, arXiv 2402.02229); the noise
    variance's about log 0.01 with variance 2; the scale's about 0 with variance 1.
    """
    shift, spread = float(scores.mean()), max(float(scores.std()), 1e-6)
    standard = (scores - shift) / spread
    squares = differences(points, points, named)
    factors = points.shape[1]
    centre = np.concatenate([np.full(factors, -2 * math.sqrt(2) - math.log(factors)), [0.0, _NOISE]])
    variance = np.concatenate([np.full(factors, 4 * 3.0), [1.0, 2.0]])

    def loss(raw: Floats) -> tuple[float, Floats]:
        """The negative log posterior of (log weights, log scale, log noise), up to a constant, and its gradient."""
        weights, scale, noise = np.exp(raw[:-2]), math.exp(raw[-2]), math.exp(raw[-1])
        squared = squares @ weights
        smooth = scale * matern(squared)
        covariance = smooth + (noise + _JITTER) * np.eye(len(scores))
        factor = cho_factor(covariance, lower=True)
        alpha = cho_solve(factor, standard)
        off = raw - centre
        value = 0.5 * standard @ alpha + np.log(np.diag(factor[0])).sum() + 0.5 * np.sum(off**2 / variance)
        inner = cho_solve(factor, np.eye(len(scores))) - np.outer(alpha, alpha)
        by_squared = inner * scale * matern_slope(squared)
        gradient = np.concatenate(
            [
                0.5 * np.einsum("ij,ijk->k", by_squared, squares) * weights,
                [0.5 * np.sum(inner * smooth), 0.5 * np.trace(inner) * noise],
            ]
        )
        return float(value), gradient + off / variance

    starts = [centre, np.concatenate([np.zeros(factors), centre[-2:]])]
    bounds = [(-12.0, 6.0)] * factors + [(-6.0, 6.0), (-12.0, 2.0)]
    best = min((minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds) for start in starts), key=_value)
    weights, scale, noise = np.exp(best.x[:-2]), math.exp(best.x[-2]), math.exp(best.x[-1])
    return _conditioned(points, standard, named, weights, scale, noise + _JITTER, shift, spread)


def _value(found: object) -> float:
    return float(found.fun)  # type: ignore[attr-defined]


def _conditioned(
    points: Floats,
    standard: Floats,
    named: NDArray[np.bool_],
    weights: Floats,
    scale: float,
    noise: float,
    shift: float,
    spread: float,
) -> Surrogate:
    covariance = scale * matern(differences(points, points, named) @ weights) + noise * np.eye(len(points))
    cholesky: Floats = np.linalg.cholesky(covariance).astype(np.float64)
    alpha = cho_solve((cholesky, True), standard)
    return Surrogate(points, named, weights, scale, shift, spread, cholesky, alpha)


def differences(a: Floats, b: Floats, named: NDArray[np.bool_]) -> Floats:
    """Squared differences by factor: (len(a), len(b), factors)."""
    columns = zip(a.T, b.T, named, strict=True)
    return np.stack([difference(one, other, by_name=bool(name)) for one, other, name in columns], axis=2)


def weighed(a: Floats, b: Floats, named: NDArray[np.bool_], weights: Floats) -> Floats:
    """The sum of squared differences by factor, each times its weight: (len(a), len(b))."""
    found = np.zeros((len(a), len(b)))
    for one, other, name, weight in zip(a.T, b.T, named, weights, strict=True):
        found += weight * difference(one, other, by_name=bool(name))
    return found


def difference(a: Floats, b: Floats, *, by_name: bool) -> Floats:
    """Squared differences in one factor: (len(a), len(b)). NaN is its absence; to have it or not is a difference of
    one."""
    one, other = a[:, None], b[None, :]
    apart = (one != other).astype(np.float64) if by_name else (one - other) ** 2
    absent_one, absent_other = np.isnan(one), np.isnan(other)
    if not (absent_one.any() or absent_other.any()):
        return np.asarray(apart)
    return np.where(absent_one | absent_other, (absent_one != absent_other).astype(np.float64), apart)


def matern(squared: Floats) -> Floats:
    root = np.sqrt(5 * squared)
    return (1 + root + root**2 / 3) * np.exp(-root)


def matern_slope(squared: Floats) -> Floats:
    """d matern / d squared."""
    root = np.sqrt(5 * squared)
    return -5 / 6 * (1 + root) * np.exp(-root)


def improvement(
    mean: Floats, deviation: Floats, costs: Floats, scores: Floats, paid: Floats, reference: tuple[float, float, float]
) -> Floats:
    """The expected hypervolume improvement of candidates whose two costs are known: (m,), exact.

    A candidate's score is normal with `mean` and `deviation` (m,), its `costs` (m, 2) are what they are; observed are
    `scores` (n,) at costs `paid` (n, 2). Scores are to be large, costs small, and only what is better than `reference`
    (score, cost, cost) counts.

    With A(t) the area of costs that the candidate would dominate and no observed point of a score above t does, the
    improvement at score a is ∫ A(t) dt from the reference to a. A is a step function that rises at the observed
    scores, so its expectation is Σ (A(t_k) − A(t_k−1))·E[max(a − t_k, 0)].
    """
    best = moocore.is_nondominated(np.column_stack([-scores, paid])) if len(scores) else np.zeros(0, dtype=bool)
    scores, paid = scores[best], paid[best]
    levels = np.unique(np.concatenate([[reference[0]], scores[scores > reference[0]]]))
    z = (mean[:, None] - levels) / deviation[:, None]
    above = deviation[:, None] * (norm.pdf(z) + z * norm.cdf(z))
    areas = _free_areas(costs, scores, paid, levels, reference[1:])
    return np.sum(np.diff(areas, axis=1, prepend=0.0) * above, axis=1)


def _free_areas(costs: Floats, scores: Floats, paid: Floats, levels: Floats, limit: tuple[float, float]) -> Floats:
    """A(t) of `improvement` for each candidate and level: (m, levels)."""
    first, second = (np.minimum(costs[:, axis], limit[axis]) for axis in (0, 1))
    whole = (limit[0] - first) * (limit[1] - second)
    order = np.argsort(paid[:, 0], kind="stable")
    # Observed points as the candidate sees them: no cheaper than itself, in the order of the first cost.
    x = np.clip(paid[order, 0], first[:, None], limit[0])
    y = np.clip(paid[order, 1], second[:, None], limit[1])
    widths = np.diff(x, axis=1, append=limit[0])
    counts = scores[order] > levels[:, None]
    lowest = np.minimum.accumulate(np.where(counts, y[:, None, :], limit[1]), axis=2)
    taken = np.sum(widths[:, None, :] * (limit[1] - lowest), axis=2)
    return whole[:, None] - taken
