"""From a data set's settings to its arrays."""

from __future__ import annotations

import importlib
import inspect
from dataclasses import replace
from pathlib import Path
from typing import Any

from ablate.data.cases import with_cases
from ablate.data.dataset import Dataset, assemble
from ablate.data.settings import DataSource, FileSource
from ablate.data.source import DatasetInfo
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


def load_data(config: DataSource | DataPart) -> Dataset:
    """Read the data set that `config` names, and fill in its fingerprint.

    Raises `InputError`, in one line, if its files are missing or unfit, or no longer have the fingerprint given; and as
    `ablate.data.cases.with_cases` does.
    """
    part = config if isinstance(config, DataPart) else DataPart.of(config)
    source = source_of(config)
    samples = with_cases(source.read(), source)
    dataset = assemble(samples, part, grouped=bool(source.case or source.parts))
    return replace(dataset, passed_over=_passed_over(source))


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
