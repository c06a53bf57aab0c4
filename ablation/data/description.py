"""What a user says of their data in a `dataset.yaml` beside the files: fields of the data set, as a space would give.

name: nnunet                # the layout; `folder` where it is not said
title: Hospital A
labels: {background: 0, liver: 1, tumour: 2}
case: "(patient[0-9]+)_"
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator

from ablate.yaml_files import read_yaml

FILE = "dataset.yaml"
_NOT_HERE = ("root", "fingerprint")


class _Description(BaseModel):
    """Its fields are those of the data set, which checks them."""

    model_config = ConfigDict(extra="allow")

    name: str = "folder"

    @field_validator("name")
    @classmethod
    def _is_no_code(cls, name: str) -> str:
        if ":" in name:
            raise ValueError("data do not say which code reads them: name that in a space, or with --data")
        return name


def description(root: Path | str | None) -> dict[str, Any]:
    """The fields that `root`'s own file gives; none where it has no such file.

    Raises `InputError`, with file and line, for what is no description.
    """
    file = Path(root) / FILE if root else None
    if file is None or not file.is_file():
        return {}
    status = file.stat()
    return dict(_read(file, status.st_mtime_ns, status.st_size))


@lru_cache(maxsize=64)
def _read(file: Path, changed: int, size: int) -> dict[str, Any]:
    found = read_yaml(file, _Description, "description", "fields of a data set, such as title, labels and case")
    fields = found.model_dump()
    return {name: value for name, value in fields.items() if name not in _NOT_HERE}
