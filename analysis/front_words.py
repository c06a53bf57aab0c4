"""What a front's confidence set says, in sentences: the same in the terminal and in the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ablate.analysis.format import CHOSEN, listing, several, shortened
from ablate.metrics.counts import METRICS

if TYPE_CHECKING:
    from ablate.analysis.pareto import Pareto, Point
    from ablate.analysis.uncertainty import UncertainFront

CONFIRM = "ablate confirm"


def told_apart(front: Pareto, sure: UncertainFront) -> list[str]:
    """Who else may be on a front, and who surely is on it or is not.

    Nothing where no probability is known, or of a single network.
    """
    if not sure.probability or len(front.points) < 2:
        return []
    labels = {point.cell: shortened(point.label, 60) for point in front.points}
    possible = set(sure.possible)
    others = [labels[cell] for cell in sure.possible if cell not in front.front]
    excluded = [labels[cell] for cell in sure.probability if cell not in possible]
    at = f"{100 * sure.level:.0f} %, all networks compared at once"
    said = []
    if others:
        said.append(f"Not told apart from the front ({at}): {_counted(others)} may be on it too.")
    else:
        said.append(f"No other network may be on the front ({at}).")
    said.append(f"Surely on it: {listing([labels[cell] for cell in sure.sure]) if sure.sure else 'none'}.")
    if excluded:
        said.append(f"Surely not on it: {_counted(excluded)}.")
    return said


def best_of_all(front: Pareto, sure: UncertainFront) -> list[str]:
    """The best score of all, and what is not told apart from it."""
    words = beside_the_best(front, sure)
    return [f"Best {METRICS[front.y].label}: {shortened(_top(front).label, 60)}, {words}."] if words else []


def beside_the_best(front: Pareto, sure: UncertainFront) -> str:
    """What the best is not told apart from; '' where that is not known, and of a single network."""
    if not sure.best or len(front.points) < 2:
        return ""
    top = _top(front).cell
    others = [shortened(point.label, 60) for point in front.points if point.cell in sure.best and point.cell != top]
    return f"not told apart from {_counted(others)}" if others else "told apart from every other"


def _top(front: Pareto) -> Point:
    return max(front.points, key=lambda point: METRICS[front.y].sign * point.y)


def chosen_note(what: str) -> str:
    """What the mark of a corrected interval says, of `what` was chosen."""
    return (
        f"{CHOSEN}: corrected for {what} having been chosen for coming out best in these data. Fresh seeds need no "
        f"correction: `{CONFIRM} STUDY` trains the front again."
    )


def _counted(labels: list[str]) -> str:
    """The networks' names; of many their number as well."""
    return listing(labels) if len(labels) <= 8 else f"{several(len(labels), 'network')} ({listing(labels)})"
