"""The report's part on confirmation: what a search's front is worth with seeds that it did not use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal

from markupsafe import Markup

from ablate.analysis.confirmation import table
from ablate.analysis.format import shortened, si
from ablate.analysis.report.content import Content
from ablate.analysis.report.page import NOTHING, Part, laid_out
from ablate.analysis.report.sections.base import Section
from ablate.analysis.report.table import Header, Place, Table, TableRow, number, worded
from ablate.settings import Number

if TYPE_CHECKING:
    from ablate.analysis.confirmation import Confirmation
    from ablate.analysis.names import Named

_HEADERS = ("Network", "Parameters", "MACs", "Search's validation", "Fresh validation", "Fresh test", "Front")


class Confirmed(Section):
    """What a search's front is worth with seeds that it did not use."""

    name: Literal["confirmation"] = "confirmation"
    title: str = "What the front is worth"
    place: Number = 20

    def parts(self, content: Content) -> Iterable[Part]:
        return [lambda: confirmation_section(content.evidence.confirmation, content.frames.named)]


def confirmation_section(found: Confirmation | None, named: Mapping[str, Named] | None = None) -> Markup:
    """In words, then a row a network; nothing where nothing was confirmed. `named` are short names, by cell."""
    if found is None:
        return NOTHING
    return laid_out("confirmation", sentences=found.sentences, networks=_networks(found, named or {}))


def _networks(found: Confirmation, named: Mapping[str, Named]) -> Table:
    rows = []
    for cell, (label, searched, repeated, test, place) in zip(found.cells, table(found), strict=True):
        places = (
            Place(shortened(label, 60), label, title=named[cell.cell].configuration if cell.cell in named else label),
            number(cell.params, si(cell.params)),
            number(cell.macs, si(cell.macs)),
            number(cell.searched, searched),
            number(cell.repeated, repeated),
            number(cell.test.estimate, test),
            worded(place),
        )
        rows.append(TableRow(places))
    headers = tuple(Header(text, number=text not in ("Network", "Front")) for text in _HEADERS)
    return Table("The front, with seeds that the search did not use", "plain", headers, tuple(rows))
