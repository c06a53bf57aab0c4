"""How far a search had been optimistic: its front trained again with seeds that it did not use, judged on test images.

The front that a search returns is the best of many noisy scores, so its scores are too high: each cell is there in part
because its seed was lucky on the validation images. Fresh seeds do not share that luck, and the test images took no
part in the search.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ablate.analysis.crossed import Interval, components, components_of, interval_of, of_seeds_alone
from ablate.analysis.format import between, several
from ablate.analysis.independent import units_of
from ablate.analysis.pareto import nondominated
from ablate.analysis.scales import scale_of_differences
from ablate.analysis.scores import cell_scores
from ablate.analysis.significance import mean_interval
from ablate.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from ablate.analysis.frames import Frames
    from ablate.study.runs import Run

DESIGN = "confirm"
"""The design of a run that confirms, in `study.yaml`."""


class Candidate(NamedTuple):
    """A cell to confirm. `score` is its mean validation Dice in the search."""

    cell: str
    score: float
    on_front: bool


class Confirmed(NamedTuple):
    """A cell that was confirmed: what the search saw of it, and what fresh seeds say.

    `searched` and `repeated` are mean validation Dice, of the search's seeds and of the fresh ones; `test` is the mean
    test Dice of the fresh ones with its interval. `was` and `is_on_front`: whether no other confirmed cell beats it at
    its parameters and MACs, by the search's validation Dice and by the fresh seeds' test Dice.
    """

    cell: str
    label: str
    params: float
    macs: float
    searched: float
    repeated: float
    test: Interval
    seeds: int
    was_on_front: bool
    is_on_front: bool


class Optimism(NamedTuple):
    """What the search promised of its front less what fresh seeds gave, in Dice, as means over the front's cells.

    `total` is the search's validation Dice less the fresh seeds' test Dice. It is the sum of `luck`, with the fresh
    seeds' validation Dice in the test's place: the same images, so what is left is the selection of lucky trainings;
    and of `images`, what validation images give over test images, because they chose the epoch or are easier.
    """

    total: Interval
    luck: Interval
    images: Interval
    cells: int
    seeds: int


class Confirmation(NamedTuple):
    """The confirmed cells by rising parameters. `unconfirmed`: cells of the front without a fresh trial yet."""

    cells: tuple[Confirmed, ...]
    optimism: Optimism
    unconfirmed: int

    @property
    def sentences(self) -> list[str]:
        """What was found, in words."""
        found = self.optimism
        promised = float(np.mean([cell.searched for cell in self.cells if cell.was_on_front]))
        kept = sum(cell.was_on_front and cell.is_on_front for cell in self.cells)
        risen = sum(not cell.was_on_front and cell.is_on_front for cell in self.cells)
        networks = several(found.cells, "network")
        said = [
            f"The search promised a mean Dice of {promised:.3f} on its front. {several(found.seeds, 'fresh seed')} of "
            f"its {networks} give {promised - found.total.estimate:.3f} on the test images: it was optimistic by "
            f"{_text(found.total)}.",
            f"Of that, {_text(found.luck)} is the luck of the seeds that it chose, and {_text(found.images)} that of "
            "its validation images.",
            f"{kept} of the {networks} stay on the front"
            + (f"; {several(risen, 'rival')} joined it." if risen else "."),
        ]
        if self.unconfirmed:
            said.append(f"{several(self.unconfirmed, 'network')} of the front have no fresh trial yet.")
        return said


def _text(found: Interval) -> str:
    if math.isnan(found.low):
        return f"{found.estimate:+.3f} (no interval: {found.why})"
    return f"{found.estimate:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"


def candidates(trials: pd.DataFrame, searched: Collection[str], rivals: int = 1) -> tuple[Candidate, ...]:
    """The front of the `searched` trials (by key) in validation Dice, parameters and MACs; and its nearest rivals.

    The rivals of a front's cell are those that it keeps off the front and that need the least more Dice to be on it:
    up to `rivals` for each. Raises `InputError` where no searched trial is complete.
    """
    cells = _means(trials, searched)
    if not cells:
        raise InputError("no trial of the search is complete: there is no front to confirm yet")
    on_front = _front(cells.values())
    members = [cell for cell, held in zip(cells, on_front, strict=True) if held]
    lacking: dict[str, list[tuple[float, str]]] = {}
    for cell, held in zip(cells, on_front, strict=True):
        if not held:
            own = cells[cell]
            keeper = max((m for m in members if _no_dearer(cells[m], own)), key=lambda m: cells[m].val_dice)
            lacking.setdefault(keeper, []).append((cells[keeper].val_dice - own.val_dice, cell))
    nearest = [cell for ranked in lacking.values() for _, cell in sorted(ranked)[:rivals]]
    return tuple(Candidate(cell, cells[cell].val_dice, cell in members) for cell in [*members, *nearest])


class _Means(NamedTuple):
    """Of a cell's complete trials: validation Dice, parameters and MACs."""

    val_dice: float
    params: float
    macs: float


def _means(trials: pd.DataFrame, keys: Collection[str]) -> dict[str, _Means]:
    """By cell, over those of `keys` that are complete."""
    known = trials[trials["key"].isin(list(keys)) & (trials["state"] == "complete")]
    means = known.groupby("cell", sort=False)[list(_Means._fields)].mean()
    return {str(cell): _Means(*map(float, row)) for cell, row in zip(means.index, means.to_numpy(), strict=True)}


def _front(points: Iterable[_Means]) -> list[bool]:
    return [bool(held) for held in nondominated(list(points), (True, False, False))]


def _no_dearer(a: _Means, b: _Means) -> bool:
    return a.params <= b.params and a.macs <= b.macs


def searched_and_fresh(runs: Iterable[Run]) -> tuple[list[str], list[str]]:
    """Keys of a study's trials that were searched among, and of those that confirm them."""
    keys: dict[bool, dict[str, None]] = {True: {}, False: {}}
    for run in runs:
        keys[run.design == DESIGN].update(dict.fromkeys(run.trials))
    return list(keys[False]), [key for key in keys[True] if key not in keys[False]]


def fresh_seeds(used: Iterable[int], count: int) -> range:
    """`count` seeds above all those that the search used."""
    first = max(used, default=-1) + 1
    return range(first, first + count)


def of_fresh_seeds(frames: Frames, fresh: Collection[str]) -> Frames:
    """The tables of the `fresh` trials (by key) and the trivial rows alone: what claims should be judged on."""
    kept = frames.trials[frames.trials["key"].isin(list(fresh)) | (frames.trials["state"] == "trivial")]
    keys = set(kept["key"])
    return frames._replace(
        trials=kept.reset_index(drop=True),
        epochs=frames.epochs[frames.epochs["key"].isin(keys)].reset_index(drop=True),
        images=frames.images[frames.images["key"].isin(keys)].reset_index(drop=True),
    )


def confirmation(frames: Frames, searched: Collection[str], fresh: Collection[str]) -> Confirmation | None:
    """What the `fresh` trials say of the search's front; `None` where none of it was trained again.

    `searched` and `fresh` are keys. Intervals are those of `ablate.analysis.significance`: of fresh seeds and test
    images, averaged over the front's cells, with what the search saw taken as it stands.
    """
    seen = _means(frames.trials, searched)
    again = of_fresh_seeds(frames, fresh)
    scores = cell_scores(again, "dice") if len(again.images) else {}
    repeated = _means(again.trials, fresh)
    was = dict(zip(seen, _front(seen.values()), strict=True))
    common = [cell for cell in repeated if cell in seen and cell in scores]
    members = [cell for cell in common if was[cell]]
    if not members:
        return None
    held = _front(seen[cell]._replace(val_dice=scores[cell].mean) for cell in common)
    labels = {str(cell): str(label) for cell, label in zip(frames.trials["cell"], frames.trials["label"], strict=True)}
    cells = [
        Confirmed(
            cell=cell,
            label=labels[cell],
            params=seen[cell].params,
            macs=seen[cell].macs,
            searched=seen[cell].val_dice,
            repeated=repeated[cell].val_dice,
            test=mean_interval(scores[cell]),
            seeds=len(scores[cell].seeds),
            was_on_front=was[cell],
            is_on_front=is_held,
        )
        for cell, is_held in zip(common, held, strict=True)
    ]
    return Confirmation(
        cells=tuple(sorted(cells, key=lambda cell: (cell.params, cell.cell))),
        optimism=_optimism(again, members, float(np.mean([seen[cell].val_dice for cell in members]))),
        unconfirmed=sum(was.values()) - len(members),
    )


def _optimism(again: Frames, members: list[str], promised: float) -> Optimism:
    """Of the front's cells, on the seeds and images that all of them have."""
    scores = [found for cell, found in cell_scores(again, "dice").items() if cell in members]
    seeds = sorted(set.intersection(*(set(found.seeds) for found in scores)))
    images = sorted(set.intersection(*(set(found.images) for found in scores)))
    if not seeds or not images:
        raise InputError("the confirmed networks share no fresh seed yet: run `ablate confirm` to its end")
    parts = [
        found.values[np.ix_([found.seeds.index(s) for s in seeds], [found.images.index(i) for i in images])]
        for found in scores
    ]
    columns = scores[0].columns.at([scores[0].images.index(image) for image in images])
    test = np.mean(parts, axis=0)
    by_seed = again.trials[again.trials["cell"].isin(members)].groupby("seed")["val_dice"].mean()
    validation = np.array([[float(by_seed[seed])] for seed in seeds])
    scale = scale_of_differences("dice")
    # Of the validation images nothing but their mean is known: how lucky seeds were on them is said of them alone.
    luck = of_seeds_alone(components(promised - validation))
    return Optimism(
        total=interval_of(components_of(units_of(promised - test, columns)), scale=scale),
        luck=interval_of(luck, scale=scale),
        images=interval_of(components_of(units_of(validation - test, columns)), scale=scale),
        cells=len(members),
        seeds=len(seeds),
    )


def table(found: Confirmation) -> list[tuple[str, str, str, str, str]]:
    """Rows of network, what the search saw, fresh validation, fresh test, and how its place changed; by parameters."""
    places = {(True, True): "stays", (True, False): "falls", (False, True): "joins", (False, False): "rival"}
    return [
        (
            cell.label,
            f"{cell.searched:.3f}",
            f"{cell.repeated:.3f}",
            f"{cell.test.estimate:.3f}"
            if math.isnan(cell.test.low)
            else between(cell.test.estimate, cell.test.low, cell.test.high),
            places[cell.was_on_front, cell.is_on_front],
        )
        for cell in found.cells
    ]
