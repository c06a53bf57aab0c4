"""What a verdict on scores says of its own error: how likely the data are if it is wrong, either way."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from ablate.analysis.claims.power import power_of
from ablate.analysis.claims.schema import NonInferior
from ablate.analysis.crossed import standard_error
from ablate.analysis.failures import Failures, difference_bounds, neither_lost
from ablate.analysis.scores import CellScores
from ablate.analysis.significance import Bound, one_sided_bound
from ablate.metrics.counts import METRICS, MetricName

ALPHA = 0.05
"""The error that a verdict, and a claim as a whole, may make: either way."""
_LEAST, _MOST = 1e-9, 0.45
"""Between these a p-value of failures is looked for: at a half, bounds are none."""


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

    Both p-values are of the bounds that decide the verdict; all NaN where there is no bound.

    Args:
        sides: 2 where the verdict goes by a two-sided interval.
    """
    sign = METRICS[metric].sign
    above, below = one_sided_bound(own, other, sign=sign), one_sided_bound(other, own, sign=sign)
    p_supported, p_refuted = _p_value(above, margin, sides), _p_value(below, -margin, sides)
    if math.isnan(p_supported):
        return Sure(cells=cells)
    power = power_of(above.components, margin, ALPHA / sides) if margin else math.nan
    return Sure(p_supported, p_refuted, cells, power)


def sure_of_both(
    pair: tuple[CellScores, CellScores], lost: tuple[Failures, Failures], asked: NonInferior, cells: tuple[str, ...]
) -> Sure:
    """Of a subject's being not inferior to a rival in both parts: what is typical, and what is lost.

    Both must hold, so the larger p-value supports; either refutes, so twice the smaller does. The power is that of the
    first part, where nothing is lost; 0 where so few cases cannot show the tolerance at all.
    """
    kept = neither_lost(*lost, pair)
    found, tolerance = difference_bounds(*lost), asked.failures.tolerance
    if kept is None or found.seeds < 2:
        return Sure(cells=cells)
    typical = sure_of(*kept, asked.metric, asked.margin, cells)
    if math.isnan(typical.p_supported):
        return typical
    nothing_lost = (1 - tolerance) ** found.independent
    no_more, more = nothing_lost, 1.0
    if any(one.counted.losses for one in lost):
        no_more = _least_alpha(lambda alpha: difference_bounds(*lost, 1 - alpha).most <= tolerance)
        more = _least_alpha(lambda alpha: difference_bounds(*lost, 1 - alpha).least > tolerance)
    shows = nothing_lost <= ALPHA
    return Sure(
        max(typical.p_supported, no_more),
        min(1.0, 2 * min(typical.p_refuted, more)),
        cells,
        typical.power if shows else 0.0,
    )


def _p_value(bound: Bound, margin: float, sides: int) -> float:
    """`Bound.p_value`, which holds at 5 %, made to hold at smaller levels too; NaN where there is none.

    A claim of many verdicts, and an early look, ask for far less than 5 %. There the degrees of freedom matter most,
    and what few seeds say of the variance over seeds is least to be trusted: where it came out small by chance, the
    images' degrees of freedom are used, and of studies of three seeds 1.4 % are below 0.2 %. With no more than those of
    the seeds it is at most what is asked for (docs/claims.md). At 5 % nothing changes.
    """
    p = bound.p_value(margin)
    if p is None:
        return math.nan
    if sides * p > ALPHA:
        return min(1.0, sides * p)
    from scipy import stats

    error, df = standard_error(bound.components)
    if error <= 0:
        return sides * p
    careful = float(stats.t.sf((bound.estimate + margin) / error, min(df, bound.components.seeds - 1)))
    return min(ALPHA, sides * max(p, careful))


def _least_alpha(decided: Callable[[float], bool]) -> float:
    """The least error at which a bound still decides, to a hundredth of itself; 1 where none of up to 0.45 does."""
    if not decided(_MOST):
        return 1.0
    low, high = _LEAST, _MOST
    if decided(low):
        return low
    while high > 1.01 * low:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if decided(middle) else (middle, high)
    return high
