"""The end of a run at once: what a second Ctrl-C comes to, and Ray without its daemons.

Nothing has to unwind for it: a study is whole whenever its driver is killed. What would unwind waits for daemons that
may be gone, and an exception thrown into the middle of anything may be swallowed there.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from ablate.runners.execution.processes import born, descendants


class Ends:
    """What is done where training ends before its time. This, of a notebook, leaves it to exceptions.

    `study`: where it trains, once that is known.
    """

    study: Path | None = None

    @property
    def lost(self) -> Callable[[str], None] | None:
        """What to call with it, from another thread, where Ray has lost what it cannot be without."""
        return None

    def note(self, text: str) -> None:
        """What did not come of it, though the trials did."""
        print(text, file=sys.stderr)

    def how_to_go_on(self) -> str:
        """In a sentence, if there is something to go on from; else nothing."""
        if self.study is None or not (self.study / "study.yaml").exists():
            return ""
        return f"Interrupted. Every finished trial is in {self.study}; the same command goes on from there."


_PATIENCE_SECONDS = 5.0
_last_steps: list[Callable[[], None]] = []
_ending = threading.Lock()


@contextlib.contextmanager
def at_last(step: Callable[[], None]) -> Iterator[None]:
    """`step` is done when this is left, as by `finally`, and also where the process ends at once meanwhile."""
    _last_steps.append(step)
    try:
        yield
    finally:
        if step in _last_steps:
            _last_steps.remove(step)
            step()


def end_at_once(code: int, words: Callable[[], None]) -> None:
    """End this process with its children, after the steps of `at_last`, and at last `words`.

    It may be called from any thread, and from a signal's handler. Where the process is ending already it does nothing.
    """
    if not _ending.acquire(blocking=False):
        return
    for step in (_kill_children, *reversed(_last_steps), words, sys.stdout.flush, sys.stderr.flush):
        with contextlib.suppress(Exception):  # of a stream that was being written, say
            step()
    os._exit(code)


@contextlib.contextmanager
def interruptible(words: Callable[[], None]) -> Iterator[None]:
    """From here on Ctrl-C and SIGTERM end the process at once, with exit code 130 and `words`.

    Only while Ray Tune runs is the first of them for Ray Tune, which ends politely. Does nothing outside of the main
    thread, where there are no signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    mine = os.getpid()

    def handle(number: int, frame: FrameType | None) -> None:
        if os.getpid() != mine:  # what was forked and is not yet another program, as Ray's daemons for a moment
            os._exit(130)
        end_at_once(130, words)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def same_signals() -> Iterator[None]:
    """When this is left, Ctrl-C and SIGTERM are handled as before: Ray and Ray Tune set handlers and leave them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _kill_children() -> None:
    """SIGKILL to all that came of this process, until none of it is left or patience is at its end."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    known: dict[int, str] = {}
    while time.monotonic() < deadline:
        # Those whose parent dies first are nobody's children any more: they are known from the round before.
        known = {process: when for process, when in {**known, **descendants()}.items() if born(process) == when}
        if not known:
            return
        for process in known:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.02)
