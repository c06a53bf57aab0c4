"""The figures of a report by name, as files for print."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from ablate.analysis.by_seed import by_seed
from ablate.analysis.confirmation import DESIGN
from ablate.analysis.effects import effects
from ablate.analysis.figures.curves import curves
from ablate.analysis.figures.heatmap import level_means
from ablate.analysis.figures.hypervolume import spent
from ablate.analysis.figures.parallel import parallel
from ablate.analysis.pareto import Cost, best_first, cells, fronts, tasks
from ablate.analysis.printed.factors import effects_figure, levels_figure, networks_figure
from ablate.analysis.printed.fronts import front_figure, spent_figure
from ablate.analysis.printed.labels import key_of, short
from ablate.analysis.printed.sheet import COLUMN, content, in_print
from ablate.analysis.printed.training import curves_figure, images_figure
from ablate.analysis.report.pictures import pictures
from ablate.analysis.scores import cell_scores
from ablate.analysis.significance import mean_interval
from ablate.analysis.uncertainty import uncertain_fronts, with_chosen
from ablate.errors import InputError, unknown
from ablate.metrics.counts import MetricName

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from ablate.analysis.frames import Frames
    from ablate.analysis.pareto import Pareto
    from ablate.study.study import Study


class Asked(NamedTuple):
    """Which data set (the only one, if none is named), cost and score; and the width in millimetres."""

    data: str | None = None
    cost: Cost = "params"
    metric: MetricName = "dice"
    width: float = COLUMN


class Printed(NamedTuple):
    """A file, and what letters in it stand for, for its caption."""

    content: bytes
    key: dict[str, str]


_Drawn = tuple["Figure", list[str]]
"""A figure, and the names of networks in it."""


class _Drawing:
    """What figures are drawn from, computed once."""

    def __init__(self, study: Study, frames: Frames, asked: Asked) -> None:
        self.study, self.frames, self.asked = study, frames, asked

    @cached_property
    def seeds(self) -> pd.DataFrame:
        return by_seed(self.frames)

    @cached_property
    def task(self) -> str:
        known = tasks(self.seeds)
        if self.asked.data is None:
            if len(known) > 1:
                raise InputError(f"the study is of several data sets: give --data, one of {', '.join(known)}")
            if not known:
                raise InputError("no trial is complete: there is nothing to draw yet")
            return next(iter(known))
        if self.asked.data not in known:
            raise unknown("data set", self.asked.data, known)
        return self.asked.data

    @cached_property
    def front(self) -> Pareto:
        found: Pareto = fronts(tasks(self.seeds)[self.task], self.asked.cost, self.asked.metric)[0]
        if (found.x, found.y) != (self.asked.cost, self.asked.metric) or not found.points:
            raise InputError(
                f"no network has both {self.asked.cost} and {self.asked.metric}: latency and memory are there once "
                "`ablate measure` was run"
            )
        return found

    @cached_property
    def called(self) -> dict[str, str]:
        """What stands for each network in every figure: letters go along the front first, then by rank."""
        ahead = sorted((point for point in self.front.points if point.on_front), key=lambda point: point.x)
        others = best_first(cells(tasks(self.seeds)[self.task]))
        return short([*(point.label for point in ahead), *(cell.label for cell in others)])

    def of_front(self) -> _Drawn:
        scores = {self.asked.metric: cell_scores(self.frames, self.asked.metric)}
        intervals = {self.asked.metric: {cell: mean_interval(one) for cell, one in scores[self.asked.metric].items()}}
        uncertain = uncertain_fronts([self.front], scores)
        shown = with_chosen(intervals, uncertain)[self.asked.metric]
        return front_figure(self.front, next(iter(uncertain), None), shown, self.called, self.asked.width)

    def of_effects(self) -> _Drawn:
        runs = [run for run in self.study.manifest.runs if run.design != DESIGN]
        found = effects(self.frames, runs, self.asked.metric)
        own = [effect for effect in found.effects if effect.task == self.task] if found else []
        if not own:
            raise InputError("no factor of the study was varied against a reference: there are no effects to draw")
        own = [effect for effect in own if effect.space == own[-1].space]
        return effects_figure(own, self.asked.width), []

    def of_levels(self) -> _Drawn:
        maps = level_means(tasks(self.seeds)[self.task], self.study.manifest.runs, self.asked.metric)
        if not maps:
            raise InputError("no two factors of the study were combined: there is no map of their levels to draw")
        return levels_figure(maps[0], self.asked.width), []

    def of_networks(self) -> _Drawn:
        trials = tasks(self.seeds)[self.task]
        known = {cell.id: cell for cell in cells(trials) if not cell.trivial}
        runs = [run for run in self.study.manifest.runs if run.design != DESIGN]
        found = [one for run in runs for one in parallel(trials, run, known, self.asked.metric) if len(one.lines) > 1]
        if not found:
            raise InputError("no space of the study varies two factors: there are no networks to draw across factors")
        return networks_figure(found[-1], set(self.front.front), self.called, self.asked.width)

    def of_spent(self) -> _Drawn:
        found = [record for record in spent(self.frames, self.asked.cost) if record.task == self.task]
        if not found:
            raise InputError("no trial is complete: nothing was bought with its epochs yet")
        return spent_figure(found, self.asked.width), []

    def of_curves(self) -> _Drawn:
        own = self.frames.trials.loc[self.frames.trials["data"] == self.task, "cell"]
        found = [curve for curve in curves(self.frames) if curve.cell in set(own)]
        if not found:
            raise InputError("no trial is complete: there is no curve to draw yet")
        return curves_figure(found, set(self.front.front), self.called, self.asked.width)

    def of_images(self) -> _Drawn:
        notes: list[str] = []
        found = [picture for picture in pictures(self.study, self.frames, notes) if picture.task == self.task]
        if not found:
            raise InputError(f"no test image can be drawn: {notes[0] if notes else 'no trial is complete'}")
        names = {cell.id: cell.label for cell in best_first(cells(tasks(self.seeds)[self.task]))}
        return images_figure(found, names, self.called, self.asked.width)


FIGURES: dict[str, tuple[str, Callable[[_Drawing], _Drawn]]] = {
    "front": ("score against cost, with the front", _Drawing.of_front),
    "effects": ("what each level of each factor is worth", _Drawing.of_effects),
    "levels": ("mean score of every combination of two factors' levels", _Drawing.of_levels),
    "networks": ("networks across factors, costs and score", _Drawing.of_networks),
    "curves": ("training loss and validation scores by epoch", _Drawing.of_curves),
    "spent": ("hypervolume of the front by epochs spent", _Drawing.of_spent),
    "images": ("test images with what was found, missed and taken for something", _Drawing.of_images),
}
"""By name: what it shows, and how it is drawn."""


def printed(study: Study, frames: Frames, name: str, suffix: str, asked: Asked | None = None) -> Printed:
    """Figure `name` of a study, whose tables are `frames`, as a file of one of `sheet.SUFFIXES`.

    Raises `InputError` for a name that is none, and where the study has nothing for it.
    """
    if name not in FIGURES:
        raise unknown("figure", name, FIGURES)
    with in_print():
        drawing = _Drawing(study, frames, asked or Asked())
        figure, used = FIGURES[name][1](drawing)
        return Printed(content(figure, suffix), key_of(drawing.called, used) if used else {})
