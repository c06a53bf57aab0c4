"""Are failures counted soundly? Studies with known failure rates are simulated and held against `ablate.analysis`.

    python benchmarks/failures.py [--studies 1000]

A study is two cells' Dice scores, seeds by images, all near 0.85: images differ alike for both, their difference has
the spreads of `typical` in `coverage.py` (sd of seeds 0.006, images 0.006, residual 0.004). Then images are lost (Dice
below 0.2): *anew*, by each seed by itself; *alike*, the same images by every seed; *half*, hard images, by every other
seed; by *uneven seeds*, each with a rate of its own (Beta, 0.5); or by *one seed in five*, which loses five times as
many, and the others none.

Tables, in per cent of the studies: how often the bound of one rate is below the truth (5 by design); how often a
network that fails more often is called not inferior, at a tolerance of just that, and in brackets by the mean alone;
the power for an equal rival; the size and the power of the typical part; and how often failed trainings pass.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ablate.analysis.claims.non_inferiority import non_inferiority
from ablate.analysis.claims.schema import Lost, NonInferior
from ablate.analysis.failures import bounds, difference_bounds, lost_by, resolvable
from ablate.analysis.scores import CellScores
from ablate.analysis.significance import one_sided_bound

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
DESIGNS = tuple((seeds, images) for images in (12, 30, 100) for seeds in (3, 5))
RATES = (0.02, 0.05, 0.1)
BELOW, MARGIN = 0.42, 0.01


def anew(rate: float, seeds: int, images: int, rng: np.random.Generator) -> Flags:
    return rng.random((seeds, images)) < rate


def alike(rate: float, seeds: int, images: int, rng: np.random.Generator) -> Flags:
    return np.broadcast_to(rng.random((1, images)) < rate, (seeds, images))


def half(rate: float, seeds: int, images: int, rng: np.random.Generator) -> Flags:
    return (rng.random((1, images)) < 2 * rate) & (rng.random((seeds, images)) < 0.5)


def uneven_seeds(rate: float, seeds: int, images: int, rng: np.random.Generator) -> Flags:
    own = rng.beta(0.5, 0.5 * (1 - rate) / rate, (seeds, 1)) if rate else np.zeros((seeds, 1))
    return rng.random((seeds, images)) < own


def one_seed_in_five(rate: float, seeds: int, images: int, rng: np.random.Generator) -> Flags:
    return (rng.random((seeds, 1)) < 0.2) & (rng.random((seeds, images)) < 5 * rate)


Loss = Callable[[float, int, int, np.random.Generator], Flags]
LOSSES: dict[str, Loss] = {
    "anew": anew,
    "alike": alike,
    "half": half,
    "uneven seeds": uneven_seeds,
    "one seed in five": one_seed_in_five,
}


def cell(name: str, values: Array) -> CellScores:
    seeds, images = values.shape
    return CellScores(
        name, name, "m", "t", False, tuple(range(seeds)), tuple(f"{i:03d}" for i in range(images)), values
    )


def scores(
    seeds: int, images: int, rng: np.random.Generator, effect: float = 0.0, law: str = "normal"
) -> tuple[Array, Array]:
    """Two cells that differ typically by `effect`."""
    rival = np.tile(np.clip(rng.normal(0.85, 0.03, images), 0.6, 0.95), (seeds, 1))
    of_images = {
        "normal": lambda: rng.normal(size=images),
        "skewed": lambda: rng.exponential(size=images) - 1,
        "skewed down": lambda: 1 - rng.exponential(size=images),
        "heavy-tailed": lambda: rng.standard_t(3, size=images) / np.sqrt(3),
    }[law]()
    apart = 0.006 * rng.normal(size=(seeds, 1)) + 0.006 * of_images + 0.004 * rng.normal(size=(seeds, images))
    return rival + effect + apart, rival


def lose(values: Array, lost: Flags, rng: np.random.Generator) -> Array:
    return np.where(lost, rng.uniform(0, 0.2, values.shape), values)


def pair(ours: Array, theirs: Array) -> tuple[CellScores, CellScores]:
    return cell("ours", ours), cell("rival", theirs)


def asked(tolerance: float) -> NonInferior:
    return NonInferior(
        kind="non_inferior", metric="dice", margin=MARGIN, failures=Lost(below=BELOW, tolerance=tolerance)
    )


def share(found: list[bool]) -> str:
    return f"{100 * float(np.mean(found)):.1f}"


def rates(studies: int) -> None:
    print("\nBound of one rate below the truth, at rates of " + ", ".join(map(str, RATES)))
    for name, loss in LOSSES.items():
        for seeds, images in DESIGNS:
            cells = []
            for at, rate in enumerate(RATES):
                rng = np.random.default_rng([1, seeds, images, at])
                found = [bounds(loss(rate, seeds, images, rng).astype(float)) for _ in range(studies)]
                cells.append(share([one.most < rate for one in found]))
            print(f"| {name} | {seeds} | {images} | {' | '.join(cells)} |", flush=True)


def worse(studies: int) -> None:
    print(
        "\nSupported though it fails more often by just the tolerance (rival loses none, 0.02): both parts | mean alone"
    )
    for name, loss in LOSSES.items():
        for seeds, images in DESIGNS:
            cells = []
            for base in (0.0, 0.02):
                for at, rate in enumerate(RATES):
                    rng = np.random.default_rng([2, seeds, images, at, int(100 * base)])
                    both, mean = [], []
                    for _ in range(studies):
                        ours, theirs = scores(seeds, images, rng)
                        ours = lose(ours, loss(base + rate, seeds, images, rng), rng)
                        theirs = lose(theirs, loss(base, seeds, images, rng), rng)
                        a, b = pair(ours, theirs)
                        lost = lost_by(a, BELOW), lost_by(b, BELOW)
                        kept = difference_bounds(*lost).most <= rate  # without which it is not supported
                        both.append(kept and non_inferiority(a, b, lost, asked(rate)).outcome == "supported")
                        mean.append(one_sided_bound(a, b).not_below(MARGIN))
                    cells.append(f"{share(both)} ({share(mean)})")
            print(f"| {name} | {seeds} | {images} | {' | '.join(cells)} |", flush=True)


def equal(studies: int) -> None:
    print("\nFailures not more frequent than tolerated, of a rival that fails as often: tolerance 0.05, 0.1, 0.2")
    for name in ("anew", "alike"):
        for seeds, images in DESIGNS:
            cells = [f"{resolvable(images, seeds):.3f}"]
            for base in (0.0, 0.02, 0.05):
                rng = np.random.default_rng([3, seeds, images, int(100 * base)])
                most = []
                for _ in range(studies):
                    lost = [LOSSES[name](base, seeds, images, rng) for _ in range(2)]
                    a, b = pair(*(np.where(one, 0.1, 0.85) for one in lost))
                    most.append(difference_bounds(lost_by(a, BELOW), lost_by(b, BELOW)).most)
                cells.append(" ".join(f"{100 * np.mean(np.array(most) <= limit):.0f}" for limit in (0.05, 0.1, 0.2)))
            print(f"| {name} | {seeds} | {images} | {' | '.join(cells)} |", flush=True)


def typical(studies: int) -> None:
    print("\nTypical part: supported though worse by the margin | supported of an equal one; losses of 0, 0.05 each")
    for law in ("normal", "skewed", "skewed down", "heavy-tailed"):
        for seeds, images in DESIGNS[:4]:
            cells = []
            for rate in (0.0, 0.05):
                rng = np.random.default_rng([4, seeds, images, int(100 * rate)])
                for effect in (-MARGIN, 0.0):
                    passed = []
                    for _ in range(studies):
                        drawn = scores(seeds, images, rng, effect, law)
                        a, b = pair(*(lose(one, anew(rate, seeds, images, rng), rng) for one in drawn))
                        found = non_inferiority(a, b, (lost_by(a, BELOW), lost_by(b, BELOW)), asked(0.5))
                        passed.append(found.typically == "supported")
                    cells.append(share(passed))
            print(f"| {law} | {seeds} | {images} | {' | '.join(cells)} |", flush=True)


def failed_trainings(studies: int) -> None:
    print("\nSupported (tolerance 0.1, 100 images) though 3 of 10 trainings fail: counted as lost | left out")
    for seeds in (3, 5):
        rng = np.random.default_rng([5, seeds])
        counted, dropped = [], []
        for _ in range(studies):
            ours, theirs = scores(seeds, 100, rng)
            broke = [int(seed) for seed in np.flatnonzero(rng.random(seeds) < 0.3)]
            a, b = pair(ours, theirs)
            kept = [seed for seed in range(seeds) if seed not in broke]
            if not kept:
                counted.append(False), dropped.append(False)
                continue
            a = a._replace(seeds=tuple(kept), values=a.values[kept])
            whole = {image: image for image in b.images}
            theirs_lost = lost_by(b, BELOW)
            for broken, found in (([(seed, whole) for seed in broke], counted), ([], dropped)):
                verdict = non_inferiority(a, b, (lost_by(a, BELOW, 0, broken), theirs_lost), asked(0.1))
                found.append(verdict.outcome == "supported")
        print(f"| {seeds} seeds | {share(counted)} | {share(dropped)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=1000)
    options = parser.parse_args()
    start = time.perf_counter()
    for table in (rates, worse, equal, typical, failed_trainings):
        table(options.studies)
    print(f"\n{options.studies} studies a setting, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
