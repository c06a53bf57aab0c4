"""The report's part on the numbers of its table: what they are means over, and what their marks say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from markupsafe import Markup

from ablate.analysis.crossed import counted
from ablate.analysis.deployed import caption_words
from ablate.analysis.format import listing
from ablate.analysis.front_words import chosen_note
from ablate.analysis.pareto import Cell
from ablate.analysis.report.content import Content, interval_of
from ablate.analysis.report.page import NOTHING, Part, laid_out
from ablate.analysis.report.sections.base import Section
from ablate.metrics.counts import METRICS, ON_REQUEST
from ablate.settings import Number


class AllResults(Section):
    """What the numbers of every network are; they stand in the table beneath the plot of all networks."""

    name: Literal["results"] = "results"
    title: str = "All results"
    place: Number = 90

    def parts(self, content: Content) -> Iterable[Part]:
        return [lambda: results_section(content)]


def results_section(content: Content) -> Markup:
    if not any(not one.trivial for one in content.known):
        return NOTHING
    known, found, devices = content.known, content.evidence, sorted({one.device for one in content.known if one.device})
    over = counted(filter(None, (interval_of(content.intervals, one, "dice") for one in known)))
    return laid_out(
        "results",
        intervals=over,
        spreads=not over and any(one.dice.spread is not None for one in known),
        corrected=chosen_note("networks on a front") if content.all_corrected else "",
        own=_named_own(known),
        lost=found.lost if found.failures else "",
        devices=listing(devices) if devices else "",
        files=" ".join(caption_words([one for records in content.fronts.values() for one in records])),
        chances=any(content.chances(task) for task in content.fronts),
    )


def _named_own(known: Sequence[Cell]) -> str:
    """Which of the scores are of the trials' own metrics, or nothing."""
    own = [METRICS[name].label for name in known[0].more if not METRICS[name].only and name not in ON_REQUEST]
    return listing(own) if own else ""
