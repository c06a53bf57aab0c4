"""The gate for files: what is written is whole or not there, and what is opened is a regular file where it seems to be.

A study may come from anyone, and a path that a user names may lead anywhere. So nothing here follows a link, waits at a
FIFO, or writes into a file that has another name elsewhere. Who changes a directory while a command works in it is not
defended against.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import uuid
from collections.abc import Callable, Container, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor


def kind(path: Path) -> str:
    """What is at `path`, in words, without following a link: "file", "directory", "link", ...; empty for nothing."""
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return ""
    kinds = {
        stat.S_IFREG: "file",
        stat.S_IFDIR: "directory",
        stat.S_IFLNK: "link",
        stat.S_IFIFO: "named pipe",
        stat.S_IFSOCK: "socket",
        stat.S_IFCHR: "device",
        stat.S_IFBLK: "device",
    }
    return kinds.get(stat.S_IFMT(mode), "special file")


def read_regular(path: Path) -> bytes:
    """The content of a regular file. Raises `OSError`: for a link ELOOP, for what is no file EINVAL."""
    with _open(path, os.O_RDONLY, "rb") as file:
        return file.read()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def open_in_place(path: Path) -> IO[bytes]:
    """A file to lock or to append to, made if it is not there; its position is its end.

    Raises `OSError` as `read_regular` does, and EMLINK for a file that has other names: they would change with it.
    """
    file = _open(path, os.O_RDWR | os.O_CREAT, "r+b")
    if os.fstat(file.fileno()).st_nlink > 1:
        file.close()
        raise OSError(errno.EMLINK, "it has another name elsewhere (a hard link)", str(path))
    file.seek(0, os.SEEK_END)
    return file


def _open(path: Path, flags: int, mode: str) -> IO[bytes]:
    found = kind(path)  # opening a device may do something already
    if found not in ("", "file"):
        code = errno.ELOOP if found == "link" else errno.EISDIR if found == "directory" else errno.EINVAL
        raise OSError(code, f"it is a {found}, not a file", str(path))
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    file: IO[bytes] = os.fdopen(descriptor, mode)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "it is not a file", str(path))
    return file


def write_new(path: Path, content: bytes, *, flush: bool = True) -> None:
    """Write a file that must not be there yet, in a folder that is made if need be; with `flush`, to the disk.

    Raises `FileExistsError` for whatever is there, a link included.
    """
    path.parent.mkdir(exist_ok=True)
    with path.open("xb") as file:
        file.write(content)
        if flush:
            file.flush()
            os.fsync(file.fileno())


def write_all_new(folder: Path, contents: Mapping[str, bytes], *, flush: Callable[[str], bool]) -> None:
    """Write files, by their names in `folder`, as `write_new` does; those of which `flush` is true, to the disk.

    They are flushed at the same time: a disk commits several in the time of one.
    """
    for parent in {(folder / name).parent for name in contents}:
        parent.mkdir(exist_ok=True)
    with contextlib.ExitStack() as opened:
        written = []
        for name, content in contents.items():
            file = opened.enter_context(open(f"{folder}/{name}", "xb"))  # noqa: PTH123 - a Path for each takes longer
            file.write(content)
            file.flush()
            if flush(name):
                written.append(file.fileno())
            else:
                file.close()
        for flushed in [_flushing().submit(os.fsync, file) for file in written]:
            flushed.result()


@cache
def _flushing() -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(8, thread_name_prefix="flush")


def write_whole(path: Path, content: bytes, *, flush: bool = True) -> None:
    """Write a file whole or not at all, in place of an earlier one; with `flush`, on the disk when this returns.

    A link at `path` is replaced itself, not what it leads to. Raises `OSError`; nothing is then left behind.
    """
    partial = path.with_name(f"{path.name[:40]}.{uuid.uuid4().hex[:8]}.partial")
    try:
        write_new(partial, content, flush=flush)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    if flush:
        flush_directory(path.parent)


def flush_directory(folder: Path) -> None:
    """See what was made, renamed or removed in a directory to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def strange_entries(root: Path, skip: Container[str] = ()) -> Iterator[tuple[Path, str]]:
    """What lies under a directory and is neither a file nor a directory, each with its kind in words.

    Names of `root` itself that are in `skip` are not looked into. What vanishes meanwhile is passed over.
    """
    folders = [root]
    while folders:
        folder = folders.pop()
        try:
            entries = list(os.scandir(folder))
        except OSError:
            continue
        for entry in entries:
            path = Path(entry.path)
            if not entry.is_symlink() and entry.is_dir(follow_symlinks=False):
                if folder != root or entry.name not in skip:
                    folders.append(path)
            elif not entry.is_file(follow_symlinks=False) and (found := kind(path)):
                yield path, found
