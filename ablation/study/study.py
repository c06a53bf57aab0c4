"""The study: a directory that holds trials, each addressed by its key.

    study.yaml        what was planned: the runs (space, profile, trials with their levels), threads; and
                      study.yaml.copy: see `manifest`
    optuna.journal    the trial table, an Optuna study
    trials/<key>/     what is kept of a trial that ended: see `trial_folder`
    logs/<key>.log    when and where a trial ran, and what it printed
    data/<print>/     the test images and masks, to look at: see `pictures`
    measurements.json latency and peak memory of each cell's network, where they were measured
    ray/              scratch: checkpoints of unfinished trials, trials on their way in, what running drivers tell

A finished trial enters in two steps, each atomic: its folder is renamed into `trials/`, then it is journalled. What a
kill leaves between the two is completed when the study is next opened for writing.

A study may come from anyone. It is opened only if there is nothing in it but files and directories (no link, no pipe),
keys are checked where they are read, for they name files, and a trial's file is read through `read`, which knows
whether it is what was written.

Three locks, all of which die with their process: a run holds the study (`writing`), unless it shares it; whoever
trains a trial holds that trial (`claim`); and each change of what is on disk is made under a short lock.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import fcntl
import json
import os
import shutil
import socket
import zipfile
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import TypeAdapter, ValidationError

from ablate.cost.measured import Measured
from ablate.errors import InputError, unknown
from ablate.files import flush_directory, kind, open_in_place, read_regular, strange_entries, write_whole
from ablate.origin import Origin
from ablate.settings import explain
from ablate.study.manifest import (
    MANIFEST,
    PLAN,
    VERSION,
    Key,
    Manifest,
    Run,
    is_kept_twice,
    is_key,
    is_study,
    new_id,
    plan_of,
    read_manifest,
    versions_of_plan,
    write_manifest,
)
from ablate.study.tables import TableName, read_table
from ablate.study.trial_folder import (
    CHECKSUMS,
    Record,
    checksum,
    is_whole,
    parse_checksums,
    read_record,
    sample_name,
    sha256,
    unpack,
)
from ablate.trial import TrialConfig

if TYPE_CHECKING:
    import optuna
    import pandas as pd


__all__ = ["JOURNAL", "VERSION", "Journalled", "Manifest", "Run", "Sound", "Study", "outcome"]

JOURNAL = "optuna.journal"
SET_ASIDE = "set-aside"
_LOCKS = (".lock", ".sharing", ".changing")
_OF_OTHERS = (SET_ASIDE, "wandb")
"""Folders that nothing here reads: what `ablate verify` set aside, and a tracker's, which makes links in it."""
_REPLACED = ".replaced"
STUDY_NAME = "ablate"
DIRECTIONS: list[Literal["maximize", "minimize"]] = ["maximize", "minimize", "minimize"]
"""Of a trial's values: validation Dice, parameters, MACs."""
_MEASUREMENTS = TypeAdapter(dict[Key, Measured])


class Journalled(NamedTuple):
    """A trial as the trial table has it, with the checksum of its folder (empty in a study of schema 1)."""

    record: Record
    checksum: str


class Sound(NamedTuple):
    """The trials whose folders are what was journalled, by key, and why others are left out."""

    records: dict[str, Record]
    left_out: dict[str, str]


def outcome(record: Record) -> tuple[optuna.trial.TrialState, list[float] | None]:
    """What the trial table says of a trial to Optuna: its state, and its values."""
    from optuna.trial import TrialState

    states = {"failed": TrialState.FAIL, "stopped": TrialState.PRUNED}
    if record.state in states:
        return states[record.state], None
    return TrialState.COMPLETE, [record.val_dice or 0.0, record.params, record.macs]


class Study:
    """A study directory. Anyone may read; who writes must hold `writing()`."""

    def __init__(self, path: Path, manifest: Manifest, lost: str = "") -> None:
        self.path = path
        self.manifest = manifest
        self.mended = ""
        """What `writing` had to do to what it found, for people."""
        self.lost = lost
        """Why the manifest is not the one in study.yaml, and where it is from; else empty."""
        self.faults: dict[str, str] = {}
        """What was read and is not what was written, with why: trials by their keys, files by their names."""
        self.mixed: dict[str, str] = {}
        """Cells that were read whose seeds several versions made, by their labels: how many by which."""
        self._trials_read = 0
        self._table: dict[str, Journalled] = {}
        self._digests: dict[str, dict[str, str]] = {}
        """A folder's checksums by name, by the checksum of all of them."""
        self._claims: IO[bytes] | None = None
        self._lock_opened: os.stat_result | None = None
        self._planned: tuple[Manifest, dict[str, dict[str, str]]] | None = None

    # Opening ---------------------------------------------------------------------------------------------------------

    @classmethod
    def open(cls, path: str | Path) -> Study:
        """The study at `path`. Raises `InputError` if there is none, or if a newer version wrote it.

        Also if there is anything in it but files and directories: a link could lead anywhere, a pipe could wait for
        ever.
        """
        path = Path(path)
        for place, found in strange_entries(path, skip=_OF_OTHERS):
            if place != path / f"{JOURNAL}.lock":  # Optuna's own, which a killed writer left; it is not followed
                raise InputError(f"'{place}' is a {found}: a study holds files and directories only; take it out")
        manifest, lost = read_manifest(path)
        return cls(path, manifest, lost)

    @classmethod
    def open_or_new(cls, path: Path) -> Study:
        """The study at `path`, or a new one, which exists on disk once something is planned."""
        if is_study(path):
            return cls.open(path)
        if path.exists() and (not path.is_dir() or any(f.name not in _LOCKS for f in path.iterdir())):
            raise InputError(f"'{path}' is neither a study nor an empty directory: give --study another path")
        return cls(path, Manifest(id=new_id()))

    @contextlib.contextmanager
    def writing(self, *, share: bool = False) -> Iterator[Study]:
        """Hold the study, brought to today's layout and with what a killed writer left half done completed.

        With `share` it may be held by another process: both then leave each other's claimed trials alone.
        Raises `InputError` if another holds it, if it cannot be written, or if its journal is damaged.
        """
        with self.holding(share=share) as alone:
            self.put_in_order(alone=alone)
            yield self

    @contextlib.contextmanager
    def holding(self, *, share: bool = False) -> Iterator[bool]:
        """Hold the study as it is; true unless it is shared with another process. Raises as `writing` does."""
        with contextlib.ExitStack() as files:
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                lock, sharing, _ = (files.enter_context(open_in_place(self.path / name)) for name in _LOCKS)
                files.enter_context(self._present(lock))
            except OSError as error:
                raise InputError(f"study '{self.path}' cannot be written: {error.strerror}") from None
            holds = _try_lock(lock, fcntl.LOCK_EX)
            alone = holds and _try_lock(sharing, fcntl.LOCK_EX)
            if not alone and not share:
                lock.seek(0)
                holder = (lock.read(200).decode(errors="replace").strip() if not holds else "") or "another run"
                raise InputError(
                    f"study '{self.path}' is in use by {holder}: wait for it, or work beside it with --share"
                )
            if holds:
                lock.truncate(0)
                lock.seek(0)
                lock.write(f"process {os.getpid()} on {socket.gethostname()}".encode())
                lock.flush()
                fcntl.flock(sharing, fcntl.LOCK_UN)
            else:
                fcntl.flock(sharing, fcntl.LOCK_SH)
            yield alone
            if holds:
                lock.truncate(0)

    @contextlib.contextmanager
    def _present(self, lock: IO[bytes]) -> Iterator[None]:
        """While this is entered, `_changing` makes sure that the study is still where it was when `lock` was opened."""
        self._lock_opened = os.fstat(lock.fileno())
        try:
            yield
        finally:
            self._lock_opened = None

    def put_in_order(self, *, alone: bool = True) -> None:
        """Bring a held study to today's layout, and complete what a killed writer left half done."""
        self.mended = ""
        with self._changing():
            self._clear_away()
            if is_study(self.path):
                self.manifest, lost = read_manifest(self.path)
                self._migrate(alone)
                if not is_kept_twice(self.path):
                    write_manifest(self.path, self.manifest)
                self._say_mended(lost)
                self.lost = ""
            self._mend_journal()
            self._complete_renamed()

    def _clear_away(self) -> None:
        """What killed writers left half done under names of their own; an earlier attempt gets its name back."""
        for file in self.path.glob("study.yaml*.partial"):
            file.unlink(missing_ok=True)
        for folder in sorted((self.path / "trials").glob("*")):
            if folder.name.endswith(".partial"):
                shutil.rmtree(folder) if kind(folder) == "directory" else folder.unlink()
            elif folder.name.endswith(_REPLACED) and is_key(folder.name.removesuffix(_REPLACED)):
                home = folder.with_name(folder.name.removesuffix(_REPLACED))
                shutil.rmtree(folder) if home.exists() else folder.rename(home)

    def _say_mended(self, what: str) -> None:
        self.mended = "; ".join(filter(None, [self.mended, what]))

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """Held for each change, so that two runs that share a study make them one after the other.

        Raises `OSError` where the study's directory was moved or deleted since it was opened.
        """
        opened = self._lock_opened
        if opened is not None and not os.path.samestat(opened, (self.path / ".lock").stat()):
            raise FileNotFoundError(errno.ENOENT, "it was moved or replaced", str(self.path))
        with open_in_place(self.path / ".changing") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def claim(self, key: str) -> bool:
        """Take a trial to train it, for as long as this process lives or until `release`; false if another has it, or
        if it is no key."""
        if not is_key(key):
            return False
        if self._claims is None:
            self.ray_dir.mkdir(parents=True, exist_ok=True)
            self._claims = open_in_place(self.ray_dir / "claims")
        try:
            fcntl.lockf(self._claims, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, int(key, 16))  # a byte of its own
        except OSError:
            return False
        return True

    def release(self, key: str) -> None:
        if self._claims is not None:
            fcntl.lockf(self._claims, fcntl.LOCK_UN, 1, int(key, 16))

    def is_being_written(self) -> bool:
        """Whether a run holds the study now."""
        for name in (".lock", ".sharing"):
            with contextlib.suppress(FileNotFoundError, PermissionError), (self.path / name).open("r+b") as lock:
                # For a moment this holds what it looks at; a run that starts just then would be told it is in use.
                if not _try_lock(lock, fcntl.LOCK_SH if name == ".lock" else fcntl.LOCK_EX):
                    return True
        return False

    # Planning --------------------------------------------------------------------------------------------------------

    def plan(self, run: Run, *, threads: int, data_dir: Path | None, storage: str | None = None) -> None:
        """Add a run to the manifest, and write it."""
        with self._changing():
            self._plan(run, threads, data_dir, storage)

    def _plan(self, run: Run, threads: int, data_dir: Path | None, storage: str | None) -> None:
        if (self.path / MANIFEST).exists():  # who shares the study may have planned meanwhile
            self.manifest = read_manifest(self.path).manifest
        self.manifest = self.manifest.model_copy(
            update={
                "threads": self.manifest.threads or threads,
                "storage": storage or self.manifest.storage,
                "data_dir": str(data_dir.absolute()) if data_dir else self.manifest.data_dir,
                "runs": self.manifest.with_run(run),
            }
        )
        write_manifest(self.path, self.manifest)

    def _planned_levels(self) -> dict[str, dict[str, str]]:
        if self._planned is None or self._planned[0] is not self.manifest:
            self._planned = self.manifest, self.manifest.planned()
        return self._planned[1]

    # The trial table -------------------------------------------------------------------------------------------------

    @cached_property
    def _storage(self) -> optuna.storages.JournalStorage:
        import optuna
        from optuna.storages.journal import JournalFileBackend

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        return optuna.storages.JournalStorage(JournalFileBackend(str(self.path / JOURNAL)))

    @cached_property
    def optuna_study(self) -> optuna.Study:
        """The trial table, for Optuna's own tools."""
        import optuna

        return optuna.create_study(
            storage=self._storage, study_name=STUDY_NAME, directions=DIRECTIONS, load_if_exists=True
        )

    def records(self) -> dict[str, Record]:
        """Every trial that ended, by key, in the keys' order. Raises `InputError` if the journal is damaged."""
        return {key: known.record for key, known in self.journalled().items()}

    def journalled(self) -> dict[str, Journalled]:
        """Every trial that ended as the trial table has it, by key, in the keys' order. Raises as `records` does."""
        journal = self.path / JOURNAL
        if not journal.exists() or journal.stat().st_size == 0:
            return {}
        import optuna

        try:
            trials = optuna.load_study(storage=self._storage, study_name=STUDY_NAME).get_trials(deepcopy=False)
            for trial in trials[self._trials_read :]:
                attributes = trial.user_attrs
                record = Record.model_validate(attributes["record"])
                self._table[record.key] = Journalled(record, str(attributes.get("checksum", "")))
                self._trials_read += 1
        except Exception as error:  # Optuna fails in many ways on a line that is not as it was written
            raise InputError(
                f"'{journal}' is damaged ({type(error).__name__}): `ablate verify {self.path}` says where, and "
                "mends it with --repair"
            ) from None
        return dict(sorted(self._table.items()))

    def origin(self, record: Record) -> Origin:
        """What made a trial. Of an earlier version's trials it is what their plan says, or the study of all of them."""
        if record.origin is not None:
            return record.origin
        try:
            versions = versions_of_plan(self.read(record.key, PLAN))
        except (InputError, ValueError):
            versions = {}
        versions = versions or self.manifest.versions
        return Origin(**{name: versions[name][:80] for name in ("ablate", "torch", "numpy") if name in versions})

    def origins(self) -> dict[str, Origin]:
        """What made each trial that trained, by key."""
        return {key: self.origin(record) for key, record in self.records().items() if record.state != "trivial"}

    def record(self, key: str) -> Record | None:
        """What a trial's own folder says of it, or None if it has not ended: quicker than the whole table."""
        try:
            return read_record(self.trial_dir(key)) if is_key(key) else None
        except (OSError, ValueError):  # it is damaged, which `sound` says
            return None

    def forget_journal(self) -> None:
        """Read the trial table again, from its start, when it is next asked for: it was written anew."""
        self.__dict__.pop("_storage", None)
        self.__dict__.pop("optuna_study", None)
        self._trials_read, self._table = 0, {}

    def sound(self) -> Sound:
        """The trials that can be believed: the folder is the one that was journalled, and says what the journal says.

        Raises `InputError` if the journal is damaged.
        """
        records: dict[str, Record] = {}
        left_out: dict[str, str] = {}
        for key, known in self.journalled().items():
            try:
                own = Record.model_validate_json(self.read(key, "record.json"))
            except ValidationError:
                left_out[key] = "its record.json is no record"
            except InputError as error:
                left_out[key] = str(error)
            else:
                if own == known.record:
                    records[key] = own
                else:
                    left_out[key] = "its record.json is not what the trial table has"
        self.faults |= left_out
        return Sound(records, left_out)

    def said_of_faults(self) -> list[str]:
        """What must be said of everything that was made from this study: a sentence each."""
        lost = [f"{self.lost[:1].upper()}{self.lost[1:]}."] if self.lost else []
        mixed = [f"{label}: its seeds were made by several versions: {what}." for label, what in self.mixed.items()]
        return [*lost, *(f"Left out: {name}: {why}." for name, why in self.faults.items()), *mixed]

    def read(self, key: str, name: str) -> bytes:
        """A file of a trial that ended, as it was written: it is held against the checksums that were journalled.

        Raises `InputError` for a key that the study does not have, and for a file that is missing or was changed. In a
        study of schema 1, which has no checksums, it is read as it is.
        """
        digests = self.checksums(key)
        file = self.trial_dir(key) / name
        try:
            content = read_regular(file)
        except (OSError, ValueError):
            raise self._damaged(file) from None
        if digests is not None and digests.get(name) != sha256(content):
            raise self._damaged(file)
        return content

    def checksums(self, key: str) -> dict[str, str] | None:
        """The checksums of a trial's files by name; None in a study that has none. Raises as `read` does."""
        if key not in self._table and key not in self.journalled():
            raise unknown("key", key, self._table)
        expected = self._table[key].checksum
        if not expected and self.manifest.schema_version == 1:
            return None
        if expected not in self._digests:
            file = self.trial_dir(key) / CHECKSUMS
            try:
                content = read_regular(file)
                if sha256(content) != expected:
                    expected = self.journalled()[key].checksum  # another run may have put a later attempt in its place
                if sha256(content) != expected:
                    raise self._damaged(file)
                self._digests[expected] = parse_checksums(content)
            except (OSError, ValueError):
                raise self._damaged(file) from None
        return self._digests[expected]

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
        home = self.path / "trials" / key
        earlier = home.with_name(key + _REPLACED)
        return earlier if not home.exists() and earlier.exists() else home

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
        return InputError(f"'{file}' is damaged or missing: `ablate verify {self.path}` says what else is")

    # Measured cost ---------------------------------------------------------------------------------------------------

    def measurements(self) -> dict[str, Measured]:
        """Latency and peak memory by cell. Raises `InputError` if the file is damaged."""
        file = self.path / "measurements.json"
        try:
            found = json.loads(read_regular(file))
            if isinstance(found, dict) and set(found) == {"sha256", "measurements"}:
                digest, found = found["sha256"], found["measurements"]
                if digest != sha256(_canonical(found)):
                    raise ValueError("it is not what was written")
            return _MEASUREMENTS.validate_python(found)
        except FileNotFoundError:
            return {}
        except (ValueError, OSError, RecursionError) as error:  # ValidationError is a ValueError
            reason = explain(error) if isinstance(error, ValidationError) else getattr(error, "strerror", None) or error
            raise InputError(f"'{file}' cannot be read ({reason}): delete it, and measure again") from None

    def keep_measurements(self, measured: dict[str, Measured]) -> None:
        """Add measurements by cell, in place of earlier ones. For the one process that holds `writing()`."""
        kept = _MEASUREMENTS.dump_python(self.measurements() | measured, mode="json")
        sealed = {"sha256": sha256(_canonical(kept)), "measurements": kept}
        write_whole(self.path / "measurements.json", json.dumps(sealed, indent=1).encode())

    # Trials that end -------------------------------------------------------------------------------------------------

    @property
    def ray_dir(self) -> Path:
        return self.path / "ray"

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
        with self._changing():
            plan = {PLAN: plan_of(self.manifest, key)} if key in self._planned_levels() else {}
            shutil.rmtree(arriving.parent, ignore_errors=True)
            try:
                unpack(packed, arriving, plan)
                if not is_whole(arriving):
                    raise zipfile.BadZipFile(f"it is not trial {key} as it was packed")
                attempt = read_record(arriving)
                known = self.record(key)
                if attempt.state in ("failed", "stopped") and known is not None and known.state == "complete":
                    return attempt
                self._put_in_place(arriving, home)
            finally:
                shutil.rmtree(arriving.parent, ignore_errors=True)
            return self._journal(key)

    def _put_in_place(self, arriving: Path, home: Path) -> None:
        """Rename a folder into `trials/`. A kill leaves the earlier attempt, whole, under one of its two names."""
        earlier = home.with_name(home.name + _REPLACED)
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

    def _journal(self, key: str) -> Record:
        import optuna

        record, levels = read_record(self.trial_dir(key)), self._planned_levels().get(key, {})
        state, values = outcome(record)
        self.optuna_study.add_trial(
            optuna.trial.create_trial(
                state=state,
                values=values,
                params=levels,
                distributions={
                    name: optuna.distributions.CategoricalDistribution((level,)) for name, level in levels.items()
                },
                user_attrs={"record": record.model_dump(), "checksum": checksum(self.trial_dir(key))},
            )
        )
        return record

    def _migrate(self, alone: bool) -> None:
        from ablate.study.migration import COPY, migrate

        old = self.manifest.schema_version
        if old >= VERSION:
            return
        if not alone:
            raise InputError(f"'{self.path}' has study schema {old} and a run holds it: wait for its end, then migrate")
        self.manifest = migrate(self.path, self.manifest)
        self.forget_journal()
        self._say_mended(
            f"'{self.path}' was brought from study schema {old} to {VERSION}; the old files are in {COPY}/"
        )

    def _mend_journal(self) -> None:
        """Drop a last line that a kill or a power failure cut short, and a lock that its holder left."""
        journal = self.path / JOURNAL
        if journal.exists():
            with open_in_place(journal) as file:
                file.seek(0)
                content = file.read()
                last = content[content.rstrip(b"\n").rfind(b"\n") + 1 :]
                if last and not (last.endswith(b"\n") and _is_json(last)):
                    file.truncate(len(content) - len(last))
                    self._say_mended(f"the last line of '{journal}' was cut short (a power failure?) and is dropped")
        # We hold the lock under which the journal is written, so no living writer holds this one.
        (self.path / f"{JOURNAL}.lock").unlink(missing_ok=True)

    def _complete_renamed(self) -> None:
        """Journal what was renamed into place and not journalled; what is not whole is left for `ablate verify`."""
        journalled = self.journalled()
        for folder in sorted((self.path / "trials").glob("*")):
            known = journalled.get(folder.name)
            if not is_key(folder.name):
                continue  # `ablate verify` names it
            if known and known.checksum == checksum(folder):
                continue
            if is_whole(folder) and (known is None or _is_later(read_record(folder), known.record)):
                self._journal(folder.name)

    # Logs ------------------------------------------------------------------------------------------------------------

    def log(self, key: str, text: str) -> None:
        """Append to a trial's log, each line with the time (UTC)."""
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")
        file = self.path / "logs" / f"{key}.log"
        file.parent.mkdir(exist_ok=True)
        with open_in_place(file) as log:
            log.writelines(f"{now} {line}\n".encode() for line in text.splitlines())


def _is_later(attempt: Record, known: Record) -> bool:
    """Whether an attempt took a known one's place: that had not completed, or was of another version."""
    return known.state not in ("complete", "trivial") or attempt.origin != known.origin


def _try_lock(file: IO[bytes], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _canonical(content: Any) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
