"""What a study is, `study.yaml`: checked, and kept twice.

The file's first line is the SHA-256 of the rest. `study.yaml.copy` is written after it, and so is the same, or, where a
kill fell between the two, the version before. What was planned is beside it (see `plans`); up to schema 3 it was in
here.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ablate.errors import InputError
from ablate.files import kind, read_regular, write_whole
from ablate.settings import explain
from ablate.study.runs import Run
from ablate.study.trial_folder import key_folders

VERSION = 4
"""Of the directory's layout. (`ablate.trial.SCHEMA_VERSION` is of a trial's configuration, and in its key.)"""
MANIFEST, COPY = "study.yaml", "study.yaml.copy"
_SEAL = b"# sha256 of the rest: "


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
    """As `plans` has them; in the file, up to schema 3."""


class UnfitError(Exception):
    """A manifest that cannot be believed: why."""


def is_study(path: Path) -> bool:
    """Whether there is, or was, a study in the directory."""
    return any(kind(path / name) == "file" for name in (MANIFEST, COPY)) or any(key_folders(path))


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write the manifest, but for its runs, and its copy: each whole, and on the disk when this returns."""
    body = yaml.safe_dump(manifest.model_dump(exclude={"runs"}), sort_keys=False, width=120).encode()
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


def read_file(path: Path, name: str) -> Manifest:
    """Raises `UnfitError` for what cannot be believed, and `InputError` for what a newer version wrote."""
    try:
        content = read_regular(path / name)
    except (FileNotFoundError, NotADirectoryError):
        raise UnfitError("is missing") from None
    except OSError as error:
        raise UnfitError(f"cannot be read: {error.strerror or error}") from None
    seal, line, rest = content.partition(b"\n")
    sealed = seal.startswith(_SEAL)
    body = rest if sealed else content
    if content.startswith(b"#") and not (
        sealed and line and seal.removeprefix(_SEAL) == hashlib.sha256(rest).hexdigest().encode()
    ):
        raise UnfitError("is damaged: it is not what was written")
    try:
        found = yaml.load(body, Loader=_Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: it is no UTF-8, or a number is too long
        raise UnfitError(f"cannot be read: {_brief(error)}") from None
    if not isinstance(found, dict):  # nothing of it is shown: it may be another's file, by a link
        raise UnfitError("is not a study's: it has no fields")
    version = found.get("schema_version")
    if isinstance(version, int) and version > VERSION:
        raise InputError(f"'{path}' has study schema {version}, this ablate knows {VERSION}: install a newer ablate")
    try:
        manifest = Manifest.model_validate(found)
    except (ValidationError, RecursionError) as error:
        reason = explain(error) if isinstance(error, ValidationError) else "it is nested too deep"
        raise UnfitError(f"is not a study's: {reason}") from None
    if not sealed and (reason := _incomplete(path, body, found, manifest)):
        raise UnfitError(f"was cut short, or changed: {reason}")
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
    planned = {key for run in manifest.runs for key in run.trials}
    for folder in key_folders(path):
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


def new_id() -> str:
    return uuid.uuid4().hex
