"""Where workers leave what outlives them: the last epoch of unfinished trials, and finished trials on their way home.

Workers never touch the study. They write whole objects here, by name; the driver alone takes them into the study.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ablate.errors import Halted, InputError

if TYPE_CHECKING:
    from pyarrow import fs

    from ablate.study.study import Study


class StorageError(Exception):
    """The storage cannot be used now: full, read-only, gone. No trial is to blame."""


class Storage(Protocol):
    """Objects by name (`checkpoints/0123abcd.safetensors`). Each is replaced whole, or not at all."""

    def read(self, name: str) -> bytes | None: ...
    def write(self, name: str, data: bytes) -> None: ...
    def delete(self, name: str) -> None: ...
    def names(self, folder: str) -> list[str]: ...


_SEAL = b"ablate checkpoint\n"


class StoredCheckpoint(NamedTuple):
    """One object of a storage: a `training.checkpoint.Checkpoint`. It is kept with a SHA-256 of it and its maker."""

    storage: Storage
    name: str
    maker: str = ""
    """What trains: no trial is begun by one version and ended by another."""

    def read(self) -> bytes | None:
        """What was written; None if nothing was, if it is not that any more, or if another maker wrote it."""
        found = self.storage.read(self.name)
        if found is None:
            return None
        digest, data = found[len(_SEAL) :][:32], found[len(_SEAL) + 32 :]
        if found.startswith(_SEAL) and self._digest(data) == digest:
            return data
        print(f"{self.name} is damaged, or another version's: the trial is trained from its start")
        return None

    def write(self, data: bytes) -> None:
        self.storage.write(self.name, b"".join((_SEAL, self._digest(data), data)))

    def _digest(self, data: bytes) -> bytes:
        digest = hashlib.sha256(self.maker.encode() + b"\0")
        digest.update(data)  # not joined: it may be 100 MB
        return digest.digest()


class PathStorage:
    """A folder of any file system that pyarrow knows: a path, or a URI such as `s3://bucket/prefix`.

    Every method raises `StorageError` where the file system fails.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._found: tuple[fs.FileSystem, str] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return PathStorage, (self._where,)

    def __str__(self) -> str:
        return self._where.partition("?")[0]

    @contextlib.contextmanager
    def _files(self) -> Iterator[tuple[fs.FileSystem, str]]:
        from pyarrow import ArrowException, fs

        try:
            if self._found is None:
                where = self._where if "://" in self._where else str(Path(self._where).absolute())
                self._found = fs.FileSystem.from_uri(where)
            yield self._found
        except (OSError, ArrowException) as error:
            room = free_there(Path(self._where)) if _is_full(error) and "://" not in self._where else ""
            raise StorageError(f"storage '{self}': {_reason(error)}{room}") from error

    def read(self, name: str) -> bytes | None:
        with _may_be_missing(), self._files() as (files, root), files.open_input_stream(f"{root}/{name}") as stream:
            data: bytes = stream.read()
            return data
        return None

    def write(self, name: str, data: bytes) -> None:
        from pyarrow import fs

        with self._files() as (files, root):
            path = f"{root}/{name}"
            local = isinstance(files, fs.LocalFileSystem)
            # An object store shows an object once it is whole; a folder needs the rename.
            target = f"{path}.{uuid.uuid4().hex[:8]}.partial" if local else path
            try:
                if local:
                    Path(path).parent.mkdir(exist_ok=True)  # not the root: a study that is gone does not come back so
                with files.open_output_stream(target) as stream:
                    stream.write(data)
                if local:
                    files.move(target, path)
            except BaseException:
                if local:
                    Path(target).unlink(missing_ok=True)
                raise

    def delete(self, name: str) -> None:
        with _may_be_missing(), self._files() as (files, root):
            files.delete_file(f"{root}/{name}")

    def names(self, folder: str) -> list[str]:
        from pyarrow import fs

        with self._files() as (files, root):
            found = files.get_file_info(fs.FileSelector(f"{root}/{folder}", allow_not_found=True))
        names = (info.base_name for info in found if info.type == fs.FileType.File)
        return sorted(f"{folder}/{name}" for name in names if not name.endswith(".partial"))

    def prepare(self) -> None:
        """Create a local folder, and remove what killed writers left half written in it."""
        from pyarrow import fs

        with self._files() as (files, root):
            if isinstance(files, fs.LocalFileSystem):
                Path(root).mkdir(parents=True, exist_ok=True)
                for partial in Path(root).rglob("*.partial"):
                    partial.unlink(missing_ok=True)


class DriverStorage:
    """A folder of the driver's machine, which workers of other nodes reach through Ray: no disk need be shared."""

    def __init__(self, folder: Path) -> None:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        actor = ray.remote(PathStorage).options(num_cpus=0, scheduling_strategy=here, max_restarts=-1)
        self._actor = actor.remote(str(folder.absolute()))

    def __str__(self) -> str:
        return "the driver's machine"

    def _call(self, method: str, *arguments: Any) -> Any:
        import ray

        try:
            return ray.get(getattr(self._actor, method).remote(*arguments))
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, StorageError):
                raise error.cause from None
            raise
        except ray.exceptions.RayActorError as error:
            raise StorageError(f"storage on the driver's machine: {error}") from None

    def read(self, name: str) -> bytes | None:
        data: bytes | None = self._call("read", name)
        return data

    def write(self, name: str, data: bytes) -> None:
        self._call("write", name, data)

    def delete(self, name: str) -> None:
        self._call("delete", name)

    def names(self, folder: str) -> list[str]:
        names: list[str] = self._call("names", folder)
        return names


def choose_storage(study: Study, given: str | None) -> str | None:
    """The storage of a run: what was given, or the study's own folder (None).

    Raises `InputError` where earlier workers of the study used another: a study may be anyone's, so its word alone
    makes nobody read or write there.
    """
    if given is None and study.manifest.storage is not None:
        raise InputError(
            f"workers of '{study.path}' left their trials in '{study.manifest.storage}' (so its study.yaml): give "
            "that to --storage-path again, or another place"
        )
    return given


def check_storage(where: str) -> None:
    """Raises `InputError` if `where` is no path or URI that pyarrow can write, `Halted` if there is no room."""
    storage, probe = PathStorage(where), f"probe-{os.getpid()}"
    try:
        storage.prepare()
        storage.write(probe, b"\0" * 4096)
        storage.delete(probe)
    except StorageError as error:
        if _is_full(error.__cause__):
            raise Halted(f"--storage-path: {error}: free some space there, then run the same command") from None
        raise InputError(f"--storage-path: {error}: give a folder, or a URI that pyarrow knows (s3://…)") from None


def free_there(folder: Path) -> str:
    """What is free on a folder's disk, in brackets; nothing where that cannot be known."""
    try:
        return f" ({shutil.disk_usage(folder).free / 1e6:.0f} MB are free there)"
    except OSError:
        return ""


@contextlib.contextmanager
def _may_be_missing() -> Iterator[None]:
    try:
        yield
    except StorageError as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or " ".join(str(error).split())


def _is_full(error: BaseException | None) -> bool:
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
