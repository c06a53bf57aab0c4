"""The sections that a report has: this project's, those of installed packages, and those that were asked for."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from markupsafe import Markup

from ablate.analysis.guard import attempt
from ablate.analysis.report.content import Content
from ablate.analysis.report.page import Part as Piece
from ablate.analysis.report.sections.base import Section
from ablate.errors import InputError
from ablate.kinds import KINDS, make, own_parts, packaged, part_of
from ablate.part import Part

KIND = KINDS["section"]


class Missing(Section):
    """In the place of one that an installed package names and that is not to be had."""

    why: str

    def parts(self, content: Content) -> Iterable[Piece]:
        return [self._said]

    def _said(self) -> Markup:
        raise InputError(self.why)


def found_sections(asked: Iterable[Part] = ()) -> list[Any]:
    """In the order of their places. One that is asked for by the name of another that is there takes its place."""
    found = {name: make(KIND, Part({"name": name})) for name in own_parts(KIND)}
    found |= attempt(_packaged, partial(_missing, "Sections of other packages"))
    for part in asked:
        found[part.name if part.name in found else part.text] = make(KIND, part)
    return sorted(found.values(), key=lambda one: one.place)


def _packaged() -> dict[str, Any]:
    """Of installed packages, by name; each is loaded by itself."""
    found: dict[str, Any] = {}
    for name in packaged(KIND):
        found |= attempt(partial(_loaded, name), partial(_missing, name))
    return found


def _loaded(name: str) -> dict[str, Any]:
    return {name: make(KIND, part_of(KIND, name))}


def _missing(name: str, why: str) -> dict[str, Any]:
    return {name: Missing(title=name[:200], why=why)}
