"""From a data set's settings to its arrays."""

from __future__ import annotations

import importlib
import inspect
from dataclasses import replace
from pathlib import Path
from typing import Any

from ablate.data.cases import says_cases, with_cases
from ablate.data.dataset import Dataset, assemble, check_fingerprint
from ablate.data.one_by_one import LARGE
from ablate.data.settings import DataSource, FileSource
from ablate.data.source import DatasetInfo
from ablate.data.store import VARIABLE, Shelf, cache_folder, in_memory, stored_under
from ablate.errors import InputError
from ablate.kinds import KINDS, find, make, own_parts, packaged
from ablate.part import DataPart


def source_of(data: DataSource | DataPart) -> Any:
    """A data set's settings with `read`, of a configuration's part; this imports what that names."""
    return make(KINDS["data set"], data) if isinstance(data, DataPart) else data


def is_own(data: DataPart) -> bool:
    """Whether a data set is the user's own: any files of theirs, or what a function or class of theirs reads.

    Nothing of theirs is imported.
    """
    kind = KINDS["data set"]
    return ":" in data.name or (data.name in own_parts(kind) and getattr(find(kind, data.name).target, "is_own", False))


def is_built_in(name: str) -> bool:
    """Whether a data set, by its name, is one of this project's that no files are read for."""
    kind = KINDS["data set"]
    return name in own_parts(kind) and getattr(find(kind, name).target, "is_built_in", False)


def load_data(config: DataSource | DataPart, *, fresh: bool = False) -> Dataset:
    """Read the data set that `config` names, and fill in its fingerprint.

    A large one of files is kept as it was made ready (`ablate.data.store`), and found there, as is what comes with a
    package; `fresh`: it is read anew.
    Raises `InputError`, in one line, if its files are missing or unfit, or no longer have the fingerprint given; and as
    `ablate.data.cases.with_cases` does.
    """
    part = config if isinstance(config, DataPart) else DataPart.of(config)
    source = source_of(config)
    packaged_in = _packaged_in(source)
    shelf = None if fresh else Shelf.of(part, packaged_in) if packaged_in else _shelf(source, part)
    if shelf and (found := shelf.found(part)):
        check_fingerprint(part, found.config.fingerprint)
        return in_memory(found) if packaged_in else found
    samples, grouped = with_cases(source.read(), source), says_cases(source)
    if packaged_in or not shelf:
        dataset = replace(assemble(samples, part, grouped=grouped), passed_over=_passed_over(source))
        if shelf:
            shelf.keep_copy(dataset)
        return dataset
    try:
        dataset = assemble(samples, part, grouped=grouped, room=shelf)
        return shelf.keep(replace(dataset, passed_over=_passed_over(source)))
    except OSError as error:
        where = f"'{cache_folder()}' cannot be written ({error.strerror})"
        raise InputError(f"{where}: free some space, or set {VARIABLE} to another folder") from None
    finally:
        shelf.leave()


def _packaged_in(source: Any) -> Path | None:
    """The folder of a package that a data set's files lie in: its reader says so by a function `folder`."""
    if not getattr(source, "is_built_in", False) or not source.module:
        return None
    folder = getattr(importlib.import_module(source.module), "folder", None)
    return None if folder is None else folder()


def _shelf(source: Any, part: DataPart) -> Shelf | None:
    """Where a data set is kept, if it is of files of this project's readers, and large."""
    if not isinstance(source, FileSource) or not source.module or source.root is None or not source.root.is_dir():
        return None
    return Shelf.of(part, source.root) if stored_under(source.root) >= LARGE else None


def _passed_over(source: Any) -> tuple[str, ...]:
    """The files under a data set's folder that are not read, as far as its layout is known."""
    if not isinstance(source, FileSource) or not source.module:
        return ()
    from ablate.data.pairing import layout_of  # of those that have files alone

    root = Path(source.root or "")
    return tuple(path.relative_to(root).as_posix() for path in layout_of(source).passed_over)


def described() -> list[DatasetInfo]:
    """What the data sets with short names are, in their names' order."""
    kind = KINDS["data set"]
    return [_description(name, find(kind, name).target) for name in sorted([*own_parts(kind), *packaged(kind)])]


def _description(name: str, target: Any) -> DatasetInfo:
    if getattr(target, "module", ""):
        info: DatasetInfo = importlib.import_module(target.module).INFO
        return info
    lines = (inspect.getdoc(target) or name).splitlines()
    return DatasetInfo(name, lines[0], layout="see its own description", needs_dir=True, citation="")
