"""What a study has of what is planned, and is given before anything is trained. Nothing here needs Ray.

PyTorch is loaded only where there is something to be made.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from ablate.errors import Halted, InputError
from ablate.origin import made_otherwise
from ablate.runners.execution.storage import PathStorage, StorageError, StoredCheckpoint
from ablate.study.pictures import keep_pictures, pictures_dir

if TYPE_CHECKING:
    from ablate.data.dataset import Dataset
    from ablate.part import DataPart
    from ablate.search_spaces.plan import Planned
    from ablate.study.records import Record
    from ablate.study.study import Study
    from ablate.trial import TrialConfig


def score_trivial(study: Study, trials: list[TrialConfig], dataset_of: Callable[[DataPart], Dataset]) -> None:
    """Put the trivial predictors of every data set and split into the study, with the test images to look at.

    Pictures that were lost, of those or of what these trials predicted, are made again.
    """
    from ablate.study.samples import make_samples_again

    known = study.records()
    distinct = {row.key: row for trial in trials for row in trial.trivial()}
    for key, row in distinct.items():
        dataset = dataset_of(row.data)
        keep_pictures(pictures_dir(study.path, row), dataset, dataset.split(row.protocol.split).test)
        if key not in known:
            from ablate.runners.execution.trainable import make_record
            from ablate.study.trial_folder import pack
            from ablate.training.loop import judge_trivial

            result = judge_trivial(row, dataset)
            study.accept(key, pack(row, make_record(row, 0, 0, [], result), [], result))
    make_samples_again(study, [*distinct.values(), *trials], dataset_of)


def missing_trials(
    study: Study,
    trials: list[Planned],
    *,
    retry_failed: bool = False,
    finish_stopped: bool = True,
    again: Collection[str] = (),
) -> list[Planned]:
    """The planned trials that have not ended; those that failed, that a scheduler stopped, or of the keys `again`. What
    was stopped for want of budget has not ended."""
    states = ({"failed"} if retry_failed else set()) | ({"stopped"} if finish_stopped else set())
    sound = study.sound()
    done = {key for key, record in sound.records.items() if record.state not in states and not record.out_of_budget}
    ended = done - set(again)
    ended |= sound.left_out.keys()  # what is damaged is for `ablate verify`
    return [planned for planned in trials if planned.key not in ended]


def epochs_had(study: Study, trials: Iterable[Planned], storage_path: str | None) -> dict[str, int]:
    """Epochs that trials have had, by key: of those that ended, and of those that would go on from a checkpoint.

    Raises `Halted` where the storage cannot be read.
    """
    from ablate.origin import origin_of
    from ablate.runners.execution.trainable import checkpoint_name
    from ablate.training.checkpoint import epochs_in

    home, records = PathStorage(place(study, storage_path)), study.records()
    had = {}
    try:
        kept = set(home.names("checkpoints"))
        for planned in trials:
            name, record = checkpoint_name(planned.key), records.get(planned.key)
            had[planned.key] = record.epochs if record else 0
            if name in kept:
                maker = "/".join(origin_of(planned.config).decides)
                saved = StoredCheckpoint(home, name, maker).read()
                had[planned.key] = max(had[planned.key], epochs_in(saved, planned.key) if saved else 0)
    except StorageError as error:
        raise Halted(f"{error}: make it reachable, then run the same command") from None
    return had


def take_arrivals(study: Study, storage_path: str | None) -> None:
    """Take in the finished trials that a killed driver left in the storage. Within `study.writing()`."""
    home = PathStorage(place(study, storage_path))
    try:
        home.prepare()
        for name in home.names("arrivals"):
            key = Path(name).stem
            if not study.claim(key):
                continue
            if not _is_done(study, study.record(key)):
                try:
                    study.accept(key, home.read(name) or b"")
                except zipfile.BadZipFile:
                    pass  # it goes on from its checkpoint
                else:
                    from ablate.runners.execution.trainable import checkpoint_name

                    home.delete(checkpoint_name(key))
            home.delete(name)
            study.release(key)
        for name in home.names("checkpoints"):  # a driver may die between a trial's end and its checkpoint's
            if _is_done(study, study.record(Path(name).stem)):
                home.delete(name)
    except StorageError as error:
        raise Halted(f"{error}: make it reachable, then run the same command") from None


def _is_done(study: Study, record: Record | None) -> bool:
    """Whether a trial ended for good: what failed or was stopped may be tried again, another version's made anew."""
    if record is None or record.state in ("failed", "stopped"):
        return False
    try:
        return not made_otherwise(study, record, study.config(record.key))
    except InputError:  # its configuration was damaged: what arrives is whole
        return False


def place(study: Study, storage_path: str | None) -> str:
    """The study's own folder in the storage: several studies may share one."""
    if storage_path is None:
        return str(study.ray_dir.absolute())
    if "://" not in storage_path:
        return str(Path(storage_path).absolute() / study.manifest.id)
    parts = urlsplit(storage_path)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{study.manifest.id}"))
