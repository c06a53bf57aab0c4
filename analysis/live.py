"""What the trials say that have ended, while others of the study still train: what the live page shows beside the run.

It is the report's front, curves and table, of what there is so far. What takes a bootstrap (intervals, how sure a front
is) and what takes all of a plan (verdicts, effects) is left to the report.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup

from ablate.analysis.figures.curves import curves, curves_figure
from ablate.analysis.figures.pareto import pareto_caption, pareto_figure
from ablate.analysis.format import shortened
from ablate.analysis.frames import load
from ablate.analysis.guard import noted
from ablate.analysis.report.content import About, Content, Evidence, best_first
from ablate.analysis.report.page import NOTHING
from ablate.analysis.report.sections.results import Results, results_section

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from ablate.analysis.pareto import Pareto
    from ablate.study.study import Study

_MOST_CURVES = 12
"""Networks whose curves are drawn: of more, the best."""


class Front(NamedTuple):
    """Score against cost of one data set: its name (empty where there is one only), the plot, and what its marks
    mean."""

    task: str
    figure: go.Figure
    caption: str


class LiveResults(NamedTuple):
    """`curves` is None before a trial is complete. `table` is HTML, of every network that was scored, or nothing.
    `said` is what could not be made, and why."""

    fronts: tuple[Front, ...]
    curves: go.Figure | None
    curves_of: int
    """How many networks have curves; fewer may be drawn."""
    curves_drawn: int
    table: Markup
    said: tuple[str, ...]


def live_results(study: Study) -> LiveResults:
    """Of the trials of `study` that have ended; its faults are then those of this look. What cannot be made is said."""
    study.faults.clear()  # those of an earlier look may be mended by now
    study.mixed.clear()
    said: list[str] = []
    frames = load(study)
    content = Content(frames, About("", "", (), {}), Evidence(), study=study)
    fronts = [noted(said, f"front of {task}", partial(_front, content, task), None) for task in content.by_task]
    drawn = noted(said, "curves", lambda: _curves(content), (None, 0, 0))
    return LiveResults(
        tuple(front for front in fronts if front is not None),
        *drawn,
        noted(said, "table", lambda: _table(content), NOTHING),
        tuple(said),
    )


def _front(content: Content, task: str) -> Front | None:
    records = content.fronts[task]
    if not records[0].points:
        return None
    figure = pareto_figure([_legible(record) for record in records], named=content.frames.named)
    return Front(content.heading(task), figure, pareto_caption(records))


def _legible(record: Pareto) -> Pareto:
    """With names that fit a figure."""
    return record._replace(
        points=tuple(point._replace(label=shortened(point.label)) for point in record.points),
        trivial=tuple(point._replace(label=shortened(point.label)) for point in record.trivial),
    )


def _curves(content: Content) -> tuple[go.Figure | None, int, int]:
    trained = [cell for cell in best_first(content.known) if not cell.trivial]
    kept = [cell.id for cell in trained[:_MOST_CURVES]]
    frames = content.frames
    frames = frames._replace(trials=frames.trials[frames.trials["cell"].isin(kept)])
    drawn = [curve._replace(label=shortened(curve.label)) for curve in curves(frames)]
    return (curves_figure(drawn, kept) if drawn else None), len(trained), len(kept)


def _table(content: Content) -> Markup:
    if not content.known:
        return NOTHING
    records = [record for found in content.fronts.values() for record in found]
    named = {cell: one.configuration for cell, one in content.frames.named.items()}
    return results_section(content.known, Results(records, {}, {}, (), configurations=named))
