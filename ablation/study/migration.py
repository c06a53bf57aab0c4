"""A study that an older version wrote, brought to today's layout, with a copy of what changes kept beside it.

Schema 1 had no checksums, and finished trials came in as folders, `ray/arrivals/<key>/`. Schema 2 had the versions of
the last run for all trials; they are kept for those that do not say their own. Up to schema 3 plans were part of
`study.yaml`, and the trial table was a journal of Optuna's beside the folders. Whatever can be read of such a study can
be read without this; only who writes it migrates it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from ablate.study.journal import JOURNAL, JOURNAL_LOCK, journalled
from ablate.study.manifest import MANIFEST, VERSION, Manifest, new_id, write_manifest
from ablate.study.plans import Plans
from ablate.study.runs import is_key
from ablate.study.trial_folder import write_checksums

COPY = f"before-schema-{VERSION}"


def migrate(path: Path, manifest: Manifest, plans: Plans, log: Callable[[str, str], None]) -> Manifest:
    """Bring the study at `path` from an older schema to today's; the new manifest.

    `log` is told of each trial that the old trial table had and that has no folder, with its state.
    study.yaml is written last: what is killed before that is of the older schema still, and migrates again.
    """
    _keep_copy(path)
    if manifest.schema_version == 1:
        _take_arrivals(path)
        for folder in (path / "trials").glob("*"):
            write_checksums(folder)
    for key, state in journalled(path).items():
        if not (path / "trials" / key).exists():
            log(key, state)
    plans.write(path)
    new = manifest.model_copy(update={"schema_version": VERSION, "id": manifest.id or new_id()})
    write_manifest(path, new)
    clear_away(path)
    return new


def clear_away(path: Path) -> None:
    """Remove what today's layout does not have: there is a copy of it."""
    if (path / COPY).exists():
        for name in (JOURNAL, JOURNAL_LOCK):
            (path / name).unlink(missing_ok=True)


def _keep_copy(path: Path) -> None:
    """A copy of the first attempt, where there were several: it alone has the old files."""
    copy = path / COPY
    if copy.exists():
        return
    partial = copy.with_name(f"{COPY}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    for name in (MANIFEST, JOURNAL):
        if (path / name).exists():
            shutil.copy2(path / name, partial)
    partial.rename(copy)


def _take_arrivals(path: Path) -> None:
    """Finished trials on their way in are renamed into place."""
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
