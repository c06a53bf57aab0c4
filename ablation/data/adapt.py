"""A data set that is any callable: a function of its settings that gives images with their masks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import Field

from ablate.calls import call, check_settings, parameters, without_defaults
from ablate.data.settings import DataSource
from ablate.data.source import Sample
from ablate.errors import InputError, PartError
from ablate.settings import parse
from ablate.user_code import is_users

_OF_ALL = ("size", "channels", "root", "fingerprint", "n_classes")
"""What every data set has, and a function may take as well."""
_LATER = tuple(name for name in DataSource.model_fields if name not in _OF_ALL)
"""What every data set has where its function has no setting of that name."""


class CalledSource(DataSource):
    """A data set as its function gives it: an iterable of `Sample`, or of (name, image, mask)."""

    is_own = True

    target: Any = None
    settings: dict[str, Any] = Field(default_factory=dict)
    what: str = ""

    def read(self) -> list[Sample]:
        known = {"root": self.root, "size": self.size, "channels": self.channels, "n_classes": self.n_classes}
        return [self._sample(one) for one in call(self.target, self.settings, known, self.what)]

    def canonical_settings(self) -> dict[str, Any]:
        """Its function's settings, and what it has of that which every data set has."""
        names = set(DataSource.model_fields) - {"root", *self.settings}
        return self.settings | DataSource(**{name: getattr(self, name) for name in names}).canonical()

    def local_settings(self) -> dict[str, Any]:
        """What it is called, and its classes are."""
        return {"title": self.title, "class_names": self.class_names}

    def _sample(self, one: Any) -> Sample:
        if isinstance(one, Sample):
            return one
        if isinstance(one, tuple) and len(one) == 3 and isinstance(one[0], str):
            return Sample(one[0], one[0], one[1], one[2])
        raise InputError(f"{self.what} gives {type(one).__name__}: expected ablate.Sample, or (name, image, mask)")


def adapt(target: Callable[..., Any], settings: dict[str, Any], what: str) -> CalledSource:
    """`target` as a data set, with its own settings and what every one has. Raises `InputError` for any other."""
    if not is_users(target):
        raise PartError(
            f"{what} is a library's, and no ablate.DataSource: call it in a function of your own, and name that"
        )
    of_all = (*_OF_ALL, *(name for name in _LATER if name not in parameters(target)))
    own = {name: settings[name] for name in of_all if name in settings}
    rest = {name: value for name, value in settings.items() if name not in own}
    check_settings(target, rest, what)
    return parse(
        CalledSource, {**own, "target": target, "settings": without_defaults(target, rest), "what": what}, what
    )
