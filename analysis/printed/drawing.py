"""What figures for print are drawn from, and what is said of each beneath it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from ablate.analysis.by_seed import by_seed
from ablate.analysis.confirmation import DESIGN
from ablate.analysis.deployed import file_words
from ablate.analysis.effects import effects
from ablate.analysis.figures.curves import PANELS, curves
from ablate.analysis.figures.heatmap import level_means
from ablate.analysis.figures.hypervolume import spent
from ablate.analysis.figures.parallel import parallel
from ablate.analysis.format import listing
from ablate.analysis.levels import natural
from ablate.analysis.paper.published import CITED
from ablate.analysis.pareto import COST_WORDS, Cell, Cost, best_first, cells, fronts, tasks
from ablate.analysis.printed.factors import effects_figure, levels_figure, networks_figure
from ablate.analysis.printed.fronts import front_figure, spent_figure
from ablate.analysis.printed.labels import in_full, last_part, short
from ablate.analysis.printed.paper import FIG_2, FIG_3, in_its_order, predictions_figure
from ablate.analysis.printed.search import path_figure, spending_figure
from ablate.analysis.printed.sheet import COLUMN
from ablate.analysis.printed.training import curves_figure, images_figure
from ablate.analysis.report.pictures import pictures
from ablate.analysis.scores import cell_scores
from ablate.analysis.searches import spendings
from ablate.analysis.significance import mean_interval
from ablate.analysis.uncertainty import uncertain_fronts, with_chosen
from ablate.cost.names import how_to_measure
from ablate.errors import InputError, unknown
from ablate.metrics.counts import METRICS, MetricName

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from ablate.analysis.crossed import Interval
    from ablate.analysis.frames import Frames
    from ablate.analysis.pareto import Pareto, Point
    from ablate.analysis.report.content import Picture
    from ablate.analysis.searches import Spending
    from ablate.study.runs import Run
    from ablate.study.study import Study


class Asked(NamedTuple):
    """Which data set (the only one, if none is named), cost and score; and the width in millimetres."""

    data: str | None = None
    cost: Cost = "params"
    metric: MetricName = "dice"
    width: float = COLUMN


class Drawn(NamedTuple):
    """A figure with its caption, and the labels of the networks that it names."""

    figure: Figure
    caption: str
    labels: Sequence[str] = ()


class Drawing:
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
                f"no network has both {self.asked.cost} and {self.asked.metric}: what is measured is there once "
                f"`{how_to_measure(self.asked.cost)}` was run"
            )
        return found

    @cached_property
    def ranked(self) -> list[Cell]:
        """The networks, best first."""
        return best_first([cell for cell in cells(tasks(self.seeds)[self.task]) if not cell.trivial])

    @cached_property
    def names(self) -> dict[str, str]:
        """Of each label, what a paper prints. Those of the front come first, along it, then the others by rank."""
        ahead = sorted((point for point in self.front.points if point.on_front), key=lambda point: point.x)
        listed: list[Point | Cell] = [*ahead, *self.ranked]
        return {one.label: in_full(one.label, one.model) for one in listed}

    @cached_property
    def called(self) -> dict[str, str]:
        """What stands for each label, the same in every figure."""
        return short(self.names)

    @property
    def score(self) -> str:
        return METRICS[self.asked.metric].label

    @property
    def cost(self) -> str:
        return COST_WORDS[self.asked.cost]

    def of_front(self) -> Drawn:
        scores = {self.asked.metric: cell_scores(self.frames, self.asked.metric)}
        intervals = {self.asked.metric: {cell: mean_interval(one) for cell, one in scores[self.asked.metric].items()}}
        uncertain = uncertain_fronts([self.front], scores)
        shown = with_chosen(intervals, uncertain)[self.asked.metric]
        sure = next(iter(uncertain), None)
        figure, labels = front_figure(self.front, sure, shown, self.called, self.asked.width)
        own = [shown[point.cell] for point in self.front.points if point.cell in shown]
        known = any(math.isfinite(interval.low) for interval in own)
        bars = " Bars are 95 % intervals over seeds and test images." if known else _without(own)
        band = " The band is the front's 95 % interval, of all costs at once." if sure and sure.band.costs else ""
        return Drawn(
            figure,
            f"Test {self.score} against {self.cost} on {self.task}. The line is the Pareto front; open circles are "
            f"networks off it.{bars}{band}{''.join(f' {line}' for line in file_words(self.front))}",
            labels,
        )

    def of_effects(self) -> Drawn:
        found = effects(self.frames, self.runs, self.asked.metric)
        own = [effect for effect in found.effects if effect.task == self.task] if found else []
        if not own:
            raise InputError("no factor of the study was varied against a reference: there are no effects to draw")
        own = [effect for effect in own if effect.space == own[-1].space]
        intervals = [effect.difference.interval for effect in own]
        known = any(math.isfinite(interval.low) for interval in intervals)
        marks = " Bars are 95 % intervals; filled marks are significant after Holm's correction, open ones are not."
        return Drawn(
            effects_figure(own, self.asked.width),
            f"Difference in mean test {self.score} of each level from its factor's reference on {self.task}, all else "
            f"equal, paired by seed and image, and the level's cost in units of the reference's."
            f"{marks if known else _without(intervals)}",
        )

    def of_levels(self) -> Drawn:
        maps = level_means(tasks(self.seeds)[self.task], self.study.manifest.runs, self.asked.metric)
        if not maps:
            raise InputError("no two factors of the study were combined: there is no map of their levels to draw")
        averaged = any(n > 1 for row in maps[0].cells for n in row)
        others = ", over the levels of the other factors" if averaged else ""
        return Drawn(
            levels_figure(maps[0], self.asked.width),
            f"Mean test {self.score} of each combination of {' and '.join(map(last_part, maps[0].factors))} on "
            f"{self.task}{others}.",
        )

    def of_networks(self) -> Drawn:
        trials = tasks(self.seeds)[self.task]
        known = {cell.id: cell for cell in self.ranked}
        found = [one for run in self.runs for one in parallel(trials, run, known, self.asked.metric)]
        found = [one for one in found if len(one.lines) > 1]
        if not found:
            raise InputError("no space of the study varies two factors: there are no networks to draw across factors")
        figure, labels = networks_figure(found[-1], set(self.front.front), self.called, self.asked.width)
        return Drawn(
            figure,
            f"Every network on {self.task}: a line is a network, through its levels, its costs and its test "
            f"{self.score}. Dark lines are on the front against {self.cost}.",
            labels,
        )

    def of_spent(self) -> Drawn:
        found = [record for record in spent(self.frames, self.asked.cost) if record.task == self.task]
        if not found:
            raise InputError("no trial is complete: nothing was bought with its epochs yet")
        return Drawn(
            spent_figure(found, self.asked.width),
            f"What the training bought on {self.task}: hypervolume of validation Dice against {self.cost}, as a share "
            "of what a free and perfect network would have, after so many epochs of all trials together.",
        )

    def of_curves(self, panels: Mapping[str, str] = PANELS, order: Sequence[str] = ()) -> Drawn:
        """`order`: cells as the legend has them, of many the first; without it by name, of many those of the front."""
        listed = list(order) or [cell.id for cell in sorted(self.ranked, key=lambda cell: natural(cell.label))]
        found = [curve for curve in curves(self.frames, tuple(panels)) if curve.cell in listed]
        if not found:
            raise InputError("no trial is complete: there is no curve to draw yet")
        found.sort(key=lambda curve: listed.index(curve.cell))
        chosen = order or self.front.front
        figure, labels = curves_figure(found, chosen, self.called, self.asked.width, panels)
        band = " Lines are means over seeds, bands reach from the least to the greatest." if found[0].seeds > 1 else ""
        drawn = len(set(labels))
        some = f" Of {len(listed)} networks, {drawn} are drawn." if drawn < len(listed) else ""
        what = listing([text[0].lower() + text[1:] for text in panels.values()])
        return Drawn(figure, f"{what[0].upper()}{what[1:]} by epoch on {self.task}.{band}{some}", labels)

    def of_images(self) -> Drawn:
        names = {cell.id: cell.label for cell in self.ranked}
        figure, labels = images_figure(self.pictures, names, self.called, self.asked.width)
        return Drawn(
            figure,
            f"Test images of {self.task} with the best networks' predictions, of one seed, and their Dice. White is "
            "right, orange (light grey) found where nothing is, blue (dark) missed.",
            labels,
        )

    def of_search(self) -> Drawn:
        return Drawn(
            path_figure(self.searched, self.asked.width),
            "What the search's training bought: hypervolume of validation Dice, above the best trivial predictor's, by "
            "the logarithms of parameters and MACs, against seconds of training.",
        )

    def of_spending(self) -> Drawn:
        return Drawn(
            spending_figure(self.searched, self.asked.width),
            "What each network took of the search's training, and what became of it. The front is that of validation "
            "Dice against parameters and MACs.",
        )

    # Of the paper ----------------------------------------------------------------------------------------------------

    @cached_property
    def in_its_order(self) -> dict[str, str]:
        """Labels by cell, in the order of the paper's tables."""
        labels = {cell.id: cell.label for cell in self.ranked}
        return {cell: labels[cell] for cell in in_its_order({cell.id: cell.model for cell in self.ranked})}

    def of_paper_2(self) -> Drawn:
        drawn = self.of_curves(FIG_2, list(self.in_its_order))
        return drawn._replace(caption=f"{drawn.caption} As Fig. 2 of {CITED}.")

    def of_paper_3(self) -> Drawn:
        drawn = self.of_curves(FIG_3, list(self.in_its_order))
        said = f"As Fig. 3 of {CITED}, whose MIoU is the foreground's IoU, and whose images were those of the test."
        return drawn._replace(caption=f"{drawn.caption} {said}")

    def of_paper_4(self) -> Drawn:
        figure, labels = predictions_figure(self.pictures, self.in_its_order, self.called, self.asked.width)
        return Drawn(
            figure,
            f"Test images of {self.task} (the worst, median and best, by the mean over networks), their masks, and "
            f"each network's prediction of one seed, with the mask's outline and the Dice. As Fig. 4 of {CITED}.",
            labels,
        )

    # ------------------------------------------------------------------------------------------------------------------

    @property
    def runs(self) -> list[Run]:
        """Without those of `ablate confirm`."""
        return [run for run in self.study.manifest.runs if run.design != DESIGN]

    @cached_property
    def pictures(self) -> list[Picture]:
        notes: list[str] = []
        found = [picture for picture in pictures(self.study, self.frames, notes) if picture.task == self.task]
        if not found:
            raise InputError(f"no test image can be drawn: {notes[0] if notes else 'no trial is complete'}")
        return found

    @cached_property
    def searched(self) -> Spending:
        """The last search of which there is something to draw."""
        found = [one for one in spendings(self.study, self.frames) if one.path and one.networks]
        if not found:
            raise InputError("the study was not searched: `ablate run --space SPACE --search` does")
        return found[-1]


def _without(intervals: Iterable[Interval]) -> str:
    """Why there are no bars."""
    reasons = dict.fromkeys(interval.why for interval in intervals if interval.why)
    return f" Without intervals: {next(iter(reasons))}." if reasons else ""
