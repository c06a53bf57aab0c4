"""Where in a YAML file something is: each place of it, as the names on the way there, with its line."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

Place = tuple[str, ...]


class PlaceError(ValueError):
    """What is wrong with a value, and where within it: names of fields, levels, …, and numbers of list items."""

    def __init__(self, message: str, *place: object) -> None:
        super().__init__(message)
        self.place = place


@contextlib.contextmanager
def in_place(*place: object) -> Iterator[None]:
    """What is wrong in here is wrong with what lies in `place`."""
    try:
        yield
    except ValueError as error:
        raise PlaceError(str(error), *place, *(error.place if isinstance(error, PlaceError) else ())) from None


class Source(NamedTuple):
    """A file, with the line, counted from 1, of each place in it; items of lists are numbered from 0.

    `called`: the places of items of lists, also by their value or their `name` in the place of their number.
    """

    path: Path
    lines: dict[Place, int]
    called: dict[Place, Place]

    def at(self, place: Place) -> str:
        """In words, for the beginning of a message."""
        return f"{self.path}, line {self.lines.get(place, 1)}"

    def reached(self, *place: object) -> Place:
        """As far as the file has `place`, where whole numbers are those of list items. What is not in it on the way
        there is passed over: the name of the kind of thing that a model tried, say."""
        here: Place = ()
        for part in place:
            here = self._below(here, part) or here
        return here

    def field(self, within: Place, field: str) -> Place:
        """The deepest place of a field, by dotted path, or of what it is a part of; `within`, if it is not there."""
        names = field.split(".")
        for count in range(len(names), 0, -1):
            below = self._below(within, ".".join(names[:count]))
            if below is not None:
                return self.field(below, ".".join(names[count:])) if names[count:] else below
        return within

    def without(self, *gone: Place) -> Source:
        """The same but for some places, and what lies in them."""
        kept = {at: line for at, line in self.lines.items() if not any(at[: len(one)] == one for one in gone)}
        return self._replace(lines=kept)

    def _below(self, here: Place, name: object) -> Place | None:
        there = (*here, str(name))
        if not isinstance(name, int):
            there = self.called.get(there, there)
        return there if there in self.lines else None
