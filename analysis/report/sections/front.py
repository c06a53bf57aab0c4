"""The report's parts on score against cost: the Pareto plot of each data set, and how sure its front is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

from markupsafe import Markup

from ablate.analysis.figures.hypervolume import Spent, spent_figure
from ablate.analysis.figures.networks import Known
from ablate.analysis.figures.networks import by_task as networks_by_task
from ablate.analysis.figures.networks_settings import settings_by_cell
from ablate.analysis.format import several
from ablate.analysis.front_words import told_apart
from ablate.analysis.pareto import COST_WORDS, Pareto, amount, most_dominated
from ablate.analysis.report.content import Content
from ablate.analysis.report.networks_part import networks_part
from ablate.analysis.report.page import NOTHING, Part, laid_out, plot
from ablate.analysis.report.sections.base import Section, of_tasks
from ablate.metrics.counts import METRICS
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
    return networks_part(networks_by_task(content.frames, content.by_task, known))


def sureness_section(content: Content, task: str) -> Markup:
    record, uncertain = content.fronts[task][0], content.evidence.uncertain.get(task, ())
    said = _sureness(record, uncertain) if record.points else NOTHING
    return laid_out("front", task=content.heading(task), sureness=said) if said else NOTHING


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
