"""What a shell completes beside commands, options and choices: names of spaces, parts, claims, trials, …, and fields.

Nothing of the user's is imported for it, and none of the libraries that take a second: a shell waits for it.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from ablate.cost.names import ALL_COSTS, RUNTIMES
from ablate.errors import InputError

if TYPE_CHECKING:
    from ablate.study.plans import Plans

Completed = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _those(names: Callable[[click.Context], Iterable[tuple[str, str]]]) -> Completed:
    """Of names, each with a line about it, those that begin as what was typed."""

    @wraps(names)
    def complete(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
        try:
            return [CompletionItem(name, help=line or None) for name, line in names(context) if name.startswith(typed)]
        except (InputError, ImportError, OSError):  # a shell has no place to say so; the command will
            return []

    return complete


def spaces(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """The packaged spaces, and files."""
    from ablate.search_spaces.space import packaged

    return _or_files(packaged(), typed)


def claims(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """The packaged claims, and files."""
    home = _place("ablate.analysis.claims")
    return _or_files(sorted(file.stem for file in home.glob("*.yaml")) if home else [], typed)


def _or_files(names: Iterable[str], typed: str) -> list[CompletionItem]:
    found = [CompletionItem(name) for name in names if name.startswith(typed)]
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


def parts_of_kind(kind: str) -> Completed:
    """The short names of a kind's parts."""

    @_those
    def parts(context: click.Context) -> Iterable[tuple[str, str]]:
        return _parts(kind)

    return parts


@_those
def profiles(context: click.Context) -> Iterable[tuple[str, str]]:
    from ablate.search_spaces.profiles import PROFILES

    return [(name, profile.what) for name, profile in PROFILES.items()]


@_those
def metrics(context: click.Context) -> Iterable[tuple[str, str]]:
    from ablate.metrics.counts import METRICS, ON_REQUEST

    return [(name, "") for name in dict.fromkeys([*METRICS, *ON_REQUEST])]


@_those
def figures(context: click.Context) -> Iterable[tuple[str, str]]:
    """The figures for print: read off their source, for drawing loads much."""
    source = _place("ablate.analysis.printed.figures")
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))) if source else ():
        match node:
            case (
                ast.AnnAssign(target=ast.Name("FIGURES"), value=ast.Dict(keys))
                | ast.Assign(targets=[ast.Name("FIGURES")], value=ast.Dict(keys))
            ):
                yield from ((str(key.value), "") for key in keys if isinstance(key, ast.Constant))


@_those
def spaces_of_study(context: click.Context) -> Iterable[tuple[str, str]]:
    return [(space, "") for space in dict.fromkeys(run.space for run in _plans(context).runs)]


def trials(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Trials of the study that is given; keys once one is begun."""
    return _of_study(context, parameter, typed, {"best": "the highest validation Dice of the latest space"})


def cells(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Cells of the study that is given, by what they are called."""
    return _of_study(context, parameter, typed, None)


def trial_then_files(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """A trial as the first, and files after it."""
    begun = context.params.get("arguments") or context.params.get("keys") or context.params.get("cell")
    return [CompletionItem(typed, type="file")] if begun else trials(context, parameter, typed)


def _of_study(
    context: click.Context, parameter: click.Parameter, typed: str, trials: dict[str, str] | None
) -> list[CompletionItem]:
    """`trials`: what names a trial beside keys, with a line; None where cells are meant."""
    from ablate.analysis.format import level_label

    @_those
    def found(context: click.Context) -> Iterable[tuple[str, str]]:
        yield from (trials or {}).items()
        plans = _plans(context)
        labels: dict[str, str] = {}
        for key, levels in (item for run in plans.runs for item in run.trials.items()):
            labels.setdefault(key, level_label({name: level for name, level in levels.items() if name != "seed"}))
        called: dict[str, str] = {}
        for key, label in labels.items():
            called.setdefault(*((plans.names[key], label) if key in plans.names else (label, "")))
        yield from ((name, line) for name, line in called.items() if name and " " not in name)
        if trials is not None and typed:
            yield from labels.items()

    return found(context, parameter, typed)


def _plans(context: click.Context) -> Plans:
    """What was planned in the study that a command line names: without a look at its trials."""
    from ablate.runners.cli.naming import study_named
    from ablate.study.recovery import read_study

    given = context.params.get("study") or next(iter(context.params.get("studies") or ()), None)
    if given is None:  # of a line that is not whole, it is not parsed
        given = study_named(next(iter(context.args), ""))
    return read_study(given).plans


def _place(module: str) -> Path | None:
    """Where a module of this project is: its file, or its folder. It is not imported."""
    spec = importlib.util.find_spec(module)
    if spec is None:
        return None
    folders = list(spec.submodule_search_locations or ())
    return Path(folders[0]) if folders else Path(spec.origin) if spec.origin else None


def folders_or_spaces(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """The packaged spaces, and files; the shell forgets what comes before those."""
    return [CompletionItem(typed, type="file"), *(one for one in spaces(context, parameter, typed) if one.value)]


@_those
def costs(context: click.Context) -> Iterable[tuple[str, str]]:
    return ALL_COSTS.items()


@_those
def runtimes(context: click.Context) -> Iterable[tuple[str, str]]:
    return RUNTIMES.items()
