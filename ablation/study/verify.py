"""Whether a study still is what was written: files against checksums, checksums and tables against the journal.

`verify` only reads. `repair` moves what cannot be trusted to `set-aside/` and takes it out of the trial table, so that
the next run trains it anew; it deletes nothing.
"""

from __future__ import annotations

import datetime
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from ablate.errors import InputError
from ablate.files import kind, read_regular
from ablate.metrics.counts import COUNTS, class_count
from ablate.origin import mixed
from ablate.study.journal import read_journal, record_of, write_journal
from ablate.study.manifest import COPY, MANIFEST, is_kept_twice, is_key, is_sealed
from ablate.study.pictures import has_checksums
from ablate.study.sealed_lines import unseal
from ablate.study.study import JOURNAL, SET_ASIDE, Study, outcome
from ablate.study.trial_folder import (
    CHECKSUMS,
    Difference,
    Record,
    checksum,
    difference,
    is_sample,
    is_whole,
    keep_checksums,
    parse_checksums,
    read_record,
)
from ablate.trial import TrialConfig

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from ablate.data.settings import Data

_SCORES = ("val_dice", "val_iou", "val_miou")

Remedy = Literal["retrain", "journal", "picture", "set aside", "restore", "plan"]
_MEANS: dict[Remedy, str] = {
    "retrain": "the trial cannot be trusted: --repair sets it aside, and the next run trains it anew",
    "journal": "nothing is lost that its folder does not have: --repair writes the trial table anew",
    "picture": "no result depends on it: --repair sets it aside, and the next run makes it again",
    "set aside": "no result depends on it: --repair sets it aside",
    "restore": "the trials hold for the images they were trained on: restore those, or a run trains them anew",
    "plan": "no trial is lost: --repair writes it anew",
}


class Problem(NamedTuple):
    """What is wrong with a trial (its key), a file (its path in the study) or a data set (its name)."""

    subject: str
    what: str
    remedy: Remedy

    @property
    def means(self) -> str:
        return _MEANS[self.remedy]


def verify(study: Study, watch: Callable[[int, int], None] = lambda done, total: None) -> list[Problem]:
    """Everything that is wrong with a study, whatever is wrong with it.

    `watch` is told how many trials are done, of how many. A study of schema 1 has no checksums; the rest is checked.
    What a run changes meanwhile may be listed.
    """
    has_checksums = study.manifest.schema_version > 1
    journal = read_journal(study.path / JOURNAL)
    last_attempts = {record_of(trial).key: trial for trial in journal.trials}
    folders = {path.name: path for path in _entries(study.path / "trials") if not _is_under_way(path.name)}
    problems = [*_check_study(study), *(Problem(JOURNAL, f"line {n} is damaged", "journal") for n in journal.damaged)]
    if journal.cut and not study.is_being_written():
        problems.append(Problem(JOURNAL, "the last line was cut short", "journal"))
    names = sorted(last_attempts.keys() | folders.keys())
    for done, name in enumerate(names, 1):
        folder, trial = folders.get(name), last_attempts.get(name)
        if folder is None:
            problems.append(Problem(name, "its folder is missing", "retrain"))
        elif trial is None:
            problems += _check_unknown(folder, has_checksums)
        else:
            problems += _check_trial(folder, trial, has_checksums)
        watch(done, len(names))
    return problems


def repair(study: Study, problems: Iterable[Problem]) -> None:
    """Set aside what cannot be trusted, and write the trial table without it. Within `study.holding()`.

    Folders go first: a kill leaves trials without a folder, which are found and repaired again, or no journal, which
    the next run writes from the folders.
    """
    subjects: dict[Remedy, set[str]] = {remedy: set() for remedy in _MEANS}
    for problem in problems:
        subjects[problem.remedy].add(problem.subject)
    for key in subjects["retrain"]:
        _set_aside(study.path, f"trials/{key}", key)
    for name in subjects["set aside"]:
        _set_aside(study.path, name, name.replace("/", "_"))
    pictures = {name: study.path.joinpath(*name.split("/")[:2]) for name in sorted(subjects["picture"])}
    pictures = {name: folder for name, folder in pictures.items() if kind(folder / CHECKSUMS)}  # else it went with it
    withdraw(study, subjects["retrain"] | subjects["journal"] | {folder.name for folder in pictures.values()})
    for name, folder in pictures.items():
        _without_picture(study.path, name, folder)
    study.put_in_order()


def withdraw(study: Study, keys: Collection[str]) -> None:
    """Take trials, and damaged lines, out of the trial table; what it was is set aside. Within `study.holding()`."""
    journal = study.path / JOURNAL
    if keys and kind(journal):
        kept = [trial for trial in read_journal(journal).trials if record_of(trial).key not in keys]
        _set_aside(study.path, JOURNAL, JOURNAL)
        write_journal(journal, kept)
        study.forget_journal()


def _without_picture(study: Path, name: str, folder: Path) -> None:
    """Set a picture aside, and take it out of the checksums of its folder: the trial's, or that of test images."""
    _set_aside(study, name, name.replace("/", "_"))
    digests = parse_checksums(read_regular(folder / CHECKSUMS))
    digests.pop((study / name).relative_to(folder).as_posix(), None)
    keep_checksums(folder, digests)


def _is_under_way(name: str) -> bool:
    return name.endswith(".partial") or (name.endswith(".replaced") and is_key(name.removesuffix(".replaced")))


def _set_aside(study: Path, path: str, name: str) -> None:
    now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%d-%H%M%S-%f")
    aside = study / SET_ASIDE / f"{name}-{now}"
    if kind(study / path):
        aside.parent.mkdir(exist_ok=True)
        (study / path).rename(aside)


# The study's own files -----------------------------------------------------------------------------------------------


def _check_study(study: Study) -> Iterator[Problem]:
    if study.lost:
        yield Problem(MANIFEST, study.lost.removeprefix(f"{MANIFEST} "), "plan")
    elif is_sealed(study.path) and not is_kept_twice(study.path):
        yield Problem(COPY, f"it is not what {MANIFEST} is", "plan")
    try:
        study.measurements()
    except InputError:
        yield Problem("measurements.json", "it is not what was written", "set aside")
    for file in _entries(study.path / "searches"):
        yield from _check_search(file)
    for folder in _entries(study.path / "data"):
        yield from _check_pictures(folder)


def _check_search(file: Path) -> Iterator[Problem]:
    name = f"searches/{file.name}"
    try:
        lines = read_regular(file).split(b"\n")[:-1]
    except OSError:
        yield Problem(name, "it is no file", "set aside")
        return
    for number, line in enumerate(lines, 1):
        try:
            json.loads(unseal(line))
        except (ValueError, RecursionError):
            yield Problem(name, f"line {number} is damaged: the search begins anew", "set aside")
            return


def _check_pictures(folder: Path) -> Iterator[Problem]:
    """The test images and masks of a data set; without checksums, of an earlier version, there is nothing to check."""
    name = f"data/{folder.name}"
    if kind(folder) != "directory":
        yield Problem(name, "it is no folder of pictures", "set aside")
    elif has_checksums(folder):
        try:
            found = difference(folder)
        except (OSError, ValueError):
            yield Problem(name, f"its {CHECKSUMS} cannot be read", "set aside")
            return
        yield from (Problem(f"{name}/{file}", "it is not what was written", "picture") for file in found.changed)
        yield from (Problem(f"{name}/{file}", "it is missing", "picture") for file in found.missing)
        yield from (Problem(f"{name}/{file}", "it is no picture of the study", "set aside") for file in found.unknown)


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


# A trial -------------------------------------------------------------------------------------------------------------


def _check_unknown(folder: Path, has_checksums: bool) -> Iterator[Problem]:
    """A folder of `trials/` that the trial table does not have."""
    if not is_key(folder.name):
        yield Problem(f"trials/{folder.name}", "it is no trial's folder", "set aside")
    elif not has_checksums:
        return  # the migration takes it in
    elif is_whole(folder) or _lacks_pictures_alone(folder):
        yield Problem(folder.name, "the trial table lacks it, and its folder is whole", "journal")
        yield from _check_files(folder, difference(folder))
        yield from _check_contents(folder, read_record(folder), set(), "journal")
    else:
        yield Problem(folder.name, "the trial table lacks it, and its folder is not whole", "retrain")


def _check_trial(folder: Path, trial: FrozenTrial, has_checksums: bool) -> Iterator[Problem]:
    key, record = folder.name, record_of(trial)
    files = Difference([], [], [])
    if has_checksums:
        if checksum(folder) != trial.user_attrs.get("checksum"):
            yield _wrong_checksums(folder, record)
            return
        try:
            files = difference(folder)
        except (OSError, ValueError):
            yield Problem(key, f"{CHECKSUMS}: it cannot be read", "retrain")
            return
        yield from _check_files(folder, files)
    if (trial.state, trial.values) != outcome(record):
        yield Problem(key, "the trial table has other values than its own record of it", "journal")
    # A folder that has the checksum of the table is as it was written: if their records differ, the table changed.
    of_record: Remedy = "journal" if has_checksums else "retrain"
    yield from _check_contents(folder, record, {*files.changed, *files.missing}, of_record)


def _check_files(folder: Path, files: Difference) -> Iterator[Problem]:
    key = folder.name
    for names, what in ((files.changed, "it is not what was written"), (files.missing, "it is missing")):
        for name in names:
            if is_sample(name):
                yield Problem(f"trials/{key}/{name}", what, "picture")
            else:
                yield Problem(key, f"{name}: {what}", "retrain")
    yield from (Problem(f"trials/{key}/{name}", "it is no file of the trial", "set aside") for name in files.unknown)


def _lacks_pictures_alone(folder: Path) -> bool:
    """Whether pictures are all that is wrong with a folder, as a repair leaves it that was killed in between."""
    try:
        files = difference(folder)
        config, record = _config(folder), read_record(folder)
    except (OSError, ValueError):
        return False
    damaged = [*files.changed, *files.missing]
    return (
        bool(damaged)
        and all(map(is_sample, damaged))
        and config is not None
        and config.key == record.key == folder.name
    )


def _check_contents(folder: Path, record: Record, but: set[str], of_record: Remedy) -> Iterator[Problem]:
    """A trial's files, `but` for some, against its record and each other. `of_record`: the remedy if records differ."""
    config, own = _config(folder), record
    if "record.json" not in but:
        try:
            own = read_record(folder)
        except (OSError, ValueError):
            yield Problem(folder.name, "record.json: it is missing, or no record", "retrain")
        if own != record:
            yield Problem(folder.name, "record.json: it is not what the trial table has", of_record)
    for name, check in _CHECKS.items():
        if name in but or not _has(own, name):
            continue
        try:
            what = check(folder, own, config)
        except (OSError, ValueError, KeyError, TypeError) as error:
            what = "it is missing" if isinstance(error, FileNotFoundError) else "it cannot be read"
        if what:
            yield Problem(folder.name, f"{name}: {what}", "retrain")


def _wrong_checksums(folder: Path, record: Record) -> Problem:
    if not kind(folder / CHECKSUMS):
        return Problem(folder.name, f"{CHECKSUMS}: it is missing", "retrain")
    if record.state in ("failed", "stopped") and is_whole(folder):
        return Problem(folder.name, "the trial table lacks its last attempt, whose folder is whole", "journal")
    config = _config(folder)
    if config is not None and config.key != folder.name and _is_intact(folder):
        return Problem(folder.name, f"its folder is that of trial {config.key}", "retrain")
    return Problem(folder.name, f"{CHECKSUMS}: it is not the one that was journalled", "retrain")


def _is_intact(folder: Path) -> bool:
    try:
        return difference(folder) == Difference([], [], [])
    except (OSError, ValueError):
        return False


def _config(folder: Path) -> TrialConfig | None:
    try:
        return TrialConfig.model_validate_json(read_regular(folder / "config.json"))
    except (OSError, ValueError):
        return None


def _has(record: Record, name: str) -> bool:
    judged = record.state in ("complete", "trivial")
    return {"images.parquet": judged, "model.safetensors": record.state == "complete"}.get(name, True)


def _wrong_config(folder: Path, record: Record, config: TrialConfig | None) -> str:
    if config is None:
        return "it is no configuration"
    if config.key != folder.name:
        return f"its key is {config.key}"
    if (config.cell, config.model.name, config.seed) != (record.cell, record.model, record.seed):
        return "its cell, model or seed is not the record's"
    return ""


def _wrong_epochs(folder: Path, record: Record, config: TrialConfig | None) -> str:
    import pyarrow
    import pyarrow.parquet as parquet

    columns = ["key", "epoch", *_SCORES]
    table = parquet.read_table(
        pyarrow.BufferReader(read_regular(folder / "epochs.parquet")), columns=columns
    ).to_pydict()
    epochs = table["epoch"]
    if set(table["key"]) - {folder.name}:
        return "it has rows of another trial"
    if len(epochs) != record.epochs or epochs != list(range(1, len(epochs) + 1)):
        return f"its epochs are not 1 to {record.epochs}"
    if record.state == "complete" and config is not None and record.epochs != config.protocol.epochs:
        return f"it has {record.epochs} epochs of {config.protocol.epochs}"
    if record.best_epoch is None:
        return ""
    if not 1 <= record.best_epoch <= record.epochs:
        return f"it has no epoch {record.best_epoch}, the best"
    if any(table[score][record.best_epoch - 1] != getattr(record, score) for score in _SCORES):
        return "its best epoch has other scores than the record"
    return ""


def _wrong_images(folder: Path, record: Record, config: TrialConfig | None) -> str:
    import pyarrow
    import pyarrow.parquet as parquet

    columns = ["key", "image", "class", *COUNTS]
    table = parquet.read_table(pyarrow.BufferReader(read_regular(folder / "images.parquet")), columns=columns)
    if set(table["key"].to_pylist()) != {folder.name}:
        return "it has rows of another trial, or none"
    counts = np.stack([table[name].to_numpy() for name in COUNTS], axis=1)
    if (counts < 0).any():
        return "it has negative counts"
    if config is None:
        return ""
    classes = class_count(config.data.classes)
    per_image = Counter(zip(table["image"].to_pylist(), table["class"].to_pylist(), strict=True))
    images = {image for image, _ in per_image}
    if per_image != Counter((image, at) for image in images for at in range(classes)):
        return f"it does not have each of {classes} classes once an image"
    height, width = config.data.size
    if (counts.sum(axis=1) != height * width).any():
        return f"its counts do not sum to {height}x{width} pixels"
    return ""


def _wrong_weights(folder: Path, record: Record, config: TrialConfig | None) -> str:
    from safetensors import SafetensorError, deserialize

    try:
        return "" if deserialize(read_regular(folder / "model.safetensors")) else "it has no weights"
    except SafetensorError:
        return "it is no safetensors file"


_CHECKS: dict[str, Callable[[Path, Record, TrialConfig | None], str]] = {
    "config.json": _wrong_config,
    "epochs.parquet": _wrong_epochs,
    "images.parquet": _wrong_images,
    "model.safetensors": _wrong_weights,
}


# Data sets -----------------------------------------------------------------------------------------------------------


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
    trials: Counter[str] = Counter()
    configs = {}
    for folder in _entries(study.path / "trials"):
        config = _config(folder)
        if config is not None:  # else `verify` names it
            configs[config.data.model_dump_json()] = config.data
            trials[config.data.model_dump_json()] += 1
    return [_compared(data, trials[identity], roots) for identity, data in configs.items()]


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


def _compared(data: Data, trials: int, roots: list[Path | None]) -> DataSet:
    """A data set as it is now: in the folder where it is what it was; in none, in the first where there is one."""
    from ablate.data.load import load_data

    today, why = "", ""
    for root in roots:
        try:
            found = load_data(data.model_copy(update={"root": root, "fingerprint": ""})).config.fingerprint
        except InputError as error:
            why = why or str(error)
            continue
        today = found if found == data.fingerprint else today or found
        if found == data.fingerprint:
            break
    return DataSet(data.name, trials, data.fingerprint, today, why)


def mixed_cells(study: Study) -> list[str]:
    """One line a cell whose seeds were made by code or PyTorch of several versions."""
    records, made = study.records(), study.origins()
    found = mixed((records[key].cell, origin) for key, origin in made.items() if records[key].state == "complete")
    return [f"the seeds of cell {cell} were made by several versions: {what}" for cell, what in found.items()]


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
                earlier = trial.data.model_copy(update={"fingerprint": data.fingerprint})
                if trial.model_copy(update={"data": earlier}).key in records:
                    again[data.name, data.fingerprint, trial.data.fingerprint] += 1
    return [
        f"the images of '{name}' {_changed(count, before, now)}: to be trained anew"
        for (name, before, now), count in again.items()
    ]


def _changed(trials: int, before: str, now: str) -> str:
    those = "1 trial of this study was" if trials == 1 else f"{trials} trials of this study were"
    return f"have changed since {those} trained (fingerprint {before} → {now})"
