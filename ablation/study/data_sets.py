"""The data sets that a study's trials were trained on, as they were and as they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ablate.data.load import load_data
from ablate.errors import InputError
from ablate.part import DataPart
from ablate.study.contents import read_config
from ablate.study.runs import DataRecord
from ablate.study.study import Study
from ablate.study.trial_folder import key_folders
from ablate.study.verify import Problem
from ablate.trial import TrialConfig


class DataSet(NamedTuple):
    """A data set that trials were trained on, as it was and as it is. `found` is empty if it could not be read: why."""

    name: str
    trials: int
    recorded: str
    found: str
    why: str

    def problem(self) -> Problem | None:
        if self.found in ("", self.recorded):
            return None
        return Problem(self.name, f"the images {_changed(self.trials, self.recorded, self.found)}", "restore")


def data_sets(study: Study, data_dir: Path | None) -> list[DataSet]:
    """Every data set of a study's trials, fingerprinted again: in `data_dir`, or where the study's runs had it."""
    roots: list[Path | None] = [data_dir] if data_dir else _roots(study)
    records = {} if data_dir else study.data_records()
    trials: Counter[str] = Counter()
    configs = {}
    for folder in key_folders(study.path):
        config = read_config(folder)
        if config is not None:  # else `verify` names it
            configs[config.data.text] = config.data
            trials[config.data.text] += 1
    found = []
    for identity, data in configs.items():
        record = records.get(data.fingerprint, DataRecord())
        own: list[Path | None] = [Path(record.root)] if record.root else []
        found.append(_compared(data, record.title or data.name, trials[identity], own + roots))
    return found


def _roots(study: Study) -> list[Path | None]:
    """Where a study's runs had their images: the last `--data-dir`, and each that a level of a factor names."""
    manifest = study.manifest
    named = [Path(manifest.data_dir)] if manifest.data_dir else []
    for run in manifest.runs:
        factors = run.definition.get("factors")
        for levels in factors.values() if isinstance(factors, dict) else ():
            for fields in levels.values() if isinstance(levels, dict) else ():
                root = fields.get("data.root") if isinstance(fields, dict) else None
                named += [Path(root)] if isinstance(root, str) else []
    return [*dict.fromkeys(named)] or [None]


def _compared(data: DataPart, name: str, trials: int, roots: list[Path | None]) -> DataSet:
    """A data set as it is now: in the folder where it is what it was; in none, in the first where there is one."""
    if data.made_by or ":" in data.name:
        return DataSet(name, trials, data.fingerprint, "", "it is read by code of others, which verifying does not run")
    today, why = "", ""
    for root in dict.fromkeys(roots):
        try:
            found = load_data(
                DataPart(data.canonical() | {"fingerprint": ""}, {"root": root}), fresh=True
            ).config.fingerprint
        except InputError as error:
            why = why or str(error)
            continue
        today = found if found == data.fingerprint else today or found
        if found == data.fingerprint:
            break
    return DataSet(name, trials, data.fingerprint, today, why)


def changed_images(study: Study, trials: Iterable[TrialConfig]) -> list[str]:
    """One line a data set whose images have changed since trials of `study` that are in `trials` were trained.

    The fingerprint is in the key, so those trials have new keys, and are not in the study.
    """
    records = study.records()
    recorded = {study.config(key).data for key, record in records.items() if record.state == "trivial"}
    again: Counter[tuple[str, str, str]] = Counter()
    for trial in trials:
        for data in recorded:
            if data.fingerprint != trial.data.fingerprint and data.name == trial.data.name:
                earlier = trial.data.but(fingerprint=data.fingerprint)
                if trial.model_copy(update={"data": earlier}).key in records:
                    again[data.name, data.fingerprint, trial.data.fingerprint] += 1
    return [
        f"the images of '{name}' {_changed(count, before, now)}: to be trained anew"
        for (name, before, now), count in again.items()
    ]


def _changed(trials: int, before: str, now: str) -> str:
    those = "1 trial of this study was" if trials == 1 else f"{trials} trials of this study were"
    return f"have changed since {those} trained (fingerprint {before} → {now})"
