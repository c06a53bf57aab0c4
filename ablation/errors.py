"""Errors that are a message to the user, not a defect: one line, no traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """What was given cannot be used: exit code 2. The message says what was given, what was expected, what to do."""


class Halted(RuntimeError):  # noqa: N818 (nobody erred)
    """The machine does not let the work go on, a full disk say: exit code 1. The message says what is kept and what to
    do."""


class TrialError(RuntimeError):
    """A trial failed by itself (it diverged, say). It is recorded with this reason and stops no other trial."""


def unknown(kind: str, given: str, known: Iterable[str]) -> InputError:
    """The error for a name that does not exist, naming the nearest one that does."""
    names = sorted(known)
    nearest = difflib.get_close_matches(given, names, n=1, cutoff=0.4)
    hint = f"did you mean '{nearest[0]}'?" if nearest else "choose one of: " + ", ".join(names)
    return InputError(f"unknown {kind} '{given}': {hint}")
