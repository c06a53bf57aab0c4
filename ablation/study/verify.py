"""Whether a study still is what was written: files against checksums, and against each other.

`verify` only reads. `repair` moves what cannot be trusted to `set-aside/`, so that the next run trains it anew; it
deletes nothing.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from ablate.errors import InputError
from ablate.files import kind, read_regular
from ablate.origin import mixed
from ablate.study import manifest, plans, registrations
from ablate.study.contents import wrong_contents
from ablate.study.in_runtimes import faults_in_runtimes, forget_faults
from ablate.study.index import REPLACED
from ablate.study.manifest import VERSION, is_kept_twice
from ablate.study.pictures import has_checksums
from ablate.study.plans import are_kept_twice
from ablate.study.records import read_record
from ablate.study.runs import is_key
from ablate.study.sealed_lines import read_lines
from ablate.study.set_aside import set_aside
from ablate.study.study import Study
from ablate.study.trial_folder import CHECKSUMS, Difference, difference, is_sample, keep_checksums, parse_checksums

Remedy = Literal["retrain", "picture", "set aside", "measure", "restore", "plan", "claims"]
_MEANS: dict[Remedy, str] = {
    "retrain": "the trial cannot be trusted: --repair sets it aside, and the next run trains it anew",
    "picture": "no result depends on it: --repair sets it aside, and the next run makes it again",
    "set aside": "no result depends on it: --repair sets it aside",
    "measure": "no trial is lost: --repair sets it aside, and `ablate measure --runtime` makes it again",
    "restore": "the trials hold for the images they were trained on: restore those, or a run trains them anew",
    "plan": "no trial is lost: --repair writes it anew",
    "claims": "what was registered there and cannot be believed counts for nothing: --repair keeps the rest",
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
    has_sums = study.manifest.schema_version > 1
    lost = study.logged_as_ended()
    folders = {path.name: path for path in _entries(study.path / "trials") if not _is_under_way(path.name)}
    problems = [*_check_study(study)]
    names = sorted(folders.keys() | lost)
    for done, name in enumerate(names, 1):
        if name not in folders:
            problems += [] if study.has(name) else [Problem(name, "its folder is missing", "retrain")]
        elif is_key(name):
            problems += _check_trial(folders[name], has_sums)
        else:
            problems.append(Problem(f"trials/{name}", "it is no trial's folder", "set aside"))
        watch(done, len(names))
    return problems


def repair(study: Study, problems: Iterable[Problem]) -> None:
    """Set aside what cannot be trusted, and write anew what was planned. Within `study.holding()`.

    What a kill leaves of it is found, and repaired, again.
    """
    subjects: dict[Remedy, set[str]] = {remedy: set() for remedy in _MEANS}
    for problem in problems:
        subjects[problem.remedy].add(problem.subject)
    for key in sorted(subjects["retrain"]):
        with contextlib.suppress(OSError):  # it is no file: then it says nothing
            study.log(key, "set aside by ablate verify: to be trained anew")
        set_aside(study.path, f"trials/{key}", key)
    for name in subjects["set aside"] | subjects["measure"]:
        set_aside(study.path, name, name.replace("/", "_"))
    for name in sorted(subjects["picture"]):
        folder = study.path.joinpath(*name.split("/")[:2])
        if kind(folder / CHECKSUMS):  # else it went with it
            _without_picture(study.path, name, folder)
    if subjects["measure"]:
        forget_faults(study.path)
    if subjects["claims"]:
        registrations.mend(study.path)
    study.put_in_order()


def _without_picture(study: Path, name: str, folder: Path) -> None:
    """Set a picture aside, and take it out of the checksums of its folder: the trial's, or that of test images."""
    set_aside(study, name, name.replace("/", "_"))
    digests = parse_checksums(read_regular(folder / CHECKSUMS))
    digests.pop((study / name).relative_to(folder).as_posix(), None)
    keep_checksums(folder, digests)


def _is_under_way(name: str) -> bool:
    return name.endswith(".partial") or (name.endswith(REPLACED) and is_key(name.removesuffix(REPLACED)))


# The study's own files -----------------------------------------------------------------------------------------------


def _check_study(study: Study) -> Iterator[Problem]:
    if study.lost:
        name, _, what = study.lost.partition(" ")
        yield Problem(name, what, "plan")
    elif study.manifest.schema_version == VERSION and not is_kept_twice(study.path):
        yield Problem(manifest.COPY, f"it is not what {manifest.MANIFEST} is", "plan")
    elif study.manifest.schema_version == VERSION and not are_kept_twice(study.path):
        yield Problem(plans.COPY, f"it is not what {plans.PLANS} is", "plan")
    fault = registrations.read_registrations(study.path).fault
    if fault:
        yield Problem(registrations.FILE, fault, "claims")
    try:
        study.measurements()
    except InputError:
        yield Problem("measurements.json", "it is not what was written", "set aside")
    yield from (Problem(name, what, "measure") for name, what in faults_in_runtimes(study.path))
    for file in _entries(study.path / "searches"):
        yield from _check_search(file)
    for folder in _entries(study.path / "data"):
        yield from _check_pictures(folder)


def _check_search(file: Path) -> Iterator[Problem]:
    name = f"searches/{file.name}"
    try:
        found = read_lines(read_regular(file), of_earlier_versions=True)
        damaged = found.damaged or [number for number, line in enumerate(found.lines, 1) if not _is_json(line)]
    except OSError:
        yield Problem(name, "it is no file", "set aside")
        return
    if damaged:
        yield Problem(name, f"line {damaged[0]} is damaged: the search begins anew", "set aside")


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


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


def _check_trial(folder: Path, has_sums: bool) -> Iterator[Problem]:
    key = folder.name
    files = Difference([], [], [])
    if has_sums:
        try:
            files = difference(folder)
        except (OSError, ValueError) as error:
            what = "it is missing" if isinstance(error, FileNotFoundError) else "it cannot be read"
            yield Problem(key, f"{CHECKSUMS}: {what}", "retrain")
            return
    damaged = {*files.changed, *files.missing}
    try:
        record = read_record(folder)
    except (OSError, ValueError):
        record = None
    if record is not None and record.key != key and not damaged:
        yield Problem(key, f"its folder is that of trial {record.key}", "retrain")
        return
    yield from _check_files(folder, files)
    if "record.json" in damaged:
        return
    if record is None:
        yield Problem(key, "record.json: it is missing, or no record", "retrain")
        return
    yield from (Problem(key, what, "retrain") for what in wrong_contents(folder, record, damaged))


def _check_files(folder: Path, files: Difference) -> Iterator[Problem]:
    key = folder.name
    for names, what in ((files.changed, "it is not what was written"), (files.missing, "it is missing")):
        for name in names:
            if is_sample(name):
                yield Problem(f"trials/{key}/{name}", what, "picture")
            else:
                yield Problem(key, f"{name}: {what}", "retrain")
    yield from (Problem(f"trials/{key}/{name}", "it is no file of the trial", "set aside") for name in files.unknown)


def mixed_cells(study: Study) -> list[str]:
    """One line a cell whose seeds were made by code or PyTorch of several versions."""
    records, made = study.records(), study.origins()
    found = mixed((records[key].cell, origin) for key, origin in made.items() if records[key].state == "complete")
    return [f"the seeds of cell {cell} were made by several versions: {what}" for cell, what in found.items()]
