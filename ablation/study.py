"""The study: a directory that holds trials, each addressed by its key.

    study.yaml        what was planned: the runs (space, profile, trials with their levels), versions, threads
    optuna.journal    the trial table, an Optuna study
    trials/<key>/     what is kept of a trial that ended: see `trial_folder`
    logs/<key>.log    when and where a trial ran, and what it printed
    data/<print>/     the test images and masks, to look at
    measurements.json latency and peak memory of each cell's network, where they were measured
    ray/              scratch: checkpoints of unfinished trials, trials on their way in, what running drivers tell

A finished trial enters in two steps, each atomic: its folder is renamed into `trials/`, then it is journalled. What a
kill leaves between the two is completed when the study is next opened for writing.

Three locks, all of which die with their process: a run holds the study (`writing`), unless it shares it; whoever
trains a trial holds that trial (`claim`); and each change of what is on disk is made under a short lock.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import fcntl
import importlib.metadata
import json
import os
import shutil
import socket
import uuid
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from ablation.config import TrialConfig, explain
from ablation.errors import InputError, unknown
from ablation.measure import Measured
from ablation.trial_folder import Record, checksum, grey_levels, is_whole, picture_name, png, read_record, unpack

if TYPE_CHECKING:
    import optuna
    import pandas as pd

    from ablation.data import Dataset

VERSION = 2
"""Of the directory's layout. (`ablation.config.SCHEMA_VERSION` is of a trial's configuration, and in its key.)"""
JOURNAL = "optuna.journal"
_LOCKS = (".lock", ".sharing", ".changing")
STUDY_NAME = "ablate"
DIRECTIONS: list[Literal["maximize", "minimize"]] = ["maximize", "minimize", "minimize"]
"""Of a trial's values: validation Dice, parameters, MACs."""
_MEASUREMENTS = TypeAdapter(dict[str, Measured])


class Run(BaseModel):
    """A space as it was planned into the study: its trials, each with the level of every factor."""

    model_config = ConfigDict(extra="forbid")

    space: str
    question: str
    profile: str
    design: str
    factors: dict[str, list[str]]
    definition: dict[str, Any]
    trials: dict[str, dict[str, str]]

    def merged(self, other: Run) -> Run:
        """This run with what an earlier one of the same space and profile had planned."""
        factors = {
            name: list(dict.fromkeys([*other.factors.get(name, []), *levels])) for name, levels in self.factors.items()
        }
        return self.model_copy(update={"factors": factors, "trials": other.trials | self.trials})


class Manifest(BaseModel):
    """`study.yaml`."""

    model_config = ConfigDict(extra="forbid")

    schema_version: int = VERSION
    id: str = ""
    """Told from every other study's, wherever this one is moved."""
    storage: str | None = None
    """Where workers leave checkpoints and finished trials, if not in `ray/`."""
    threads: int | None = None
    """CPU threads of each trial. One and two threads differ in the fifth digit, so a study keeps to one number."""
    data_dir: str | None = None
    versions: dict[str, str] = Field(default_factory=dict)
    runs: list[Run] = Field(default_factory=list)

    def planned(self) -> dict[str, dict[str, str]]:
        """Every planned key, with its levels as `space.factor`: the union over runs."""
        planned: dict[str, dict[str, str]] = {}
        for run in self.runs:
            for key, levels in run.trials.items():
                planned.setdefault(key, {}).update({f"{run.space}.{name}": level for name, level in levels.items()})
        return planned


class Journalled(NamedTuple):
    """A trial as the trial table has it, with the checksum of its folder (empty in a study of schema 1)."""

    record: Record
    checksum: str


def outcome(record: Record) -> tuple[optuna.trial.TrialState, list[float] | None]:
    """What the trial table says of a trial to Optuna: its state, and its values."""
    from optuna.trial import TrialState

    states = {"failed": TrialState.FAIL, "stopped": TrialState.PRUNED}
    if record.state in states:
        return states[record.state], None
    return TrialState.COMPLETE, [record.val_dice or 0.0, record.params, record.macs]


def versions() -> dict[str, str]:
    """The versions that a trial's numbers depend on."""
    return {name: importlib.metadata.version(name) for name in ("ablate", "numpy", "optuna", "ray", "torch")}


class Study:
    """A study directory. Anyone may read; who writes must hold `writing()`."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest
        self.mended = ""
        """What `writing` had to do to what it found, for people."""
        self._read: list[Journalled] = []
        self._claims: IO[bytes] | None = None
        self._lock_opened: os.stat_result | None = None
        self._planned: tuple[Manifest, dict[str, dict[str, str]]] | None = None

    # Opening ---------------------------------------------------------------------------------------------------------

    @classmethod
    def open(cls, path: Path) -> Study:
        """The study at `path`. Raises `InputError` if there is none, or if a newer version wrote it."""
        file = path / "study.yaml"
        try:
            content = yaml.safe_load(file.read_text())
        except (FileNotFoundError, NotADirectoryError):
            raise InputError(f"'{path}' is not a study (it has no study.yaml): give the directory of a run") from None
        except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
            raise InputError(f"'{file}' cannot be read: {' '.join(str(error).split())}") from None
        version = content.get("schema_version") if isinstance(content, dict) else None
        if isinstance(version, int) and version > VERSION:
            raise InputError(
                f"'{path}' has study schema {version}, this ablate knows {VERSION}: install a newer ablate"
            )
        try:
            return cls(path, Manifest.model_validate(content))
        except ValidationError as error:
            raise InputError(f"'{file}' is not a study's: {explain(error)}") from None

    @classmethod
    def open_or_new(cls, path: Path) -> Study:
        """The study at `path`, or a new one, which exists on disk once something is planned."""
        if (path / "study.yaml").exists():
            return cls.open(path)
        if path.exists() and (not path.is_dir() or any(f.name not in _LOCKS for f in path.iterdir())):
            raise InputError(f"'{path}' is neither a study nor an empty directory: give --study another path")
        return cls(path, Manifest(id=uuid.uuid4().hex))

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
                lock, sharing = (files.enter_context((self.path / name).open("a+")) for name in (".lock", ".sharing"))
                files.enter_context(self._present(lock))
            except OSError as error:
                raise InputError(f"study '{self.path}' cannot be written: {error.strerror}") from None
            holds = _try_lock(lock, fcntl.LOCK_EX)
            alone = holds and _try_lock(sharing, fcntl.LOCK_EX)
            if not alone and not share:
                lock.seek(0)
                holder = (lock.read().strip() if not holds else "") or "another run"
                raise InputError(
                    f"study '{self.path}' is in use by {holder}: wait for it, or work beside it with --share"
                )
            if holds:
                lock.truncate(0)
                lock.write(f"process {os.getpid()} on {socket.gethostname()}")
                lock.flush()
                fcntl.flock(sharing, fcntl.LOCK_UN)
            else:
                fcntl.flock(sharing, fcntl.LOCK_SH)
            yield alone
            if holds:
                lock.truncate(0)

    @contextlib.contextmanager
    def _present(self, lock: IO[str]) -> Iterator[None]:
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
            if (self.path / "study.yaml").exists():
                self.manifest = Study.open(self.path).manifest
            self._migrate(alone)
            self._mend_journal()
            self._complete_renamed()

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """Held for each change, so that two runs that share a study make them one after the other.

        Raises `OSError` where the study's directory was moved or deleted since it was opened.
        """
        opened = self._lock_opened
        if opened is not None and not os.path.samestat(opened, (self.path / ".lock").stat()):
            raise FileNotFoundError(errno.ENOENT, "it was moved or replaced", str(self.path))
        with (self.path / ".changing").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def claim(self, key: str) -> bool:
        """Take a trial to train it, for as long as this process lives or until `release`; false if another has it."""
        if self._claims is None:
            self.ray_dir.mkdir(parents=True, exist_ok=True)
            self._claims = (self.ray_dir / "claims").open("w+b")
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
            with contextlib.suppress(FileNotFoundError, PermissionError), (self.path / name).open("r+") as lock:
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
        if (self.path / "study.yaml").exists():  # who shares the study may have planned meanwhile
            self.manifest = Study.open(self.path).manifest
        runs = {(earlier.space, earlier.profile): earlier for earlier in self.manifest.runs}
        place = (run.space, run.profile)
        runs[place] = run.merged(runs[place]) if place in runs else run
        self.manifest = self.manifest.model_copy(
            update={
                "threads": self.manifest.threads or threads,
                "storage": storage or self.manifest.storage,
                "data_dir": str(data_dir.absolute()) if data_dir else self.manifest.data_dir,
                "versions": versions(),
                "runs": list(runs.values()),
            }
        )
        write_manifest(self.path, self.manifest)

    def _levels(self, key: str) -> dict[str, str]:
        if self._planned is None or self._planned[0] is not self.manifest:
            self._planned = self.manifest, self.manifest.planned()
        return self._planned[1].get(key, {})

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
            for trial in trials[len(self._read) :]:
                attributes = trial.user_attrs
                record = Record.model_validate(attributes["record"])
                self._read.append(Journalled(record, attributes.get("checksum", "")))
        except Exception as error:  # Optuna fails in many ways on a line that is not as it was written
            raise InputError(
                f"'{journal}' is damaged ({type(error).__name__}): `ablate verify {self.path}` says where, and "
                "mends it with --repair"
            ) from None
        return {known.record.key: known for known in sorted(self._read, key=lambda known: known.record.key)}

    def record(self, key: str) -> Record | None:
        """What a trial's own folder says of it, or None if it has not ended: quicker than the whole table."""
        try:
            return read_record(self.trial_dir(key))
        except FileNotFoundError:
            return None

    def forget_journal(self) -> None:
        """Read the trial table again, from its start, when it is next asked for: it was written anew."""
        self.__dict__.pop("_storage", None)
        self.__dict__.pop("optuna_study", None)
        self._read = []

    def config(self, key: str) -> TrialConfig:
        """The configuration of a trial that ended. Raises `InputError` for a key that the study does not have."""
        file = self.trial_dir(key) / "config.json"
        try:
            return TrialConfig.model_validate_json(file.read_bytes())
        except (OSError, ValidationError):
            records = self.records()
            raise self._damaged(file) if key in records else unknown("key", key, records) from None

    def trial_dir(self, key: str) -> Path:
        return self.path / "trials" / key

    def table(self, key: str, name: Literal["epochs", "images"]) -> pd.DataFrame:
        """One of a trial's two tables; see DESIGN's columns. Raises `InputError` if it cannot be read."""
        import pandas as pd

        file = self.trial_dir(key) / f"{name}.parquet"
        try:
            return pd.read_parquet(file)
        except (OSError, ValueError):
            raise self._damaged(file) from None

    def _damaged(self, file: Path) -> InputError:
        return InputError(f"'{file}' is damaged or missing: `ablate verify {self.path}` says what else is")

    # Measured cost ---------------------------------------------------------------------------------------------------

    def measurements(self) -> dict[str, Measured]:
        """Latency and peak memory by cell. Raises `InputError` if the file is damaged."""
        file = self.path / "measurements.json"
        try:
            return _MEASUREMENTS.validate_json(file.read_bytes())
        except FileNotFoundError:
            return {}
        except (ValidationError, OSError) as error:
            reason = explain(error) if isinstance(error, ValidationError) else error.strerror
            raise InputError(f"'{file}' cannot be read ({reason}): delete it, and measure again") from None

    def keep_measurements(self, measured: dict[str, Measured]) -> None:
        """Add measurements by cell, in place of earlier ones. For the one process that holds `writing()`."""
        kept = self.measurements() | measured
        _write(self.path / "measurements.json", _MEASUREMENTS.dump_json(kept, indent=1).decode())

    # Trials that end -------------------------------------------------------------------------------------------------

    @property
    def ray_dir(self) -> Path:
        return self.path / "ray"

    def interrupted(self) -> set[str]:
        """Keys of the trials that left a checkpoint in the study, whether they are running or not."""
        return {file.stem for file in (self.ray_dir / "checkpoints").glob("*.safetensors")}

    def accept(self, key: str, packed: bytes) -> Record:
        """Take a packed trial into the study, in place of an earlier attempt. Within `writing()` only.

        Raises `zipfile.BadZipFile` for what is no whole archive, and `OSError` where it cannot be written; the study
        is then as it was.
        """
        home = self.trial_dir(key)
        partial = home.with_name(f"{key}.partial")
        with self._changing():
            try:
                unpack(packed, partial)
                if home.exists():  # a trial tried again
                    shutil.rmtree(home)
                partial.rename(home)
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise
            return self._journal(key)

    def _journal(self, key: str) -> Record:
        import optuna

        record, levels = read_record(self.trial_dir(key)), self._levels(key)
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
        from ablation.migration import COPY, migrate

        old = self.manifest.schema_version
        if old == VERSION:
            return
        if not alone:
            raise InputError(f"'{self.path}' has study schema {old} and a run holds it: wait for its end, then migrate")
        self.manifest = migrate(self.path, self.manifest)
        self.forget_journal()
        self.mended = f"'{self.path}' was brought from study schema {old} to {VERSION}; the old files are in {COPY}/"

    def _mend_journal(self) -> None:
        """Drop a last line that a kill or a power failure cut short, and a lock that its holder left."""
        journal = self.path / JOURNAL
        if journal.exists():
            content = journal.read_bytes()
            last = content[content.rstrip(b"\n").rfind(b"\n") + 1 :]
            if last and not (last.endswith(b"\n") and _is_json(last)):
                os.truncate(journal, len(content) - len(last))
                self.mended = f"the last line of '{journal}' was cut short (a power failure?) and is dropped"
        # We hold the lock under which the journal is written, so no living writer holds this one.
        (self.path / f"{JOURNAL}.lock").unlink(missing_ok=True)

    def _complete_renamed(self) -> None:
        """Journal what was renamed into place and not journalled; what is not whole is left for `ablate verify`."""
        journalled = self.journalled()
        for folder in sorted((self.path / "trials").glob("*")):
            known = journalled.get(folder.name)
            if folder.name.endswith(".partial"):
                shutil.rmtree(folder)
            elif known and (known.record.state in ("complete", "trivial") or known.checksum == checksum(folder)):
                continue
            elif is_whole(folder):
                self._journal(folder.name)

    # Logs ------------------------------------------------------------------------------------------------------------

    def log(self, key: str, text: str) -> None:
        """Append to a trial's log, each line with the time (UTC)."""
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")
        file = self.path / "logs" / f"{key}.log"
        file.parent.mkdir(exist_ok=True)
        with file.open("a") as log:
            log.writelines(f"{now} {line}\n" for line in text.splitlines())

    # Pictures --------------------------------------------------------------------------------------------------------

    def pictures_dir(self, trial: TrialConfig) -> Path:
        """Where the test images and masks of a trial's data and split are kept to look at."""
        height, width = trial.data.size
        return self.path / "data" / f"{trial.data.fingerprint}-{height}x{width}"

    def keep_pictures(self, trial: TrialConfig, dataset: Dataset, indices: tuple[int, ...]) -> None:
        """Store test images (8-bit grey or RGB) and masks as PNG, once."""
        import numpy as np

        folder = self.pictures_dir(trial)
        folder.mkdir(parents=True, exist_ok=True)
        for index in indices:
            image, mask = (folder / f"{picture_name(dataset.ids[index])}{suffix}.png" for suffix in ("", "_mask"))
            if not image.exists() or not mask.exists():
                pixels = np.clip(dataset.images[index] * 127.5 + 127.5, 0, 255).round().astype(np.uint8)
                image.write_bytes(png(pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, -1)))
                mask.write_bytes(png(grey_levels(dataset.masks[index], dataset.config.classes)))


def _try_lock(file: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def write_manifest(path: Path, manifest: Manifest) -> None:
    _write(path / "study.yaml", yaml.safe_dump(manifest.model_dump(), sort_keys=False, width=120))


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _write(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text)
    partial.replace(path)
