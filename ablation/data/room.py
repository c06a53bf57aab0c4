"""Where arrays find room, and how much: in memory, or in files."""

from __future__ import annotations

import contextlib
import math
import resource
from pathlib import Path
from typing import Protocol

import numpy as np


class Room(Protocol):
    """Where arrays are made. Each has a name of its own."""

    what: str
    """As messages call it: memory, disk."""

    def empty(self, name: str, shape: tuple[int, ...], dtype: type) -> np.ndarray:
        """An array to be filled."""

    def available(self) -> float:
        """Bytes."""


class _Memory:
    what = "memory"

    def empty(self, name: str, shape: tuple[int, ...], dtype: type) -> np.ndarray:
        return np.empty(shape, dtype)

    def available(self) -> float:
        return available_memory()


MEMORY: Room = _Memory()

_CGROUP = Path("/sys/fs/cgroup")


def available_memory() -> float:
    """Bytes: the least of what the machine has, and of what its control group and its own limit leave this process.

    Infinite where the system does not tell.
    """
    found = [math.inf]
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        found.append(1024 * int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1]))
    with contextlib.suppress(OSError, ValueError):  # "max" is no number, and no limit
        most, used = (int((_CGROUP / name).read_text()) for name in ("memory.max", "memory.current"))
        found.append(most - used)
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    with contextlib.suppress(OSError, ValueError):
        if limit != resource.RLIM_INFINITY:
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            found.append(limit - pages * resource.getpagesize())
    return max(0, min(found))
