"""Errors that are a message to the user, not a defect: one line, no traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

_SHOWN = 80
"""Characters of a value that was given, in a message."""


class InputError(ValueError):
    """What was given cannot be used: exit code 2. The message says what was given, what was expected, what to do."""


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
    nearest = difflib.get_close_matches(given[:_SHOWN], names, n=1, cutoff=0.4)
    hint = f"did you mean '{nearest[0]}'?" if nearest else "choose one of: " + ", ".join(names)
    return error(f"unknown {kind} '{brief(given)}': {hint}")


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
