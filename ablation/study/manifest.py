"""What was planned into a study, `study.yaml`: checked, kept twice, and made again from the trials where both are lost.

The file's first line is the SHA-256 of the rest. `study.yaml.copy` is written after it, and so is the same, or, where a
kill fell between the two, the version before. Each trial's folder has what was planned of that trial as well
(`plan.json`): from those a manifest is made that lacks only what had not been trained.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from ablate.errors import InputError
from ablate.files import kind, read_regular, write_whole
from ablate.settings import explain
from ablate.trial import KEY_LENGTH

VERSION = 3
"""Of the directory's layout. (`ablate.trial.SCHEMA_VERSION` is of a trial's configuration, and in its key.)"""
MANIFEST, COPY = "study.yaml", "study.yaml.copy"
PLAN = "plan.json"
_SEAL = b"# sha256 of the rest: "

Key = Annotated[str, StringConstraints(pattern=rf"^[0-9a-f]{{{KEY_LENGTH}}}$")]
"""A trial's key, or a cell's. It names files: whatever else stands in its place is refused where it is read."""


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

    @field_validator("definition")
    @classmethod
    def _has_the_shape_of_a_space(cls, definition: dict[str, Any]) -> dict[str, Any]:
        """What is read of it later; the rest is only shown, for a space of another version need not be one of this."""
        for part in ("factors", "reference"):
            names = definition.get(part, {})
            if not isinstance(names, dict) or not all(isinstance(name, str) for name in names):
                raise ValueError(f"{part}: expected names with their values")
        for name, factor in definition.get("factors", {}).items():
            ends = [factor[end] for end in ("low", "high") if end in factor] if isinstance(factor, dict) else []
            if not all(isinstance(end, dict) or (isinstance(end, int | float) and abs(end) < 1e100) for end in ends):
                raise ValueError(f"factors.{name[:80]}: expected levels, or a range of numbers")
        return definition

    def merged(self, other: Run) -> Run:
        """This run with what an earlier one of the same space and profile had planned."""
        factors = {
            name: list(dict.fromkeys([*other.factors.get(name, []), *levels])) for name, levels in self.factors.items()
        }
        return self.model_copy(update={"factors": factors, "trials": other.trials | self.trials})


class Manifest(BaseModel):
    """`study.yaml`."""

    model_config = ConfigDict(extra="forbid")

    schema_version: int = Field(VERSION, ge=1)
    id: str = Field("", pattern=r"^[0-9a-f]*$", max_length=64)
    """Told from every other study's, wherever this one is moved."""
    storage: str | None = None
    """Where workers leave checkpoints and finished trials, if not in `ray/`."""
    threads: int | None = Field(None, ge=1, le=10_000)
    """CPU threads of each trial. One and two threads differ in the fifth digit, so a study keeps to one number."""
    data_dir: str | None = None
    versions: dict[str, str] = Field(default_factory=dict)
    """Of a study's last run before schema 3, which is never rewritten; since then each trial's record says its own."""
    runs: list[Run] = Field(default_factory=list)

    @field_validator("runs")
    @classmethod
    def _keys_are_keys(cls, runs: list[Run]) -> list[Run]:
        for run in runs:
            for key in run.trials:
                if not is_key(key):
                    raise ValueError(f"it plans the trial '{key[:80]}', which is no key")
        return runs

    def planned(self) -> dict[str, dict[str, str]]:
        """Every planned key, with its levels as `space.factor`: the union over runs."""
        planned: dict[str, dict[str, str]] = {}
        for run in self.runs:
            for key, levels in run.trials.items():
                planned.setdefault(key, {}).update({f"{run.space}.{name}": level for name, level in levels.items()})
        return planned

    def with_run(self, run: Run) -> list[Run]:
        """The runs with another: of one space and profile there is one, with the trials of all."""
        runs = {(earlier.space, earlier.profile): earlier for earlier in self.runs}
        place = (run.space, run.profile)
        runs[place] = run.merged(runs[place]) if place in runs else run
        return list(runs.values())


class Found(NamedTuple):
    """A study's manifest. `lost`: why it is not the one in `study.yaml`, and where it is from; else empty."""

    manifest: Manifest
    lost: str = ""


class _UnfitError(Exception):
    """A manifest that cannot be believed: why."""


def is_study(path: Path) -> bool:
    """Whether there is, or was, a study in the directory."""
    return any(kind(path / name) == "file" for name in (MANIFEST, COPY)) or any(_folders(path))


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write the manifest and its copy, each whole, and on the disk when this returns."""
    body = yaml.safe_dump(manifest.model_dump(), sort_keys=False, width=120).encode()
    content = _SEAL + hashlib.sha256(body).hexdigest().encode() + b"\n" + body
    write_whole(path / MANIFEST, content)
    write_whole(path / COPY, content)


def is_kept_twice(path: Path) -> bool:
    """Whether file and copy are the same, and sealed."""
    return _content(path, MANIFEST) == _content(path, COPY) and is_sealed(path)


def is_sealed(path: Path) -> bool:
    """Whether this version wrote the file: an earlier one wrote neither seal nor copy."""
    return _content(path, MANIFEST).startswith(_SEAL)


def _content(path: Path, name: str) -> bytes:
    try:
        return read_regular(path / name)
    except OSError:
        return b""


def read_manifest(path: Path) -> Found:
    """The manifest of the study at `path`: the file's, or else its copy's, or else made from the trials.

    Raises `InputError` where there is none of these, or where a newer version wrote it.
    """
    try:
        return Found(_read(path, MANIFEST))
    except _UnfitError as error:
        reason = str(error)
    try:
        return Found(_read(path, COPY), f"{MANIFEST} {reason}: read from {COPY}")
    except _UnfitError:
        pass
    made = _from_trials(path)
    if made is None:
        if kind(path / MANIFEST) == "":
            raise InputError(f"'{path}' is not a study (it has no {MANIFEST}): give the directory of a run")
        raise InputError(f"'{path / MANIFEST}' {reason}: give the directory of a run")
    trials = sum(len(run.trials) for run in made.runs)
    return Found(
        made,
        f"{MANIFEST} {reason}: made again from the folders of {trials} trials; run each space again, for what is "
        "planned and not trained is not known",
    )


def _read(path: Path, name: str) -> Manifest:
    """Raises `_UnfitError` for what cannot be believed, and `InputError` for what a newer version wrote."""
    try:
        content = read_regular(path / name)
    except (FileNotFoundError, NotADirectoryError):
        raise _UnfitError("is missing") from None
    except OSError as error:
        raise _UnfitError(f"cannot be read: {error.strerror or error}") from None
    seal, line, rest = content.partition(b"\n")
    sealed = seal.startswith(_SEAL)
    body = rest if sealed else content
    if content.startswith(b"#") and not (
        sealed and line and seal.removeprefix(_SEAL) == hashlib.sha256(rest).hexdigest().encode()
    ):
        raise _UnfitError("is damaged: it is not what was written")
    try:
        found = yaml.load(body, Loader=_Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: it is no UTF-8, or a number is too long
        raise _UnfitError(f"cannot be read: {_brief(error)}") from None
    if not isinstance(found, dict):  # nothing of it is shown: it may be another's file, by a link
        raise _UnfitError("is not a study's: it has no fields")
    version = found.get("schema_version")
    if isinstance(version, int) and version > VERSION:
        raise InputError(f"'{path}' has study schema {version}, this ablate knows {VERSION}: install a newer ablate")
    try:
        manifest = Manifest.model_validate(found)
    except (ValidationError, RecursionError) as error:
        reason = explain(error) if isinstance(error, ValidationError) else "it is nested too deep"
        raise _UnfitError(f"is not a study's: {reason}") from None
    if not sealed and (reason := _incomplete(path, body, found, manifest)):
        raise _UnfitError(f"was cut short, or changed: {reason}")
    return manifest


class _Loader(yaml.SafeLoader):
    """Of what this project wrote itself: without aliases, in which a few lines can hide gigabytes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "it has aliases", self.peek_event().start_mark)
        return super().compose_node(parent, index)


def _brief(error: Exception) -> str:
    said = getattr(error, "problem", None) or error
    return " ".join(str(said).split())[:200] or type(error).__name__


def _incomplete(path: Path, body: bytes, found: Any, manifest: Manifest) -> str:
    """What a manifest without a seal lacks, as earlier versions wrote it; nothing if it is whole as far as can be told.

    Cut within a list of trials it is still YAML: so trials that were trained must be planned, with all their levels.
    """
    if not body.endswith(b"\n"):
        return "its last line has no end"
    if "runs" not in found:
        return "it has no runs"
    for run in manifest.runs:
        conditional = bool(run.definition.get("when")) or run.design in ("search", "confirm")
        for key, levels in run.trials.items():
            lacks = [] if conditional else [name for name in run.factors if name not in levels]
            if lacks:
                return f"trial {key} has no level of {lacks[0]}"
    planned = manifest.planned()
    for folder in _folders(path):
        if folder.name not in planned and _state(folder) not in ("trivial", ""):
            return f"it does not plan trial {folder.name}, which was trained"
    return ""


def _state(folder: Path) -> str:
    try:
        found = json.loads(read_regular(folder / "record.json"))
    except (OSError, ValueError, RecursionError):
        return ""
    state = found.get("state") if isinstance(found, dict) else None
    return state if isinstance(state, str) else ""


def _folders(path: Path) -> Iterator[Path]:
    """The folders of `trials/` that are named by a key."""
    if kind(path / "trials") != "directory":
        return
    for folder in sorted((path / "trials").iterdir()):
        if is_key(folder.name) and kind(folder) == "directory":
            yield folder


def is_key(name: str) -> bool:
    return len(name) == KEY_LENGTH and set(name) <= set("0123456789abcdef")


# What a trial's folder has of its plan -------------------------------------------------------------------------------


class _TrialPlan(BaseModel):
    """`plan.json`: what was planned of one trial when it was taken in, and the study's own facts."""

    model_config = ConfigDict(extra="forbid")

    study: Manifest
    """With this trial alone in its runs."""


def plan_of(manifest: Manifest, key: str) -> bytes:
    """`plan.json` of a trial."""
    runs = [run.model_copy(update={"trials": {key: run.trials[key]}}) for run in manifest.runs if key in run.trials]
    part = manifest.model_copy(update={"runs": runs})
    return _TrialPlan(study=part).model_dump_json(indent=1).encode()


def versions_of_plan(content: bytes) -> dict[str, str]:
    """The versions that `plan.json` of a trial has, of before schema 3. Raises `ValueError` if it is none."""
    return _TrialPlan.model_validate_json(content).study.versions


def _from_trials(path: Path) -> Manifest | None:
    """A manifest made from the trials' folders; None if none of them has its plan."""
    from ablate.study.trial_folder import is_whole

    made: Manifest | None = None
    folders = [folder for folder in _folders(path) if kind(folder / PLAN) == "file" and is_whole(folder)]
    for plan in _plans(folders):
        made = made or plan.model_copy(update={"runs": []})
        if plan.data_dir and not made.data_dir:
            made = made.model_copy(update={"data_dir": plan.data_dir})
        for run in plan.runs:
            made = made.model_copy(update={"runs": made.with_run(run)})
    return made


def _plans(folders: Iterable[Path]) -> Iterator[Manifest]:
    for folder in folders:
        try:
            plan = _TrialPlan.model_validate_json(read_regular(folder / PLAN)).study
        except (OSError, ValueError):
            continue
        yield plan


def new_id() -> str:
    return uuid.uuid4().hex
