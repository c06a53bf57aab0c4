"""How far something is that takes its time: said by what does it, shown by whoever waits for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

Thing = TypeVar("Thing")
Listener = Callable[[str, int, int], None]
"""Called with what is done, how many are, and of how many."""

_LISTENER: ContextVar[Listener | None] = ContextVar("listener", default=None)


def counted(what: str, things: Iterable[Thing], total: int) -> Iterator[Thing]:
    """The things, each told of when the next is asked for."""
    listener = _LISTENER.get()
    for done, thing in enumerate(things, 1):
        yield thing
        if listener is not None:
            listener(what, done, total)


@contextmanager
def told_to(listener: Listener) -> Iterator[None]:
    """What is counted meanwhile is told to `listener`."""
    before = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(before)
