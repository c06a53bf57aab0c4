"""What fails costs itself alone: every part of a report, every claim and every figure is made through here.

A study may come from anyone and be in any state, and what it took to train must not be lost to a page. So whatever
cannot be made is said where it would have been, and the rest stands.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from ablate.analysis.format import shown
from ablate.errors import InputError

T = TypeVar("T")
_MOST = 300
"""Characters of a reason."""


def attempt(make: Callable[[], T], failed: Callable[[str], T]) -> T:
    """What `make` gives; where it fails, what `failed` makes of the reason. Memory that runs out is not its fault."""
    try:
        return make()
    except MemoryError:
        raise
    except Exception as error:  # whatever it is, it must not cost the rest
        return failed(reason(error))


def noted(notes: list[str], what: str, make: Callable[[], T], otherwise: Any) -> T:
    """What `make` gives; where it fails, `otherwise` (a T that says nothing), with the reason among `notes`."""

    def failed(why: str) -> T:
        notes.append(f"{what}: {why}")
        return cast("T", otherwise)

    return attempt(make, failed)


def reason(error: Exception) -> str:
    """Why it failed, in one line: a message that is meant for people as it stands, any other with its type."""
    if isinstance(error, InputError):
        said = str(error)
    elif isinstance(error, OSError) and error.strerror:
        said = f"'{error.filename}': {error.strerror}"
    else:
        said = f"{type(error).__name__}: {error}"
    return shown(" ".join(said.split()), _MOST).rstrip(": ")
