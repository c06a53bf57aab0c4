"""A study that an older version wrote, brought to today's layout, with a copy of what changes kept beside it.

Schema 1 had no checksums, and finished trials came in as folders, `ray/arrivals/<key>/`. Schema 2 had the versions of
the last run for all trials; they are kept for those that do not say their own. Whatever can be read of such a study can
be read without this; only who writes it migrates it.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from ablate.study.manifest import VERSION, is_key
from ablate.study.trial_folder import checksum, read_record, write_checksums

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from ablate.study.manifest import Manifest

COPY = f"before-schema-{VERSION}"


def migrate(path: Path, manifest: Manifest) -> Manifest:
    """Bring the study at `path` from an older schema to today's; the new manifest.

    study.yaml is written last: what is killed before that is of the older schema still, and migrates again.
    """
    from ablate.study.manifest import new_id, write_manifest

    _keep_copy(path)
    if manifest.schema_version == 1:
        _add_checksums(path)
    new = manifest.model_copy(update={"schema_version": VERSION, "id": manifest.id or new_id()})
    write_manifest(path, new)
    return new


def _add_checksums(path: Path) -> None:
    from ablate.study.journal import read_journal, write_journal

    _take_arrivals(path)
    for folder in (path / "trials").glob("*"):
        write_checksums(folder)
    journal = path / "optuna.journal"
    if journal.exists():
        write_journal(journal, _with_checksums(read_journal(journal).trials, path / "trials"))


def _keep_copy(path: Path) -> None:
    """A copy of the first attempt, where there were several: it alone has the old files."""
    copy = path / COPY
    if copy.exists():
        return
    partial = copy.with_name(f"{COPY}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    for name in ("study.yaml", "optuna.journal"):
        if (path / name).exists():
            shutil.copy2(path / name, partial)
    partial.rename(copy)


def _take_arrivals(path: Path) -> None:
    """Finished trials on their way in are renamed into place; the study then journals them as after any kill."""
    for folder in sorted((path / "ray" / "arrivals").glob("*/")):
        if folder.name.endswith(".partial"):
            shutil.rmtree(folder)
        if not is_key(folder.name):
            continue
        home = path / "trials" / folder.name
        home.parent.mkdir(exist_ok=True)
        if home.exists():  # a trial tried again
            shutil.rmtree(home)
        folder.rename(home)


def _with_checksums(trials: list[FrozenTrial], folders: Path) -> list[FrozenTrial]:
    """Each trial with the checksum of its folder, if it is in there: an earlier attempt has no folder any more."""
    from ablate.study.journal import record_of

    for trial in trials:
        record = record_of(trial)
        try:
            found = read_record(folders / record.key)
        except (OSError, ValueError):
            continue
        if found == record:
            trial.user_attrs["checksum"] = checksum(folders / record.key)
    return trials
