"""A study's own files, or, where they are lost, what its trials' folders have of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from ablate.errors import InputError
from ablate.files import kind, read_regular
from ablate.study.manifest import COPY, MANIFEST, VERSION, Manifest, UnfitError, read_file
from ablate.study.plans import PLAN, PLANS, Plans, read_plans, read_trial_plan
from ablate.study.records import read_record
from ablate.study.trial_folder import is_whole, key_folders

_NOT_KNOWN = "run each space again, for what is planned and not trained is not known"


class Found(NamedTuple):
    """A study's manifest and plans. `lost`: why they are not its files', and where they are from; else empty."""

    manifest: Manifest
    plans: Plans
    lost: str = ""


def read_study(path: Path) -> Found:
    """What the study at `path` is, and what was planned.

    Each is its file's, or else its copy's, or else made from the trials. Raises `InputError` where there is none of
    these, or where a newer version wrote it.
    """
    manifest, lost = _manifest(path)
    if manifest is None:
        return _from_trials(path, lost)
    if manifest.schema_version < VERSION:
        return Found(manifest, Plans(*manifest.runs), lost)
    plans, lost_plans = _plans(path)
    return Found(manifest, plans, "; ".join(filter(None, (lost, lost_plans))))


def _manifest(path: Path) -> tuple[Manifest | None, str]:
    """The manifest, if a file has it; and why it is not that of `study.yaml`."""
    try:
        return read_file(path, MANIFEST), ""
    except UnfitError as error:
        reason = str(error)
    try:
        return read_file(path, COPY), f"{MANIFEST} {reason}: read from {COPY}"
    except UnfitError:
        return None, reason


def _from_trials(path: Path, reason: str) -> Found:
    """What the folders of trials have. `reason`: why the file is not believed."""
    made: Manifest | None = None
    trials = 0
    for found in _trial_plans(path):
        made = made or found.model_copy(update={"runs": []})
        if found.data_dir and not made.data_dir:
            made = made.model_copy(update={"data_dir": found.data_dir})
        trials += 1
    if made is None:
        if kind(path / MANIFEST) == "":
            raise InputError(f"'{path}' is not a study (it has no {MANIFEST}): give the directory of a run")
        raise InputError(f"'{path / MANIFEST}' {reason}: give the directory of a run")
    if kind(path / PLANS):
        made = made.model_copy(update={"schema_version": VERSION})
    plans, lost = _plans(path)
    said = f"{MANIFEST} {reason}: made again from the folders of {trials} trials"
    return Found(made, plans, "; ".join(filter(None, (said, lost))))


def _plans(path: Path) -> tuple[Plans, str]:
    """What was planned, with what the folders of trained trials have of it; and why that is not the file's."""
    plans, lost = read_plans(path)
    missing = [found for found in _trial_plans(path, but=set(plans.levels)) if found.runs]
    for run in (run for found in missing for run in found.runs):
        plans.add(run)
    if missing:
        lost = lost or f"{PLANS} {'was cut short' if kind(path / PLANS) else 'is missing'}"
        lost += f": {len(missing)} trials were added from their folders; {_NOT_KNOWN}"
    return plans, lost


def _trial_plans(path: Path, but: Collection[str] = ()) -> Iterator[Manifest]:
    for folder in key_folders(path):
        if folder.name in but or kind(folder / PLAN) != "file":
            continue
        try:
            if read_record(folder).state != "trivial" and is_whole(folder):
                yield read_trial_plan(read_regular(folder / PLAN))
        except (OSError, ValueError):
            continue
