"""A part of a configuration as plain data: what a study keeps of it, and reads without running anything.

A network, a data set, a loss, … is written by its name with its settings. What the name stands for is found by
`ablate.kinds` when it is to be planned, trained or asked to predict; to read, report and verify, the data are enough.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Self

from ablate.errors import brief
from ablate.settings import MOST_CHANNELS, MOST_SIDE, Config

MADE_BY = "@"
"""Where a part says which code it is, if that is not this project's: no setting can have this name."""
_MOST_DEPTH = 8
_MOST_VALUES = 10_000
_MOST_TEXT = 10_000
_MOST_NUMBER = 1e300


def label_of(asked: str | Mapping[str, Any]) -> str:
    """What messages call a part that was asked for by its name, or by its name with settings."""
    if isinstance(asked, str):
        return asked
    settings = {name: value for name, value in asked.items() if name not in ("name", MADE_BY)}
    said = ", ".join(f"{name}: {json.dumps(value)}" for name, value in settings.items())
    return f"{asked.get('name')} ({said})" if said else str(asked.get("name"))


class Part:
    """A part by its name and settings, in canonical form; immutable. Its settings are attributes, lists as tuples."""

    __slots__ = ("_fields", "_text", "local")

    def __init__(self, fields: Mapping[str, Any], local: Mapping[str, Any] | None = None) -> None:
        """`local`: what is no part of what it is, and is never written: paths on this machine, and what people call it.

        Raises `ValueError` for what is no name with settings of plain data, each within bounds.
        """
        if not isinstance(fields, Mapping) or not isinstance(fields.get("name"), str) or not fields["name"]:
            raise ValueError(f"expected a part's name and settings, not {brief(fields)}")
        self._fields = {name: _plain(value, 1, _Room()) for name, value in fields.items()}
        self.local = {name: value for name, value in (local or {}).items() if value not in (None, "", ())}
        self._text = json.dumps(self._fields, sort_keys=True)

    @classmethod
    def of(cls, config: Config, name: str | None = None, made_by: str = "") -> Self:
        """A part's typed settings as data; `name` where they have none."""
        paths = {field for field, info in type(config).model_fields.items() if info.exclude}
        fields = ({"name": name} if name else {}) | config.canonical()
        fields |= {MADE_BY: made_by} if made_by else {}
        return cls(fields, {path: getattr(config, path) for path in paths})

    @property
    def name(self) -> str:
        name: str = self._fields["name"]
        return name

    @property
    def made_by(self) -> str:
        """The code or the distribution that it is, if not of this project."""
        return str(self._fields.get(MADE_BY, ""))

    @property
    def settings(self) -> dict[str, Any]:
        """Its settings as plain data."""
        return {name: value for name, value in self.canonical().items() if name not in ("name", MADE_BY)}

    @property
    def is_plain(self) -> bool:
        """Whether its name says all: it is this project's, with no settings."""
        return self._fields.keys() == {"name"}

    @property
    def text(self) -> str:
        """What it is, on one line: two parts are the same if this is."""
        return self._text

    def canonical(self) -> dict[str, Any]:
        """A copy of what it is."""
        found: dict[str, Any] = json.loads(json.dumps(self._fields))
        return found

    def but(self, **changes: Any) -> Self:
        """With some settings changed."""
        return type(self)(self._fields | changes, self.local)

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_"):
            if name in self._fields:
                return _frozen(self._fields[name])
            if name in self.local:
                return self.local[name]
        raise AttributeError(f"{self._fields['name'] if name != '_fields' else 'a part'} has no setting {name!r}")

    def __reduce__(self) -> tuple[type[Part], tuple[dict[str, Any], dict[str, Any]]]:
        return type(self), (self._fields, self.local)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Part) and (self._text, self.local) == (other._text, other.local)

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._text})"


class DataPart(Part):
    """A data set as plain data, with what every one has: `size`, `channels` and `fingerprint`."""

    __slots__ = ()

    def __init__(self, fields: Mapping[str, Any], local: Mapping[str, Any] | None = None) -> None:
        super().__init__(fields, local)
        size, channels, classes = (self._fields.get(name) for name in ("size", "channels", "n_classes"))
        if not (isinstance(size, list) and len(size) == 2 and all(_is_whole(side, 1, MOST_SIDE) for side in size)):
            raise ValueError(f"data.size: expected two sides of 1 to {MOST_SIDE} pixels, not {brief(size)}")
        if not _is_whole(channels, 1, MOST_CHANNELS) or not (classes is None or _is_whole(classes, 1, 255)):
            raise ValueError(f"data: expected a number of channels and of classes, not {brief([channels, classes])}")
        if not isinstance(self._fields.get("fingerprint"), str):
            raise ValueError("data.fingerprint: expected a text")

    @property
    def classes(self) -> int:
        """Output channels: 1 is foreground against background (sigmoid); more are classes with 0 the background."""
        return int(self._fields.get("n_classes", 1))

    @property
    def title(self) -> str:
        """What people call it: no part of what it is."""
        return str(self.local.get("title", ""))

    @property
    def class_names(self) -> tuple[str, ...]:
        """What people call class 0 (the background), 1, …; none if nobody named them."""
        return tuple(self.local.get("class_names", ()))

    @property
    def called(self) -> str:
        """Its title, or else its name."""
        return self.title or self.name

    @property
    def root(self) -> Any:
        """Where its files are, on this machine; None if that is not known."""
        return self.local.get("root")


class _Room:
    """Counts the values of a part."""

    def __init__(self) -> None:
        self.left = _MOST_VALUES


def _plain(value: Any, depth: int, room: _Room) -> Any:
    """A value as JSON has it. Raises `ValueError` for what cannot be, or is out of all bounds."""
    room.left -= 1
    if room.left < 0 or depth > _MOST_DEPTH:
        raise ValueError(f"a part holds at most {_MOST_VALUES} values, at most {_MOST_DEPTH} deep")
    if isinstance(value, bool | None):
        return value
    if isinstance(value, int | float):
        if not abs(value) <= _MOST_NUMBER:  # NaN is not either
            raise ValueError(f"expected a finite number, not {brief(value)}")
        return value
    if isinstance(value, str):
        if len(value) > _MOST_TEXT:
            raise ValueError(f"expected a text of at most {_MOST_TEXT} characters")
        return value
    if isinstance(value, list | tuple):
        return [_plain(one, depth + 1, room) for one in value]
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return {name: _plain(one, depth + 1, room) for name, one in value.items()}
    raise ValueError(f"expected plain data (numbers, texts, lists), not {brief(value)}")


def _is_whole(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _frozen(value: Any) -> Any:
    return tuple(_frozen(one) for one in value) if isinstance(value, list) else value
