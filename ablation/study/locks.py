"""Who may write in a study, and who trains which trial: locks that die with their process.

A run holds the study, unless it shares it; whoever trains a trial holds that trial (`claim`); and each change of what
is on disk is made under a short lock.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from ablate.errors import InputError
from ablate.files import open_in_place, read_regular
from ablate.study.runs import is_key

LOCKS = (".lock", ".sharing", ".changing")
RAY = "ray"
"""A study's folder of what is under way."""
_HOLDER = re.compile(r"process ([1-9][0-9]{0,9}) on (\S{1,255})")


class Holder(NamedTuple):
    """Who wrote that it holds a study: one that was killed could not take it back."""

    process: int
    host: str


def holder(study: Path) -> Holder | None:
    """Who holds the study at this path, as its lock's file says. Nothing is locked for it, and nothing written."""
    try:
        match = _HOLDER.fullmatch(read_regular(study / ".lock").decode(errors="replace").strip())
    except OSError:
        return None
    return Holder(int(match[1]), match[2]) if match else None


class Locks:
    """The locks of the study at `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: os.stat_result | None = None
        self._claims: IO[bytes] | None = None

    @contextlib.contextmanager
    def holding(self, *, share: bool = False) -> Iterator[bool]:
        """Hold the study as it is; true unless it is shared with another process. Raises as `writing` does."""
        with contextlib.ExitStack() as files:
            try:
                self._path.mkdir(parents=True, exist_ok=True)
                lock, sharing, _ = (files.enter_context(open_in_place(self._path / name)) for name in LOCKS)
                files.enter_context(self._present(lock))
            except OSError as error:
                raise InputError(f"study '{self._path}' cannot be written: {error.strerror}") from None
            holds = _try_lock(lock, fcntl.LOCK_EX)
            alone = holds and _try_lock(sharing, fcntl.LOCK_EX)
            if not alone and not share:
                lock.seek(0)
                holder = (lock.read(200).decode(errors="replace").strip() if not holds else "") or "another run"
                raise InputError(
                    f"study '{self._path}' is in use by {holder}: wait for it, or work beside it with --share"
                )
            if holds:
                lock.truncate(0)
                lock.seek(0)
                lock.write(f"process {os.getpid()} on {socket.gethostname()}".encode())  # as `holder` reads it
                lock.flush()
                fcntl.flock(sharing, fcntl.LOCK_UN)
            else:
                fcntl.flock(sharing, fcntl.LOCK_SH)
            yield alone
            if holds:
                lock.truncate(0)

    @contextlib.contextmanager
    def _present(self, lock: IO[bytes]) -> Iterator[None]:
        """While this is entered, `changing` makes sure that the study is still where it was when `lock` was opened."""
        self._opened = os.fstat(lock.fileno())
        try:
            yield
        finally:
            self._opened = None

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Held for each change, so that two runs that share a study make them one after the other.

        Raises `OSError` where the study's directory was moved or deleted since it was opened.
        """
        opened = self._opened
        if opened is not None and not os.path.samestat(opened, (self._path / ".lock").stat()):
            raise FileNotFoundError(errno.ENOENT, "it was moved or replaced", str(self._path))
        with open_in_place(self._path / ".changing") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def claim(self, key: str) -> bool:
        """Take a trial to train it, for as long as this process lives or until `release`; false if another has it, or
        if it is no key."""
        if not is_key(key):
            return False
        if self._claims is None:
            folder = self._path / RAY
            folder.mkdir(parents=True, exist_ok=True)
            self._claims = open_in_place(folder / "claims")
        try:
            fcntl.lockf(self._claims, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, int(key, 16))  # a byte of its own
        except OSError:
            return False
        return True

    def release(self, key: str) -> None:
        if self._claims is not None:
            fcntl.lockf(self._claims, fcntl.LOCK_UN, 1, int(key, 16))

    def is_being_written(self) -> bool:
        """Whether a run holds the study now, as far as this process may know: no, where it cannot write."""
        for name in (".lock", ".sharing"):
            with contextlib.suppress(OSError), (self._path / name).open("r+b") as lock:
                # For a moment this holds what it looks at; a run that starts just then would be told it is in use.
                if not _try_lock(lock, fcntl.LOCK_SH if name == ".lock" else fcntl.LOCK_EX):
                    return True
        return False


def _try_lock(file: IO[bytes], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
