"""What a part says of itself: a line of what it is, and each of its settings with type, bounds, default and a line.

Typed settings say it by their fields and the text below them, others' classes and functions by their signature and the
`Args` of their docstring.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import itertools
import re
import textwrap
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from pydantic_core import PydanticUndefined, to_jsonable_python

from ablate.calls import parameters
from ablate.errors import InputError
from ablate.kinds import Kind, find, own_parts
from ablate.settings import Config

REQUIRED = object()
"""The default of a setting that must be given."""
_SENTENCES = re.compile(r"(?<=\.)(?<!\bal\.)(?<!e\.g\.)(?<!i\.e\.)\s+")
_TYPES = {
    "integer": "whole number", "number": "number", "boolean": "true or false", "string": "text", "null": "null",
    "object": "mapping",
}  # fmt: skip


_ENDLESS = 1e15
"""A bound that nobody comes near, and that is not said."""


class Setting(NamedTuple):
    """One setting of a part."""

    name: str
    """Its path below the part: `width`, `split.fold`."""
    type: str
    """What it takes, as people say it: `whole number, 1 to 8`, `plain | bottleneck`."""
    default: Any
    """As plain data; `REQUIRED` for none."""
    choices: tuple[Any, ...] = ()
    """The values it may have, if they are few."""
    what: str = ""


def settings_of(target: Any) -> list[Setting]:
    """The settings of what a name stands for: a class with typed settings, or any callable."""
    if inspect.isclass(target) and issubclass(target, Config):
        return fields_of(target)
    return list(_arguments(target))


def summary(kind: Kind, name: str) -> str:
    """A part in a line: the first of its docstring. This project's own are not imported for it."""
    own = own_parts(kind)
    if name in own:
        return first_line(_own_docstring(own[name]))
    try:
        return first_line(description(find(kind, name).target))
    except InputError as error:
        return str(error)


def description(target: Any) -> str:
    """The docstring of a class or function, or of the class's `__init__`, but none that it inherits."""
    own = [target, vars(target).get("__init__")] if inspect.isclass(target) else [target]
    texts = (getattr(one, "__doc__", None) for one in own)
    return next((inspect.cleandoc(text) for text in texts if isinstance(text, str)), "")


def first_line(text: str) -> str:
    """The first sentence, or line, of a docstring."""
    paragraph = " ".join(inspect.cleandoc(text).split("\n\n")[0].split())
    return _SENTENCES.split(paragraph)[0].rstrip(".:, ")


def _own_docstring(place: str) -> str:
    module, _, name = place.partition(":")
    spec = importlib.util.find_spec(module)
    tree = ast.parse(Path(str(spec.origin)).read_text(encoding="utf-8")) if spec else ast.Module([], [])
    classes = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)
    return next((ast.get_docstring(node) or "" for node in classes), "")


# Typed settings ------------------------------------------------------------------------------------------------------


def fields_of(config: type[BaseModel], below: str = "") -> list[Setting]:
    """The fields of a part, those of parts within it by their paths."""
    lines, found = _lines(config), []
    for name, info in config.model_fields.items():
        if name == "name" or name == "fingerprint":
            continue
        if inspect.isclass(info.annotation) and issubclass(info.annotation, Config):
            found += fields_of(info.annotation, f"{below}{name}.")
            continue
        schema = _schemas(config).get(name, {})
        default = info.get_default(call_default_factory=True)
        plain = REQUIRED if default is PydanticUndefined else to_jsonable_python(default, fallback=_plain)
        what = info.description or lines.get(name) or _mentioned(config, name)
        found.append(Setting(below + name, _type(schema) or "any", plain, _choices(schema), what))
    return found


def _plain(value: Any) -> Any:
    return value.canonical() if hasattr(value, "canonical") else str(value)


@cache
def _schemas(config: type[BaseModel]) -> dict[str, dict[str, Any]]:
    """The JSON schema of each field, references followed; nothing for what has none."""
    try:
        schema = config.model_json_schema()
    except Exception:  # a field that takes what JSON cannot say
        return {}
    defined = schema.get("$defs", {})
    return {name: _followed(one, defined) for name, one in schema.get("properties", {}).items()}


def _followed(schema: Any, defined: dict[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_followed(one, defined) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _followed(defined.get(schema["$ref"].rpartition("/")[2], {}), defined)
    return {name: _followed(one, defined) for name, one in schema.items()}


def _type(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if "const" in schema:
        return str(schema["const"])
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(one) for one in schema["anyOf"]))
    if schema.get("format") == "path":
        return "path"
    if schema.get("type") == "array":
        each = schema.get("prefixItems") or [schema.get("items", {})]
        said = _type(each[0])
        plural = next(
            (f"{one}s{said.removeprefix(one)}" for one in ("whole number", "number", "text") if said.startswith(one)),
            said,
        )
        return f"{len(each) if 'prefixItems' in schema else 'list of'} {plural or 'anything'}"
    return ", ".join(filter(None, (_TYPES.get(str(schema.get("type")), ""), _bounds(schema))))


def _choices(schema: dict[str, Any]) -> tuple[Any, ...]:
    """The values that a schema lists; nothing where it takes others too."""
    if schema.get("type") == "boolean":
        return True, False
    if schema.get("type") == "null":
        return (None,)
    alternatives = [_choices(one) for one in schema.get("anyOf", ())]
    listed = sum(alternatives, ()) if all(alternatives) else ()
    return tuple(schema.get("enum", ())) or (("const" in schema and (schema["const"],)) or listed)


def _bounds(schema: dict[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if low is not None and high is not None and high < _ENDLESS:
        return f"{low:,} to {high:,}"
    said = [(low, "from"), (above, "over"), (high, "up to"), (below, "below")]
    return ", ".join(f"{word} {bound:,}" for bound, word in said if bound is not None and bound < _ENDLESS)


@cache
def _lines(config: type[BaseModel]) -> dict[str, str]:
    """The text below each field in the source, or the comment after it, of a class and of those it is made from."""
    found: dict[str, str] = {}
    for cls in reversed(config.__mro__):
        if not issubclass(cls, BaseModel) or cls.__module__.startswith("pydantic"):
            continue
        try:
            source = textwrap.dedent(inspect.getsource(cls))
            tree = ast.parse(source).body[0]
        except (OSError, TypeError, SyntaxError, IndexError):  # made in a session, say
            continue
        body = tree.body if isinstance(tree, ast.ClassDef) else []
        for field in body:
            comment = source.splitlines()[(field.end_lineno or 1) - 1].encode()[field.end_col_offset or 0 :].decode()
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and "#" in comment:
                found[field.target.id] = comment.partition("#")[2].strip()
        for field, below in itertools.pairwise(body):
            match field, below:
                case ast.AnnAssign(target=ast.Name(name)), ast.Expr(value=ast.Constant(str(text))):
                    found[name] = " ".join(text.split())
    return found


def _mentioned(config: type[BaseModel], name: str) -> str:
    """The sentence of a class's docstring that has a field's name."""
    sentences = _SENTENCES.split(" ".join((config.__doc__ or "").split()))
    return next((sentence for sentence in sentences if f"`{name}`" in sentence), "")


# Signatures ----------------------------------------------------------------------------------------------------------


def _arguments(target: Callable[..., Any]) -> Iterator[Setting]:
    said = f"{inspect.getdoc(target) or ''}\n{inspect.getdoc(getattr(target, '__init__', None)) or ''}"
    hints = _hints(target)
    for name, one in parameters(target).items():
        choices = get_args(hints.get(name)) if get_origin(hints.get(name)) is Literal else ()
        default = REQUIRED if one.default is one.empty else one.default
        plain = default if default is REQUIRED else to_jsonable_python(default, fallback=str)
        if not choices and isinstance(plain, bool):
            choices = (True, False)
        yield Setting(name, _annotated(one, choices, plain), plain, choices, _argument(said, name))


def _hints(target: Any) -> dict[str, Any]:
    try:
        return get_type_hints(target.__init__ if inspect.isclass(target) else target)
    except Exception:  # annotations that cannot be read
        return {}


def _annotated(one: inspect.Parameter, choices: tuple[Any, ...], default: Any) -> str:
    if choices:
        return "true or false" if set(choices) == {True, False} else " | ".join(map(str, choices))
    if one.annotation is not one.empty:
        return inspect.formatannotation(one.annotation).strip("'\"")
    return "any" if default is REQUIRED or default is None else type(default).__name__


def _argument(said: str, name: str) -> str:
    """What a docstring says of an argument, in Google's, NumPy's or Sphinx's way."""
    found = re.search(
        rf"^\s*(?::param )?`*{re.escape(name)}`*\s*(?:\([^)\n]*\))?\s*:+\s*(.+(?:\n\s{{8,}}.+)*)", said, re.M
    )
    return first_line(found[1]) if found else ""
