"""A network's components, found in its own settings: what a leave-one-out design takes out, one at a time."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from ablate.documented import Setting, settings_of
from ablate.errors import InputError
from ablate.kinds import KINDS, find, parse
from ablate.search_spaces.space import WITHOUT, Fields, Space
from ablate.settings import parse as parse_settings

_OFF = (None, "none", "off", "identity")
"""Values that are the absence of what other values name."""


class Found(NamedTuple):
    """A leave-one-out space as a file would have it, and the settings with choices that are no component, with why."""

    space: dict[str, Any]
    left_out: list[str]


def leave_one_out(model: str, fields: Fields) -> Found:
    """The leave-one-out space of a network: what it has switched on, and what of several kinds can be `none`.

    Args:
        model: the network by its name, also module:attribute.
        fields: what it is set to other than its defaults, by dotted path (`model.width`).

    Raises:
        InputError: the network cannot be found, or has nothing that could be taken out.
    """
    kind = KINDS["network"]
    strange = [path for path in fields if not path.startswith("model.")]
    if strange:
        raise InputError(f"--set {strange[0]}: a design of a network takes fields of the model alone")
    given = {path.removeprefix("model."): value for path, value in fields.items()}
    parse(kind, {"name": model, **given})
    factors: dict[str, Any] = {}
    left_out = []
    for setting in settings_of(find(kind, model).target):
        value = given.get(setting.name, setting.default)
        off, why = _off(setting, value)
        if not why and off is not value:
            why = _refused(model, {**given, setting.name: off})
        if why:
            left_out.append(f"{setting.name}: {why}")
        elif off is not value:
            factors[setting.name] = {WITHOUT: {f"model.{setting.name}": off}}
    label = model.rpartition(":")[2]
    if not factors:
        reasons = f" ({'; '.join(left_out)})" if left_out else ""
        raise InputError(
            f"{model} has no setting that is on and can be switched off{reasons}: give its ideas boolean settings "
            "(attention: bool = True)"
        )
    space = {
        "name": re.sub(r"[^A-Za-z0-9_\-]+", "_", f"{label}_components"),
        "question": f"What does {label} lose without each of its components?",
        "design": "leave_one_out",
        "base": {"model": {"name": model, **given}},
        "factors": factors,
    }
    parse_settings(Space, space, "space")
    return Found(space, left_out)


def _off(setting: Setting, value: Any) -> tuple[Any, str]:
    """What a setting is without what it stands for, or itself where that is not there; and why it is no component."""
    if len(setting.choices) < 2:
        return value, ""
    if set(setting.choices) == {True, False}:
        return (False, "") if value is True else (value, "it is off")
    off = [choice for choice in setting.choices if choice in _OFF]
    if not off:
        return value, f"none of {', '.join(map(str, setting.choices))} is its absence (none)"
    return (value, "it is off") if value in _OFF else (off[0], "")


def _refused(model: str, settings: dict[str, Any]) -> str:
    """Why a network cannot be had with these settings."""
    try:
        parse(KINDS["network"], {"name": model, **settings})
    except InputError as error:
        return str(error)
    return ""
