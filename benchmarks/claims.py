"""How often a claim over five rivals errs as a whole: supported though false, refuted though true.

    python benchmarks/claims.py [--studies 2000]

Each study is judged by the p-values of `ablate claim`. A network's score with a seed on an image is its mean, plus what
the seed does to all images, what the image does to this network, and the rest: all normal.
A claim is nearest to either error where its hypotheses are at their margin exactly.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ablate.analysis.claims.schema import Claim, NonInferior
from ablate.analysis.claims.sure import ALPHA, sure_of
from ablate.analysis.claims.verdict import Verdict, outcome_of
from ablate.analysis.claims.whole import whole
from ablate.analysis.scores import CellScores

MARGIN = 0.01
RIVALS = 5


class Setting(NamedTuple):
    """A design, and the standard deviations of a seed's effect, an image's (on one network) and the rest."""

    name: str
    seeds: int
    images: int
    seed: float
    image: float
    rest: float


SETTINGS = (
    Setting("typical", 3, 12, 0.006, 0.006, 0.004),
    Setting("seeds dominate", 3, 12, 0.010, 0.002, 0.004),
    Setting("images dominate", 3, 12, 0.002, 0.012, 0.004),
    Setting("ten seeds, 30 images", 10, 30, 0.006, 0.006, 0.004),
    Setting("six images", 3, 6, 0.006, 0.006, 0.004),
)


def claim_of(rivals: int = RIVALS, margin: float = MARGIN) -> Claim:
    """The subject is not worse than any of its rivals by `margin` or more."""
    return Claim.model_validate(
        {
            "name": "simulated",
            "statement": "ours is as accurate as its rivals.",
            "subject": {"model": "ours"},
            "against": [{"model": f"rival{number}"} for number in range(rivals)],
            "hypotheses": [{"kind": "non_inferior", "metric": "dice", "margin": margin}],
        }
    )


def scores_of(setting: Setting, means: Mapping[str, float], rng: np.random.Generator) -> dict[str, NDArray[np.float64]]:
    """Scores (seeds, images) of networks with these true means."""
    seeds, images = setting.seeds, setting.images
    hard = rng.normal(0, 0.03, images)
    hard -= hard.mean()
    found = {}
    for name, mean in means.items():
        effects = rng.normal(0, setting.seed, (seeds, 1)) + rng.normal(0, setting.image, images)
        found[name] = np.clip(mean + hard + effects + rng.normal(0, setting.rest, (seeds, images)), 0, 1)
    return found


def verdicts_of(claim: Claim, scores: Mapping[str, NDArray[np.float64]]) -> tuple[Verdict, ...]:
    """The claim's verdicts on these scores, the subject's first, where no network loses an image: by the p-values of
    `ablate claim`, that which refutes twice as large, for a hypothesis has two parts to be wrong in."""
    asked = claim.hypotheses[0]
    assert isinstance(asked, NonInferior)
    ours, *rivals = [
        CellScores(
            name,
            name,
            name,
            "images",
            False,
            tuple(range(len(values))),
            tuple(map(str, range(values.shape[1]))),
            values,
        )
        for name, values in scores.items()
    ]
    found = []
    for rival in rivals:
        sure = sure_of(ours, rival, "dice", asked.margin, (ours.cell, rival.cell))
        sure = sure._replace(p_refuted=min(1.0, 2 * sure.p_refuted))
        outcome = outcome_of(sure.p_supported <= ALPHA, sure.p_refuted <= ALPHA)
        none = math.nan, math.nan, math.nan
        verdict = Verdict(f"non-inferior to {rival.cell}", asked.kind, outcome, *none, "difference", "")
        found.append(verdict._replace(**sure._asdict()))
    return tuple(found)


def means_of(*differences: float) -> dict[str, float]:
    """True means, by the subject's differences from its rivals."""
    return {"ours": 0.8} | {f"rival{number}": 0.8 - found for number, found in enumerate(differences)}


TRUTHS = {
    "one at the margin, four equal": (-MARGIN, 0.0, 0.0, 0.0, 0.0),
    "one at the margin, four far better": (-MARGIN, 0.05, 0.05, 0.05, 0.05),
    "all at the margin": (-MARGIN,) * RIVALS,
    "all equal": (0.0,) * RIVALS,
}
"""Differences of the subject from its rivals. At the margin exactly, a claim is nearest to either error."""


def judged(setting: Setting, differences: tuple[float, ...], rng: np.random.Generator) -> tuple[Verdict, ...]:
    return verdicts_of(claim_of(len(differences)), scores_of(setting, means_of(*differences), rng))


def tails(studies: int) -> None:
    """The worst that p-values below 5 % do, over all ratios of the three variances: the share of studies below a level.

    `interval`: by the degrees of freedom of the interval; `careful`: by no more than those of the seeds.
    """
    asked = (0.05, 0.01, 0.0019)
    ratios = (0, 1, 3, 10, 30, 150, 1000)
    rng = np.random.default_rng(0)
    print("| seeds, images | p-values | at 5 % | at 1 % | at 0.19 % |")
    print("|---|---|---|---|---|")
    for seeds, images in ((2, 12), (3, 6), (3, 12), (4, 12), (6, 12), (10, 30)):
        worst = np.zeros((2, len(asked)))
        for of_seed in ratios:
            for of_image in ratios:
                t, df = statistics(seeds, images, 1.0 + of_seed, 1.0 + of_image, studies, rng)
                for row, freedom in enumerate((df, np.minimum(df, seeds - 1))):
                    p_values = stats.t.sf(t, freedom)
                    worst[row] = np.maximum(worst[row], [np.mean(p_values <= level) for level in asked])
        for name, row in zip(("interval", "careful"), worst, strict=True):
            print(f"| {seeds}, {images} | {name} | {' | '.join(f'{100 * one:.2f}' for one in row)} |", flush=True)


def statistics(
    seeds: int, images: int, of_seed: float, of_image: float, studies: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The t ratio and its degrees of freedom in `ablate.analysis.crossed`, many studies of no difference at once, from
    mean squares with these expectations; the residual's is 1."""
    df_seed, df_image, df_rest = seeds - 1, images - 1, (seeds - 1) * (images - 1)
    square = of_seed * rng.chisquare(df_seed, studies) / df_seed
    across = of_image * rng.chisquare(df_image, studies) / df_image
    rest = rng.chisquare(df_rest, studies) / df_rest
    counts, also = square > rest, across > rest
    pooled = rest * df_rest + np.where(counts, 0, square * df_seed) + np.where(also, 0, across * df_image)
    rest = pooled / (df_rest + np.where(counts, 0, df_seed) + np.where(also, 0, df_image))
    square, across = np.where(counts, square, rest), np.where(also, across, rest)
    both = (counts & also) | (seeds == 2)
    variance = np.where(both, square + across - rest, np.where(counts, square, across))
    weighted = (square + across) / (square / df_seed + across / df_image)
    df = np.where(both, weighted, np.where(counts, df_seed, np.where(also, df_image, seeds * images - 1)))
    return rng.normal(0, np.sqrt(of_seed + of_image - 1), studies) / np.sqrt(variance), df


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--tails", action="store_true", help="p-values far below 5 %% instead")
    options = parser.parse_args()
    if options.tails:
        tails(20 * options.studies)
        return
    start = time.perf_counter()
    error = 100 * np.sqrt(0.05 * 0.95 / options.studies)
    print("| setting | truth | supported % | refuted % | any verdict refuted % | power said % |")
    print("|---|---|---|---|---|---|")
    for place, setting in enumerate(SETTINGS):
        for number, (truth, differences) in enumerate(TRUTHS.items()):
            rng = np.random.default_rng([place, number])
            studies = [judged(setting, differences, rng) for _ in range(options.studies)]
            results = [whole(verdicts) for verdicts in studies]
            supported, refuted = (
                100 * np.mean([result.outcome == outcome for result in results]) for outcome in ("supported", "refuted")
            )
            alone = 100 * np.mean([any(v.outcome == "refuted" for v in verdicts) for verdicts in studies])
            said = 100 * np.median([result.power for result in results])
            print(
                f"| {setting.name} | {truth} | {supported:.1f} | {refuted:.1f} | {alone:.1f} | {said:.0f} |", flush=True
            )
    print(f"\n{options.studies} studies a setting, standard error {error:.1f}, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
