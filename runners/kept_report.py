"""Whether a study's report is what would be written now: then a run that trained nothing need not write it again.

What a report was written of is noted in the user's cache (`ablate.data.store.cache_folder`), never in the study: every
file of the study by its size and the time of its last change, and the code and libraries that wrote it. Where there is
no cache, or anything differs, the report is written.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.metadata
import os
from collections.abc import Iterator
from pathlib import Path

import ablate
from ablate.data.store import cache_folder
from ablate.errors import InputError
from ablate.files import sha256, write_whole
from ablate.study.locks import LOCKS, RAY

_LIBRARIES = ("jinja2", "moocore", "numpy", "pandas", "plotly", "pyarrow", "scipy")
_APART = (*LOCKS, RAY)
"""Of a study: what no report is made of."""
_SOURCES = (".css", ".html", ".js", ".py", ".yaml")


def state_of(study: Path, report: Path) -> str:
    """Of all that a report is made of, without the report itself."""
    digest = hashlib.sha256(f"{_writer()}\n{study}\n".encode(errors="surrogateescape"))
    for path in sorted(_files(study)):
        with contextlib.suppress(OSError):  # another run's, and gone by now
            status = path.stat()
            told = f"{path.relative_to(study)}\0{status.st_size} {status.st_mtime_ns} {status.st_ino}\n"
            digest.update(told.encode(errors="surrogateescape") if path != report else b"")
    return digest.hexdigest()


def is_of(report: Path, state: str) -> bool:
    """Whether the report that is there was written of this state, and is as it was written."""
    note = _note(report)
    try:
        return note is not None and note.read_text() == f"{state} {sha256(report.read_bytes())}"
    except (OSError, ValueError):
        return False


def keep_in_mind(report: Path, state: str) -> None:
    """That the report which is there was written of this state."""
    note = _note(report)
    with contextlib.suppress(OSError, InputError):
        if note is not None:
            note.parent.mkdir(parents=True, exist_ok=True)
            write_whole(note, f"{state} {sha256(report.read_bytes())}".encode(), flush=False)


def _note(report: Path) -> Path | None:
    folder = cache_folder()
    name = hashlib.sha256(os.fsencode(report.absolute())).hexdigest()[:24]
    return None if folder is None else folder / "reports" / name


def _files(study: Path) -> Iterator[Path]:
    for at, folders, names in os.walk(study):
        if Path(at) == study:
            folders[:] = [name for name in folders if name not in _APART]
            names = [name for name in names if name not in _APART]
        yield from (Path(at, name) for name in names)


def _writer() -> str:
    """Of this package's sources, and the libraries that a report's numbers and figures are made by."""
    digest = hashlib.sha256()
    for package in (ablate, *(importlib.import_module(f"ablate.{name}") for name in ("analysis", "runners"))):
        for path in sorted(Path(str(package.__file__)).parent.rglob("*")):
            if path.suffix in _SOURCES and path.is_file():
                digest.update(path.read_bytes())
    for name in _LIBRARIES:
        digest.update(f"{name} {importlib.metadata.version(name)}\n".encode())
    return digest.hexdigest()
