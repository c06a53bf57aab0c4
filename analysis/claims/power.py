"""How likely a design decides a hypothesis, from the variances that a pilot showed.

The test is that of `ablate.analysis.crossed`: the mean difference over its standard error, against a t distribution.
Where the truth lies `distance` inside the hypothesis, that ratio has a noncentral t distribution, which is all that
power takes. What a pilot of few seeds says of the variance over seeds is itself most uncertain: `cautious` puts an
upper bound in its place.
"""

from __future__ import annotations

import math

from ablate.analysis.crossed import MOST_SEEDS, Components, standard_error
from ablate.analysis.independent import FEWEST

LIKELY = 0.8
"""The power that is asked for by default, and the confidence of `cautious`."""
MOST_IMAGES = 10_000
"""Beyond this, more images are no advice."""


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


def of_design(found: Components, seeds: int, images: int) -> Components:
    """What a study of another size could be expected to show: the same variances, of so many seeds and images."""
    alike = found.effective
    effective = alike if alike is None or math.isinf(alike) else max(1.0, alike * images / found.images)
    return found._replace(seeds=seeds, images=images, effective=effective)


def cautious(found: Components, confidence: float = LIKELY) -> Components:
    """With the largest variance over seeds that the pilot's seeds are compatible with, at this confidence.

    The mean square over seeds times its degrees of freedom over its expectation has a chi-squared distribution, so a
    pilot of three seeds may have seen a variance 4.5 times too small (Browne, Statistics in Medicine 14, 1995).
    """
    from scipy import stats

    df = found.seeds - 1
    square = found.residual + found.images * found.seed
    largest = square * df / float(stats.chi2.ppf(1 - confidence, df))
    return found._replace(seed=(largest - found.residual) / found.images)


def seeds_for(
    found: Components, distance: float, alpha: float = 0.05, likely: float = LIKELY, images: int | None = None
) -> int | None:
    """The least seeds that decide as likely as that, on so many images [as there are]; `None` beyond `MOST_SEEDS`."""
    images = found.images if images is None else images
    for seeds in range(2, MOST_SEEDS + 1):
        if power_of(of_design(found, seeds, images), distance, alpha) >= likely:
            return seeds
    return None


def images_for(
    found: Components, distance: float, seeds: int, alpha: float = 0.05, likely: float = LIKELY
) -> int | None:
    """The least images that decide as likely as that with so many seeds; `None` beyond `MOST_IMAGES`."""

    def enough(images: int) -> bool:
        return power_of(of_design(found, seeds, images), distance, alpha) >= likely

    if not enough(MOST_IMAGES):
        return None
    low, high = FEWEST - 1, MOST_IMAGES  # more images never make it less likely
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
