"""The study: a directory that holds trials, each addressed by its key.

    study.yaml        what was planned: the runs (space, profile, trials with their levels), versions, threads
    optuna.journal    the trial table, an Optuna study
    trials/<key>/     config.json, record.json, epochs.parquet, images.parquet, model.safetensors, samples/
    data/<print>/     the test images and masks, to look at
    measurements.json latency and peak memory of each cell's network, where they were measured
    ray/              scratch: checkpoints of unfinished trials, trials on their way in, Ray's own state

A finished trial enters in two steps, each atomic: its folder is renamed into `trials/`, then it is journalled. What a
kill leaves between the two is completed when the study is next opened for writing.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.metadata
import io
import os
import shutil
import socket
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from ablation.config import SCHEMA_VERSION, TrialConfig, explain
from ablation.errors import InputError, unknown
from ablation.measure import Measured

if TYPE_CHECKING:
    import optuna
    import pandas as pd

    from ablation.data import Dataset
    from ablation.training import Epoch, Result

State = Literal["complete", "failed", "trivial"]
_STUDY_NAME = "ablate"
_DIRECTIONS: list[Literal["maximize", "minimize"]] = ["maximize", "minimize", "minimize"]
"""Of a trial's values: validation Dice, parameters, MACs."""
_MEASUREMENTS = TypeAdapter(dict[str, Measured])


class Record(BaseModel):
    """What is known of a trial that ended. Durations are in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    cell: str
    model: str
    seed: int
    state: State
    params: int
    macs: int
    epochs: int = 0
    best_epoch: int | None = None
    train_seconds: float = 0.0
    val_dice: float | None = None
    val_iou: float | None = None
    val_miou: float | None = None
    error: str | None = None
    device: str = "cpu"
    precision: str = "float32"
    threads: int = 1


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

    schema_version: int = SCHEMA_VERSION
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


def versions() -> dict[str, str]:
    """The versions that a trial's numbers depend on."""
    return {name: importlib.metadata.version(name) for name in ("ablate", "numpy", "optuna", "ray", "torch")}


class Study:
    """A study directory. Anyone may read; who writes must hold `writing()`."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest

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
        if isinstance(version, int) and version > SCHEMA_VERSION:
            raise InputError(
                f"'{path}' has study schema {version}, this ablate knows {SCHEMA_VERSION}: install a newer ablate"
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
        if path.exists() and (not path.is_dir() or any(f.name != ".lock" for f in path.iterdir())):
            raise InputError(f"'{path}' is neither a study nor an empty directory: give --study another path")
        return cls(path, Manifest())

    @contextlib.contextmanager
    def writing(self) -> Iterator[Study]:
        """Hold the study's lock, which dies with the process, and complete what a killed writer left half done."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = (self.path / ".lock").open("a+")
        except OSError as error:
            raise InputError(f"study '{self.path}' cannot be written: {error.strerror}") from None
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                lock.seek(0)
                raise InputError(f"study '{self.path}' is in use by {lock.read().strip() or 'another run'}") from None
            lock.truncate(0)
            lock.write(f"process {os.getpid()} on {socket.gethostname()}")
            lock.flush()
            if (self.path / "study.yaml").exists():
                self.manifest = Study.open(self.path).manifest
            self._mend_journal()
            self._complete_arrivals()
            yield self
            lock.truncate(0)

    def is_being_written(self) -> bool:
        """Whether a run holds the study now."""
        try:
            with (self.path / ".lock").open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return False

    # Planning --------------------------------------------------------------------------------------------------------

    def plan(self, run: Run, *, threads: int, data_dir: Path | None) -> None:
        """Add a run to the manifest, and write it."""
        runs = {(earlier.space, earlier.profile): earlier for earlier in self.manifest.runs}
        place = (run.space, run.profile)
        runs[place] = run.merged(runs[place]) if place in runs else run
        self.manifest = self.manifest.model_copy(
            update={
                "threads": self.manifest.threads or threads,
                "data_dir": str(data_dir.absolute()) if data_dir else self.manifest.data_dir,
                "versions": versions(),
                "runs": list(runs.values()),
            }
        )
        _write(self.path / "study.yaml", yaml.safe_dump(self.manifest.model_dump(), sort_keys=False, width=120))

    # The trial table -------------------------------------------------------------------------------------------------

    @cached_property
    def _storage(self) -> optuna.storages.JournalStorage:
        import optuna
        from optuna.storages.journal import JournalFileBackend

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        return optuna.storages.JournalStorage(JournalFileBackend(str(self.path / "optuna.journal")))

    @cached_property
    def optuna_study(self) -> optuna.Study:
        """The trial table, for Optuna's own tools."""
        import optuna

        return optuna.create_study(
            storage=self._storage, study_name=_STUDY_NAME, directions=_DIRECTIONS, load_if_exists=True
        )

    def records(self) -> dict[str, Record]:
        """Every trial that ended, by key, in the keys' order."""
        if not (self.path / "optuna.journal").exists():
            return {}
        import optuna

        try:
            journalled = optuna.load_study(storage=self._storage, study_name=_STUDY_NAME).get_trials(deepcopy=False)
        except KeyError:
            return {}
        records = (Record.model_validate(trial.user_attrs["record"]) for trial in journalled)
        return {record.key: record for record in sorted(records, key=lambda record: record.key)}

    def config(self, key: str) -> TrialConfig:
        """The configuration of a trial that ended. Raises `InputError` for a key that the study does not have."""
        try:
            return TrialConfig.model_validate_json((self.trial_dir(key) / "config.json").read_text())
        except FileNotFoundError:
            raise unknown("key", key, self.records()) from None

    def trial_dir(self, key: str) -> Path:
        return self.path / "trials" / key

    def table(self, key: str, name: Literal["epochs", "images"]) -> pd.DataFrame:
        """One of a trial's two tables; see DESIGN's columns."""
        import pandas as pd

        return pd.read_parquet(self.trial_dir(key) / f"{name}.parquet")

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

    # Trials on their way in ------------------------------------------------------------------------------------------

    @property
    def ray_dir(self) -> Path:
        return self.path / "ray"

    @property
    def arrivals(self) -> Path:
        """Where workers put the folders of finished trials."""
        return self.ray_dir / "arrivals"

    def checkpoint(self, key: str) -> Path:
        """Where an unfinished trial keeps its last epoch."""
        return self.ray_dir / "checkpoints" / f"{key}.safetensors"

    def unfinished(self) -> set[str]:
        """Keys of the trials that have a checkpoint: running now, or interrupted."""
        return {file.stem for file in (self.ray_dir / "checkpoints").glob("*.safetensors")}

    def accept(self, key: str) -> Record:
        """Take a finished trial from the arrivals into the study. For the one process that holds `writing()`."""
        arrived, home = self.arrivals / key, self.trial_dir(key)
        home.parent.mkdir(exist_ok=True)
        if home.exists():  # a trial tried again
            shutil.rmtree(home)
        arrived.rename(home)
        return self._journal(key)

    def _journal(self, key: str) -> Record:
        import optuna

        record = Record.model_validate_json((self.trial_dir(key) / "record.json").read_text())
        levels = self.manifest.planned().get(key, {})
        complete = record.state != "failed"
        self.optuna_study.add_trial(
            optuna.trial.create_trial(
                state=optuna.trial.TrialState.COMPLETE if complete else optuna.trial.TrialState.FAIL,
                values=[record.val_dice or 0.0, record.params, record.macs] if complete else None,
                params=levels,
                distributions={
                    name: optuna.distributions.CategoricalDistribution((level,)) for name, level in levels.items()
                },
                user_attrs={"record": record.model_dump()},
            )
        )
        self.checkpoint(key).unlink(missing_ok=True)
        return record

    def _mend_journal(self) -> None:
        """Drop a last line that a kill or a power failure cut short, and a lock that its holder left."""
        journal = self.path / "optuna.journal"
        if journal.exists():
            content = journal.read_bytes()
            if content and not content.endswith(b"\n"):
                os.truncate(journal, content.rfind(b"\n") + 1)
        # We hold the study's own lock, so no living writer holds this one.
        (self.path / "optuna.journal.lock").unlink(missing_ok=True)

    def _complete_arrivals(self) -> None:
        known = self.records()
        for file in sorted((self.path / "trials").glob("*/record.json")):
            if known.get(file.parent.name) != Record.model_validate_json(file.read_text()):
                self._journal(file.parent.name)
        for folder in sorted(self.arrivals.glob("*")):
            if folder.name.endswith(".partial"):
                shutil.rmtree(folder)
            else:
                self.accept(folder.name)

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


def write_trial(arrivals: Path, trial: TrialConfig, record: Record, epochs: list[Epoch], result: Result | None) -> None:
    """Put an ended trial's folder among the arrivals, whole or not at all. A failed trial has no `result`."""
    import pandas as pd
    from safetensors.torch import save_file

    partial = arrivals / f"{trial.key}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    (partial / "config.json").write_text(trial.model_dump_json(indent=1))
    (partial / "record.json").write_text(record.model_dump_json(indent=1))
    columns = ["epoch", "train_loss", "val_loss", "val_dice", "val_iou", "val_miou", "seconds", "images_per_second"]
    frame = pd.DataFrame(epochs, columns=columns)
    frame.insert(0, "key", trial.key)
    frame.to_parquet(partial / "epochs.parquet", index=False)
    if result is not None:
        _image_table(trial.key, result).to_parquet(partial / "images.parquet", index=False)
        if result.weights:
            save_file(result.weights, partial / "model.safetensors")
        (partial / "samples").mkdir()
        for image, prediction in zip(result.ids, result.predictions, strict=True):
            sample = partial / "samples" / f"{picture_name(image)}.png"
            sample.write_bytes(png(grey_levels(prediction, trial.data.classes)))
    final = arrivals / trial.key
    shutil.rmtree(final, ignore_errors=True)
    partial.rename(final)


def _image_table(key: str, result: Result) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    from ablation.metrics import COUNTS

    images, classes, _ = result.counts.shape
    frame = pd.DataFrame(result.counts.reshape(-1, len(COUNTS)), columns=list(COUNTS))
    frame.insert(0, "key", key)
    frame.insert(1, "image", np.repeat(np.array(result.ids, dtype=object), classes))
    frame.insert(2, "class", np.tile(np.arange(classes), images))
    return frame


def picture_name(image: str) -> str:
    """A file name for an image's id (which may hold slashes)."""
    return image.replace("/", "__")


def grey_levels(mask: Any, classes: int) -> Any:
    """Class indices as grey levels that can be told apart: the last class is white."""
    import numpy as np

    return np.asarray(mask * (255 // max(classes - 1, 1)), dtype=np.uint8)


def png(pixels: Any) -> bytes:
    """Pixels (H, W) or (H, W, 3) of uint8 as a PNG file."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return file.getvalue()


def _write(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text)
    partial.replace(path)
