"""Do the intervals hold? Studies with a known effect are simulated, and each method is held against the truth.

    python benchmarks/coverage.py [--studies 4000]

A study is the matrix of paired differences of two cells, seeds by images: effect + seed + image + residual. The
standard deviations span those of real Dice differences between networks (images 0.001 to 0.03, seeds 0 to 0.03); the
two `measured` settings are of the six networks on ISBI 2012, whose quick profile has 6 test images. `this project` is
`ablate.analysis.significance` itself; the others are what one might do instead. Last comes the range of its coverage
over all ratios of the three variances.

Columns, in per cent of the studies: `covers`, the 95 % interval holds the true effect (of 0.01); `differ`, two equal
cells are called different; `inferior`, a cell that is worse by the whole margin of 0.01 passes the test of
non-inferiority. `width` is the mean of the interval.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ablate.analysis.crossed import components, interval_of, p_value_of
from ablate.analysis.significance import bound_of, hierarchical_bootstrap

Array = NDArray[np.float64]
EFFECT = MARGIN = 0.01


class Setting(NamedTuple):
    """Standard deviations of the effects of a seed, an image and the residual, and the law of the image's."""

    name: str
    seed: float
    image: float
    residual: float
    law: str = "normal"
    seeds: int = 3
    images: int = 12


SETTINGS = (
    Setting("typical", 0.006, 0.006, 0.004),
    Setting("seeds dominate", 0.010, 0.006, 0.004),
    Setting("images dominate", 0.003, 0.020, 0.005),
    Setting("both large", 0.020, 0.026, 0.010),
    Setting("equal shares", 0.006, 0.012, 0.004),
    Setting("no seed variance", 0.0, 0.010, 0.005),
    Setting("no image variance", 0.010, 0.0, 0.005),
    Setting("neither", 0.0, 0.0, 0.010),
    Setting("heavy-tailed images", 0.006, 0.010, 0.004, "t3"),
    Setting("heavy tails, no seeds", 0.0, 0.010, 0.005, "t3"),
    Setting("skewed images", 0.006, 0.012, 0.004, "exponential"),
    Setting("noise differs by image", 0.005, 0.008, 0.006, "uneven"),
    Setting("measured, alike", 0.0025, 0.001, 0.002, images=6),
    Setting("measured, one unstable", 0.029, 0.007, 0.006, images=6),
    Setting("2 seeds, 12 images", 0.006, 0.006, 0.004, seeds=2),
    Setting("3 seeds, 6 images", 0.006, 0.006, 0.004, images=6),
    Setting("5 seeds, 12 images", 0.006, 0.006, 0.004, seeds=5),
    Setting("10 seeds, 30 images", 0.006, 0.006, 0.004, seeds=10, images=30),
)


RATIOS = (0, 1, 3, 10, 30, 150, 1000)
"""Expected mean square of seeds, or of images, over the residual's, less 1."""


class Outcome(NamedTuple):
    """Shares of studies, and the mean width."""

    covers: float
    differ: float
    inferior: float
    width: float


class Limits(NamedTuple):
    """Of each study: the two-sided interval at 95 % and the one-sided lower bound at 95 %."""

    low: Array
    high: Array
    bound: Array


def simulate(setting: Setting, effect: float, studies: int, rng: np.random.Generator) -> Array:
    """Matrices of differences, (studies, seeds, images)."""
    shape = (studies, setting.seeds, setting.images)
    seed = rng.normal(size=(studies, setting.seeds, 1))
    images = (studies, 1, setting.images)
    if setting.law == "t3":
        image = rng.standard_t(3, size=images) / np.sqrt(3)
    elif setting.law == "exponential":
        image = rng.exponential(size=images) - 1
    else:
        image = rng.normal(size=images)
    residual = rng.normal(size=shape)
    if setting.law == "uneven":
        residual *= np.exp(rng.normal(0, 0.7, size=images) - 0.49)
    return effect + setting.seed * seed + setting.image * image + setting.residual * residual


def this_project(studies: Array) -> Outcome:
    """`ablate.analysis.significance` of effects 0.01, 0 and less the margin: (3, studies, seeds, images)."""
    intervals = [interval_of(components(matrix)) for matrix in studies[0]]
    p_values = [p_value_of(components(matrix)) for matrix in studies[1]]
    passed = [bound_of(components(matrix)).not_below(MARGIN) for matrix in studies[2]]
    return Outcome(
        float(np.mean([interval.low <= EFFECT <= interval.high for interval in intervals])),
        float(np.mean([p is not None and p <= 0.05 for p in p_values])),
        float(np.mean(passed)),
        float(np.mean([interval.high - interval.low for interval in intervals])),
    )


def satterthwaite(matrices: Array) -> Limits:
    """The same variance, components not below zero, with Satterthwaite's degrees of freedom."""
    _, seeds, images = matrices.shape
    mean = matrices.mean(axis=(1, 2))
    by_seed, by_image = matrices.mean(axis=2) - mean[:, None], matrices.mean(axis=1) - mean[:, None]
    rest = matrices - mean[:, None, None] - by_seed[:, :, None] - by_image[:, None, :]
    a, b = seeds - 1, images - 1
    of_seed, of_image = images * (by_seed**2).sum(axis=1) / a, seeds * (by_image**2).sum(axis=1) / b
    residual = (rest**2).sum(axis=(1, 2)) / (a * b)
    variance = np.maximum(of_seed, residual) + np.maximum(of_image, residual) - residual
    df = variance**2 / (of_seed**2 / a + of_image**2 / b + residual**2 / (a * b))
    return _t_limits(mean, np.sqrt(variance / (seeds * images)), df)


def t_over_images(matrices: Array) -> Limits:
    """Seeds averaged away, a t interval over images: the usual practice."""
    by_image = matrices.mean(axis=1)
    n = by_image.shape[1]
    return _t_limits(by_image.mean(axis=1), by_image.std(axis=1, ddof=1) / np.sqrt(n), np.array(n - 1))


def t_over_seeds(matrices: Array) -> Limits:
    """Images averaged away, a t interval over seeds."""
    return t_over_images(matrices.transpose(0, 2, 1))


def plain_bootstrap(matrices: Array, resamples: int = 1000) -> Limits:
    """Percentiles of the plain hierarchical bootstrap: n seeds of n, then n images of n."""
    rng = np.random.default_rng(2)
    studies, seeds, images = matrices.shape
    weights = rng.multinomial(images, np.full(images, 1 / images), size=resamples) / images
    by_seed = weights @ matrices.transpose(1, 2, 0)
    drawn = rng.integers(seeds, size=(seeds, resamples, studies))
    return _percentiles(np.take_along_axis(by_seed, drawn, axis=0).mean(axis=0))


def our_bootstrap(matrices: Array, resamples: int = 1000) -> Limits:
    """Percentiles of `hierarchical_bootstrap`, of which one fewer than n are drawn."""
    return _percentiles(hierarchical_bootstrap(list(matrices), resamples, np.random.default_rng(2)))


def _t_limits(mean: Array, error: Array, df: Array) -> Limits:
    half = stats.t.ppf(0.975, df) * error
    return Limits(mean - half, mean + half, mean - stats.t.ppf(0.95, df) * error)


def _percentiles(means: Array) -> Limits:
    return Limits(*np.quantile(means, [0.025, 0.975, 0.05], axis=0))


def held_against_truth(method: Callable[[Array], Limits], studies: Array) -> Outcome:
    known, equal, worse = (method(matrices) for matrices in studies)
    return Outcome(
        float(np.mean((known.low <= EFFECT) & (known.high >= EFFECT))),
        float(np.mean((equal.low > 0) | (equal.high < 0))),
        float(np.mean(worse.bound > -MARGIN)),
        float(np.mean(known.high - known.low)),
    )


def extremes(seeds: int, images: int, studies: int, rng: np.random.Generator) -> tuple[float, float]:
    """The least and the most that this project's intervals cover, whatever the ratios of the three variances."""
    covers = []
    for seed in RATIOS:
        for image in RATIOS:
            deviations = np.sqrt(seed / images), np.sqrt(image / seeds)
            found = simulate(Setting("", *deviations, 1.0, seeds=seeds, images=images), 0.0, studies, rng)
            intervals = [interval_of(components(matrix)) for matrix in found]
            covers.append(float(np.mean([interval.low <= 0 <= interval.high for interval in intervals])))
    return min(covers), max(covers)


OTHERS: dict[str, tuple[Callable[[Array], Limits], int]] = {
    "Satterthwaite": (satterthwaite, 4000),
    "t over images": (t_over_images, 4000),
    "t over seeds": (t_over_seeds, 4000),
    "plain bootstrap": (plain_bootstrap, 500),
    "our bootstrap": (our_bootstrap, 500),
}
"""What one might do instead, and how many studies suffice to see how it does."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=4000)
    options = parser.parse_args()
    start = time.perf_counter()
    print("| setting | method | covers % | differ % | inferior % | width |")
    print("|---|---|---|---|---|---|")
    for place, setting in enumerate(SETTINGS):
        rng = np.random.default_rng([1, place])
        studies = np.stack([simulate(setting, effect, options.studies, rng) for effect in (EFFECT, 0.0, -MARGIN)])
        outcomes = {"this project": this_project(studies)}
        for name, (method, enough) in OTHERS.items():
            outcomes[name] = held_against_truth(method, studies[:, :enough])
        for name, found in outcomes.items():
            shares = " | ".join(f"{100 * share:.1f}" for share in found[:3])
            print(f"| {setting.name} | {name} | {shares} | {found.width:.4f} |", flush=True)
    for seeds, images in ((2, 12), (3, 6), (3, 12), (3, 30), (5, 12)):
        least, most = extremes(seeds, images, options.studies // 4, np.random.default_rng([3, seeds, images]))
        print(
            f"{seeds} seeds, {images} images, any variances: covers {100 * least:.1f} to {100 * most:.1f}", flush=True
        )
    print(f"\n{options.studies} studies a setting (bootstraps 500), {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
