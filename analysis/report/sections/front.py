"""The report's parts on score against cost: the Pareto plot of each data set, and how sure its front is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

from markupsafe import Markup

from ablate.analysis.crossed import counted
from ablate.analysis.figures.hypervolume import Spent, spent_figure
from ablate.analysis.figures.networks import Known
from ablate.analysis.figures.networks import by_task as networks_by_task
from ablate.analysis.figures.networks_data import json_of
from ablate.analysis.figures.networks_settings import settings_by_cell
from ablate.analysis.format import listing, several
from ablate.analysis.front_words import chosen_note, told_apart
from ablate.analysis.pareto import COST_WORDS, Cell, Pareto, amount, most_dominated
from ablate.analysis.report.content import Content, interval_of
from ablate.analysis.report.page import NOTHING, Part, laid_out, networks_part, plot
from ablate.analysis.report.sections.base import Section, of_tasks
from ablate.metrics.counts import METRICS, ON_REQUEST
from ablate.settings import Number

if TYPE_CHECKING:
    from ablate.analysis.uncertainty import UncertainFront


class Fronts(Section):
    """Every network, in a plot and a table; how sure the front is, and what the training bought."""

    name: Literal["front"] = "front"
    title: str = "Score against cost"
    place: Number = 40

    def parts(self, content: Content) -> Iterable[Part]:
        return [
            lambda: networks_section(content),
            lambda: of_tasks(content, sureness_section),
            lambda: front_marks(content),
            lambda: spent_section(content.evidence.spent),
        ]


def networks_section(content: Content) -> Markup:
    """The networks of every data set, one of which is shown at a time."""
    evidence, study = content.evidence, content.study
    settings = {} if study is None else settings_by_cell(study, content.frames.trials)
    runs = () if study is None else study.manifest.runs
    known = {
        task: Known(
            evidence.intervals, evidence.uncertain.get(task, ()), evidence.failures, evidence.scores, settings, runs
        )
        for task in content.by_task
    }
    found = networks_by_task(content.frames, content.by_task, known)
    return networks_part(json_of(found)) if found else NOTHING


def sureness_section(content: Content, task: str) -> Markup:
    record, uncertain = content.fronts[task][0], content.evidence.uncertain.get(task, ())
    points = tuple(point._replace(label=content.called.get(point.cell, point.label)) for point in record.points)
    said = _sureness(record._replace(points=points), uncertain) if points else NOTHING
    return laid_out("front", task=content.heading(task), sureness=said) if said else NOTHING


def front_marks(content: Content) -> Markup:
    """How to read the plot and the table."""
    if not content.known or not any(records[0].points for records in content.fronts.values()):
        return NOTHING
    found, devices = content.evidence, sorted({one.device for one in content.known if one.device})
    intervals = any(found.intervals.values())
    over = counted(filter(None, (interval_of(content.intervals, one, "dice") for one in content.known)))
    return laid_out(
        "front_marks",
        intervals=over if intervals else "",
        spreads=not intervals and any(one.dice.spread is not None for one in content.known),
        corrected=chosen_note("networks on a front") if content.all_corrected else "",
        own=named_own(content.known),
        lost=found.lost if found.failures else "",
        devices=listing(devices) if devices else "",
        chances=any(content.chances(task) for task in content.fronts),
        epochs=any(len(record.epochs) > 1 for record in found.spent) or not content.frames.epochs.empty,
    )


def named_own(known: Sequence[Cell]) -> str:
    """Which of the scores are of the trials' own metrics, or nothing."""
    own = [METRICS[name].label for name in known[0].more if not METRICS[name].only and name not in ON_REQUEST]
    return listing(own) if own else ""


def _sureness(front: Pareto, records: Sequence[UncertainFront]) -> Markup:
    """How sure the first of the fronts is: who else may be on it, its hypervolume, what probabilities are made of."""
    if not records:
        return NOTHING
    first = records[0]
    if not first.probability:
        return laid_out("note", text=f"{first.note[:1].upper()}{first.note[1:]}.") if first.note else NOTHING
    area, (cost, bar) = first.hypervolume, first.hypervolume.reference
    scale = most_dominated((cost, bar), first.y)
    text = (
        f"Of {METRICS[first.y].label} against {COST_WORDS[first.x]}: hypervolume {area.estimate / scale:.3f} "
        f"[{area.low / scale:.3f}, {area.high / scale:.3f}] of what a free and perfect network would have, up to the "
        f"reference point ({amount(first.x, cost)}, {bar:.3f})."
        if scale > 0 and math.isfinite(area.low)
        else ""
    )
    made_of = f"{several(first.resamples, 'bootstrap resample')} of {several(first.images, 'test image')} and the seeds"
    note = f" ({first.note})" if first.note else ""
    said = [*told_apart(front, first), text, f"Probabilities: {made_of}{note}."]
    return laid_out("note", text=" ".join(sentence for sentence in said if sentence))


def spent_section(records: tuple[Spent, ...]) -> Markup:
    if not any(len(record.epochs) > 1 for record in records):
        return NOTHING
    return laid_out("spent", plot=plot(spent_figure(records), "spent", "Hypervolume against epochs"))
