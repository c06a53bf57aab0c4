"""Tables of a page: what is in each place, and what it sorts by."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

Order = Literal["ascending", "descending"]


class Header(NamedTuple):
    """A column's name. A first click on a column of numbers gives the order `first`; `now` is how it is sorted."""

    text: str
    number: bool = False
    first: Order = "ascending"
    now: Order | None = None


class Place(NamedTuple):
    """What stands in a row under a header: its `text`, and `below` it small. It sorts by `sort`, last without one.

    One that `heads` its row names it; `title` is told to who points at it, `link` is where a click leads.
    """

    text: str
    sort: str
    number: bool = False
    below: str = ""
    heads: bool = False
    title: str = ""
    link: str = ""


class TableRow(NamedTuple):
    """`kind` is its class in the style sheet, or empty."""

    places: tuple[Place, ...]
    kind: str = ""


class Table(NamedTuple):
    """`kind` is the class in the style sheet, `name` the id, or empty; a click on a header `sorts`, or does not."""

    title: str
    kind: str
    headers: tuple[Header, ...]
    rows: tuple[TableRow, ...]
    name: str = ""
    sorts: bool = False


def headed(text: str, title: str = "", link: str = "") -> Place:
    """The name of a row."""
    return Place(text, text, heads=True, title=title, link=link)


def worded(text: str, missing: str = "") -> Place:
    """A text, or what stands for one that is missing."""
    return Place(text or missing, text)


def number(value: float | None, text: str, below: str = "") -> Place:
    """A number that sorts by `value`; one that is not known is a dash, and sorts last."""
    if value is None or not math.isfinite(value):
        return Place("–", "", number=True)
    return Place(text, f"{value:.10g}", number=True, below=below)
