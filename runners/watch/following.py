"""A study that grows, followed by reading alone: nothing is locked for it and nothing written, so that its drivers do
not notice, and what is on a file system that cannot be written is followed as well.

What is looked at each time is little: the times of two files and a directory, what drivers last told, and the logs of
trials under way. A trial's folder is read once, when it ended.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ablate.errors import InputError
from ablate.files import read_regular
from ablate.runners.execution import processes
from ablate.runners.watch.live import Live, listen
from ablate.study.locks import holder
from ablate.study.logs import LoggedEpoch, logged_epochs
from ablate.study.manifest import COPY, MANIFEST, Manifest, is_study
from ablate.study.plans import PLANS, Plans
from ablate.study.records import Record
from ablate.study.runs import is_key
from ablate.study.study import Study

if TYPE_CHECKING:
    import pandas as pd

    from ablate.study.tables import TableName
    from ablate.trial import TrialConfig

_MOST_LOG = 2**22
"""Bytes of a log that is read."""
_UNSETTLED_SECONDS = 2.0
"""What changed so lately may have changed again within the same tick of the file system's clock."""

_Stamp = tuple[int, int, int] | None


class Remembering(Study):
    """A study that remembers what it read of trials that ended, until a later attempt takes their place."""

    def __init__(self, path: Path, manifest: Manifest, plans: Plans, lost: str = "") -> None:
        super().__init__(path, manifest, plans, lost)
        self._configs: dict[str, tuple[Record | None, TrialConfig]] = {}
        self._tables: dict[tuple[str, str], tuple[Record | None, pd.DataFrame]] = {}

    def config(self, key: str) -> TrialConfig:
        record, known = self.record(key), self._configs.get(key)
        if known is None or known[0] is not record:
            known = self._configs[key] = record, super().config(key)
        return known[1]

    def table(self, key: str, name: TableName) -> pd.DataFrame:
        record, known = self.record(key), self._tables.get((key, name))
        if known is None or known[0] is not record:
            known = self._tables[key, name] = record, super().table(key, name)
        return known[1]


class Now(NamedTuple):
    """A study as it is now."""

    study: Remembering
    records: dict[str, Record]
    """Of trials that ended, by key."""
    drivers: list[Live]
    curves: dict[str, list[LoggedEpoch]]
    """Of trials that are under way or were interrupted, by key, as far as they came."""
    held: bool
    """Whether a process of this machine holds the study, though none tells of trials: a run that begins or ends."""
    change: int
    """Grows with each change of what was planned, has ended or was measured."""


class Following:
    """Follows the study at `path`, which need not be there yet."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._study: Remembering | None = None
        self._opened: _Stamp = None
        self._stamps: tuple[_Stamp, ...] = ()
        self._seen: tuple[int, _Stamp] | tuple[()] = ()
        """How many trials were planned, and which measurements there were."""
        self._change = 0
        self._records: dict[str, Record] = {}
        self._logs: dict[str, tuple[_Stamp, list[LoggedEpoch]]] = {}

    def now(self) -> Now | None:
        """The study as it is, or None where there is none yet, or no more. Raises `InputError` where it is no study,
        or one that cannot be read."""
        study = self._open()
        if study is None:
            return None
        try:
            self._look(study)
            drivers = listen(study)
            told = {key for live in drivers for key in live.running}
            curves = self._curves(study, told | study.interrupted() - self._records.keys())
        except OSError as error:
            raise InputError(f"'{self.path}' cannot be read: {error.strerror or error}") from None
        held = all(live.dead for live in drivers) and self._is_held()
        return Now(study, self._records, drivers, curves, held, self._change)

    def _open(self) -> Remembering | None:
        """The study, opened anew where another has taken its place."""
        stamp = _stamp(self.path / MANIFEST) or _stamp(self.path / COPY)
        if self._study is None or stamp != self._opened:
            if not is_study(self.path):
                if self.path.exists() and not self.path.is_dir():
                    raise InputError(f"'{self.path}' is not a directory: give that of a study")
                self._study = None
                return None
            study = Remembering.open(self.path)
            assert isinstance(study, Remembering)
            self._study, self._opened, self._stamps, self._logs, self._seen = study, stamp, (), {}, ()
        return self._study

    def _look(self, study: Study) -> None:
        """Read what was planned and what ended, if anything did."""
        stamps = tuple(_stamp(self.path / name) for name in (PLANS, "trials", "measurements.json"))
        if stamps == self._stamps:
            return
        study.plans.catch_up(self.path)
        records, seen = study.records(), (len(study.plans.levels), stamps[-1])
        if records != self._records or seen != self._seen:
            self._records, self._seen, self._change = records, seen, self._change + 1
        newest = max((stamp[2] for stamp in stamps if stamp), default=0)
        self._stamps = stamps if time.time() - newest / 1e9 > _UNSETTLED_SECONDS else ()

    def _curves(self, study: Study, keys: Iterable[str]) -> dict[str, list[LoggedEpoch]]:
        found: dict[str, tuple[_Stamp, list[LoggedEpoch]]] = {}
        for key in sorted(filter(is_key, keys)):  # they come from files' contents, and name files
            file = study.path / "logs" / f"{key}.log"
            stamp, known = _stamp(file), self._logs.get(key)
            if known is None or known[0] != stamp:
                known = stamp, _read_log(file, stamp)
            found[key] = known
        self._logs = found
        return {key: epochs for key, (_, epochs) in found.items()}

    def _is_held(self) -> bool:
        held = holder(self.path)
        return held is not None and held.host == socket.gethostname() and bool(processes.born(held.process))


def _read_log(file: Path, stamp: _Stamp) -> list[LoggedEpoch]:
    """The epochs of a log; none where it cannot be read: it is for looking at, and nothing depends on it."""
    if stamp is None or stamp[1] > _MOST_LOG:
        return []
    try:
        return logged_epochs(read_regular(file).decode(errors="replace"))
    except OSError:
        return []


def _stamp(path: Path) -> _Stamp:
    """A file's inode, size and the time of its last change."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
