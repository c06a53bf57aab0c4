"""The report's part on confirmation: what a search's front is worth with seeds that it did not use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ablate.analysis.confirmation import table
from ablate.analysis.format import shortened, si
from ablate.analysis.report import page

if TYPE_CHECKING:
    from ablate.analysis.confirmation import Confirmation

_HEADERS = ("Network", "Parameters", "MACs", "Search's validation", "Fresh validation", "Fresh test", "Front")


def confirmation_section(found: Confirmation | None) -> str:
    """In words, then a row a network; nothing where nothing was confirmed."""
    if found is None:
        return ""
    said = "".join(f"<p>{page.escape(sentence)}</p>" for sentence in found.sentences)
    rows = []
    for cell, (label, searched, repeated, test, place) in zip(found.cells, table(found), strict=True):
        figures = [
            page.number(cell.params, si(cell.params)),
            page.number(cell.macs, si(cell.macs)),
            page.number(cell.searched, searched),
            page.number(cell.repeated, repeated),
            page.number(cell.test.estimate, test),
        ]
        name = page.escape(label)
        network = f'<td data-sort="{name}" title="{name}">{page.escape(shortened(label, 60))}</td>'
        rows.append(f"<tr>{network}{''.join(figures)}{page.cell(place)}</tr>")
    headers = [page.plain_header(text, number=text not in ("Network", "Front")) for text in _HEADERS]
    return said + page.table("plain", headers, rows, "The front, with seeds that the search did not use")
