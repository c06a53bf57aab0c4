"""The gate for users' YAML: a file, or the value of an option, becomes plain data, bounded and without surprises.

What leaves here is text, finite numbers, truth values, lists, and mappings whose keys are text, each given once. What
YAML lets be guessed is not: a date is text, `1:30` is not 90, and tags that make other things are refused. The size is
bounded before anything is made of it, with aliases counted as often as they are used.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from ablate.errors import InputError, brief, unknown
from ablate.files import read_regular
from ablate.places import Place, PlaceError, Source
from ablate.settings import complaint, fields_at, nearest_choice

Model = TypeVar("Model", bound=BaseModel)

MOST_BYTES = 1_000_000
MOST_NODES = 50_000
"""Keys, values and lists of a document."""
MOST_DEPTH = 24
"""How deep lists and mappings lie in each other; a space needs six."""
_MOST_DIGITS = 18
_OCTAL = re.compile("[-+]?0[0-7_]+")
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def packaged_or_own(name_or_path: str, packaged: dict[str, Path], what: str) -> Path:
    """The file of a name that comes with ablate, or a user's own path, which ends in .yaml or .yml.

    Raises `InputError`, naming the nearest, for a name that does not exist.
    """
    if name_or_path in packaged:
        return packaged[name_or_path]
    if name_or_path.endswith((".yaml", ".yml")):
        return Path(name_or_path)
    raise unknown(what, name_or_path, packaged)


def read_yaml(path: Path, model: type[Model], what: str, expected: str) -> Model:
    """The file at `path` as a `model`.

    `what` names the kind of file and `expected` its fields, for the messages of the `InputError` that is raised where
    the file cannot be read, is not YAML, or does not fit.
    """
    return read_with_source(path, model, what, expected)[0]


def read_with_source(path: Path, model: type[Model], what: str, expected: str) -> tuple[Model, Source]:
    """As `read_yaml`, with where each of its fields is."""
    text = _text(path, what)
    try:
        tree = _composed(text)
        content = _value(tree) if tree is not None else None
    except _SlipError as slip:
        raise InputError(f"{path}, line {slip.line}: {slip}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}, line 1: expected a mapping with {expected}")
    assert tree is not None
    source = Source(path, {}, {})
    _places(tree, source)
    try:
        return model.model_validate(content), source
    except ValidationError as error:
        raise InputError(_slip(error, model, source)) from None


def _slip(error: ValidationError, model: type[BaseModel], source: Source) -> str:
    """What does not fit in a file, in one line, with where it is."""
    first = complaint(error)
    cause = first.get("ctx", {}).get("error")
    deeper = cause.place if isinstance(cause, PlaceError) else ()
    where = source.at(source.reached(*first["loc"], *deeper))
    *way, last = first["loc"] or ("",)
    if first["type"] == "extra_forbidden":
        place = ".".join(map(brief, source.reached(*way)))
        return f"{where}: {place + ': ' if place else ''}{unknown('field', str(last), fields_at(model, way))}"
    shown = source.reached(*first["loc"])
    shown += (str(last),) if first["type"] == "missing" else ()
    place = ".".join(map(brief, shown))
    message = first["msg"].removeprefix("Value error, ") + nearest_choice(first)
    return f"{where}: {place + ': ' if place else ''}{message}"


def yaml_value(text: str) -> Any:
    """The value that an option gives as YAML. Raises `InputError` for what is not YAML, or not plain data."""
    try:
        tree = _composed(text)
        return _value(tree) if tree is not None else None
    except _SlipError as slip:
        raise InputError(str(slip)) from None


class _SlipError(Exception):
    """What is wrong, and in which line, counted from 1."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


def _text(path: Path, what: str) -> str:
    """A user may name a link; what it leads to must be a file of a size that a person writes."""
    try:
        found = path.resolve(strict=True)
        if (size := found.stat().st_size) > MOST_BYTES:
            raise InputError(f"{what} file '{path}' has {size:,} bytes: at most {MOST_BYTES:,} are read")
        content = read_regular(found)
    except FileNotFoundError:
        raise InputError(f"{what} file '{path}' does not exist") from None
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: links in a circle, ValueError: a null byte
        if isinstance(error, InputError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{what} file '{brief(path)}' cannot be read: {reason}") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(f"{path}, line {line}: this is not UTF-8 text; save the file as UTF-8") from None


# From text to a tree of bounded size ---------------------------------------------------------------------------------


def _composed(text: str) -> yaml.Node | None:
    try:
        composer = _Composer(text)
        return composer.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = " ".join((error.problem or "not YAML").split())
        raise _SlipError(mark.line + 1 if mark else 1, brief(problem)) from None
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1 if isinstance(error.position, int) else 1
        raise _SlipError(line, f"the character {brief(chr(error.character))} does not belong in text") from None
    except yaml.YAMLError as error:
        raise _SlipError(1, brief(" ".join(str(error).split()))) from None
    except (ValueError, OverflowError):
        raise _SlipError(1, "an escape such as \\UFFFFFFFF is no character, or a number is endless") from None


class _Composer(yaml.SafeLoader):
    """PyYAML's, which bounds how deep a document is nested and, with its aliases followed, how much it holds."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._around: list[str | None] = []
        """The anchors of the nodes that hold the present one."""
        self._made = 0
        self._extent: dict[int, tuple[int, int]] = {}
        """By a node's identity, how many nodes it holds and how deep they lie."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node:
        event = self.peek_event()
        line = event.start_mark.line + 1
        is_alias = isinstance(event, yaml.AliasEvent)
        if is_alias and event.anchor in self._around:
            raise _SlipError(line, f"alias '*{brief(event.anchor)}' lies within what it names")
        if not is_alias:
            self._made += 1
            if len(self._around) >= MOST_DEPTH:
                raise _SlipError(line, f"nested more than {MOST_DEPTH} deep")
            if self._made > MOST_NODES:
                raise _SlipError(line, f"more than {MOST_NODES:,} keys and values")
            self._around.append(event.anchor)
        node = super().compose_node(parent, index)
        assert node is not None
        if not is_alias:
            self._around.pop()
            self._extent[id(node)] = self._measured(node)
        held, depth = self._extent[id(node)]
        if held > MOST_NODES:
            raise _SlipError(line, f"more than {MOST_NODES:,} keys and values, with what its aliases name")
        if len(self._around) + depth > MOST_DEPTH:
            raise _SlipError(line, f"nested more than {MOST_DEPTH} deep, with what its aliases name")
        return node

    def _measured(self, node: yaml.Node) -> tuple[int, int]:
        below: list[yaml.Node] = []
        if isinstance(node, yaml.MappingNode):
            below = [one for pair in node.value for one in pair]
        elif isinstance(node, yaml.SequenceNode):
            below = node.value
        extents = [self._extent[id(one)] for one in below]
        return 1 + sum(held for held, _ in extents), 1 + max((depth for _, depth in extents), default=0)


# From the tree to plain data -----------------------------------------------------------------------------------------


def _value(node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode) and _tag(node) == "map":
        return _mapping(node)
    if isinstance(node, yaml.SequenceNode) and _tag(node) == "seq":
        return [_value(one) for one in node.value]
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node)
    return _refuse(node, f"the tag '{brief(node.tag)}' is not read here: leave it out")


def _mapping(node: yaml.MappingNode) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    own: dict[str, Any] = {}
    lines: dict[str, int] = {}
    for key_node, value_node in node.value:
        key = _key(key_node)
        if key in lines:
            _refuse(
                key_node, f"the key '{brief(key)}' is given twice, first in line {lines[key]}: rename or remove one"
            )
        lines[key] = key_node.start_mark.line + 1
        if _tag(key_node) == "merge":
            for one in value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]:
                if not isinstance(one, yaml.MappingNode):
                    _refuse(one, "'<<' takes a mapping, or a list of them")
                merged = _mapping(one) | merged
        else:
            own[key] = _value(value_node)
    return merged | own


def _key(node: yaml.Node) -> str:
    """A key as text: `4` and `"4"` are one."""
    if not isinstance(node, yaml.ScalarNode):
        _refuse(node, "a key must be text or a number, not a list or a mapping")
    if _tag(node) == "merge":
        return "<<"
    key = _scalar(node)
    if key is None:
        _refuse(node, "a key is missing")
    return str(key)


def _scalar(node: yaml.ScalarNode) -> str | int | float | bool | None:
    tag, text = _tag(node), node.value
    if tag in ("int", "float") and ":" in text:  # YAML 1.1 has numbers of base 60, which nobody means
        tag = "str"
    if tag in ("str", "timestamp", "value", "merge"):
        if found := _UNPRINTABLE.search(text):
            _refuse(node, f"the control character {brief(found[0])} does not belong in text")
        return str(text)
    if tag == "null":
        return None
    if tag not in ("bool", "int", "float"):
        _refuse(node, f"the tag '{brief(node.tag)}' is not read here: leave it out")
    if tag == "int" and len(text) > 4 * _MOST_DIGITS:  # in base 2 four times as many
        _refuse(node, f"a whole number of {len(text)} digits: at most {_MOST_DIGITS} are read")
    try:
        number: int | float | bool = getattr(_NUMBERS, f"construct_yaml_{tag}")(node)
    except (ValueError, LookupError):
        _refuse(node, f"'{brief(text)}' is not of the kind that its tag says")
    if tag == "int" and abs(number) >= 10**_MOST_DIGITS:
        _refuse(node, f"'{brief(text)}' has more than the {_MOST_DIGITS} digits that are read of a whole number")
    if tag == "int" and _OCTAL.fullmatch(text) and number != int(text):
        _refuse(node, f"'{text}' is {number} to YAML, which counts by eights after a 0: write {number} or {int(text)}")
    if tag == "float" and not math.isfinite(number):
        _refuse(node, f"'{brief(text)}' is not a finite number")
    return number


_NUMBERS = yaml.constructor.SafeConstructor()


def _tag(node: yaml.Node) -> str:
    """YAML's own tags in short."""
    return str(node.tag).removeprefix("tag:yaml.org,2002:")


def _refuse(node: yaml.Node, message: str) -> NoReturn:
    raise _SlipError(node.start_mark.line + 1, message)


# Where in the tree ---------------------------------------------------------------------------------------------------


def _places(node: yaml.Node, source: Source, here: Place = ()) -> None:
    """Add each place below a node; what is merged into a mapping (`<<`) comes before its own."""
    if isinstance(node, yaml.MappingNode):
        for merged in (value for key, value in node.value if _tag(key) == "merge"):
            for one in merged.value if isinstance(merged, yaml.SequenceNode) else [merged]:
                _places(one, source, here)
        for key, value in node.value:
            if _tag(key) != "merge":
                there = (*here, _key(key))
                source.lines[there] = key.start_mark.line + 1
                _places(value, source, there)
    elif isinstance(node, yaml.SequenceNode):
        for number, one in enumerate(node.value):
            there = (*here, str(number))
            source.lines[there] = one.start_mark.line + 1
            source.called[*here, _called(one)] = there
            _places(one, source, there)


def _called(node: yaml.Node) -> str:
    """What an item of a list is called: its value, or its `name` (of `module:attribute` the attribute)."""
    if isinstance(node, yaml.SequenceNode):
        return "-".join(map(_called, node.value))
    if isinstance(node, yaml.MappingNode):
        names = [_called(value) for key, value in node.value if _key(key) == "name"]
        return names[0].rpartition(":")[2] if names else ""
    return str(_scalar(node)) if isinstance(node, yaml.ScalarNode) else ""
