"""The report's part on training: the curves of every cell."""

from __future__ import annotations

from markupsafe import Markup

from ablate.analysis.figures.curves import curves, curves_figure
from ablate.analysis.format import shortened
from ablate.analysis.report.content import Content
from ablate.analysis.report.page import NOTHING, laid_out, plot
from ablate.analysis.report.results import best_first

_MOST_CURVES, _CURVES_OF_MANY = 50, 12


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
