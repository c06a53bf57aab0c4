"""The scale that an interval of a mean is made on, so that it never leaves what the mean can be.

A Dice lies between 0 and 1 and is skewed near either; an interval of equal length to both sides would leave the bounds
and, worse, be too short on the side of the rare bad image. On the logit scale (of distances the logarithm's) it is as
long to the first order, cannot leave the bounds, and covers better there (`benchmarks/coverage_bounds.py`). Of the mean
alone is the logit taken, by the delta method: single images may score exactly 0 or 1. A mean of exactly 0 or 1 has no
logit, and no spread either, so it has no interval.

A difference of two scores lies between -1 and 1 and is mostly near 0, where no scale is better than its own; its
interval is that of the t distribution, cut off at what no difference can pass, which takes nothing true away.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from ablate.metrics.counts import METRICS, MetricName


class Scale(NamedTuple):
    """What a mean can be, and where its interval is of equal length to both sides."""

    least: float = -math.inf
    most: float = math.inf
    on: Literal["itself", "logit", "logarithm"] = "itself"

    def ends(self, estimate: float, half: float) -> tuple[float, float]:
        """The interval's ends; `half` is its half width to the first order. NaN where there is none: see `why`."""
        if self.why(estimate, half):
            return math.nan, math.nan
        if self.on == "logit":
            middle, reach = math.log(estimate / (1 - estimate)), half / (estimate * (1 - estimate))
            return _expit(middle - reach), _expit(middle + reach)
        if self.on == "logarithm":
            reach = min(half / estimate, 700.0)
            return estimate * math.exp(-reach), estimate * math.exp(reach)
        return max(estimate - half, min(self.least, estimate)), min(estimate + half, max(self.most, estimate))

    def why(self, estimate: float, half: float) -> str:
        """Why there is no interval, or ''."""
        if self.on != "itself" and not self.least < estimate < self.most:
            return f"every score is {estimate:g}: nothing shows how they vary"
        wide = half >= (self.most - self.least) / 2 or (self.on == "logarithm" and half >= _WIDEST * estimate)
        return "the interval would be as wide as the scale" if wide else ""


_WIDEST = 4.0
"""Half an interval of a distance, over the distance: beyond it the ends lie a factor of 50 away."""
PLAIN, FRACTION, DISTANCE = Scale(), Scale(0.0, 1.0, "logit"), Scale(0.0, math.inf, "logarithm")


def scale_of(metric: MetricName) -> Scale:
    """Of means of a metric."""
    return DISTANCE if METRICS[metric].unit else FRACTION


def scale_of_differences(metric: MetricName, terms: int = 2) -> Scale:
    """Of differences of a metric; of `terms` scores, half of them taken off (4: an interaction)."""
    return PLAIN if METRICS[metric].unit else Scale(-terms / 2, terms / 2)


def _expit(value: float) -> float:
    if value < -700:
        return 0.0
    return 1 / (1 + math.exp(-value))
