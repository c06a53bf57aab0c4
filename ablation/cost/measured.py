"""What a network's inference takes on a real machine: latency and peak memory, one network at a time.

MACs do not tell: grouped convolutions with large kernels need fewer MACs and more time than plain ones.

Memory and time are measured in a fresh process each, so that neither an earlier network's memory nor a warm allocator
is in them. Nothing else should run on the machine meanwhile: neighbours take caches, memory bandwidth and clock.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ablate.cost.rounds import NARROW, half_width
from ablate.errors import InputError, TrialError
from ablate.modules import used_code
from ablate.part import Part

if TYPE_CHECKING:
    from ablate.models.network import Network

Device = Literal["cpu", "cuda"]
_BUSY = 0.5
"""A load average (processes that want a core) from which a machine is not idle; importing this leaves less. And so many
cores' worth of others' work while a network is timed."""
_EACH_BLOCK_GIVEN_BACK = {"MALLOC_MMAP_THRESHOLD_": "65536"}
"""glibc gives what is freed back to the system at once, where it would keep some of it by rules that change as it runs:
then the same network was 15 or 66 MB above its tensors. It takes time, so time is measured in a process without."""
MEASURING = "ablate.cost.measuring"
"""What runs in the process in which a network is measured."""
_WAITED = 0.05
"""The share of its time for which one thread may be without a core."""


class Measured(BaseModel):
    """Inference of one image (batch 1) in evaluation mode, channels last, without gradients.

    `latency_ms` is the median over rounds (`ablate.cost.rounds`) of forward passes, each from an input in the device's
    memory to its logits (on CUDA with a synchronisation). `latency_low_ms` and `latency_high_ms` hold that median at
    95 %, of this process at that time: they say nothing of another day. `latency_iqr_ms` is the distance between the
    quartiles of all `repeats` passes, so what a single pass may be off. `latency_cpu_ms` is what a pass takes of the
    processor over all threads, the median over the same rounds: neighbours that take the core away do not lengthen it.
    Convolutions run in `precision`, as they do when a trial predicts: float32 on a CPU, 16 bits on CUDA.

    `rounds`, the interval, `latency_cpu_ms` and `others` are None where version 0.1 measured; its median was of all
    passes.

    `peak_memory_mb` (10⁶ bytes) is the most that parameters, input, activations and the kernels' workspace take
    together during the first forward pass. On CUDA it is what PyTorch's allocator handed out at its peak. On a CPU it
    is the growth of the process's resident memory, from before the network was built (PyTorch being loaded, and two
    small networks having run) to the pass's own high-water mark: the tensors that live at once, and 9 to 22 MB of the
    kernels' code and tables. Linux resets that mark before the pass; where it cannot be reset, the moments in which the
    network was built count too, which take little more than its parameters.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    latency_ms: float = Field(ge=0)
    latency_iqr_ms: float = Field(ge=0)
    peak_memory_mb: float = Field(ge=0)
    device: str
    """With what it is: `cpu (AMD EPYC 7B13, 1 thread)`, `cuda (NVIDIA H100)`."""
    threads: int
    channels: int
    size: tuple[int, int]
    """Height and width."""
    repeats: int
    precision: str
    load: float | None
    """The machine's load average when the measurement began: near 0 if it was alone."""
    versions: dict[str, str]
    rounds: int | None = None
    latency_low_ms: float | None = Field(None, ge=0)
    latency_high_ms: float | None = Field(None, ge=0)
    latency_cpu_ms: float | None = Field(None, ge=0)
    others: float | None = Field(None, ge=0)
    """How many cores' worth of work the rest of the machine did meanwhile; None where it could not be known, too."""

    @property
    def input(self) -> str:
        """The input size, as `1x96x96`."""
        return f"{self.channels}x{self.size[0]}x{self.size[1]}"

    @property
    def doubt(self) -> str | None:
        """Why the latency is not to be relied on, as the end of a sentence; None where nothing speaks against it."""
        reasons = []
        if self.others is not None and self.others >= _BUSY:
            reasons.append(f"others kept {self.others:.1f} cores busy")
        had = 1.0 if self.latency_cpu_ms is None or not self.latency_ms else self.latency_cpu_ms / self.latency_ms
        if self.threads == 1 and self.device.startswith("cpu") and had < 1 - _WAITED:
            reasons.append(f"its thread had a core for {100 * had:.0f} % of the time")
        if self.latency_low_ms is not None and self.latency_high_ms is not None:
            reach = half_width(self.latency_ms, (self.latency_low_ms, self.latency_high_ms))
            if reach > NARROW:
                reasons.append(
                    f"after {self.rounds} rounds its interval still reaches {100 * reach:.1f} % from the median"
                )
        return ", and ".join(reasons) or None


def measure(
    config: Network | Part,
    in_channels: int,
    classes: int,
    size: tuple[int, int],
    device: Device = "cpu",
    repeats: int = 20,
    threads: int = 1,
    seconds: float = 60,
) -> Measured:
    """Measure `config` for one image of `size` (height, width) in processes of its own, in seconds to minutes.

    It is timed in at least `repeats` rounds, until the interval of their median reaches 2 % from it at most; after
    `seconds` of timing that is given up, and `Measured.doubt` says so.

    Raises `InputError` for an impossible network, a size that it cannot take or a device that is not there, and
    `TrialError` where the process dies, of too little memory say.
    """
    check(config, in_channels, classes, size, threads)
    asked = request(config, in_channels, classes, size, device, threads)
    asked |= {"repeats": repeats, "seconds": seconds, "peak": _peak(asked)}
    return Measured.model_validate_json(in_child(MEASURING, "time", asked))


def peak_memory(
    config: Network | Part,
    in_channels: int,
    classes: int,
    size: tuple[int, int],
    device: Device = "cpu",
    threads: int = 1,
) -> float:
    """What `Measured.peak_memory_mb` is, in bytes, and nothing else; raises as `measure` does."""
    check(config, in_channels, classes, size, threads)
    return _peak(request(config, in_channels, classes, size, device, threads))


def request(
    config: Network | Part, in_channels: int, classes: int, size: tuple[int, int], device: Device, threads: int
) -> dict[str, Any]:
    """What `ablate.cost.measuring` is asked, but for how long."""
    part = config if isinstance(config, Part) else Part.of(config)
    return {
        "model": part.canonical(),
        "local": {name: str(path) for name, path in part.local.items()},
        "code": used_code().read,
        "in_channels": in_channels,
        "classes": classes,
        "size": size,
        "device": device,
        "threads": threads,
    }


def _peak(asked: dict[str, Any]) -> float:
    return float(in_child(MEASURING, "memory", asked))


def in_child(module: str, what: Literal["time", "memory"], asked: dict[str, Any]) -> str:
    """What a module like `ablate.cost.measuring` says, in a process of its own that ends when this does.

    Raises `TrialError` where it fails.
    """
    environment = _EACH_BLOCK_GIVEN_BACK if what == "memory" else {}
    watched, held = os.pipe()  # no one writes to it: the child reads its end when this process is gone, killed or not
    try:
        child = subprocess.run(
            # -P: this package, not a folder here that is called so
            [sys.executable, "-P", "-m", module, what, str(watched)],
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            pass_fds=(watched,),
            env=os.environ | environment,
        )
    finally:
        os.close(watched)
        os.close(held)
    if child.returncode:
        raise TrialError(_reason(child))
    return child.stdout.splitlines()[-1]


def check(config: Network | Part, in_channels: int, classes: int, size: tuple[int, int], threads: int) -> None:
    """That this can be measured here, as far as it can be told beforehand. Raises `InputError` as `measure` does."""
    from ablate.cost.counted import cost
    from ablate.models.network import network_of

    available = os.cpu_count() or 1
    if threads > available:
        raise InputError(f"{threads} threads: this machine has {available} cores; give at most that")
    params = cost(config, in_channels, classes, size).params
    least, memory = 4 * (params + in_channels * size[0] * size[1]), _memory()
    if least > memory:
        given = f"{network_of(config).called} and an image of {in_channels}x{size[0]}x{size[1]}"
        raise InputError(
            f"{given} take {least / 1e9:,.0f} GB, of which this machine has {memory / 1e9:,.0f}: give a smaller input"
        )


def _memory() -> int:
    """Bytes of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def busy() -> float | None:
    """The load average of a machine that others use now; None if it is idle, or if that cannot be known."""
    load = load_average()
    return load if load is not None and load >= _BUSY else None


def choose_device(name: Device | None) -> Device:
    """`name`, or by default CUDA where there is one. Raises `InputError` for CUDA where there is none."""
    import torch

    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise InputError("device cuda: this machine has no CUDA GPU; leave it out to measure on the CPU")
    return name or ("cuda" if there else "cpu")


def _reason(child: subprocess.CompletedProcess[str]) -> str:
    if child.returncode < 0:
        return f"its process was ended by signal {-child.returncode}, as happens where memory runs out"
    lines = child.stderr.strip().splitlines()
    return lines[-1] if lines else f"its process ended with code {child.returncode}"


def load_average() -> float | None:
    try:
        return os.getloadavg()[0]
    except OSError:
        return None
