"""The study: a directory that holds trials, each addressed by its key.

    study.yaml        what it is: its id, its trials' threads; and study.yaml.copy: see `manifest`
    plans.jsonl       what was planned: runs, each with its trials and their levels; and plans.jsonl.copy: see `plans`
    claims.jsonl      claims registered, and looks taken at them; and claims.jsonl.copy: see `registrations`
    trials/<key>/     what is kept of a trial that ended: see `trial_folder`
    logs/<key>.log    when and where a trial ran, and what it printed
    searches/         what samplers proposed
    data/<print>/     the test images and masks, to look at: see `pictures`
    measurements.json latency and peak memory of each cell's network, where they were measured
    ray/              scratch: checkpoints of unfinished trials, trials on their way in, what running drivers tell

A trial's folder is the truth about it: there is no table beside the folders (see `index`). A finished trial enters by
one rename, which is atomic.

A study may come from anyone. It is opened only if there is nothing in it but files and directories (no link, no pipe),
keys are checked where they are read, for they name files, and a trial's file is read through `read`, which knows
whether it is what was written. Who may write is said by `locks`.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pydantic import ValidationError

from ablate.errors import InputError, unknown
from ablate.files import flush_directory, kind, read_regular, sha256, strange_entries
from ablate.origin import Origin
from ablate.study import manifest, plans, registrations
from ablate.study.index import REPLACED, Index, damaged
from ablate.study.journal import JOURNAL_LOCK
from ablate.study.locks import LOCKS, RAY, Locks
from ablate.study.logs import append_to_log, logged_as_ended
from ablate.study.manifest import VERSION, Manifest, is_kept_twice, is_study, new_id, write_manifest
from ablate.study.measurements import read_measurements, write_measurements
from ablate.study.migration import COPY, clear_away, migrate
from ablate.study.plans import PLAN, Plans, are_kept_twice, read_trial_plan, trial_plan
from ablate.study.records import Record
from ablate.study.recovery import read_study
from ablate.study.runs import DataRecord, Run, is_key
from ablate.study.set_aside import SET_ASIDE, set_aside
from ablate.study.tables import TableName, read_table
from ablate.study.trial_folder import CHECKSUMS, parse_checksums, record_of, sample_name, unpacked, write_folder
from ablate.trial import TrialConfig

if TYPE_CHECKING:
    import pandas as pd

    from ablate.cost.measured import Measured

_OWN = (manifest.MANIFEST, manifest.COPY, plans.PLANS, plans.COPY, registrations.FILE, registrations.COPY)
_OF_OTHERS = (SET_ASIDE, "wandb")
"""Folders that nothing here reads: what `ablate verify` set aside, and a tracker's, which makes links in it."""


class Sound(NamedTuple):
    """The trials whose records are what was written, by key, and why others are left out."""

    records: dict[str, Record]
    left_out: dict[str, str]


class Study:
    """A study directory. Anyone may read; who writes must hold `writing()`."""

    def __init__(self, path: Path, manifest: Manifest, plans: Plans, lost: str = "") -> None:
        self.path = path
        self.plans = plans
        self.mended = ""
        """What `writing` had to do to what it found, for people."""
        self.lost = lost
        """Why the manifest or the plans are not those of their files, and where they are from; else empty."""
        self.faults: dict[str, str] = {}
        """What was read and is not what was written, with why: trials by their keys, files by their names."""
        self.mixed: dict[str, str] = {}
        """Cells that were read whose seeds several versions made, by their labels: how many by which."""
        self._locks = Locks(path)
        self._facts = manifest
        self._index = Index(path, checked=manifest.schema_version > 1)

    # Opening ---------------------------------------------------------------------------------------------------------

    @classmethod
    def open(cls, path: str | Path) -> Study:
        """The study at `path`. Raises `InputError` if there is none, or if a newer version wrote it.

        Also if there is anything in it but files and directories: a link could lead anywhere, a pipe could wait for
        ever.
        """
        path = Path(path)
        for place, found in strange_entries(path, skip=_OF_OTHERS):
            if place != path / JOURNAL_LOCK:  # a killed writer of an earlier version left it; it is not followed
                raise InputError(f"'{place}' is a {found}: a study holds files and directories only; take it out")
        return cls(path, *read_study(path))

    @classmethod
    def open_or_new(cls, path: Path) -> Study:
        """The study at `path`, or a new one, which exists on disk once something is planned."""
        if is_study(path):
            return cls.open(path)
        if path.exists() and (not path.is_dir() or not _is_bare(path)):
            raise InputError(f"'{path}' is neither a study nor an empty directory: give another path")
        return cls(path, Manifest(id=new_id()), Plans())

    @contextlib.contextmanager
    def writing(self, *, share: bool = False) -> Iterator[Study]:
        """Hold the study, brought to today's layout and with what a killed writer left half done completed.

        With `share` it may be held by another process: both then leave each other's claimed trials alone.
        Raises `InputError` if another holds it, or if it cannot be written.
        """
        with self.holding(share=share) as alone:
            self.put_in_order(alone=alone)
            yield self

    def holding(self, *, share: bool = False) -> contextlib.AbstractContextManager[bool]:
        """Hold the study as it is; true unless it is shared with another process. Raises as `writing` does."""
        return self._locks.holding(share=share)

    def claim(self, key: str) -> bool:
        """Take a trial to train it, for as long as this process lives or until `release`; false if another has it."""
        return self._locks.claim(key)

    def release(self, key: str) -> None:
        self._locks.release(key)

    def is_being_written(self) -> bool:
        """Whether a run holds the study now."""
        return self._locks.is_being_written()

    def put_in_order(self, *, alone: bool = True) -> None:
        """Bring a held study to today's layout, and complete what a killed writer left half done."""
        self.mended = ""
        with self._locks.changing():
            self._clear_away()
            if not is_study(self.path):
                return
            self._facts, self.plans, lost = read_study(self.path)
            if self._facts.schema_version < VERSION:
                self._migrate(alone)
            else:
                clear_away(self.path)
            if lost or not is_kept_twice(self.path):
                write_manifest(self.path, self._facts)
            if lost or not are_kept_twice(self.path):
                self.plans.write(self.path)
            self._say_mended(lost)
            self.lost = ""

    def _clear_away(self) -> None:
        """What killed writers left half done under names of their own; an earlier attempt gets its name back."""
        for name in _OWN:
            if kind(self.path / name) not in ("", "file"):
                set_aside(self.path, name, name)
            for file in self.path.glob(f"{name}.*.partial"):
                file.unlink(missing_ok=True)
        for folder in sorted((self.path / "trials").glob("*")):
            if folder.name.endswith(".partial"):
                shutil.rmtree(folder) if kind(folder) == "directory" else folder.unlink()
            elif folder.name.endswith(REPLACED) and is_key(folder.name.removesuffix(REPLACED)):
                home = folder.with_name(folder.name.removesuffix(REPLACED))
                shutil.rmtree(folder) if home.exists() else folder.rename(home)

    def _migrate(self, alone: bool) -> None:
        old = self._facts.schema_version
        if not alone:
            raise InputError(f"'{self.path}' has study schema {old} and a run holds it: wait for its end, then migrate")
        # What has no folder is logged as ended, so that `ablate verify` finds that it is gone.
        self._facts = migrate(self.path, self._facts, self.plans, self.log)
        self._index = Index(self.path, checked=True)
        self._say_mended(
            f"'{self.path}' was brought from study schema {old} to {VERSION}; the old files are in {COPY}/"
        )

    def _say_mended(self, what: str) -> None:
        self.mended = "; ".join(filter(None, [self.mended, what]))

    # Planning --------------------------------------------------------------------------------------------------------

    @property
    def manifest(self) -> Manifest:
        """What the study is, with every run that was planned into it."""
        return self._facts.model_copy(update={"runs": self.plans.runs})

    def plan(self, run: Run, *, threads: int, data_dir: Path | None, storage: str | None = None) -> None:
        """Add a run, for good. What it costs does not grow with what was planned before. Raises `OSError`."""
        with self._locks.changing():
            facts = self._facts.model_copy(
                update={
                    "threads": self._facts.threads or threads,
                    "storage": storage or self._facts.storage,
                    "data_dir": str(data_dir.absolute()) if data_dir else self._facts.data_dir,
                }
            )
            if facts != self._facts or not is_study(self.path):
                self._facts = facts
                write_manifest(self.path, facts)
            self.plans.append(self.path, run)

    def data_records(self) -> dict[str, DataRecord]:
        """What is kept of the data sets beside what they are, by fingerprint; none of what earlier versions planned."""
        return {name: record for run in self.manifest.runs for name, record in run.data.items()}

    # Trials that ended -----------------------------------------------------------------------------------------------

    def sound(self) -> Sound:
        """The trials whose records can be believed: their folders' checksums have them. Others are among the faults."""
        found = self._index.all()
        left_out = {key: known.why for key, known in found.items() if known.record is None}
        self.faults |= left_out
        return Sound({key: known.record for key, known in found.items() if known.record is not None}, left_out)

    def records(self) -> dict[str, Record]:
        """Every trial that ended and whose record can be believed, by key, in the keys' order."""
        return {key: known.record for key, known in self._index.all().items() if known.record is not None}

    def record(self, key: str) -> Record | None:
        """What is known of one trial, or None if it has not ended, or is damaged."""
        known = self._index.of(key)
        return known.record if known else None

    def has(self, key: str) -> bool:
        """Whether a trial has a folder, sound or not."""
        return self._index.of(key) is not None

    def origin(self, record: Record) -> Origin:
        """What made a trial. Of an earlier version's trials it is what their plan says, or the study of all of them."""
        if record.origin is not None:
            return record.origin
        try:
            versions = read_trial_plan(self.read(record.key, PLAN)).versions
        except (InputError, ValueError):
            versions = {}
        versions = versions or self._facts.versions
        return Origin(**{name: versions[name][:80] for name in ("ablate", "torch", "numpy") if name in versions})

    def origins(self) -> dict[str, Origin]:
        """What made each trial that trained, by key."""
        return {key: self.origin(record) for key, record in self.records().items() if record.state != "trivial"}

    def said_of_faults(self) -> list[str]:
        """What must be said of everything that was made from this study: a sentence each."""
        lost = [f"{self.lost[:1].upper()}{self.lost[1:]}."] if self.lost else []
        mixed = [f"{label}: its seeds were made by several versions: {what}." for label, what in self.mixed.items()]
        return [*lost, *(f"Left out: {name}: {why}." for name, why in self.faults.items()), *mixed]

    def read(self, key: str, name: str) -> bytes:
        """A file of a trial that ended, as it was written: it is held against the folder's checksums.

        Raises `InputError` for a key that the study does not have, and for a file that is missing or was changed. In a
        study of schema 1, which has no checksums, it is read as it is.
        """
        for attempt in (1, 2):  # another run may put a later attempt in its place between the two files
            digests = self.checksums(key)
            file = self.trial_dir(key) / name
            with contextlib.suppress(OSError, ValueError):
                content = read_regular(file)
                if digests is None or digests.get(name) == sha256(content):
                    return content
            if attempt == 2 or self.checksums(key) == digests:
                break
        raise self._damaged(file)

    def checksums(self, key: str) -> dict[str, str] | None:
        """The checksums of a trial's files by name; None in a study that has none. Raises as `read` does."""
        if not self.has(key):
            raise unknown("key", key, self._index.all())
        if self._facts.schema_version == 1:
            return None
        file = self.trial_dir(key) / CHECKSUMS
        try:
            return dict(_parsed(read_regular(file)))
        except (OSError, ValueError):
            raise self._damaged(file) from None

    def config(self, key: str) -> TrialConfig:
        """The configuration of a trial that ended. Raises `InputError` as `read` does."""
        content = self.read(key, "config.json")
        try:
            config = TrialConfig.model_validate_json(content)
        except (ValidationError, InputError):
            config = None
        if config is None or config.key != key:
            raise self._damaged(self.trial_dir(key) / "config.json")
        return config

    def trial_dir(self, key: str) -> Path:
        """A trial's folder; while a later attempt takes its place, the earlier one's."""
        return self._index.folder(key)

    def table(self, key: str, name: TableName) -> pd.DataFrame:
        """One of a trial's two tables; see DESIGN's columns. Raises `InputError` as `read` does."""
        content = self.read(key, f"{name}.parquet")
        try:
            return read_table(content, name, key)
        except ValueError:
            raise self._damaged(self.trial_dir(key) / f"{name}.parquet") from None

    def sample(self, key: str, image: str) -> bytes | None:
        """A trial's prediction of an image, as PNG; None if it has none, or none that is as it was written."""
        try:
            return self.read(key, sample_name(image))
        except InputError:
            return None

    def _damaged(self, file: Path) -> InputError:
        return InputError(damaged(self.path, file))

    # Measured cost ---------------------------------------------------------------------------------------------------

    def measurements(self) -> dict[str, Measured]:
        """Latency and peak memory by cell. Raises `InputError` if the file is damaged."""
        return read_measurements(self.path)

    def keep_measurements(self, measured: dict[str, Measured]) -> None:
        """Add measurements by cell, in place of earlier ones. For the one process that holds `writing()`."""
        write_measurements(self.path, self.measurements() | measured)

    # Trials that end -------------------------------------------------------------------------------------------------

    @property
    def ray_dir(self) -> Path:
        return self.path / RAY

    def interrupted(self) -> set[str]:
        """Keys of the trials that left a checkpoint in the study, whether they are running or not."""
        return {file.stem for file in (self.ray_dir / "checkpoints").glob("*.safetensors")}

    def accept(self, key: str, packed: bytes) -> Record:
        """Take a packed trial into the study, in place of an earlier attempt. Within `writing()` only.

        A complete one stays where the attempt to make it anew came to nothing.

        Raises `zipfile.BadZipFile` for what is no whole archive of that trial, and `OSError` where it cannot be
        written; the study is then as it was.
        """
        home = self.path / "trials" / key
        arriving = home.with_name(f"{key}.partial") / key
        files = unpacked(packed)
        attempt = record_of(files, key)
        with self._locks.changing():
            known = self.record(key)
            if attempt.state in ("failed", "stopped") and known is not None and known.state == "complete":
                return attempt
            plan = {PLAN: trial_plan(self._facts, self.plans, key)} if key in self.plans.levels else {}
            shutil.rmtree(arriving.parent, ignore_errors=True)
            try:
                write_folder(arriving, files, plan)
                _put_in_place(arriving, home)
            finally:
                shutil.rmtree(arriving.parent, ignore_errors=True)
        if attempt.state != "trivial":  # those are made again by any run
            with contextlib.suppress(OSError):  # a witness of it, and no part of the trial
                self.log(key, f"{attempt.state}{f': {attempt.error}' if attempt.error else ''}")
        return attempt

    # Logs ------------------------------------------------------------------------------------------------------------

    def log(self, key: str, text: str) -> None:
        """Append to a trial's log, each line with the time (UTC)."""
        append_to_log(self.path, key, text)

    def logged_as_ended(self) -> set[str]:
        """The keys whose logs say, as the last thing, that they ended: where one has no folder, it was lost."""
        return logged_as_ended(self.path)


def _is_bare(path: Path) -> bool:
    """Whether a directory has nothing but what a command leaves that found nothing to plan."""
    left = [entry for entry in path.iterdir() if entry.name not in LOCKS]
    return all(entry.name == RAY and entry.is_dir() and not any(entry.iterdir()) for entry in left)


def _put_in_place(arriving: Path, home: Path) -> None:
    """Rename a folder into `trials/`. A kill leaves the earlier attempt, whole, under one of its two names."""
    earlier = home.with_name(home.name + REPLACED)
    if home.exists():
        shutil.rmtree(earlier, ignore_errors=True)
        home.rename(earlier)
    try:
        arriving.rename(home)
    except BaseException:
        if earlier.exists():
            earlier.rename(home)
        raise
    flush_directory(home.parent)
    shutil.rmtree(earlier, ignore_errors=True)


@lru_cache(maxsize=256)
def _parsed(checksums: bytes) -> dict[str, str]:
    return parse_checksums(checksums)
