"""Where a field of a trial was given: in the space's file, with the line, or by an option."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from ablate.errors import InputError
from ablate.places import Place, Source
from ablate.search_spaces.space import Range, Space


@contextlib.contextmanager
def located(space: Space, levels: Mapping[str, str], options: Mapping[str, str]) -> Iterator[None]:
    """What is wrong with a field of a configuration is said with where that was given, if that is known.

    Args:
        levels: of the configuration's factors.
        options: what gave fields beside the space, by their dotted paths: `--set model.width`.
    """
    try:
        yield
    except InputError as error:
        where = place_of(space, ".".join(error.field), levels, options) if error.field else ""
        if where:
            error.args = (f"{where}: {error}",)
        error.field = ()
        raise


def place_of(space: Space, field: str, levels: Mapping[str, str], options: Mapping[str, str]) -> str:
    """Where a field is from: options come over levels, those of later factors over others, and these over the base."""
    for path, option in options.items():
        if _is_within(field, path):
            return option
    source = space.source
    if source is None:
        return ""
    for factor, level in reversed(list(levels.items())):
        given = space.factors.get(factor, {})
        fields = [factor] if isinstance(given, Range) else list(given.get(level, ()))
        if any(_is_within(field, path) for path in fields):
            return source.at(_of_level(source, factor, level, field))
    found = source.field(("base",), field)
    return source.at(found) if found != ("base",) else ""


def _of_level(source: Source, factor: str, level: str, field: str) -> Place:
    return source.field(source.reached("factors", factor, level), field)


def _is_within(field: str, other: str) -> bool:
    """Whether a field, by dotted path, is the other one or a part of it."""
    return field == other or field.startswith(f"{other}.")
