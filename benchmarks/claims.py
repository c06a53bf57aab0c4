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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=2000)
    options = parser.parse_args()
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
