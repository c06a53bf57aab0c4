"""The data of a study's trials, where they are now."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ablate.errors import InputError
from ablate.part import DataPart
from ablate.study.runs import DataRecord

if TYPE_CHECKING:
    from ablate.data.dataset import Dataset
    from ablate.study.study import Study


class DatasetOf(Protocol):
    def __call__(self, data: DataPart, size: tuple[int, int] | None = None) -> Dataset:
        """A trial's data, at the size (height, width) that it saw or at another."""


def data_of(study: Study, data_dir: Path | None = None) -> DatasetOf:
    """Reads a trial's data, below `data_dir` or where they were; raises `InputError` if they are not what it saw."""
    from ablate.data.load import load_data

    known, records = study.manifest.data_dir, study.data_records()

    def dataset_of(data: DataPart, size: tuple[int, int] | None = None) -> Dataset:
        record = records.get(data.fingerprint, DataRecord())
        root = data_dir or record.root or known
        local = {"root": Path(root) if root else None, "title": record.title}
        dataset = load_data(DataPart(data.canonical() | {"fingerprint": ""}, local))
        if dataset.config.fingerprint != data.fingerprint:
            raise InputError(f"the images of {dataset.config.called} are not those of the study: give their --data-dir")
        if size is None:
            return dataset
        return load_data(DataPart(data.canonical() | {"fingerprint": "", "size": list(size)}, local))

    return dataset_of
