"""What a search decided and saw, one event a line of a file: all the memory that it has.

What is decided next depends on these events alone. So a search that was killed and goes on decides what it would have.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from ablate.runners.search.freeze_thaw.earlier import EarlierCurve
from ablate.runners.search.remembered import read_remembered, remember


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Learnt(_Event):
    """What is known of earlier studies, by their names: before anything else, and for good."""

    event: Literal["learnt"] = "learnt"
    studies: dict[str, tuple[EarlierCurve, ...]]


class Went(_Event):
    """All trials of a configuration are to be trained up to epoch `until`."""

    event: Literal["went"] = "went"
    cell: str
    until: int
    choice: dict[str, Any] | None = None
    """Of one that starts: what it has of the space's factors."""


class Took(_Event):
    """A configuration was measured, before it was to start."""

    event: Literal["took"] = "took"
    cell: str
    choice: dict[str, Any]
    figures: dict[str, float] = {}
    """By the name of the cost; none where it could not be measured."""
    on: str | None = None
    """The device, with what it is."""
    why: str | None = None
    """Why it could not be measured."""


class Fitted(_Event):
    """The model's parameters were fitted to what had been seen."""

    event: Literal["fitted"] = "fitted"
    parameters: tuple[float, ...]


class Saw(_Event):
    """A trial reached a rung with this best validation Dice so far, at so many seconds an epoch."""

    event: Literal["saw"] = "saw"
    key: str
    epoch: int
    score: float
    seconds: float


class Failed(_Event):
    """A trial failed."""

    event: Literal["failed"] = "failed"
    key: str


class Retried(_Event):
    """The trials of a configuration that failed may be trained once more."""

    event: Literal["retried"] = "retried"
    cell: str


class Ended(_Event):
    """A run of the search ended by itself."""

    event: Literal["ended"] = "ended"
    why: str


Event = Learnt | Went | Took | Fitted | Saw | Failed | Retried | Ended
_EVENTS: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])


def read_events(file: Path) -> list[Event]:
    """The events in `file`; none if there is no file. Raises `InputError` as `read_remembered` does."""
    return read_remembered(file, _EVENTS.validate_json)


def append_event(file: Path, event: Event) -> None:
    """Add an event to `file`, for good."""
    remember(file, event.model_dump_json(exclude_none=True))
