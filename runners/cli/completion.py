"""What a shell completes: names of spaces, kinds and parts, and fields. Nothing of the user's is imported for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

import click
from click.shell_completion import CompletionItem

from ablate.cost.names import ALL_COSTS, RUNTIMES
from ablate.errors import InputError

Completed = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _those(names: Callable[[click.Context], Iterable[tuple[str, str]]]) -> Completed:
    """Of names, each with a line about it, those that begin as what was typed."""

    @wraps(names)
    def complete(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
        try:
            return [CompletionItem(name, help=line or None) for name, line in names(context) if name.startswith(typed)]
        except (InputError, ImportError):  # a shell has no place to say so; the command will
            return []

    return complete


def spaces(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """The packaged spaces, and files."""
    from ablate.search_spaces.space import packaged

    found = [CompletionItem(name) for name in packaged() if name.startswith(typed)]
    return found or [CompletionItem(typed, type="file")]


@_those
def kinds(context: click.Context) -> Iterable[tuple[str, str]]:
    from ablate.kinds import KINDS

    return [(kind.name, kind.what) for kind in KINDS.values()]


@_those
def parts(context: click.Context) -> Iterable[tuple[str, str]]:
    """The short names of all parts."""
    return _parts()


@_those
def parts_or_kinds(context: click.Context) -> Iterable[tuple[str, str]]:
    from ablate.kinds import KINDS

    of_all = [("protocol", "what every trial has"), ("data", "what every data set has")]
    return [*((kind.name, kind.what) for kind in KINDS.values()), *of_all, *_parts()]


@_those
def networks(context: click.Context) -> Iterable[tuple[str, str]]:
    return _parts("network")


@_those
def data_sets(context: click.Context) -> Iterable[tuple[str, str]]:
    return _parts("data set")


@_those
def settings(context: click.Context) -> Iterable[tuple[str, str]]:
    """The settings of the part that is the command's first argument."""
    from ablate.kind_of import kinds_of

    name = context.params.get("name") or next(iter(context.args), "")  # of a line that is not whole, it is not parsed
    if ":" in name:
        return []
    return [(f"{one.name}=", one.what) for kind in kinds_of(name)[:1] for one in _settings(kind.name, name)]


@_those
def fields(context: click.Context) -> Iterable[tuple[str, str]]:
    """The fields of a trial: of its protocol, its data, and its parts as far as they are known by short names."""
    from ablate.data.settings import DataSource
    from ablate.documented import fields_of
    from ablate.trial import Protocol

    found = [(f"protocol.{one.name}=", one.what) for one in fields_of(Protocol)]
    found += [(f"data.{one.name}=", one.what) for one in fields_of(DataSource)]
    for place, kind, name in _chosen(context.params):
        found += [(f"{place}.{one.name}=", one.what) for one in _settings(kind, name)]
    return list(dict(reversed(found)).items())


def _chosen(given: dict[str, Any]) -> Iterable[tuple[str, str, str]]:
    """The parts by short names that a command line, or the space it names, has: place, kind and name."""
    from ablate.kinds import KINDS, own_parts, place_of
    from ablate.search_spaces.space import load_space, nested

    tree: dict[str, Any] = nested(load_space(given["space"]).base) if given.get("space") else {}
    for kind in KINDS.values():
        place = place_of(kind)
        part = tree.get(place, {})
        name = given.get(place) or (part.get("name") if isinstance(part, dict) else None)
        if isinstance(name, str) and name in own_parts(kind):
            yield place, kind.name, name


def _settings(kind: str, name: str) -> list[Any]:
    from ablate.documented import settings_of
    from ablate.kinds import KINDS, find, own_parts

    return settings_of(find(KINDS[kind], name).target) if name in own_parts(KINDS[kind]) else []


def _parts(kind: str | None = None) -> list[tuple[str, str]]:
    from ablate.documented import summary
    from ablate.kinds import KINDS, own_parts

    asked = [KINDS[kind]] if kind else list(KINDS.values())
    return [(name, summary(one, name)) for one in asked for name in own_parts(one)]


def folders_or_spaces(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Folders, the packaged spaces, and files."""
    found = spaces(context, parameter, typed)
    return found if typed and found[0].type != "file" else [*found, CompletionItem(typed, type="file")]


@_those
def costs(context: click.Context) -> Iterable[tuple[str, str]]:
    return ALL_COSTS.items()


@_those
def runtimes(context: click.Context) -> Iterable[tuple[str, str]]:
    return RUNTIMES.items()
