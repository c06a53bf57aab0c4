"""Do the intervals of scores near their bounds hold, and stay within them? Skewed scores near 1, near 0 and between.

    python benchmarks/coverage_bounds.py [--studies 2000]

An image's score has a beta distribution of mean `mean` and precision `p` (a + b; of 5, scores near 1 are J-shaped: most
are nearly perfect, a few far off); a seed shifts the logits of all by `seed`, with a residual of 0.1. `this project` is
`ablate.analysis.significance.mean_interval`; `t` is the t interval of the same standard error and degrees of freedom
that was given before. `differences` are of two such networks with the same images, by `difference`.

Columns, in per cent: `given`, an interval is given; of those, `covers` the true mean and, for differences, two equal
networks are called different (`differ`); `out`, t intervals that leave 0 to 1; `wider`, the mean width over t's. One
standard error of a share of 95 % is 0.5 with 2,000 studies.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from ablate.analysis.crossed import components, half_width
from ablate.analysis.scores import CellScores
from ablate.analysis.significance import difference, mean_interval

Array = NDArray[np.float64]
SETTINGS = (
    (0.95, 20, 0.1), (0.95, 5, 0.1), (0.95, 20, 1.0), (0.98, 10, 0.2), (0.85, 10, 0.1), (0.5, 5, 0.2), (0.05, 10, 0.2),
)  # fmt: skip
"""Mean, precision, and the seed's standard deviation on the logit scale."""
DESIGNS = ((2, 4), (2, 12), (3, 6), (3, 12), (3, 30), (5, 12))


def drawn(studies: int, images: int, mean: float, precision: float, rng: np.random.Generator) -> Array:
    """Logits of images' scores, (studies, 1, images)."""
    scores = rng.beta(mean * precision, (1 - mean) * precision, size=(studies, 1, images))
    return logit(np.clip(scores, 1e-12, 1 - 1e-12))


def scored(logits: Array, seeds: int, seed: float, rng: np.random.Generator) -> Array:
    """Scores (studies, seeds, images) of a network."""
    studies, _, images = logits.shape
    noise = seed * rng.normal(size=(studies, seeds, 1)) + 0.1 * rng.normal(size=(studies, seeds, images))
    return expit(logits + noise)


def cell(name: str, values: Array) -> CellScores:
    seeds, images = values.shape
    ids = tuple(f"{at:03d}" for at in range(images))
    return CellScores(name, name, "unet", "made", False, tuple(range(seeds)), ids, values, stack=False)


def of_means(scores: Array, truth: float) -> str:
    found = [mean_interval(cell("a", values)) for values in scores]
    given = np.array([one.low == one.low for one in found])
    low, high = (np.array([getattr(one, end) for one in found])[given] for end in ("low", "high"))
    assert ((low >= 0) & (high <= 1)).all()
    parts = [components(values) for values in scores]
    mean, half = np.array([one.mean for one in parts]), np.array([half_width(one) for one in parts])
    covers, before = ((low <= truth) & (truth <= high)).mean(), (np.abs(mean - truth) <= half).mean()
    out, wider = ((mean + half > 1) | (mean - half < 0)).mean(), (high - low).mean() / (2 * half[given]).mean()
    return f"{100 * given.mean():.1f} | {100 * covers:.1f} | {100 * before:.1f} | {100 * out:.1f} | {wider:.2f}"


def of_differences(one: Array, other: Array) -> str:
    found = [difference(cell("a", a), cell("b", b), "dice") for a, b in zip(one, other, strict=True)]
    given = [each for each in found if each.interval.low == each.interval.low]
    assert all(each.interval.low >= -1 and each.interval.high <= 1 for each in given)
    covers = np.mean([each.interval.low <= 0 <= each.interval.high for each in given])
    differ = np.mean([each.significant for each in found])
    return f"{100 * len(given) / len(found):.1f} | {100 * covers:.1f} | {100 * differ:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=2000)
    options = parser.parse_args()
    start = time.perf_counter()
    print("| seeds | images | mean, p, seed | given | covers | t covers | t out | wider ", end="")
    print("| differences: given | covers | differ |\n" + "|---" * 11 + "|")
    for seeds, images in DESIGNS:
        for place, (mean, precision, seed) in enumerate(SETTINGS):
            rng = np.random.default_rng([8, seeds, images, place])
            truth = float(scored(drawn(100_000, 20, mean, precision, rng), 1, seed, rng).mean())
            logits = drawn(options.studies, images, mean, precision, rng)
            one, other = (scored(logits, seeds, seed, rng) for _ in range(2))
            print(
                f"| {seeds} | {images} | {mean:g}, {precision:g}, {seed:g} | {of_means(one, truth)} "
                f"| {of_differences(one, other)} |",
                flush=True,
            )
    print(f"\n{options.studies} studies a setting, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
