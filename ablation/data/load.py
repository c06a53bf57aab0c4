"""From a data set's settings to its arrays."""

from __future__ import annotations

from collections.abc import Callable

from ablate.data import folder, isbi2012, kaggle_lung, liver, mni152, phantom
from ablate.data.dataset import Dataset, assemble
from ablate.data.settings import Data
from ablate.data.source import DatasetInfo, Sample

_SOURCES = (mni152, isbi2012, kaggle_lung, liver, folder, phantom)
READERS: dict[str, Callable[..., list[Sample]]] = {source.INFO.name: source.read for source in _SOURCES}

DATASETS: dict[str, DatasetInfo] = {source.INFO.name: source.INFO for source in _SOURCES}


def load_data(config: Data) -> Dataset:
    """Read the data set that `config` names, and fill in its fingerprint.

    Raises `InputError`, in one line, if its files are missing or unfit, or no longer have the fingerprint given.
    """
    return assemble(READERS[config.name](config), config)
