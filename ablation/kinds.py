"""The one mechanism by which parts are named, found, checked, fingerprinted and made.

A part is named by a short name (one of this project's, or of another package's by an entry point of its kind's group)
or by `module:attribute`: a module beside the space file first, then among what is installed. What is named is a
subclass of its kind, with typed settings and `build`, or any callable as it is, for which the kind has an adapter.

Nothing is listed by hand: this project's own parts are the classes with `name: Literal["…"]` in their kind's folder.
Nothing is imported but by `parse` and `make`; what a study names is read without either (`ablate.part`).
"""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import importlib.util
import inspect
import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import PlainSerializer, PlainValidator, ValidationInfo

from ablate.calls import call, without_defaults
from ablate.errors import InputError, PartError, brief, unknown, within
from ablate.modules import Found, check_may_be_called, load, named, used_code
from ablate.part import MADE_BY, DataPart, Part
from ablate.settings import Config
from ablate.settings import parse as parse_settings

_NAME = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


class Kind(NamedTuple):
    """A family of exchangeable parts."""

    name: str
    """As messages say it, and commands are asked for it."""
    home: str
    """The package whose files have this project's own."""
    base: str
    """The class that has the kind's settings and `build`, as module:class."""
    sparse: bool = True
    """Whether settings at their defaults are left out of the canonical form. (Keys made before 0.2 have them.)"""
    what: str = ""
    """In a line, what it is."""

    @property
    def group(self) -> str:
        """The entry points by which other packages name theirs."""
        return f"ablate.{self.name.replace(' ', '_')}{'es' if self.name.endswith('s') else 's'}"


KINDS = {
    kind.name: kind
    for kind in (
        Kind("network", "ablate.models", "ablate.models.network:Network", False, "from images to logits"),
        Kind("data set", "ablate.data", "ablate.data.settings:DataSource", False, "images with their masks"),
        Kind("loss", "ablate.training.losses", "ablate.training.losses.base:Loss", what="what training makes small"),
        Kind(
            "optimizer", "ablate.training.optimizers", "ablate.training.optimizers.base:Optimizer",
            what="how weights follow gradients",
        ),
        Kind(
            "schedule", "ablate.training.schedules", "ablate.training.schedules.base:Schedule",
            what="the learning rate over time",
        ),
        Kind(
            "augmentation", "ablate.training.augmentations", "ablate.training.augmentations.base:Augmentation",
            what="random changes of training images and their masks",
        ),
        Kind("metric", "ablate.metrics", "ablate.metrics.base:ImageMetric", what="a score of each image and class"),
        Kind(
            "sampler", "ablate.runners.search.samplers", "ablate.runners.search.samplers.base:Sampler",
            what="what a search trains next",
        ),
        Kind(
            "scheduler", "ablate.runners.search.schedulers", "ablate.runners.search.schedulers.base:Scheduler",
            what="which trials stop early",
        ),
        Kind(
            "section", "ablate.analysis.report.sections", "ablate.analysis.report.sections.base:Section",
            what="a part of the report's page",
        ),
    )
}  # fmt: skip


_PLACES = {"model": "network", "data": "data set", "metrics": "metric"}
"""Where a configuration has parts of a kind, if not under the kind's own name."""


def kind_at(place: str) -> Kind:
    """The kind of what a configuration has at `place`: `model`, `augmentation.1`, …"""
    part = place.partition(".")[0]
    return KINDS[_PLACES.get(part, part)]


def place_of(kind: Kind) -> str:
    """Where a configuration has a part of this kind: `model`, `loss`, …"""
    return next((place for place, name in _PLACES.items() if name == kind.name), kind.name)


# Finding -------------------------------------------------------------------------------------------------------------


def find(kind: Kind, name: str) -> Found:
    """What `name` stands for. This imports it.

    Raises `InputError` for a name that does not exist, a module that does not import (with its file and line), and an
    attribute that is not there or cannot be called.
    """
    if ":" not in name:
        own = own_parts(kind)
        if name in own:
            return Found(load(own[name]), "")
        entries = packaged(kind)
        if name in entries:
            return named(entries[name].value, f"{kind.name} {name}")
        raise unknown("model" if kind.name == "network" else kind.name, name, [*own, *entries])
    if not _NAME.fullmatch(name):
        raise PartError(f"{kind.name} '{brief(name)}': expected a short name, or module:attribute (my_nets:LightNet)")
    return named(name, f"{kind.name} {name}")


@cache
def own_parts(kind: Kind) -> dict[str, str]:
    """This project's parts of a kind: their names, with where each is, as module:class. Nothing is imported."""
    spec = importlib.util.find_spec(kind.home)
    found: dict[str, str] = {}
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for file in sorted(Path(folder).glob("*.py")):
            text = file.read_text(encoding="utf-8")
            tree = ast.parse(text) if "name: Literal[" in text else ast.Module([], [])
            module = kind.home if file.stem == "__init__" else f"{kind.home}.{file.stem}"
            for node in tree.body:
                if isinstance(node, ast.ClassDef) and (name := _literal_name(node)):
                    if name in found:
                        raise RuntimeError(f"{found[name]} and {module}:{node.name} are both the {kind.name} {name}")
                    found[name] = f"{module}:{node.name}"
    return found


def own_defaults(kind: Kind, part: Part) -> dict[str, Any]:
    """What the settings of a part of this project are that it leaves out; of anybody else's nothing is known.

    This imports this project's own code alone.
    """
    home = own_parts(kind).get(part.name)
    if part.made_by or home is None:
        return {}
    fields = load(home).model_fields
    given = {"name", *part.settings}
    return {n: i.get_default(call_default_factory=True) for n, i in fields.items() if n not in given}


def _literal_name(node: ast.ClassDef) -> str:
    for line in node.body:
        match line:
            case ast.AnnAssign(
                target=ast.Name("name"),
                annotation=ast.Subscript(value=ast.Name("Literal"), slice=ast.Constant(str(name))),
            ):
                return name
    return ""


@cache
def packaged(kind: Kind) -> dict[str, importlib.metadata.EntryPoint]:
    """What other packages name, by entry points of the kind's group. Raises `InputError` for a name given twice."""
    found: dict[str, importlib.metadata.EntryPoint] = {}
    for entry in importlib.metadata.entry_points(group=kind.group):
        other = found.setdefault(entry.name, entry)
        if entry.name in own_parts(kind) or other.value != entry.value:
            there = other.dist.name if other.value != entry.value and other.dist else "ablate"
            here = entry.dist.name if entry.dist else entry.value
            raise PartError(f"{kind.name} {entry.name} is named by {there} and by {here}: uninstall one of them")
    return found


def names_within(value: Any) -> Iterator[str]:
    """The name of every part in a canonical form, its own among them, and what `$module:attribute` names."""
    if isinstance(value, dict):
        if isinstance(name := value.get("name"), str):
            yield name
        value = list(value.values())
    elif isinstance(value, str) and (name := _object_name(value)):
        yield name
    for one in value if isinstance(value, list) else ():
        yield from names_within(one)


def named_within(value: Any) -> Iterator[str]:
    """Those of them that are a `module:attribute`. Nothing is imported."""
    return (name for name in names_within(value) if _NAME.fullmatch(name))


# Parsing -------------------------------------------------------------------------------------------------------------


def parse(kind: Kind, fields: Mapping[str, Any], *, local: Mapping[str, Any] | None = None) -> Part:
    """A part from what a user wrote, its name and settings, checked against what the name stands for.

    This imports it. `local`: as of `Part`. Raises `InputError`, in one line, for whatever is wrong with it.
    """
    settings = {name: value for name, value in fields.items() if name != "name"}
    name = fields.get("name")
    if not isinstance(name, str):
        raise InputError(f"{kind.name}: expected a name, not {brief(name)}")
    if MADE_BY in settings:
        raise InputError(f"{kind.name} {name}: '{MADE_BY}' is not for you to set")
    with within("name"):
        found = find(kind, name)
    what = f"{_word(kind)} {name}"
    cls = DataPart if kind.name == "data set" else Part
    typed_by = _settings_class(kind, found.target)
    if typed_by is not None:
        typed = parse_settings(typed_by, {**settings, **(local or {})}, what)
        part = cls.of(typed, name, found.made_by)
        return _without_own_defaults(part, typed) if kind.sparse else part
    if not found.made_by:
        raise PartError(f"{what} is of ablate, and no {kind.name}")
    adapter = _adapter(kind)
    adapted = adapter.adapt(found.target, settings, what)  # which checks them
    constants = getattr(adapter, "CONSTANTS", {})
    settings = {n: value for n, value in settings.items() if n not in constants or value != constants[n]}
    try:
        if kind.name == "data set":
            own, local = adapted.canonical_settings(), {**adapted.local_settings(), **(local or {})}
        else:
            own = without_defaults(found.target, settings)
        plain = cls({"name": name, **own}, local)
    except ValueError as error:
        raise InputError(f"{what}: {error}") from None
    others = [found.made_by, *_nested_makers(plain.settings)]
    made_by = ", ".join(sorted({one for one in others if one}))
    return cls({**plain.canonical(), **({MADE_BY: made_by} if made_by else {})}, local)


Asked = Part | Config | str | Mapping[str, Any]
"""The forms in which a part may be asked for: made already, as typed settings, by its name, by a name with settings."""


def part_of(kind: Kind, asked: Asked) -> Part:
    """A part in whatever form it was asked for. Raises as `parse` does."""
    if isinstance(asked, Part):
        return asked
    if isinstance(asked, Config):
        part = (DataPart if kind.name == "data set" else Part).of(asked)
        return _without_own_defaults(part, asked) if kind.sparse else part
    return parse(kind, {"name": asked} if isinstance(asked, str) else asked)


def name_of(asked: Asked) -> Any:
    """The name by which a part was asked for: a text, unless it is to be refused."""
    if isinstance(asked, Part | Config):
        return getattr(asked, "name", "")
    return asked.get("name") if isinstance(asked, Mapping) else asked


def _settings_class(kind: Kind, target: Any) -> type[Config] | None:
    """A subclass of the kind; None for any other callable."""
    base: type[Config] = load(kind.base)
    return target if inspect.isclass(target) and issubclass(target, base) else None


def _word(kind: Kind) -> str:
    return {"network": "model", "data set": "data"}.get(kind.name, kind.name)


def _without_own_defaults(part: Part, typed: Config) -> Part:
    known = type(typed).model_fields
    same = {
        n for n, i in known.items() if n != "name" and getattr(typed, n) == i.get_default(call_default_factory=True)
    }
    return type(part)({name: value for name, value in part.canonical().items() if name not in same}, part.local)


def _nested_makers(settings: dict[str, Any]) -> list[str]:
    """The makers of what is named within settings."""
    return [named(name, name).made_by for name in named_within(settings)]


def _object_name(text: str) -> str:
    """The name in `$module:attribute`, which stands for the object itself."""
    return text[1:] if text.startswith("$") and _NAME.fullmatch(text[1:]) else ""


def made(value: Any, what: str) -> Any:
    """A setting with the parts in it: `{name: module:attribute, …}` called, `$module:attribute` as it is."""
    if isinstance(value, str) and (name := _object_name(value)):
        return named(name, f"{what}: {name}").target
    if isinstance(value, dict):
        inner = {name: made(one, what) for name, one in value.items()}
        if isinstance(value.get("name"), str) and _NAME.fullmatch(value["name"]):
            name = inner.pop("name")
            target = named(name, f"{what}: {name}").target
            check_may_be_called(target, f"{what}: {name}")
            return call(target, inner, {}, f"{what}: {name}")
        return inner
    return [made(one, what) for one in value] if isinstance(value, list) else value


# Making --------------------------------------------------------------------------------------------------------------


def make(kind: Kind, part: Part) -> Any:
    """The part itself, which has its kind's `build`; this imports what it names.

    Raises `InputError` as `find` does, and where the code that is here is not the code that the part names.
    """
    return _make(kind, part.text, tuple(sorted(part.local.items())), used_code().serial)


@cache
def _make(kind: Kind, text: str, local: tuple[tuple[str, Any], ...], code: int) -> Any:
    fields: dict[str, Any] = json.loads(text)
    name = fields.pop("name")
    made_by = fields.pop(MADE_BY, "")
    found = find(kind, name)
    what = f"{_word(kind)} {name}"
    own = _settings_class(kind, found.target)
    if own is not None:
        _check_maker(what, made_by, [found.made_by])
        known = own.model_fields
        paths = [field for field in fields if field in known and known[field].exclude]
        if paths:
            raise InputError(f"{what}: {paths[0]} has no place in a recorded configuration")
        own_name = {"name": name} if "name" in known else {}
        return parse_settings(own, {**own_name, **fields, **dict(local)}, what)
    _check_maker(what, made_by, [found.made_by, *_nested_makers(fields)])
    if kind.name == "data set" and "root" in fields:
        raise InputError(f"{what}: root has no place in a recorded configuration")
    settings = {field: made(value, what) for field, value in fields.items()}
    return _adapter(kind).adapt(found.target, {**settings, **dict(local)}, what)


def _check_maker(what: str, made_by: str, here: list[str]) -> None:
    there = ", ".join(sorted({one for one in here if one}))
    if made_by != there:
        raise InputError(
            f"{what} is {there or 'of this project'} here, and this trial's is {made_by or 'of this project'}"
        )


def _adapter(kind: Kind) -> Any:
    return importlib.import_module(f"{kind.base.partition(':')[0].rpartition('.')[0]}.adapt")


def of_kind(name: str) -> Any:
    """For an annotation: a field that holds a part of this kind, as plain data.

    From Python it may be given as a part, as typed settings, or by its name with settings; from JSON, as a study has
    it, it is taken as it is.
    """
    kind = KINDS[name]
    cls = DataPart if name == "data set" else Part

    def validate(value: Any, info: ValidationInfo) -> Part:
        written = info.mode == "json" or (isinstance(value, Mapping) and MADE_BY in value)
        return cls(value) if written and not isinstance(value, Part | Config) else part_of(kind, value)

    def dump(part: Part) -> dict[str, Any]:
        return part.canonical()

    return Annotated[cls, PlainValidator(validate), PlainSerializer(dump)]


def without_makers(value: Any) -> Any:
    """A canonical form without what says which code its parts are: what the user asked for, whatever it then meant."""
    if isinstance(value, dict):
        return {name: without_makers(one) for name, one in value.items() if name != MADE_BY}
    return [without_makers(one) for one in value] if isinstance(value, list) else value
