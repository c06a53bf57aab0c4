"""Does what is chosen from the data hold? Studies of many cells are simulated, and every choice held against the truth.

    python benchmarks/chosen.py [--studies 1000]

A score is a cell's mean + what a seed does to this cell + what is hard about an image for all cells and for
this one + the rest. Costs rise from cell to cell. Equal cells are where choosing misleads most; `measured` spreads are
those of the six networks on ISBI 2012. Columns, in per cent of the studies unless said:

- `dagger`: at least one cell is said to be worse than the best though no cell is better; `Holm`: the same with tests
  against the best of the data, after Holm.
- `best out`: a cell with the best true mean is not in the set of the best. `set`: its mean size; `right`: of the cells
  that are truly worse, how many are told apart from the best.
- `front`: the confidence set is wrong (a cell of the true front excluded, or one sure that is not on it).
- `band`: the front's band holds what is truly attained, mean over the costs; `was`: the reflected bootstrap's.
- `best`: the corrected interval of the best mean holds that cell's true mean; `plain`: the plain interval does.
- `points`: corrected intervals of the front's members hold their true means, mean over the members; `plain` likewise.
- `volume`: the hypervolume's interval holds the true front's.
- `supported`, `refuted`: an `on_front` claim about a cell named beforehand is falsely so (mean over the cells).
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ablate.analysis.best import all_pairs, none_better
from ablate.analysis.pareto import Pareto, Point, hypervolume, nondominated
from ablate.analysis.scores import CellScores
from ablate.analysis.significance import difference, hierarchical_bootstrap, holm, mean_interval, one_sided_bound
from ablate.analysis.staircases import Staircases
from ablate.analysis.uncertainty import uncertain_fronts

Array = NDArray[np.float64]
STABLE, UNSTABLE = 0.0025, 0.029
"""Standard deviations of a seed's effect, of networks on ISBI 2012."""


class Setting(NamedTuple):
    """Standard deviations of a seed's, an image's and the residual's effect; of `unstable` cells that of ISBI's one.

    `spread` is the standard deviation of cells' true means, `families` how many groups of cells share what is hard for
    them, instead of each for itself, `common` the standard deviation of what is hard for all: the less, the more of a
    mean's error is what choosing picks up.
    """

    name: str
    seed: float
    image: float
    residual: float
    cells: int = 40
    seeds: int = 3
    images: int = 12
    unstable: int = 0
    spread: float = 0.0
    families: int = 0
    common: float = 0.05


SETTINGS = (
    Setting("40 equal, typical", 0.006, 0.006, 0.004),
    Setting("40 equal, typical, images alike", 0.006, 0.006, 0.004, common=0.003),
    Setting("40 equal, images dominate", 0.003, 0.020, 0.005),
    Setting("40 equal, measured, alike", STABLE, 0.001, 0.002, images=6),
    Setting("40 equal, measured, one unstable", STABLE, 0.001, 0.002, images=6, unstable=1),
    Setting("40 equal, one unstable, images alike", STABLE, 0.001, 0.002, images=6, unstable=1, common=0.003),
    Setting("40 equal, measured, ten unstable", STABLE, 0.001, 0.002, images=6, unstable=10),
    Setting("40 equal, two families", 0.003, 0.012, 0.003, families=2),
    Setting("40 equal, 2 seeds", 0.006, 0.006, 0.004, seeds=2),
    Setting("40 equal, 5 seeds, 30 images", 0.006, 0.006, 0.004, seeds=5, images=30),
    Setting("6 equal, typical", 0.006, 0.006, 0.004, cells=6),
    Setting("6 equal, measured, one unstable", STABLE, 0.001, 0.002, cells=6, images=6, unstable=1),
    Setting("3 equal, measured, one unstable", STABLE, 0.001, 0.002, cells=3, images=6, unstable=1),
    Setting("40 unlike, typical", 0.006, 0.006, 0.004, spread=0.02),
    Setting("40 unlike, measured, one unstable", STABLE, 0.001, 0.002, images=6, unstable=1, spread=0.01),
    Setting("6 unlike, measured, one unstable", STABLE, 0.001, 0.002, cells=6, images=6, unstable=1, spread=0.01),
)


class Outcome(NamedTuple):
    """Of one study, in the columns' order; NaN where a column does not apply."""

    dagger: float
    holm: float
    best_out: float
    size: float
    told: float
    front: float
    band: float
    band_was: float
    best: float
    best_plain: float
    points: float
    points_plain: float
    volume: float
    supported: float
    refuted: float


def simulate(setting: Setting, rng: np.random.Generator) -> tuple[Array, Array]:
    """True means (cells,), the last of which are of unstable cells, and scores (cells, seeds, images)."""
    count = setting.cells
    truth = 0.85 + setting.spread * rng.normal(size=count)
    seed = np.full(count, setting.seed)
    seed[rng.permutation(count)[: setting.unstable]] = UNSTABLE
    image = rng.normal(size=(setting.families or count, 1, setting.images))
    if setting.families:
        image = image[rng.integers(setting.families, size=count)]
    scores = (
        truth[:, None, None]
        + setting.common * rng.normal(size=setting.images)
        + seed[:, None, None] * rng.normal(size=(count, setting.seeds, 1))
        + setting.image * image
        + setting.residual * rng.normal(size=(count, setting.seeds, setting.images))
    )
    return truth, scores


def study_of(scores: Array) -> tuple[Pareto, dict[str, CellScores]]:
    """The front of a study and the scores of its cells, as the analysis has them; cell i costs i + 1."""
    count, seeds, images = scores.shape
    names = [f"c{at:03d}" for at in range(count)]
    means = scores.mean(axis=(1, 2))
    plane = np.column_stack([np.arange(1.0, count + 1), means])
    best = nondominated(plane, (False, True))
    points = tuple(
        Point(name, name, "unet", "", float(cost), float(mean), None, seeds, bool(on))
        for name, (cost, mean), on in zip(names, plane, best, strict=True)
    )
    reference = (1.1 * count, 0.5)
    front = Pareto(
        x="params",
        y="dice",
        points=points,
        front=tuple(point.cell for point in points if point.on_front),
        trivial=(),
        reference=reference,
        hypervolume=hypervolume(plane, reference, (False, True)),
    )
    images_of, seeds_of = tuple(f"{at:03d}" for at in range(images)), tuple(range(seeds))
    return front, {
        name: CellScores(name, name, "unet", "slices", False, seeds_of, images_of, values)
        for name, values in zip(names, scores, strict=True)
    }


def judged(truth: Array, scores: Array, *, slow: bool) -> Outcome:
    """One study through the functions that the outputs use; `slow`: also what takes long."""
    front, known = study_of(scores)
    names, costs = list(known), np.arange(1.0, len(truth) + 1)
    pairs = all_pairs(known, "dice")
    daggers = pairs.worse()
    is_best = truth >= truth.max() - 1e-12
    top = int(np.argmax(pairs.means))
    plain = mean_interval(known[names[top]])
    corrected = pairs.chosen(top, pairs.reach(~daggers), plain)
    [sure] = uncertain_fronts([front], {"dice": known}, resamples=300)
    true_front = nondominated(np.column_stack([costs, truth]), (False, True))
    if np.ptp(truth) == 0:
        true_front = costs == 1.0  # equal and dearer is not on it
    possible, certain = ({names.index(cell) for cell in cells} for cells in (sure.possible, sure.sure))
    on = set(np.flatnonzero(true_front))
    attained = np.maximum.accumulate(truth)
    members = [names.index(cell) for cell in front.front]
    plains = [mean_interval(known[names[at]]) for at in members]
    chosen = [sure.chosen[names[at]] for at in members]
    area = hypervolume(np.column_stack([costs, truth]), sure.hypervolume.reference, (False, True))
    supported, refuted = _claims(known, names, true_front) if slow else (math.nan, math.nan)
    worse = ~is_best
    return Outcome(
        dagger=float((daggers & is_best).any()),
        holm=_against_best_of_data(known, names[top], is_best) if slow else math.nan,
        best_out=float(not (~daggers)[is_best].all()),
        size=float((~daggers).sum()),
        told=float(daggers[worse].mean()) if worse.any() else math.nan,
        front=float(not (on <= possible and certain <= on)),
        band=_held(attained, np.array(sure.band.low), np.array(sure.band.high)),
        band_was=_bootstrap_band(scores, costs, attained) if slow else math.nan,
        best=float(corrected.low <= truth[top] <= corrected.high),
        best_plain=float(plain.low <= truth[top] <= plain.high),
        points=float(np.mean([one.low <= truth[at] <= one.high for at, one in zip(members, chosen, strict=True)])),
        points_plain=float(
            np.mean([one.low <= truth[at] <= one.high for at, one in zip(members, plains, strict=True)])
        ),
        volume=float(sure.hypervolume.low <= area <= sure.hypervolume.high),
        supported=supported,
        refuted=refuted,
    )


def _held(attained: Array, low: Array, high: Array) -> float:
    return float(np.mean((low <= attained) & (attained <= high)))


def _against_best_of_data(known: Mapping[str, CellScores], best: str, is_best: NDArray[np.bool_]) -> float:
    """Whether the dagger of a table was wrong as long as it was against the best of the data, after Holm."""
    tests = [difference(one, known[best], "dice") for name, one in known.items() if name != best]
    wrong = {name for name, its in zip(known, is_best, strict=True) if its}
    return float(any(one.significant and one.gain < 0 and one.a in wrong for one in holm(tests)))


def _bootstrap_band(scores: Array, costs: Array, attained: Array) -> float:
    stairs = Staircases(costs)
    means = hierarchical_bootstrap(list(scores), 300, np.random.default_rng(0))
    own = stairs.attained(scores.mean(axis=(1, 2))[None])[0]
    low, high = np.sort(2 * own - np.quantile(stairs.attained(means), [0.975, 0.025], axis=0), axis=1)
    return _held(attained, np.minimum(low, own), np.maximum(high, own))


def _claims(known: Mapping[str, CellScores], names: list[str], on: NDArray[np.bool_]) -> tuple[float, float]:
    """Of four cells, those falsely shown to be on the front, and falsely shown not to be; as `front_probability`."""
    supported, refuted = [], []
    for at in (0, len(names) // 3, 2 * len(names) // 3, len(names) - 1):
        own, rivals = known[names[at]], names[:at]
        sure = all(one_sided_bound(own, known[rival]).not_below(0.0) for rival in rivals)
        if on[at]:
            refuted.append(none_better(known, "dice", names[at], rivals) <= 0.05)
        else:
            supported.append(sure)
    return _mean(supported), _mean(refuted)


def _mean(values: list[bool]) -> float:
    return float(np.mean(values)) if values else math.nan


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--only", default="", help="Settings whose names have this.")
    parser.add_argument("--slow", type=int, default=200, help="Studies in which claims, and what was, are judged too.")
    options = parser.parse_args()
    start = time.perf_counter()
    print("| setting | " + " | ".join(name.replace("_", " ") for name in Outcome._fields) + " |")
    print("|---" * (len(Outcome._fields) + 1) + "|")
    for place, setting in enumerate(SETTINGS):
        if options.only not in setting.name:
            continue
        rng = np.random.default_rng([13, place])
        rows = np.array([judged(*simulate(setting, rng), slow=at < options.slow) for at in range(options.studies)])
        counts = np.isfinite(rows).sum(axis=0)
        means = np.nansum(rows, axis=0) / np.maximum(counts, 1)
        errors = np.sqrt(np.nansum((rows - means) ** 2, axis=0)) / np.maximum(counts, 1)
        shown = [
            f"{mean:.1f}" if name == "size" else "–" if not count else f"{100 * mean:.1f} ± {100 * error:.1f}"
            for name, mean, error, count in zip(Outcome._fields, means, errors, counts, strict=True)
        ]
        print(f"| {setting.name} | {' | '.join(shown)} |", flush=True)
    print(f"\n{options.studies} studies a setting (± one standard error), {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
