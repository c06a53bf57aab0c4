"""The part of a page that has all networks at once: a plot, a table and a comparison, tied together by a script.

It is drawn in the browser, from one record as JSON (`ablate.analysis.figures.networks`); a page has one such part.
"""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from ablate.analysis.figures.networks import Networks
from ablate.analysis.figures.networks_data import json_of
from ablate.analysis.format import CHOSEN
from ablate.analysis.report.page import NOTHING, document, laid_out
from ablate.study.short_names import is_short


def networks_part(found: Sequence[Networks], x: str = "params", y: str = "dice") -> Markup:
    """The networks of every data set, one of which is shown at a time; it opens with `y` against `x`."""
    if not found:
        return NOTHING
    return laid_out("networks", data=Markup(json_of(found, x, y))) + _how_to_read(found)


def _how_to_read(found: Sequence[Networks]) -> Markup:
    scores = [one for record in found for one in record.quantities if one.kind == "score"]
    short = [row for record in found for row in record.networks if is_short(row.name)]
    return laid_out(
        "networks_read",
        bars="95 % interval of the mean" if any(one.low for one in scores) else "standard deviation over seeds",
        corrected=f", corrected for having been chosen, {CHOSEN}" if any(one.corrected for one in scores) else "",
        epochs=any(record.progress.epochs for record in found),
        short=bool(short),
        searched=all(row.name == row.label for row in short),
    )


def networks_page(title: str, found: Sequence[Networks], x: str, y: str, banner: str = "") -> str:
    """A page of all networks alone. `banner` is a caution, or nothing."""
    return document(title, laid_out("networks_page", title=title, banner=banner, part=networks_part(found, x, y)))
