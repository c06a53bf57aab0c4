"""Options that name a part: a short name, module:attribute, or a YAML mapping of its name and settings."""

from __future__ import annotations

from typing import Any

import click

from ablate.errors import InputError, brief

HOW = "a name, module:attribute, or a mapping {name: …, setting: …}"


def named_part(context: click.Context, option: click.Parameter, given: Any) -> Any:
    """For a click option: what was given, or all of it if it may be given again, with mappings read.

    Raises `InputError` for what is no mapping and begins as one.
    """
    if isinstance(given, tuple):
        return tuple(_named(option, text) for text in given)
    return None if given is None else _named(option, given)


def _named(option: click.Parameter, text: str) -> str | dict[str, Any]:
    if not text.lstrip().startswith("{"):
        return text
    from ablate.yaml_files import yaml_value

    try:
        found = yaml_value(text)
    except InputError as error:
        raise InputError(f"{option.opts[0]} {brief(text)}: {error}") from None
    if not isinstance(found, dict) or "name" not in found:
        raise InputError(f"{option.opts[0]} {brief(text)}: expected {HOW}")
    return found
