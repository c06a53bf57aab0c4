"""The report's part on training: the curves of every cell."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from markupsafe import Markup

from ablate.analysis.figures.curves import curves, curves_figure
from ablate.analysis.format import shortened
from ablate.analysis.pareto import best_first
from ablate.analysis.report.content import Content
from ablate.analysis.report.page import NOTHING, Part, laid_out, plot
from ablate.analysis.report.sections.base import Section
from ablate.settings import Number

_MOST_CURVES, _CURVES_OF_MANY = 50, 12


class Curves(Section):
    """The curves of every cell."""

    name: Literal["training"] = "training"
    title: str = "Training"
    place: Number = 70

    def parts(self, content: Content) -> Iterable[Part]:
        return [lambda: training_section(content)]


def training_section(content: Content) -> Markup:
    """Of many cells, the curves of the best on a front."""
    frames, first = content.frames, content.on_a_front
    trained = [cell for cell in content.known if not cell.trivial]
    thinned = len(trained) > _MOST_CURVES
    if thinned:
        kept = [cell.id for cell in best_first(trained) if cell.id in first][:_CURVES_OF_MANY]
        frames = frames._replace(trials=frames.trials[frames.trials["cell"].isin(kept)])
    drawn = [curve._replace(label=shortened(curve.label)) for curve in curves(frames)]
    if not drawn:
        return NOTHING
    return laid_out(
        "training",
        plot=plot(curves_figure(drawn, first), "curves", "Training curves"),
        thinned_from=f"{len(trained):,}" if thinned else "",
    )
