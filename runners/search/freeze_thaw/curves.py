"""Learning curves of all configurations at once, as one Gaussian process.

Modelled is −log(1 − s) of the best score s so far, by what a configuration is and by the logarithm of the epoch, as a
sum: a curve that all have in common, what factors change of it, each configuration's own departure, and a weak
straight growth in log epoch, without which nothing would be expected beyond the epochs that were seen.

The idea: Swersky, Snoek & Adams 2014, "Freeze-thaw Bayesian optimization" (arXiv 1406.3896). There, curves decay
exponentially, and have no common part.
"""

from __future__ import annotations

import math
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.optimize import minimize

from ablate.runners.search.surrogate import Floats, difference, matern, matern_slope, weighed

_GROWTH = 0.5
"""Prior variance of the growth from the first epoch to the last, of scores standardised."""
HIGHEST = 1 - 1e-4
"""Scores above count as this: −log(1 − score) stays finite."""
_JITTER = 1e-6
_MOST_FITTED = 160
"""Observations by which parameters are fitted: the time grows by their cube."""
TIMES = ("common", "factors", "own")
"""The parts of the sum that have a scale and a length in time."""


class Observed(NamedTuple):
    """Scores that were seen: of the configuration in row `cells` (n,), at `times` (n,), the logarithm of the epoch
    over that of the longest training's last; `values` (n,) are −log(1 − best score so far), means of `seeds` (n,)."""

    cells: NDArray[np.intp]
    times: Floats
    values: Floats
    seeds: Floats

    def at(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> Observed:
        return Observed(self.cells[rows], self.times[rows], self.values[rows], self.seeds[rows])


class Beforehand(Protocol):
    """What is known of curves before any is observed: they are `expected`, and beside that each column of `basis` times
    a number that is standard normal and the same for all. Of values that are standardised."""

    def expected(self, cells: NDArray[np.intp], times: Floats) -> Floats:
        """Of `cells` (m,) at `times` (m,): (m,)."""
        ...

    def basis(self, cells: NDArray[np.intp], times: Floats) -> Floats:
        """The same: (m, columns)."""
        ...


class Parameters(NamedTuple):
    """Logarithms: of each factor's weight (1 / length²), and of `scales` and time `weights` of `TIMES`, and noise."""

    factors: Floats
    scales: Floats
    weights: Floats
    noise: float

    @classmethod
    def prior(cls, factors: int) -> Parameters:
        centre = -2 * math.sqrt(2) - math.log(factors)
        return cls(np.full(factors, centre), np.log([1.0, 0.5, 0.05]), np.log([1.0, 2.0, 4.0]), math.log(1e-2))

    @property
    def flat(self) -> Floats:
        return np.concatenate([self.factors, self.scales, self.weights, [self.noise]])

    @classmethod
    def of(cls, flat: Floats) -> Parameters:
        return cls(flat[:-7], flat[-7:-4], flat[-4:-1], float(flat[-1]))


def variances(factors: int) -> Floats:
    """Of the normal priors about `Parameters.prior`."""
    return np.concatenate([np.full(factors, 4 * 3.0), [1.0, 1.0, 2.0], [1.0, 1.0, 1.0], [2.0]])


class Curves(NamedTuple):
    """What is known of all curves: the process given `observed`, with fixed parameters."""

    features: Floats
    """(cells, factors), from 0 to 1, or a level's number where `named`."""
    named: NDArray[np.bool_]
    parameters: Parameters
    observed: Observed
    shift: float
    spread: float
    factor: Floats
    """Cholesky's, lower (n, n)."""
    alpha: Floats
    """(n,), or (n, samples)."""
    beforehand: Beforehand | None = None
    centre: float = 0.0
    """The mean of what was expected beforehand of what was observed."""

    @classmethod
    def given(
        cls,
        features: Floats,
        named: NDArray[np.bool_],
        observed: Observed,
        parameters: Parameters,
        beforehand: Beforehand | None = None,
    ) -> Curves:
        shift, spread = standard_of(observed.values)
        empty = np.zeros((0, 0))
        new = cls(features, named, parameters, observed, shift, spread, empty, empty, beforehand)
        standard = (observed.values - shift) / spread
        if beforehand is not None:
            expected = beforehand.expected(observed.cells, observed.times)
            new = new._replace(centre=float(expected.mean()))
            standard -= expected - new.centre
        covariance = new._covariance(observed.cells, observed.times, None)
        covariance[np.diag_indices_from(covariance)] += math.exp(parameters.noise) / observed.seeds + _JITTER
        factor: Floats = np.linalg.cholesky(covariance).astype(np.float64)
        alpha = cho_solve((factor, True), standard, check_finite=False)
        return new._replace(factor=factor, alpha=alpha)

    def at(self, cells: NDArray[np.intp], times: Floats) -> tuple[Floats, Floats]:
        """Mean (m,) and standard deviation (m,) of the values of `cells` (m,) at `times` (m,); the mean is (m, samples)
        of what `believes` several."""
        across, explained = self._explained(cells, times)
        alone = np.exp(self.parameters.scales).sum() + _GROWTH * times**2
        if self.beforehand is not None:
            alone = alone + np.sum(self.beforehand.basis(cells, times) ** 2, axis=1)
        variance = np.maximum(alone - np.sum(explained**2, axis=0), 1e-9)
        return self._mean(across, cells, times), self.spread * np.sqrt(variance)

    def drawn(self, cells: NDArray[np.intp], times: Floats, samples: int, rng: np.random.Generator) -> Floats:
        """Samples of the values of `cells` (m,) at `times` (m,) together: (m, samples)."""
        across, explained = self._explained(cells, times)
        prior = self._covariance(cells, times, None)
        factor = np.linalg.cholesky(prior - explained.T @ explained + _JITTER * np.eye(len(cells)))
        mean = self._mean(across, cells, times)[:, None]
        return mean + self.spread * (factor @ rng.standard_normal((len(cells), samples)))

    def believing(self, cells: NDArray[np.intp], times: Floats, values: Floats) -> Curves:
        """What would be known once `cells` (m,) had one of these `values` (m, samples) at `times` (m,); parameters
        stay, and so does Cholesky's factor, which gains rows."""
        seen = self.observed
        known = np.broadcast_to(seen.values[:, None], (len(seen.values), values.shape[1]))
        more = Observed(
            np.concatenate([seen.cells, cells]),
            np.concatenate([seen.times, times]),
            np.concatenate([known, values]),
            np.concatenate([seen.seeds, np.ones(len(cells))]),
        )
        _, explained = self._explained(cells, times)
        own = self._covariance(cells, times, None)
        own[np.diag_indices_from(own)] += math.exp(self.parameters.noise) + _JITTER
        count = len(seen.cells)
        factor = np.zeros((count + len(cells),) * 2)
        factor[:count, :count], factor[count:, :count] = self.factor, explained.T
        factor[count:, count:] = np.linalg.cholesky(own - explained.T @ explained)
        standard = (more.values - self.shift) / self.spread
        if self.beforehand is not None:
            standard -= (self.beforehand.expected(more.cells, more.times) - self.centre)[:, None]
        alpha = cho_solve((factor, True), standard, check_finite=False)
        return self._replace(observed=more, factor=factor, alpha=alpha)

    def _explained(self, cells: NDArray[np.intp], times: Floats) -> tuple[Floats, Floats]:
        """The covariance with what was observed (m, n), and L⁻¹ times that (n, m)."""
        seen = self.observed
        across = self._covariance(cells, times, (seen.cells, seen.times))
        return across, solve_triangular(self.factor, across.T, lower=True, check_finite=False)

    def _mean(self, across: Floats, cells: NDArray[np.intp], times: Floats) -> Floats:
        found = across @ self.alpha
        if self.beforehand is not None:
            found += (self.beforehand.expected(cells, times) - self.centre).reshape(-1, *[1] * (found.ndim - 1))
        return self.shift + self.spread * found

    def _covariance(
        self, cells: NDArray[np.intp], times: Floats, others: tuple[NDArray[np.intp], Floats] | None
    ) -> Floats:
        found = _covariance(self.features, self.named, self.parameters, cells, times, others)
        if self.beforehand is not None:
            basis = self.beforehand.basis(cells, times)
            found += basis @ (basis if others is None else self.beforehand.basis(*others)).T
        return found


def standard_of(values: Floats) -> tuple[float, float]:
    """Shift and spread by which values are standardised."""
    return float(values.mean()), max(float(values.std()), 1e-3)


def _covariance(
    features: Floats,
    named: NDArray[np.bool_],
    parameters: Parameters,
    cells: NDArray[np.intp],
    times: Floats,
    others: tuple[NDArray[np.intp], Floats] | None,
) -> Floats:
    """Of values at (`cells`, `times`) with those at `others`, or among themselves, without noise."""
    cells_b, times_b = others or (cells, times)
    rows, places = np.unique(cells, return_inverse=True)
    rows_b, places_b = (rows, places) if others is None else np.unique(cells_b, return_inverse=True)
    alike = matern(weighed(features[rows], features[rows_b], named, np.exp(parameters.factors)))
    # Rungs are few: what is of time alone is reckoned once for each pair of them.
    whens, at = np.unique(times, return_inverse=True)
    whens_b, at_b = (whens, at) if others is None else np.unique(times_b, return_inverse=True)
    apart = difference(whens, whens_b, by_name=False)
    common, changed, own = (
        math.exp(scale) * matern(math.exp(weight) * apart)
        for scale, weight in zip(parameters.scales, parameters.weights, strict=True)
    )
    common += _GROWTH * whens[:, None] * whens_b[None, :]
    index = at[:, None], at_b[None, :]
    found: Floats = changed[index] * alike[places[:, None], places_b[None, :]]
    found += common[index]
    one, other = np.nonzero(cells[:, None] == cells_b[None, :])
    found[one, other] += own[at[one], at_b[other]]
    return found


# Fitting -------------------------------------------------------------------------------------------------------------


def fitted(
    features: Floats,
    named: NDArray[np.bool_],
    observed: Observed,
    start: Parameters | None = None,
    beforehand: Beforehand | None = None,
) -> Parameters:
    """The most probable parameters, given what was observed, from the prior's centre and from `start`.

    Of many observations every so-manieth is taken, whole curves at a time.
    """
    few = _thinned(observed)
    rows, places = np.unique(few.cells, return_inverse=True)
    posterior = _Posterior(features[rows], named, few._replace(cells=places))
    if beforehand is not None:
        posterior.know(beforehand.expected(few.cells, few.times), beforehand.basis(few.cells, few.times))
    starts = [Parameters.prior(features.shape[1]).flat, *([] if start is None else [start.flat])]
    found = [
        minimize(posterior, at, jac=True, method="L-BFGS-B", bounds=posterior.bounds, options={"maxiter": 60})
        for at in starts
    ]
    return Parameters.of(min(found, key=lambda one: float(one.fun)).x)


def _thinned(observed: Observed) -> Observed:
    """Whole curves of at most `_MOST_FITTED` observations in all: the longest, and of the others evenly."""
    if len(observed.values) <= _MOST_FITTED:
        return observed
    cells, counts = np.unique(observed.cells, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    half = np.searchsorted(np.cumsum(counts[order]), _MOST_FITTED // 2)
    longest, rest = order[:half], np.sort(order[half:])
    room = _MOST_FITTED - int(counts[longest].sum())
    step = max(1, math.ceil(counts[rest].sum() / max(room, 1)))
    return observed.at(np.isin(observed.cells, cells[np.concatenate([longest, rest[::step]])]))


class _Posterior:
    """The negative log posterior of `Parameters.flat`, up to a constant, and its gradient."""

    def __init__(self, features: Floats, named: NDArray[np.bool_], observed: Observed) -> None:
        shift, spread = standard_of(observed.values)
        self._standard = (observed.values - shift) / spread
        self._seeds = observed.seeds
        self._times = observed.times
        index = np.ix_(observed.cells, observed.cells)
        self._differences = [
            difference(features[:, column], features[:, column], by_name=bool(name))[index]
            for column, name in enumerate(named)
        ]
        self._apart = difference(observed.times, observed.times, by_name=False)
        self._same = observed.cells[:, None] == observed.cells[None, :]
        self._growth = _GROWTH * observed.times[:, None] * observed.times[None, :]
        self._centre = Parameters.prior(len(named)).flat
        self._variance = variances(len(named))
        self.bounds = [(-12.0, 6.0)] * len(named) + [(-8.0, 5.0)] * 3 + [(-5.0, 6.0)] * 3 + [(-12.0, 2.0)]

    def know(self, expected: Floats, basis: Floats) -> None:
        """Go by what is known beforehand; as of `Beforehand`."""
        self._standard = self._standard - (expected - expected.mean())
        self._growth = self._growth + basis @ basis.T

    def __call__(self, flat: Floats) -> tuple[float, Floats]:
        now = Parameters.of(flat)
        weights = np.exp(now.factors)
        squared = sum(weight * apart for weight, apart in zip(weights, self._differences, strict=True))
        alike, slope = matern(squared), matern_slope(squared)
        times = [math.exp(weight) * self._apart for weight in now.weights]
        parts = [math.exp(scale) * matern(time) for scale, time in zip(now.scales, times, strict=True)]
        steep = [math.exp(scale) * matern_slope(time) * time for scale, time in zip(now.scales, times, strict=True)]
        within = [np.ones_like(alike), alike, self._same]  # what each of TIMES is multiplied by
        covariance = self._growth + sum(part * share for part, share in zip(parts, within, strict=True))
        noise = math.exp(now.noise) / self._seeds
        covariance[np.diag_indices_from(covariance)] += noise + _JITTER
        factor = cho_factor(covariance, lower=True, check_finite=False)
        alpha = cho_solve(factor, self._standard, check_finite=False)
        inner = cho_solve(factor, np.eye(len(alpha)), check_finite=False) - np.outer(alpha, alpha)
        off = flat - self._centre
        value = 0.5 * self._standard @ alpha + np.log(np.diag(factor[0])).sum() + 0.5 * np.sum(off**2 / self._variance)
        by_alike = inner * parts[1] * slope
        gradient = [
            0.5 * np.sum(by_alike * apart) * weight for apart, weight in zip(self._differences, weights, strict=True)
        ]
        gradient += [0.5 * np.sum(inner * part * share) for part, share in zip(parts, within, strict=True)]
        gradient += [0.5 * np.sum(inner * part * share) for part, share in zip(steep, within, strict=True)]
        gradient.append(0.5 * float(np.diag(inner) @ noise))
        return float(value), np.array(gradient) + off / self._variance
