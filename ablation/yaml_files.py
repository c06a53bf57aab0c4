"""Read a user's YAML file into a model; a slip is one line that names the file and the line."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from ablation.errors import InputError, unknown

Model = TypeVar("Model", bound=BaseModel)


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
    try:
        text = path.read_text()
    except FileNotFoundError:
        raise InputError(f"{what} file '{path}' does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{what} file '{path}' cannot be read: {error}") from None
    try:
        content, tree = yaml.safe_load(text), yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise InputError(f"{path}, line {mark.line + 1 if mark else 1}: {error.problem}") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path}: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}, line 1: expected a mapping with {expected}")
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        line, place = _found(tree, first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise InputError(f"{path}, line {line}: {place + ': ' if place else ''}{message}") from None


def _found(tree: yaml.Node | None, place: tuple[Any, ...]) -> tuple[int, str]:
    """The line, counted from 1, of the deepest node on the way to `place`, and the way there as dotted text.

    A part of `place` that is not in the file, such as the name of the alternative that pydantic tried, is passed over;
    a last part is kept, since it may be what is missing.
    """
    line, node, way = 1, tree, []
    for number, part in enumerate(place):
        below = _child(node, part)
        if below is not None:
            line, node = below
        if below is not None or number == len(place) - 1:
            way.append(str(part))
    return line, ".".join(way)


def _child(node: yaml.Node | None, part: Any) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return key.start_mark.line + 1, value
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part].start_mark.line + 1, node.value[part]
    return None
