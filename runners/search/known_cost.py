"""The project's own sampler: only the score is unknown, so only the score is modelled."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import moocore
import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial, TrialState
from scipy.stats import norm

from ablate.errors import InputError
from ablate.runners.search.beliefs import doubt_of, draw_believing, weights
from ablate.runners.search.catalogue import Catalogue, Priced, as_params, chosen
from ablate.runners.search.encoding import Encoding, changed, redrawn
from ablate.runners.search.surrogate import Floats, differences, fit, improvement
from ablate.search_spaces.designs import variant

if TYPE_CHECKING:
    from optuna import Study


class KnownCostSampler(BaseSampler):
    """Trains the configuration that promises most hypervolume, at the price that it is known to have.

    Ordinary samplers learn a model of every objective, or rank trials by all of them. Here `pool` configurations are
    made, half of them by changing one on the front, and priced before anything is trained, each with `EACH` settings
    of what makes no difference to its price. A Gaussian process models validation Dice alone, from the factors and the
    logarithms of the prices; the expected hypervolume improvement over (Dice, log parameters, log MACs) is then exact
    (`ablate.runners.search.surrogate`). Running trials are taken to score as expected, and so are those that a
    scheduler stopped.
    The first `startup` configurations are spread over prices and factors.

    Costs count by their logarithms: a price range from 1 to 2 million is worth as much as one from 10 to 20.
    """

    POOL = 48
    EACH = 4
    STARTUP = 5

    def __init__(self, catalogue: Catalogue, seed: int, *, startup: int = STARTUP, pool: int = POOL) -> None:
        self._catalogue = catalogue
        self._startup, self._most = startup, pool
        self._encoding = Encoding(catalogue.space)
        self._distributions = self._encoding.distributions
        self._rng = np.random.default_rng(seed)
        self._random = RandomSampler(seed=seed)
        self._free = catalogue.free
        self._named = self._encoding.named

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {name: found for name, found in self._distributions.items() if not found.single()}

    def sample_independent(self, study: Study, trial: FrozenTrial, name: str, distribution: BaseDistribution) -> Any:
        return self._random.sample_independent(study, trial, name, distribution)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        seen = [t for t in study.get_trials(deepcopy=False) if t.number != trial.number]
        complete = [t for t in seen if t.state == TrialState.COMPLETE]
        running = [t for t in seen if t.state == TrialState.RUNNING or _is_stopped(t)]
        taken = {_identity(t.params) for t in seen}
        values = np.array([t.values for t in complete], dtype=np.float64).reshape(-1, 3)
        pool = self._pool(taken, [t.params for t, on in zip(complete, _on_front(values), strict=True) if on])
        if not pool:
            return {}
        candidates = np.array([self._encoding.row(params, priced[1:]) for params, priced in pool])
        waiting = [(t.params, self._priced(t.params)) for t in running]
        started = np.array([self._encoding.row(params, priced[1:]) for params, priced in waiting if priced])
        started = started.reshape(-1, len(self._named))
        trained = [self._encoding.row(t.params, row[1:].tolist()) for t, row in zip(complete, values, strict=True)]
        points = np.array(trained).reshape(-1, len(self._named))
        chances = self._chances(candidates, seen)
        if len(complete) < self._startup:
            gains = _distances(candidates, np.concatenate([points, started]), self._named)
        else:
            gains = self._improvements(candidates, points, values[:, 0], started)
        doubts = np.array([doubt_of(self._catalogue.space, params) for params, _ in pool])
        return pool[int(np.argmax(gains * chances * weights(doubts, len(points) + len(started))))][0]

    def _chances(self, candidates: Floats, seen: list[FrozenTrial]) -> Floats:
        """How likely the candidates are to come to a score, and within a bound on latency; the gain is times that, as
        Gardner et al. (2014) have it."""
        return self._sound(candidates, seen) * self._quick(candidates, seen)

    def _sound(self, candidates: Floats, seen: list[FrozenTrial]) -> Floats:
        """How likely they are not to fail: a Gaussian process of what ended, 1, and what failed, −1, over 0."""
        ended = [t for t in seen if t.state in (TrialState.COMPLETE, TrialState.FAIL) or _is_stopped(t)]
        tried = [(t, priced) for t in ended if (priced := self._priced(t.params))]
        signs = np.array([-1.0 if t.state == TrialState.FAIL else 1.0 for t, _ in tried])
        if len(set(signs)) < 2:  # nothing tells what fails from what does not
            return np.ones(len(candidates))
        points = np.array([self._encoding.row(t.params, priced[1:]) for t, priced in tried])
        mean, deviation = fit(points, signs, self._named).posterior(candidates)
        return norm.cdf(mean / deviation)

    def _quick(self, candidates: Floats, seen: list[FrozenTrial]) -> Floats:
        """How likely they are to be within a bound on latency, which is known only of what was measured: a Gaussian
        process of the logarithm of latency / bound."""
        tried = [(t, priced) for t in seen if "latency_ms" in t.constraints and (priced := self._priced(t.params))]
        if len(tried) < 2:
            return np.ones(len(candidates))
        points = np.array([self._encoding.row(t.params, priced[1:]) for t, priced in tried])
        logs = np.log([max(1 + t.constraints["latency_ms"], 1e-6) for t, _ in tried])
        mean, deviation = fit(points, logs, self._named).posterior(candidates)
        return norm.cdf(-mean / deviation)

    def _improvements(self, candidates: Floats, points: Floats, scores: Floats, started: Floats) -> Floats:
        model = fit(points, softened(scores), self._named)
        if len(started):
            expected = model.posterior(started)[0]
            model = model.believing(started)
            points, scores = np.concatenate([points, started]), np.concatenate([scores, expected])
        limit = np.concatenate([candidates, points])[:, -2:].max(axis=0) + math.log10(1.1)
        mean, deviation = model.posterior(candidates)
        reference = (float(scores.min()), float(limit[0]), float(limit[1]))
        return improvement(mean, deviation, candidates[:, -2:], scores, points[:, -2:], reference)

    def _pool(self, taken: set[Any], front: list[dict[str, Any]]) -> list[tuple[dict[str, Any], Priced]]:
        """Configurations that can be had and were not asked yet, with their prices."""
        space, pool = self._catalogue.space, {}
        priced_ones = 0
        for _ in range(4 * self._most):
            parent = front[int(self._rng.integers(len(front)))] if front and self._rng.random() < 0.5 else None
            choice = changed(space, parent, self._rng) if parent else draw_believing(space, self._rng)
            priced = self._priced(as_params(choice, self._distributions))
            if priced is None:
                continue
            for number in range(self.EACH if self._free else 1):
                other = redrawn(space, choice, self._free, self._rng) if number else choice
                params = as_params(other, self._distributions)
                if (identity := _identity(params)) not in taken:
                    pool[identity] = (params, priced)
            priced_ones += 1
            if priced_ones == self._most:
                break
        return list(pool.values())

    def _priced(self, params: Mapping[str, Any]) -> Priced | None:
        space = self._catalogue.space
        try:
            return self._catalogue.price(variant(space, chosen(space, params)))
        except (InputError, KeyError):  # impossible, or of an earlier form of the space
            return None


def softened(scores: Floats) -> Floats:
    """Scores with those far below the others brought nearer: that a training failed says no more than that.

    A few networks that learnt nothing would else be most of the variance that the model explains, and what tells the
    good ones apart its noise.
    """
    middle = float(np.median(scores))
    return np.maximum(scores, middle - 2 * (float(scores.max()) - middle))


def _is_stopped(trial: FrozenTrial) -> bool:
    """Whether a scheduler stopped it: else what is pruned was settled, and breaks a constraint."""
    return trial.state == TrialState.PRUNED and not any(over > 0 for over in trial.constraints.values())


def _identity(params: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(params.items()))


def _on_front(values: Floats) -> NDArray[np.bool_]:
    return moocore.is_nondominated(values * [-1, 1, 1]) if len(values) else np.zeros(0, dtype=bool)


def _distances(candidates: Floats, points: Floats, named: NDArray[np.bool_]) -> Floats:
    """Of each candidate from its nearest point; all alike if there are none."""
    if not len(points):
        return np.ones(len(candidates))
    return np.asarray(differences(candidates, points, named).sum(axis=2).min(axis=1))
