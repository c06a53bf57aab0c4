"""What a verdict on scores says of its own error: how likely the data are if it is wrong, either way."""

from __future__ import annotations

import math
from typing import NamedTuple

from ablate.analysis.claims.power import power_of
from ablate.analysis.scores import CellScores
from ablate.analysis.significance import one_sided_bound
from ablate.metrics.counts import METRICS, MetricName

ALPHA = 0.05
"""The error that a verdict, and a claim as a whole, may make: either way."""


class Sure(NamedTuple):
    """The fields of a verdict that say how sure it is, by their names there."""

    p_supported: float = math.nan
    p_refuted: float = math.nan
    cells: tuple[str, ...] = ()
    power: float = math.nan


def sure_of(
    own: CellScores, other: CellScores, metric: MetricName, margin: float, cells: tuple[str, ...], sides: int = 1
) -> Sure:
    """Of `own` being less than `margin` worse than `other`, and of its being more than that worse.

    Both p-values are of the bounds that decide the verdict; all NaN with a single seed.

    Args:
        sides: 2 where the verdict goes by a two-sided interval.
    """
    sign = METRICS[metric].sign
    above, below = one_sided_bound(own, other, sign=sign), one_sided_bound(other, own, sign=sign)
    p_supported, p_refuted = above.p_value(margin), below.p_value(-margin)
    if p_supported is None or p_refuted is None:
        return Sure(cells=cells)
    power = power_of(above.components, margin, ALPHA / sides) if margin else math.nan
    return Sure(min(1.0, sides * p_supported), min(1.0, sides * p_refuted), cells, power)
