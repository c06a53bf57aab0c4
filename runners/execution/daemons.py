"""Ray's daemons under a run, watched: without them Ray waits for minutes, or ends the process in the midst of it."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_LOOK_EVERY_SECONDS = 0.5
_PATIENCE_SECONDS = 45.0
"""With the head of a cluster, which may be restarted. Ray itself ends the process after 60 s."""
_NAMES = {"raylet": "its raylet", "gcs_server": "its control service, gcs_server,"}

Look = Callable[[], str]
"""Says what is lost, or nothing."""


@contextlib.contextmanager
def watched(lost: Callable[[str], None] | None) -> Iterator[Look]:
    """While this is entered, and Ray is, a thread calls `lost` with what is gone, once. Gives the look at them."""
    look = _look()
    if lost is None:
        yield look
        return
    over = threading.Event()

    def watch() -> None:
        while not over.wait(_LOOK_EVERY_SECONDS):
            gone = look()
            if gone and not over.is_set():
                lost(gone)
                return

    thread = threading.Thread(target=watch, name="daemons", daemon=True)
    thread.start()
    try:
        yield look
    finally:
        over.set()
        thread.join()


def _look() -> Look:
    import ray

    node: Any = ray._private.worker._global_node
    ours = {name: node.all_processes[name][0].process for name in _NAMES if node.all_processes.get(name)}
    if ours:
        return lambda: _dead(ours)
    raylet, reach = _raylet(node.raylet_socket_name), _Reach(node.gcs_address)

    def look() -> str:
        if raylet is not None and not raylet.exists():
            return f"Ray on this machine has lost {_NAMES['raylet']}"
        return reach()

    return look


def _dead(processes: dict[str, Any]) -> str:
    names = [_NAMES[name] for name, process in processes.items() if process.poll() is not None]
    return f"Ray has lost {' and '.join(names)} on this machine (was it killed, for memory perhaps?)" if names else ""


def _raylet(socket_name: str) -> Path | None:
    """The folder in /proc of the raylet that has this socket, or None where it cannot be found."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"--raylet_socket_name={socket_name}".encode() in (process / "cmdline").read_bytes().split(b"\0"):
                return process
    return None


class _Reach:
    """Whether a cluster's control service takes connections; it is lost once it has not for `_PATIENCE_SECONDS`."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._heard = self._asked = time.monotonic()

    def __call__(self) -> str:
        now = time.monotonic()
        if now - self._asked >= 5:
            self._asked = now
            host, _, port = self._address.rpartition(":")
            with contextlib.suppress(OSError):
                socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
                self._heard = time.monotonic()
        if time.monotonic() - self._heard < _PATIENCE_SECONDS:
            return ""
        return f"the Ray cluster at {self._address} has not answered for {_PATIENCE_SECONDS:.0f} s"
