"""The trials of a study by their keys: what their folders say, and nothing else, kept in memory.

There is no table on the disk that could say otherwise. A folder is read when it is first asked for, and again where it
has changed since; looking whether it has takes a few microseconds a trial.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from ablate.files import kind, read_regular, sha256
from ablate.study.records import Record
from ablate.study.runs import is_key
from ablate.study.trial_folder import CHECKSUMS, parse_checksums

REPLACED = ".replaced"
"""The end of the name under which an earlier attempt waits while a later one takes its place."""

_Stamp = tuple[tuple[int, int, int] | None, ...]


class Known(NamedTuple):
    """What a trial's folder says: its record, or `why` that is not to be believed."""

    record: Record | None
    why: str
    stamp: _Stamp
    """Of the files that say so: inode, size and time of the last change."""


class Index:
    """The trials in `study`'s folder. `checked`: they have checksums, as all but those of schema 1 have."""

    def __init__(self, study: Path, *, checked: bool) -> None:
        self._study, self._checked = study, checked
        self._known: dict[str, Known] = {}

    def folder(self, key: str) -> Path:
        """A trial's folder; while a later attempt takes its place, the earlier one's."""
        home = self._study / "trials" / key
        earlier = home.with_name(key + REPLACED)
        return earlier if not home.exists() and earlier.exists() else home

    def all(self) -> dict[str, Known]:
        """Every trial that has a folder, in the keys' order."""
        try:
            names = os.listdir(self._study / "trials")  # noqa: PTH208 - a Path for each would take longer than reading
        except OSError:
            names = []
        keys = sorted({name.removesuffix(REPLACED) for name in names if is_key(name.removesuffix(REPLACED))})
        self._known = {key: known for key in keys if (known := self.of(key)) is not None}
        return dict(self._known)

    def of(self, key: str) -> Known | None:
        """One trial; None where it has no folder."""
        if not is_key(key):
            return None
        folder = self.folder(key)
        stamp = tuple(_stamp(folder / name) for name in ("record.json", CHECKSUMS))
        known = self._known.get(key)
        if known is not None and known.stamp == stamp and any(stamp):
            return known
        if kind(folder) == "":
            self._known.pop(key, None)
            return None
        known = self._known[key] = Known(*self._read(folder, key), stamp)
        return known

    def _read(self, folder: Path, key: str) -> tuple[Record | None, str]:
        file = folder / "record.json"
        try:
            content = read_regular(file)
            sums = parse_checksums(read_regular(folder / CHECKSUMS)) if self._checked else None
        except FileNotFoundError as error:
            return None, damaged(self._study, Path(str(error.filename)))
        except (OSError, ValueError):
            return None, damaged(self._study, file)
        if sums is not None and sums.get(file.name) != sha256(content):
            return None, damaged(self._study, file)
        try:
            record = Record.model_validate_json(content)
        except ValueError:
            return None, "its record.json is no record"
        return (record, "") if record.key == key else (None, f"its folder is that of trial {record.key}")


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        found = os.lstat(file)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def damaged(study: Path, file: Path) -> str:
    """What is said of a file that is not what was written."""
    return f"'{file}' is damaged or missing: `ablate verify {study}` says what else is"
