"""Differences measured on several data sets, taken together: what holds for data sets like these.

The model is that of random effects: the true difference on a data set is `mean + U`, with U what sets it apart, and
what was measured there is that with an error. The interval of `mean` is Hartung and Knapp's (Statistics in Medicine 20
(2001); Sidik and Jonkman 2002) with equal weights, which is Student's t over the data sets: with k of them, k - 1
degrees of freedom. Weights by estimated precision would be narrower, and wrong: with three seeds a precision is hardly
known, and intervals by REML and such weights hold the truth in as few as 60 to 90 % of studies whose data sets differ
in size (`benchmarks/across.py`). Student's t keeps its level however unlike the data sets' precisions are, below 8.3 %
two-sided for any k and at 10 % up to fourteen (Bakirov and Székely 2005, as Ibragimov and Müller use it, Journal of
Business & Economic Statistics 28 (2010)). It also lets no data set count more because networks happened to be stable
on it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ablate.analysis.crossed import Interval


class Synthesis(NamedTuple):
    """The mean difference over data sets like these.

    `spread` is the standard deviation of the true differences between data sets (Hedges' moment estimator, for equal
    weights), `share` how much of the measured variance it is (I²); both NaN where the error on a data set is not known.
    `predicted` is an interval for the difference on one further data set of the kind, somewhat too wide where errors
    are large beside the spread.
    """

    interval: Interval
    data_sets: int
    error: float
    spread: float
    share: float
    predicted: Interval

    def p_above(self, threshold: float) -> float:
        """One-sided, of the hypothesis that the mean is `threshold` or less."""
        return self._p(self.interval.estimate - threshold)

    def p_below(self, threshold: float) -> float:
        """One-sided, of the hypothesis that the mean is `threshold` or more."""
        return self._p(threshold - self.interval.estimate)

    def _p(self, distance: float) -> float:
        from scipy import stats

        if self.error > 0:
            return float(stats.t.sf(distance / self.error, self.data_sets - 1))
        return float(distance <= 0)


class Signs(NamedTuple):
    """On how many data sets the difference is above a threshold, leaving out those that are at it.

    `p_value` is that of the sign test, one-sided; `least` what it would be were all above.
    """

    above: int
    counted: int
    p_value: float
    least: float


def synthesis(differences: Sequence[float], errors: Sequence[float], level: float = 0.95) -> Synthesis:
    """The differences of two or more data sets together; `errors` are their standard errors, NaN where not known.

    Raises `ValueError` for fewer than two.
    """
    from scipy import stats

    found = np.asarray(differences, dtype=np.float64)
    count = len(found)
    if count < 2:
        raise ValueError("a synthesis needs two data sets")
    mean, variance = float(found.mean()), float(found.var(ddof=1))
    error = math.sqrt(variance / count)
    within = float(np.square(errors).mean())
    between = max(variance - within, 0.0) if math.isfinite(within) else math.nan
    quantile = float(stats.t.ppf((1 + level) / 2, count - 1))

    def around(half: float) -> Interval:
        return Interval(mean, mean - half, mean + half, level)

    return Synthesis(
        interval=around(quantile * error),
        data_sets=count,
        error=error,
        spread=math.sqrt(between),
        share=between / variance if variance > 0 else between,
        predicted=around(quantile * math.sqrt(variance * (1 + 1 / count))),
    )


def signs(differences: Sequence[float], threshold: float = 0.0) -> Signs:
    """The sign test of whether more differences than not are above `threshold`: exact, of few data sets too."""
    from scipy import stats

    found = np.asarray(differences, dtype=np.float64)
    above, counted = int((found > threshold).sum()), int((found != threshold).sum())
    p_value = float(stats.binomtest(above, counted, alternative="greater").pvalue) if counted else 1.0
    return Signs(above, counted, p_value, 0.5**counted)
