"""What trains trials, as far as their times depend on it: the processor, and how many threads and processes."""

from __future__ import annotations

import platform
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple


class Machine(NamedTuple):
    """One trial's share of a machine. Epochs that were timed on one are of those that are equal to it."""

    device: str
    """`cpu`, `cuda` or `mps`."""
    processor: str
    """The name of the CPU or of the card; empty if it is not known."""
    threads: int = 1
    workers: int = 1

    def __str__(self) -> str:
        """`cpu (AMD EPYC 7B13, 1 thread)`, `cuda (NVIDIA H100)`."""
        share = [] if self.device == "cuda" else [f"{self.threads} thread{'' if self.threads == 1 else 's'}"]
        share += [f"{self.workers} processes"] if self.workers > 1 else []
        inside = ", ".join([*([self.processor] if self.processor else []), *share])
        return f"{self.device} ({inside})" if inside else self.device


def this_machine(threads: int = 1, workers: int = 1, card: str = "") -> Machine:
    """What this machine gives a trial: so many threads of its CPU, or `card`."""
    device = "cuda" if card else "mps" if (platform.system(), platform.machine()) == ("Darwin", "arm64") else "cpu"
    return Machine(device, card or cpu_name(), threads, workers)


def processor_of(device: str) -> str:
    """The name of this machine's processor of that kind, where it trains; of a card, as PyTorch calls it."""
    if device != "cuda":
        return cpu_name()
    import torch

    return torch.cuda.get_device_name()


@cache
def cpu_name() -> str:
    """This machine's CPU, as it calls itself."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


@cache
def lanes() -> int:
    """Numbers of 32 bits that an instruction of this machine's CPU works on: 16 (AVX-512), 8 (AVX2), or 0: unknown."""
    flags = _cpuinfo("flags").split()
    return 16 if "avx512f" in flags else 8 if "avx2" in flags else 0


@cache
def _cpuinfo(field: str) -> str:
    """What Linux says of this machine's CPU; elsewhere nothing."""
    try:
        found = re.search(rf"^{field}\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1].strip() if found else ""
