"""How likely a design decides a hypothesis, from the variances that a pilot showed.

The test is that of `ablate.analysis.crossed`: the mean difference over its standard error, against a t distribution.
Where the truth lies `distance` inside the hypothesis, that ratio has a noncentral t distribution, which is all that
power takes. What a pilot of few seeds says of the variance over seeds is itself most uncertain: `cautious` puts an
upper bound in its place.
"""

from __future__ import annotations

import math

from ablate.analysis.crossed import Components, standard_error

LIKELY = 0.8
"""The power that is asked for by default, and the confidence of `cautious`."""


def power_of(found: Components, distance: float, alpha: float = 0.05) -> float:
    """The chance that a one-sided test at `alpha` decides, where the true mean is `distance` on its good side.

    Args:
        found: the variances of a seed's, an image's and a residual's effect, and the seeds and images of the design.
        distance: in the score's unit: the margin, for networks that are equal.

    NaN with a single seed, of which nothing can be decided.
    """
    if found.seeds < 2:
        return math.nan
    from scipy import stats

    error, df = standard_error(found)
    if error <= 0:
        return float(distance > 0)
    needed, centre = stats.t.ppf(1 - alpha, df), distance / error
    power = float(stats.nct.sf(needed, df, centre))
    return power if math.isfinite(power) else float(centre > needed)
