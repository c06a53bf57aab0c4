"""How Ray is to behave. It reads this from the environment, most of it when it is first imported."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from ablate.errors import Halted, InputError
from ablate.runners.execution.address import Address
from ablate.runners.execution.processes import descendants

_ALWAYS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",  # the newer output cannot be silenced
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # else Ray's daemons write into what a run prints
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # a trial's last report is of no epoch
    "TUNE_GLOBAL_CHECKPOINT_S": str(10**9),  # the study remembers; Ray need not
}
_ALONE = {
    # Ray takes loopback for its address, as it does by itself on macOS and Windows, and listens nowhere else.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # No process starts before there is a trial for it. Else as many as there are CPUs would, and again as many.
    "RAY_prestart_worker_first_driver": "0",
}
_STARTS = 4
_SOCKET = "ray/session_2026-01-31_23-59-59_123456_1234567/sockets/plasma_store"
_LONGEST_SOCKET = 103 if sys.platform == "darwin" else 107
_ENOUGH_BYTES = 8 * 10**6
"""Ray's logs, and Ray Tune's scratch: less than 1 MB to begin with, and more with many trials."""


def prepare_ray(address: Address | None) -> str:
    """Set what Ray reads, before it is imported: for this machine alone, or for the cluster at `address`.

    Returns what the user must know of it, in a sentence, or nothing. Raises as `_scratch` does.
    """
    for name, value in (_ALWAYS if address else _ALWAYS | _ALONE).items():
        os.environ.setdefault(name, value)
    if address:
        return ""
    # A token of this run's own: Ray's would be in ~/.ray, and there may be no home. Daemons and workers inherit it.
    os.environ["RAY_AUTH_TOKEN"] = os.environ.get("RAY_AUTH_TOKEN") or secrets.token_hex(32)
    folder, said = _scratch()
    os.environ["RAY_TMPDIR"] = folder
    return said


def _scratch() -> tuple[str, str]:
    """Where Ray puts its sockets and logs, and what is to be said if that is not where it was told to.

    Raises `InputError` if there is no place for them, `Halted` if there is no room.
    """
    names = ("RAY_TMPDIR", "TMPDIR") if sys.platform == "linux" else ("RAY_TMPDIR",)  # those that Ray looks at
    name = next((name for name in names if os.environ.get(name)), "")
    given = os.environ.get(name, "/tmp")
    faults: list[str] = []
    for folder in dict.fromkeys([given, "/tmp", "/dev/shm"]):
        fault = _fault(Path(folder))
        if not fault:
            said = f"{faults[0]}; Ray's files are in {folder}" if faults else ""
            return str(Path(folder).absolute()), said
        faults.append(f"{name} '{folder}' {fault}" if folder == given and name else f"'{folder}' {fault}")
    raise InputError(f"there is no place for Ray's sockets: {'; '.join(faults)}; set TMPDIR to a folder of your own")


def _fault(folder: Path) -> str:
    """Why Ray cannot use a folder, or nothing. Raises `Halted` if it is full."""
    length = len(os.fsencode(folder.absolute() / _SOCKET))
    if length > _LONGEST_SOCKET:
        most = _LONGEST_SOCKET - len(_SOCKET) - 1
        return f"is too long a path for sockets, {length - len(_SOCKET) - 1} characters of at most {most}"
    if not folder.is_dir():
        return "is not a folder"
    used = folder / "ray"
    try:
        free = shutil.disk_usage(folder).free
        with tempfile.TemporaryFile(dir=used if used.is_dir() else folder) as file:
            file.write(b"\0" * 4096)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            return f"cannot be written ({error.strerror})"
        free = 0
    if free < _ENOUGH_BYTES:
        raise Halted(
            f"'{folder}', where Ray keeps its logs, has no room ({free / 1e6:.0f} MB are free there, "
            f"{_ENOUGH_BYTES / 1e6:.0f} are wanted): free some space, or set TMPDIR to another folder, then run the "
            "same command"
        )
    return ""


def start_patiently(start: Callable[[], object]) -> None:
    """Start Ray on this machine: again where its daemons were not up in the half minute that it gives them, on a
    machine that is busy. What an attempt left is ended. Raises what the last of them raises, or any for another reason.
    """
    before = descendants()
    for attempt in range(1, _STARTS + 1):
        try:
            start()
            return
        except Exception as error:
            if "timed out during startup" not in str(error) or attempt == _STARTS:
                raise
        for process in descendants().keys() - before.keys():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


@contextlib.contextmanager
def in_own_folder() -> Iterator[None]:
    """While Ray starts: its workers look for modules first where the driver then is, and that is where Python's are.

    Else what lies in a user's folder, called `ablate` or like any library, would be taken for that.
    """
    here = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.chdir(Path(os.__file__).parent)
        yield
    finally:
        os.fchdir(here)
        os.close(here)
