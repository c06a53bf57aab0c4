"""The report's part on latency: pairs of networks that MACs and latency order differently."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from markupsafe import Markup

from ablate.analysis.format import several
from ablate.analysis.measured import Disagreement
from ablate.analysis.report.content import Content
from ablate.analysis.report.page import NOTHING, Part, laid_out
from ablate.analysis.report.sections.base import Section
from ablate.settings import Number

_MOST_DISAGREEMENTS = 10


class Disagreements(Section):
    """Networks that do less and take longer."""

    name: Literal["disagreements"] = "disagreements"
    title: str = "Fewer MACs, more time"
    place: Number = 50

    def parts(self, content: Content) -> Iterable[Part]:
        return [lambda: disagreements_section(content.evidence.disagreements)]


def disagreements_section(found: Sequence[Disagreement]) -> Markup:
    """Pairs of networks that MACs and latency order differently, by the setting that they were measured in."""
    if not found:
        return NOTHING
    by_setting: dict[tuple[str, str], list[str]] = {}
    for pair in found[:_MOST_DISAGREEMENTS]:
        by_setting.setdefault((pair.device, pair.input), []).append(pair.text)
    more = len(found) - _MOST_DISAGREEMENTS
    return laid_out("disagreements", by_setting=by_setting, more=several(more, "more pair") if more > 0 else "")
