"""The processes of this machine, as the kernel has them in /proc; where there is none (macOS), nothing is known."""

from __future__ import annotations

import os
from pathlib import Path

_PARENT, _STARTED = 1, 19


def born(process: int) -> str:
    """When a living process was born, and in which run of the kernel: its number may live again, this does not.

    Empty for one that is dead, buried or not, and where nothing is known.
    """
    fields = _stat(process)
    if not fields or fields[0] in "ZX":
        return ""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        boot = ""
    return f"{boot} {fields[_STARTED]}".strip()


def are_known() -> bool:
    """Whether this system tells of its processes."""
    return bool(born(os.getpid()))


def descendants() -> dict[int, str]:
    """All that came of this process, each with when it was `born`."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        if fields := _stat(int(entry.name)):
            children.setdefault(int(fields[_PARENT]), []).append(int(entry.name))
    found: dict[int, str] = {}
    queue = children.get(os.getpid(), [])
    while queue:
        process = queue.pop()
        if known := born(process):
            found[process] = known
        queue += children.get(process, [])
    return found


def _stat(process: int) -> list[str]:
    """The fields of /proc/PROCESS/stat from the third on: state, parent, ..."""
    try:
        return Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []
