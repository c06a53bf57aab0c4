"""A check of something that the paper says."""

from __future__ import annotations

from typing import Literal, NamedTuple

Answer = Literal["holds", "fails", "not checked"]


class Check(NamedTuple):
    """A statement (`name`) about something in the paper (`subject`), whether it holds, what was found, and why."""

    name: str
    subject: str
    outcome: Answer
    found: str
    reason: str
    source: str
    """Where the statement and what it is held against are from."""
