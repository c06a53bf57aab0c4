"""The report's parts on score against cost: the Pareto plot of each data set, and how sure its front is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

from markupsafe import Markup

from ablate.analysis.figures.hypervolume import Spent, spent_figure
from ablate.analysis.figures.pareto import pareto_figure
from ablate.analysis.format import CHOSEN, several, shortened
from ablate.analysis.front_words import told_apart
from ablate.analysis.pareto import COST_WORDS, Pareto, amount, most_dominated
from ablate.analysis.report.content import Content
from ablate.analysis.report.page import NOTHING, Part, laid_out, made, plot
from ablate.analysis.report.sections.base import Section, of_tasks
from ablate.metrics.counts import METRICS
from ablate.settings import Number

if TYPE_CHECKING:
    from ablate.analysis.uncertainty import UncertainFront


class Fronts(Section):
    """The Pareto plot of each data set, how to read it, and what the training bought."""

    name: Literal["front"] = "front"
    title: str = "Score against cost"
    place: Number = 40

    def parts(self, content: Content) -> Iterable[Part]:
        return [
            lambda: of_tasks(content, front_section),
            lambda: front_marks(content),
            lambda: spent_section(content.evidence.spent),
        ]


def front_section(content: Content, task: str) -> Markup:
    records, uncertain = content.fronts[task], content.evidence.uncertain.get(task, ())
    if not records[0].points:
        return NOTHING
    evidence = content.evidence
    legible, named = [_legible(record) for record in records], content.frames.named
    drawn = pareto_figure(legible, uncertain, evidence.intervals, evidence.failures, named)
    at = list(content.by_task).index(task)
    return laid_out(
        "front",
        task=content.heading(task),
        plot=plot(drawn, f"pareto{at or ''}", "Pareto plot of score against cost"),
        sureness=made(lambda: _sureness(records[0], uncertain)),
    )


def front_marks(content: Content) -> Markup:
    if not any(records[0].points for records in content.fronts.values()):
        return NOTHING
    bars = "95 % intervals of the mean" if any(content.evidence.intervals.values()) else "standard deviation over seeds"
    marked = bool(content.all_corrected)
    corrected = f", of networks on a front corrected for having been chosen ({CHOSEN})" if marked else ""
    return laid_out("front_marks", bars=bars, corrected=corrected, pictured=bool(content.pictured))


def _legible(record: Pareto) -> Pareto:
    """With names that fit a figure."""
    return record._replace(
        points=tuple(point._replace(label=shortened(point.label)) for point in record.points),
        trivial=tuple(point._replace(label=shortened(point.label)) for point in record.trivial),
    )


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
