"""Do intervals hold where test images are not alike? Patients of several slices, few of them, and slices of one volume.

    python benchmarks/coverage_cases.py [--studies 2000] [--only cases|stacks|wider]

Each study is the differences of two equal networks, seeds by slices, and is judged as
`ablate.analysis.significance.difference` does: what a researcher gets. The difference of a seed and slice is seed +
patient + slice + seed by patient + residual; `icc` is the share of the variance over slices that patients have. Slices
of one volume have a first-order autoregression along the volume. `per slice` is the model without cases, what
`ablate` did before and what a paper's t test over slices does.

Columns, in per cent of the studies: `given`, an interval is given at all; of those, `covers`, the 95 % interval holds
the truth, and `differ`, the two equal networks are called different; `width`, the mean of the interval. One
standard error of a share of 95 % is 0.5 with 2,000 studies. `wider`: the mean width over that of the model without
cases, where each image is a case of its own.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ablate.analysis.crossed import Components, components_of, interval_of, p_value_of
from ablate.analysis.independent import Columns, units_of
from ablate.analysis.scales import scale_of_differences

Array = NDArray[np.float64]
SEED, OVER_SLICES, RESIDUAL = 0.006, 0.015, 0.004
"""Standard deviations: of seeds, of slices in all, of the residual."""


class Outcome(NamedTuple):
    """Shares of studies, and the mean width."""

    given: float
    covers: float
    differ: float
    width: float


def columns(images: int, cases: tuple[str, ...], stack: bool | None) -> Columns:
    ids = tuple(f"{at:04d}" for at in range(images))
    return Columns(ids, cases or ids, stack)


def asked(matrix: Array, cases: tuple[str, ...] = (), stack: bool | None = False) -> Components:
    """What `difference` makes its interval and p-value of, of the differences `matrix` (seeds, images)."""
    return components_of(units_of(matrix, columns(matrix.shape[1], cases, stack)))


def held(studies: Array, cases: tuple[str, ...] = (), stack: bool | None = False) -> Outcome:
    """Of `studies` (studies, seeds, images) whose true difference is 0."""
    scale = scale_of_differences("dice")
    known = [asked(matrix, cases, stack) for matrix in studies]
    given = [one for one in (interval_of(each, scale=scale) for each in known) if one.low == one.low]
    tested = [p for p in map(p_value_of, known) if p is not None]
    if not given:
        return Outcome(0.0, np.nan, np.nan, np.nan)
    return Outcome(
        len(given) / len(known),
        float(np.mean([one.low <= 0 <= one.high for one in given])),
        float(np.mean([p <= 0.05 for p in tested])),
        float(np.mean([one.high - one.low for one in given])),
    )


def patients(
    studies: int, seeds: int, sizes: list[int], icc: float, rng: np.random.Generator, react: float = 0.5
) -> tuple[Array, tuple[str, ...]]:
    """Differences (studies, seeds, slices) of patients with so many slices each, and the patient of each slice.

    `react`: the share of the residual that is of a seed and patient.
    """
    of = np.repeat(np.arange(len(sizes)), sizes)

    def drawn(*shape: int) -> Array:
        return rng.normal(size=(studies, *shape))

    over = np.sqrt(icc) * drawn(1, len(sizes))[:, :, of] + np.sqrt(1 - icc) * drawn(1, len(of))
    rest = np.sqrt(react) * drawn(seeds, len(sizes))[:, :, of] + np.sqrt(1 - react) * drawn(seeds, len(of))
    return SEED * drawn(seeds, 1) + OVER_SLICES * over + RESIDUAL * rest, tuple(f"p{at}" for at in of)


def volume(studies: int, seeds: int, slices: int, along: float, rng: np.random.Generator, seed: float = SEED) -> Array:
    """Differences (studies, seeds, slices) of one volume, whose neighbours correlate by `along`; the residual's too."""

    def series(rows: int) -> Array:
        found = rng.normal(size=(studies, rows, slices))
        for at in range(1, slices):
            found[:, :, at] = along * found[:, :, at - 1] + np.sqrt(1 - along**2) * found[:, :, at]
        return found

    return seed * rng.normal(size=(studies, seeds, 1)) + OVER_SLICES * series(1) + RESIDUAL * series(seeds)


def line(*texts: str, found: Outcome) -> None:
    shares = " | ".join("none" if np.isnan(share) else f"{100 * share:.1f}" for share in found[:3])
    width = "" if np.isnan(found.width) else f"{found.width:.4f}"
    fails = "  FAILS" if found.covers < 0.93 or found.differ > 0.07 else ""
    print(f"| {' | '.join(texts)} | {shares} | {width} |{fails}", flush=True)


def of_cases(studies: int) -> None:
    print("| seeds | patients | icc | method | given | covers | differ | width |\n" + "|---" * 8 + "|")
    designs: list[tuple[int, str, list[int]]] = [
        (3, "2 of 10", [10] * 2), (3, "3 of 10", [10] * 3), (3, "4 of 10", [10] * 4), (3, "6 of 10", [10] * 6),
        (3, "20 of 10", [10] * 20), (2, "6 of 10", [10] * 6), (5, "6 of 10", [10] * 6), (5, "3 of 10", [10] * 3),
        (3, "6 of 2 to 30", [2, 4, 8, 12, 20, 30]), (3, "12 of 1 to 40", [1, 1, 2, 2, 3, 5, 8, 10, 12, 16, 20, 40]),
    ]  # fmt: skip
    for seeds, named, sizes in designs:
        for place, icc in enumerate((0.0, 0.2, 0.5, 0.8)):
            rng = np.random.default_rng([4, seeds, len(sizes), sizes[-1], place])
            made, cases = patients(studies, seeds, sizes, icc, rng)
            texts = (str(seeds), named, f"{icc:g}")
            line(*texts, "this project", found=held(made, cases))
            if seeds == 3:
                line(*texts, "per slice", found=held(made))


def of_stacks(studies: int) -> None:
    print(
        "| slices | seed sd | along | said to be | given | covers | differ | width |\n|---|---|---|---|---|---|---|---|"
    )
    words: dict[bool | None, str] = {True: "one volume", None: "nothing"}
    for slices in (6, 12, 20, 30, 60):
        for seed in (SEED, 0.0):
            for place, along in enumerate((0.0, 0.5, 0.8, 0.9)):
                made = volume(studies, 3, slices, along, np.random.default_rng([5, slices, place]), seed)
                for stack, word in words.items():
                    if slices >= 20 or stack is not True:
                        line(str(slices), f"{seed:g}", f"{along:g}", word, found=held(made, stack=stack))
    none = held(volume(100, 3, 12, 0.5, np.random.default_rng(6)), stack=True)
    print(f"of fewer than 20 slices that are said to be of one volume, an interval is given in {none.given:.0%}")


def of_widths(studies: int) -> None:
    """The mean width over that of the model without cases."""
    print("| seeds | images | cases given | nothing said |\n|---|---|---|---|")
    for seeds, images in ((2, 12), (3, 6), (3, 12), (3, 30), (5, 12)):
        rng = np.random.default_rng([7, seeds, images])
        made, cases = patients(studies, seeds, [1] * images, 0.5, rng)

        def width(cases: tuple[str, ...] = (), stack: bool | None = False, made: Array = made) -> float:
            found = [interval_of(asked(matrix, cases, stack)) for matrix in made]
            return float(np.nanmean([one.high - one.low for one in found]))

        before = width()
        print(f"| {seeds} | {images} | {width(cases) / before:.3f} | {width(stack=None) / before:.3f} |", flush=True)


PARTS: dict[str, Callable[[int], None]] = {"cases": of_cases, "stacks": of_stacks, "wider": of_widths}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--only", choices=tuple(PARTS))
    options = parser.parse_args()
    start = time.perf_counter()
    for name, part in PARTS.items():
        if options.only in (None, name):
            part(options.studies)
            print()
    print(f"{options.studies} studies a setting, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
