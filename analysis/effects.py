"""What each factor of a search space is worth: levels against their reference, interactions, and importances.

In a designed space (grid, one_factor, leave_one_out) an effect is the difference between cells that differ in one
factor alone. In a sampled one no two cells do, so its factors are ranked by importance instead.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ablate.analysis.crossed import Interval, components_of, interval_of, p_value_of
from ablate.analysis.format import listing, several
from ablate.analysis.importances import Importance, importances_of
from ablate.analysis.independent import Columns, units_of
from ablate.analysis.scales import scale_of_differences
from ablate.analysis.scores import CostedScores, cases_of, cell_scores
from ablate.analysis.significance import Difference, complete_places, difference_of, holm
from ablate.metrics.counts import MetricName

if TYPE_CHECKING:
    from ablate.analysis.frames import Frames
    from ablate.study.runs import Run

DESIGNED = ("grid", "one_factor", "leave_one_out")
_WITH = "with"
_FOLD = "protocol.split.fold"
_CROSSING = ("data", "protocol", "data.", "protocol.split")


class Effect(NamedTuple):
    """A level against its factor's reference, everything else equal."""

    space: str
    task: str
    """The data set; of a factor that changes the data, the reference's."""
    factor: str
    level: str
    reference: str
    difference: Difference
    """Level less reference; `a` and `b` are cells where there is one pair, levels where the mean is over several."""
    params: float
    macs: float
    """Ratio of level to reference; over several pairs their geometric mean, NaN where unknown."""
    pairs: int
    """Pairs of cells averaged over: 1 in one_factor and leave_one_out."""


class Interaction(NamedTuple):
    """How much more the first factor's level is worth at the second's level than at the second's reference."""

    space: str
    task: str
    factors: tuple[str, str]
    levels: tuple[str, str]
    references: tuple[str, str]
    interval: Interval
    p_value: float | None
    """Two-sided, not corrected for the number of interactions; `None` with one seed."""


class Effects(NamedTuple):
    """All that a study's designs can tell of their factors, and in `notes` what they cannot."""

    metric: MetricName
    effects: tuple[Effect, ...]
    interactions: tuple[Interaction, ...]
    importances: tuple[Importance, ...]
    notes: tuple[str, ...]


_Levels = tuple[str, ...]
"""The levels of a cell, in the order of its run's factors."""
_Corners = tuple[_Levels, ...]
"""The cells of one contrast: level and reference, or the four of an interaction; the reference is last."""


class _Design(NamedTuple):
    """The scored cells of a run that can be compared, `values` of shape (cells, seeds, images), NaN where missing."""

    space: str
    factors: tuple[str, ...]
    references: tuple[str, ...]
    cells: dict[_Levels, CostedScores]
    place: dict[_Levels, int]
    values: NDArray[np.float64]
    columns: Columns


class _Contrast(NamedTuple):
    """A matrix of differences (seeds, images) averaged over the contrasts of several cells."""

    matrix: NDArray[np.float64]
    columns: Columns
    used: int
    note: str


def effects(frames: Frames, runs: Sequence[Run], metric: MetricName) -> Effects:
    """The effects of the factors of `runs` (`study.manifest.runs`) on `metric`.

    Effects are corrected for being one family in each space and task (Holm).
    """
    cells = _cells(frames, metric)
    cell_of = dict(zip(frames.trials["key"], frames.trials["cell"], strict=True))
    found: list[Effect] = []
    interactions: list[Interaction] = []
    importances: list[Importance] = []
    notes: list[str] = []
    for planned, space in zip(runs, _names(runs), strict=True):
        run = _without_folds(planned)
        placed = _placed(run, cells, cell_of, notes, space)
        if not placed:
            notes.append(f"{space}: no trial has been scored")
        elif run.design not in DESIGNED:
            notes.append(f"{space}: its configurations are sampled, so factors have importances, not effects")
            for configurations in placed.values():
                importances += importances_of(space, run, configurations, metric, notes)
        else:
            references = _references(run, space, notes)
            for configurations in placed.values():
                design = _design(space, tuple(run.factors), references, configurations)
                found += _corrected(_effects(design, run.factors, metric, notes))
                interactions += _interactions(design, metric, notes)
            if len(run.factors) > 1 and run.design != "grid":
                notes.append(f"{space}: design {run.design} cannot estimate interactions; a grid can")
    return Effects(metric, tuple(found), tuple(interactions), tuple(importances), tuple(dict.fromkeys(notes)))


# From tables to designs ----------------------------------------------------------------------------------------------


def _cells(frames: Frames, metric: MetricName) -> dict[str, CostedScores]:
    costs = frames.trials.groupby("cell", sort=False)[["params", "macs"]].mean().to_dict("index")
    return {
        cell: CostedScores(scores, float(costs[cell]["params"]), float(costs[cell]["macs"]))
        for cell, scores in cell_scores(frames, metric).items()
    }


def _names(runs: Sequence[Run]) -> list[str]:
    """The spaces' names; where one was run under several profiles, with the profile."""
    spaces = [run.space for run in runs]
    return [f"{run.space} ({run.profile})" if spaces.count(run.space) > 1 else run.space for run in runs]


def _placed(
    run: Run, cells: dict[str, CostedScores], cell_of: dict[str, str], notes: list[str], space: str
) -> dict[str, dict[_Levels, CostedScores]]:
    """A run's scored cells by task and levels; of a space that varies the data itself, all under one task ''."""
    across = any(_crosses(run, factor) for factor in run.factors)
    placed: dict[str, dict[_Levels, CostedScores]] = {}
    for key, named in run.trials.items():
        cell = cells.get(cell_of.get(key, ""))
        if cell is None:
            continue
        levels = tuple(named.get(factor, "") for factor in run.factors)
        design = placed.setdefault("" if across else cell.scores.task, {})
        earlier = design.get(levels)
        if earlier is not None and earlier.scores.cell != cell.scores.cell:
            notes.append(f"{space}: some levels were run under several settings; the last planned ones are compared")
        design[levels] = cell
    return placed


def _crosses(run: Run, factor: str) -> bool:
    """Whether a factor's levels change the data, so that they are judged on different images."""
    return any(field in _CROSSING[:2] or field.startswith(_CROSSING[2:]) for field in _fields(run, factor))


def _fields(run: Run, factor: str) -> list[str]:
    """What a factor's levels set."""
    levels = run.definition.get("factors", {}).get(factor)
    if isinstance(levels, dict) and all(isinstance(level, dict) for level in levels.values()):
        return [str(field) for level in levels.values() for field in level]
    return [factor]


def _without_folds(run: Run) -> Run:
    """The run without a factor whose levels are folds, which version 0.1 took: the folds of a cell are one now."""
    kept = {name: levels for name, levels in run.factors.items() if set(_fields(run, name)) != {_FOLD}}
    return run if len(kept) == len(run.factors) else run.model_copy(update={"factors": kept})


def _references(run: Run, space: str, notes: list[str]) -> tuple[str, ...]:
    named = run.definition.get("reference") or {}

    def reference(factor: str, levels: Sequence[str]) -> str:
        if run.design == "leave_one_out":
            return _WITH
        if factor in named:
            return str(named[factor])
        notes.append(f"{space}: {factor} names no reference, so its first level '{levels[0]}' is it")
        return levels[0]

    return tuple(reference(factor, levels) for factor, levels in run.factors.items())


def _design(
    space: str, factors: tuple[str, ...], references: tuple[str, ...], cells: dict[_Levels, CostedScores]
) -> _Design:
    seeds = sorted({seed for cell in cells.values() for seed in cell.scores.seeds})
    images = sorted({image for cell in cells.values() for image in cell.scores.images})
    row, column = {seed: i for i, seed in enumerate(seeds)}, {image: i for i, image in enumerate(images)}
    values = np.full((len(cells), len(seeds), len(images)), np.nan)
    for place, (scores, *_) in enumerate(cells.values()):
        values[place][np.ix_([row[s] for s in scores.seeds], [column[i] for i in scores.images])] = scores.values
    places = {levels: i for i, levels in enumerate(cells)}
    return _Design(space, factors, references, cells, places, values, _columns(images, cells.values()))


def _columns(images: list[str], cells: Iterable[CostedScores]) -> Columns:
    """Of the images of all cells. Of levels that change the data, an image is of the case that the last of them says;
    they are slices of one volume where any cell's are."""
    every = [cell.scores for cell in cells]
    case = {image: case for scores in every for image, case in zip(scores.images, cases_of(scores), strict=True)}
    stacks = {scores.stack for scores in every}
    stack = True if True in stacks else None if None in stacks else False
    return Columns(tuple(images), tuple(case[image] for image in images), stack, every[0].unit == "case")


# Effects -------------------------------------------------------------------------------------------------------------


def _effects(design: _Design, levels: dict[str, list[str]], metric: MetricName, notes: list[str]) -> Iterator[Effect]:
    for axis, (factor, reference) in enumerate(zip(design.factors, design.references, strict=True)):
        scored = {cell[axis] for cell in design.cells}
        others = [level for level in dict.fromkeys([*levels[factor], *sorted(scored)]) if level != reference]
        if not others:
            notes.append(f"{design.space}: {factor} has the one level '{reference}', so nothing to compare")
            continue
        if reference not in scored:
            notes.append(f"{design.space}: {factor}'s reference '{reference}' has no scored trial: no effect of it")
            continue
        for level in others:
            pairs: list[_Corners] = [
                (cell, _with(cell, axis, reference))
                for cell in design.cells
                if cell[axis] == level and _with(cell, axis, reference) in design.cells
            ]
            if not pairs:
                notes.append(f"{design.space}: {factor} '{level}' has no scored trial beside its reference")
            for task, group in _by_task(design, pairs, f"{factor} '{level}'", notes):
                contrast = _contrast(design, group, (1, -1))
                if contrast is None:
                    notes.append(f"{design.space}: {factor} '{level}' and '{reference}' share no seed or no image")
                    continue
                a, b = (level, reference)
                if len(group) == 1:
                    a, b = (design.cells[cell].scores.cell for cell in group[0])
                yield Effect(
                    space=design.space,
                    task=task,
                    factor=factor,
                    level=level,
                    reference=reference,
                    difference=difference_of(
                        contrast.matrix, a, b, metric, note=contrast.note, columns=contrast.columns
                    ),
                    params=_ratio(((design.cells[a].params, design.cells[b].params) for a, b in group)),
                    macs=_ratio(((design.cells[a].macs, design.cells[b].macs) for a, b in group)),
                    pairs=contrast.used,
                )


def _corrected(found: Iterable[Effect]) -> Iterator[Effect]:
    """The effects of a design, by task, Holm-corrected within each."""
    families: dict[str, list[Effect]] = {}
    for effect in found:
        families.setdefault(effect.task, []).append(effect)
    for family in families.values():
        corrected = holm([effect.difference for effect in family])
        yield from (effect._replace(difference=by) for effect, by in zip(family, corrected, strict=True))


def _interactions(design: _Design, metric: MetricName, notes: list[str]) -> Iterator[Interaction]:
    """The difference of differences of every two levels of two factors, where all four cells were scored."""
    for one, other in itertools.combinations(range(len(design.factors)), 2):
        references = design.references[one], design.references[other]
        squares: dict[tuple[str, str], list[_Corners]] = {}
        for cell in design.cells:
            first, second = _with(cell, one, references[0]), _with(cell, other, references[1])
            corners = (cell, first, second, _with(first, other, references[1]))
            if len(set(corners)) == 4 and all(corner in design.cells for corner in corners):
                squares.setdefault((cell[one], cell[other]), []).append(corners)
        factors = design.factors[one], design.factors[other]
        for levels, found in squares.items():
            what = f"{factors[0]} '{levels[0]}' by {factors[1]} '{levels[1]}'"
            for task, group in _by_task(design, found, what, notes):
                contrast = _contrast(design, group, (1, -1, -1, 1))
                if contrast is None:
                    notes.append(f"{design.space}: the cells of {what} share no seed or no image")
                    continue
                variances = components_of(units_of(contrast.matrix, contrast.columns))
                interval = interval_of(variances, scale=scale_of_differences(metric, terms=4))
                yield Interaction(design.space, task, factors, levels, references, interval, p_value_of(variances))


def _with(levels: _Levels, axis: int, level: str) -> _Levels:
    return (*levels[:axis], level, *levels[axis + 1 :])


def _by_task(
    design: _Design, contrasts: list[_Corners], what: str, notes: list[str]
) -> Iterator[tuple[str, list[_Corners]]]:
    """The contrasts of each task. Those across tasks come together, if their images have the same ids: then an image is
    taken to be the same scene in all."""
    within: dict[str, list[_Corners]] = {}
    across: list[_Corners] = []
    unequal = False
    for contrast in contrasts:
        scores = [design.cells[cell].scores for cell in contrast]
        if len({cell.task for cell in scores}) == 1:
            within.setdefault(scores[-1].task, []).append(contrast)
        elif len({cell.images for cell in scores}) == 1:
            across.append(contrast)
        else:
            unequal = True
    yield from within.items()
    if across:
        notes.append(
            f"{design.space}: levels that change the data are paired by image id, as if the same id were the same scene"
        )
        yield listing(sorted({design.cells[contrast[-1]].scores.task for contrast in across}), most=3), across
    if unequal:
        notes.append(f"{design.space}: {what} is judged on other images than its reference: not estimated")


def _contrast(design: _Design, cells: list[_Corners], signs: tuple[int, ...]) -> _Contrast | None:
    """The signed sum of each tuple of cells by seed and image, averaged over the tuples; `None` if nothing is shared.

    Every tuple kept has every seed kept; which are is decided for as many of both as can be, two seeds at least.
    """
    places = np.array([[design.place[cell] for cell in contrast] for contrast in cells])
    stack = sum(sign * design.values[places[:, corner]] for corner, sign in enumerate(signs))
    assert isinstance(stack, np.ndarray)
    present = np.isfinite(stack).any(axis=2)
    candidates = [row for row in np.unique(present, axis=0) if row.any()]
    if not candidates:
        return None

    def worth(seeds: NDArray[np.bool_]) -> tuple[int, int]:
        return min(int(seeds.sum()), 2), int(seeds.sum() * (present | ~seeds).all(axis=1).sum())

    seeds = max(candidates, key=worth)
    used = (present | ~seeds).all(axis=1)
    averaged = stack[used][:, seeds].mean(axis=0)
    shared = np.flatnonzero(np.isfinite(averaged).any(axis=0))
    rows, kept = complete_places(averaged[:, shared])
    if not rows:
        return None
    matrix = averaged[np.ix_(rows, shared[kept].tolist())]
    there = np.isfinite(design.values[np.unique(places[used])])
    notes = []
    if used.sum() < len(cells):
        notes.append(f"{len(cells) - used.sum()} of {several(len(cells), 'pair')} left out for lack of seeds")
    if seeds.sum() < there.any(axis=(0, 2)).sum():
        notes.append(f"seeds differ: the {seeds.sum()} they share")
    if len(shared) < there.any(axis=1).sum(axis=1).max():
        notes.append(f"images differ: the {len(shared)} they share")
    if matrix.shape != (int(seeds.sum()), len(shared)):
        notes.append(
            f"scores are missing: {several(matrix.shape[0], 'seed')} and {several(matrix.shape[1], 'image')} left"
        )
    return _Contrast(matrix, design.columns.at(shared[kept].tolist()), int(used.sum()), "; ".join(notes))


def _ratio(costs: Iterable[tuple[float, float]]) -> float:
    """The geometric mean of the ratios of two costs, NaN where one is not known or not positive."""
    logs = [math.log(a / b) if a > 0 and b > 0 else math.nan for a, b in costs]
    return math.exp(sum(logs) / len(logs))
