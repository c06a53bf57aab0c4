"""What the trials say that have ended, while others of the study still train: what the live page shows beside the run.

It is the report's front, curves and table, of what there is so far. What takes a bootstrap (intervals, how sure a front
is) and what takes all of a plan (verdicts, effects) is left to the report.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup

from ablate.analysis.figures.curves import curves, curves_figure
from ablate.analysis.format import shortened
from ablate.analysis.frames import load
from ablate.analysis.guard import noted
from ablate.analysis.pareto import best_first
from ablate.analysis.report.content import About, Content, Evidence
from ablate.analysis.report.page import NOTHING
from ablate.analysis.report.sections.front import networks_section
from ablate.analysis.report.sections.results import results_section

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from ablate.study.study import Study

_MOST_CURVES = 12
"""Networks whose curves are drawn: of more, the best."""


class LiveResults(NamedTuple):
    """`networks` is HTML: the plot and the table of every network that was scored, with their data, as a report has
    them; `about` says what its numbers are. Each is empty before there is one. `curves` is None before a trial is
    complete. `said` is what could not be made, and why."""

    networks: Markup
    about: Markup
    curves: go.Figure | None
    curves_of: int
    """How many networks have curves; fewer may be drawn."""
    curves_drawn: int
    said: tuple[str, ...]


def live_results(study: Study) -> LiveResults:
    """Of the trials of `study` that have ended; its faults are then those of this look. What cannot be made is said."""
    study.faults.clear()  # those of an earlier look may be mended by now
    study.mixed.clear()
    said: list[str] = []
    frames = load(study)
    content = Content(frames, About("", "", (), {}), Evidence(), study=study)
    return LiveResults(
        noted(said, "networks", lambda: networks_section(content), NOTHING),
        noted(said, "what the numbers are", lambda: results_section(content), NOTHING),
        *noted(said, "curves", lambda: _curves(content), (None, 0, 0)),
        tuple(said),
    )


def _curves(content: Content) -> tuple[go.Figure | None, int, int]:
    trained = [cell for cell in best_first(content.known) if not cell.trivial]
    kept = [cell.id for cell in trained[:_MOST_CURVES]]
    frames = content.frames
    frames = frames._replace(trials=frames.trials[frames.trials["cell"].isin(kept)])
    drawn = [curve._replace(label=shortened(curve.label)) for curve in curves(frames)]
    return (curves_figure(drawn, kept) if drawn else None), len(trained), len(kept)
