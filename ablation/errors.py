"""Errors that are a message to the user, not a defect: one line, no traceback."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterable, Iterator
from pathlib import Path

_SHOWN = 80
"""Characters of a value that was given, in a message."""
_LISTED = 40
"""Names to choose from, in a message."""


class InputError(ValueError):
    """What was given cannot be used: exit code 2. The message says what was given, what was expected, what to do."""

    field: tuple[str, ...] = ()
    """Of what is wrong with a configuration, the way to the field, as far as that is known."""


class PartError(InputError):
    """Code that a user names cannot be used at all: nothing is planned, whatever else could be."""


class Halted(RuntimeError):  # noqa: N818 (nobody erred)
    """The machine does not let the work go on, a full disk say: exit code 1. The message says what is kept and what to
    do."""


class TrialError(RuntimeError):
    """A trial failed by itself (it diverged, say). It is recorded with this reason and stops no other trial."""


def unknown(kind: str, given: str, known: Iterable[str], error: type[InputError] = InputError) -> InputError:
    """The error for a name that does not exist, naming the nearest one that does."""
    names = sorted(known)
    near = nearest(given, names, alike=0.4)
    listed = ", ".join([*names[:_LISTED], *([f"… ({len(names)} in all)"] if len(names) > _LISTED else [])])
    hint = f"did you mean '{near}'?" if near else f"choose one of: {listed}"
    return error(f"unknown {kind} '{brief(given)}': {hint}")


@contextlib.contextmanager
def within(*place: str) -> Iterator[None]:
    """What is wrong in here is wrong with a field that lies in `place`."""
    try:
        yield
    except InputError as error:
        error.field = (*place, *error.field)
        raise


def nearest(given: str, known: Iterable[str], alike: float = 0.6) -> str:
    """The one of `known` that is most like `given`, by difflib's ratio of at least `alike`; else nothing."""
    return next(iter(difflib.get_close_matches(given[:_SHOWN], list(known), n=1, cutoff=alike)), "")


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """The end of a message about a name that does not exist: the nearest that does, or nothing."""
    near = nearest(given, known)
    return f", did you mean '{near}'?" if near else ""


def brief(value: object) -> str:
    """A value that was given, as a message names it: on one line, without control characters, cut where it is long.

    A path keeps its end, anything else its beginning.
    """
    try:
        text = value if isinstance(value, str) else str(value) if isinstance(value, Path) else repr(value)
    except ValueError:  # an integer of thousands of digits
        text = f"({type(value).__name__})"
    if len(text) > _SHOWN:
        text = "…" + text[-_SHOWN:] if isinstance(value, Path) else text[:_SHOWN] + "…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
