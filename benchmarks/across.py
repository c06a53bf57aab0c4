"""Does what is said of several data sets together hold? Studies on 2 to 10 data sets with a known truth are simulated.

    python benchmarks/across.py [--studies 4000]

A study measures, on each of k data sets, the mean paired difference of two networks: seeds by images, as in
`benchmarks/coverage.py`. The true difference of a data set is drawn about the mean over data sets like these, with the
standard deviation `tau` (0: the same on all). `alike`: every data set has 3 seeds and 12 images of one kind. `unequal`:
in turn 3 seeds on 12 images, 3 on 6 of networks that are unstable there, and 5 on 100. `extreme`: in turn 10 seeds on
100 images of stable networks, and 3 on 6 of unstable ones.

First the intervals at 95 %: how often they hold the mean (`covers`), and their median width. `t` is
`ablate.analysis.synthesis`. The others weigh data sets by their estimated precision: `DL z` (DerSimonian-Laird, normal
quantile), `REML HK` (restricted maximum likelihood, Hartung-Knapp-Sidik-Jonkman), and `REML mHK`, the same that is
never narrower than without their factor (Knapp and Hartung 2003).

Then `ablate.analysis.synthesis` alone: per cent of studies in which a network that is on the mean worse by the whole
margin of 0.01 passes (`falsely supported`, 5 % by design) or is found inferior (`falsely refuted`), in which networks
alike on the mean are called different (`differ`), and in which the predicted interval holds the true difference on one
more data set (`next`). `power`: two equal networks pass a margin of 0.01. Then the same where the true differences are
skewed to the bad (less an exponential: on few data sets much worse, on most a little better), which falls short.

Last, of `ablate.analysis.ranks`: the share of studies of six equal networks in which any pair is told apart, and of six
of which one is better on every data set by 1.5 standard deviations in which it is told from another.
"""

from __future__ import annotations

import argparse
import time
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ablate.analysis.ranks import post_hoc
from ablate.analysis.synthesis import synthesis

Array = NDArray[np.float64]
MARGIN = 0.01


class Design(NamedTuple):
    """Of one data set: how many seeds and images, and the standard deviations of their effects and the residual."""

    seeds: int
    images: int
    seed: float
    image: float
    residual: float


TYPICAL = Design(3, 12, 0.006, 0.006, 0.004)
UNSTABLE = Design(3, 6, 0.029, 0.007, 0.006)
DESIGNS = {
    "alike": [TYPICAL],
    "unequal": [TYPICAL, UNSTABLE, Design(5, 100, 0.0025, 0.003, 0.003)],
    "extreme": [Design(10, 100, 0.001, 0.001, 0.001), UNSTABLE],
}
DATA_SETS = (2, 3, 5, 10)
SPREADS = (0.0, 0.005, 0.02)


class Studies(NamedTuple):
    """Each (studies, data sets): the differences measured, with mean 0 over data sets, and their standard errors."""

    differences: Array
    errors: Array


def simulate(
    designs: list[Design], data_sets: int, tau: float, studies: int, rng: np.random.Generator, skewed: bool = False
) -> Studies:
    shape = (studies, data_sets)
    true = tau * (1 - rng.exponential(size=shape) if skewed else rng.normal(size=shape))
    measured = [_measure(designs[at % len(designs)], true[:, at], rng) for at in range(data_sets)]
    return Studies(np.stack([d for d, _ in measured], axis=1), np.stack([e for _, e in measured], axis=1))


def _measure(design: Design, true: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """The mean of a matrix of seeds by images about each true difference, and its standard error: the formulas of
    `ablate.analysis.crossed`, for many matrices at once."""
    s, n = design.seeds, design.images
    matrix = true[:, None, None] + design.residual * rng.normal(size=(len(true), s, n))
    matrix += design.seed * rng.normal(size=(len(true), s, 1)) + design.image * rng.normal(size=(len(true), 1, n))
    mean = matrix.mean(axis=(1, 2))
    by_seed, by_image = matrix.mean(axis=2) - mean[:, None], matrix.mean(axis=1) - mean[:, None]
    rest = matrix - mean[:, None, None] - by_seed[:, :, None] - by_image[:, None, :]
    residual = (rest**2).sum(axis=(1, 2)) / ((s - 1) * (n - 1))
    of_seed = np.maximum(n * (by_seed**2).sum(axis=1) / (s - 1), residual)
    of_image = np.maximum(s * (by_image**2).sum(axis=1) / (n - 1), residual)
    return mean, np.sqrt((of_seed + of_image - residual) / (s * n))


# Intervals -----------------------------------------------------------------------------------------------------------


def this_project(studies: Studies, level: float = 0.95) -> tuple[Array, Array]:
    """Mean and half width of each study, by `ablate.analysis.synthesis`."""
    found = [synthesis(*pair, level).interval for pair in zip(*studies, strict=True)]
    return np.array([one.estimate for one in found]), np.array([(one.high - one.low) / 2 for one in found])


def dersimonian_laird(studies: Studies) -> tuple[Array, Array]:
    d, w = studies.differences, studies.errors**-2
    mean = (w * d).sum(axis=1) / w.sum(axis=1)
    q = (w * (d - mean[:, None]) ** 2).sum(axis=1)
    scale = w.sum(axis=1) - (w**2).sum(axis=1) / w.sum(axis=1)
    w = 1 / (studies.errors**2 + np.maximum((q - d.shape[1] + 1) / scale, 0)[:, None])
    return (w * d).sum(axis=1) / w.sum(axis=1), stats.norm.ppf(0.975) / np.sqrt(w.sum(axis=1))


def reml(studies: Studies, modified: bool = False) -> tuple[Array, Array]:
    """With Hartung and Knapp's variance; `modified`: at least that of the plain one."""
    d, v = studies.differences, studies.errors**2
    k = d.shape[1]
    tau2 = np.maximum(d.var(axis=1, ddof=1) - v.mean(axis=1), 0)
    for _ in range(100):  # Fisher scoring
        w = 1 / (v + tau2[:, None])
        mean = (w * d).sum(axis=1) / w.sum(axis=1)
        step = (w**2 * ((d - mean[:, None]) ** 2 - v)).sum(axis=1) / (w**2).sum(axis=1)
        tau2 = np.maximum(step + 1 / w.sum(axis=1), 0)
    factor = (w * (d - mean[:, None]) ** 2).sum(axis=1) / (k - 1)
    factor = np.maximum(factor, 1) if modified else factor
    return mean, stats.t.ppf(0.975, k - 1) * np.sqrt(factor / w.sum(axis=1))


METHODS = {
    "t": this_project,
    "DL z": dersimonian_laird,
    "REML HK": reml,
    "REML mHK": lambda studies: reml(studies, modified=True),
}


# Tables --------------------------------------------------------------------------------------------------------------


def intervals(studies: int) -> None:
    print("| data sets | precision | tau | " + " | ".join(METHODS) + " |")
    for name, designs in DESIGNS.items():
        for tau in SPREADS:
            for k in DATA_SETS:
                made = simulate(designs, k, tau, studies, np.random.default_rng(0))
                texts = []
                for method in METHODS.values():
                    mean, half = method(made)
                    texts.append(f"{np.mean(abs(mean) <= half):.1%} / {np.median(2 * half):.4f}")
                print(f"| {k} | {name} | {tau:g} | " + " | ".join(texts) + " |", flush=True)


def decisions(studies: int, skewed: bool) -> None:
    print("| data sets | precision | tau | falsely supported | falsely refuted | differ | next | power |")
    for name, designs in DESIGNS.items():
        for tau in SPREADS[1:] if skewed else SPREADS:
            for k in DATA_SETS:
                rng = np.random.default_rng(1)
                made = simulate(designs, k, tau, studies, rng, skewed)
                found = [synthesis(*pair, 0.9) for pair in zip(*made, strict=True)]
                wide = [synthesis(*pair) for pair in zip(*made, strict=True)]
                new = tau * (1 - rng.exponential(size=studies) if skewed else rng.normal(size=studies))
                shares = [
                    np.mean([one.interval.low > 0 for one in found]),
                    np.mean([one.interval.high < 0 for one in found]),
                    np.mean([not one.interval.low <= 0 <= one.interval.high for one in wide]),
                    np.mean([one.predicted.low <= at <= one.predicted.high for one, at in zip(wide, new, strict=True)]),
                    np.mean([one.interval.low > -MARGIN for one in found]),
                ]
                print(
                    f"| {k} | {name} | {tau:g} | " + " | ".join(f"{share:.1%}" for share in shares) + " |", flush=True
                )


def pairs(studies: int) -> None:
    names = [str(at) for at in range(6)]
    print("| data sets | any of six equal | the better told from another |")
    for k in (3, 5, 10, 15, 20):
        rng = np.random.default_rng(2)
        shares = []
        for better in (0.0, 1.5):
            hits = 0
            for _ in range(studies):
                scores = rng.normal(size=(6, k))
                scores[0] += better
                found = post_hoc(names, scores)
                assert found is not None
                hits += any(pair.significant and (not better or pair.a == "0") for pair in found.pairs)
            shares.append(hits / studies)
        print(f"| {k} | " + " | ".join(f"{share:.1%}" for share in shares) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=4000, help="simulated studies a setting")
    studies = parser.parse_args().studies
    start = time.perf_counter()
    print(f"{studies} studies a setting: covers / median width\n")
    intervals(studies)
    print("\nDecisions\n")
    decisions(studies, skewed=False)
    print("\nSkewed true differences\n")
    decisions(studies, skewed=True)
    print(f"\nRanks: {min(studies, 1000)} studies a setting\n")
    pairs(min(studies, 1000))
    print(f"\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
