"""What a network's inference takes on a real machine: latency and peak memory, one network at a time.

MACs do not tell: grouped convolutions with large kernels need fewer MACs and more time than plain ones.

A measurement runs in a fresh process of its own, so that neither an earlier network's memory nor a warm allocator is
in it. Nothing else should run on the machine meanwhile: neighbours take caches, memory bandwidth and clock.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import platform
import re
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ablate import DISTRIBUTION
from ablate.errors import InputError, TrialError
from ablate.modules import use_code, used_code
from ablate.part import Part
from ablate.user_code import Source, UserCode

if TYPE_CHECKING:
    import torch
    from torch import nn

    from ablate.models.network import Network

Device = Literal["cpu", "cuda"]
WARM_UP = 3
"""Forward passes before the clock starts: caches fill, and kernels are chosen and compiled."""
_BUSY = 0.5
"""A load average (processes that want a core) from which a machine is not idle; importing this leaves less."""


class Measured(BaseModel):
    """Inference of one image (batch 1) in evaluation mode, channels last, without gradients.

    `latency_ms` is the median over `repeats` forward passes, each from an input in the device's memory to its logits
    (on CUDA with a synchronisation), and `latency_iqr_ms` the distance between their quartiles. Convolutions run in
    `precision`, as they do when a trial predicts: float32 on a CPU, 16 bits on CUDA.

    `peak_memory_mb` (10⁶ bytes) is the most that parameters, input, activations and the kernels' workspace take
    together during the first forward pass. On CUDA it is what PyTorch's allocator handed out at its peak. On a CPU it
    is the growth of the process's resident memory, from before the network was built (PyTorch being loaded, and two
    small networks having run) to the pass's own high-water mark; some 6 MB of it are the kernels' code and tables.
    Linux resets that mark before the pass; where it cannot be reset, the moments in which the network was built count
    too, which take little more than its parameters.
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

    @property
    def input(self) -> str:
        """The input size, as `1x96x96`."""
        return f"{self.channels}x{self.size[0]}x{self.size[1]}"


def measure(
    config: Network | Part,
    in_channels: int,
    classes: int,
    size: tuple[int, int],
    device: Device = "cpu",
    repeats: int = 20,
    threads: int = 1,
) -> Measured:
    """Measure `config` for one image of `size` (height, width) in a process of its own, in seconds to minutes.

    Raises `InputError` for an impossible network, a size that it cannot take or a device that is not there, and
    `TrialError` where the process dies, of too little memory say.
    """
    check(config, in_channels, classes, size, threads)
    part = config if isinstance(config, Part) else Part.of(config)
    request = {
        "model": part.canonical(),
        "local": {name: str(path) for name, path in part.local.items()},
        "code": used_code().read,
        "in_channels": in_channels,
        "classes": classes,
        "size": size,
        "device": device,
        "repeats": repeats,
        "threads": threads,
    }
    child = subprocess.run(
        [sys.executable, "-P", "-m", "ablate.cost.measured"],  # -P: this package, not a folder here that is called so
        input=json.dumps(request),
        capture_output=True,
        text=True,
    )
    if child.returncode:
        raise TrialError(_reason(child))
    return Measured.model_validate_json(child.stdout.splitlines()[-1])


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
    load = _load()
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


def _load() -> float | None:
    try:
        return os.getloadavg()[0]
    except OSError:
        return None


# In the child --------------------------------------------------------------------------------------------------------


def _main() -> None:
    request: dict[str, Any] = json.load(sys.stdin)
    use_code(UserCode(read={name: Source(*source) for name, source in request.pop("code").items()}))
    request["size"] = tuple(request["size"])
    found = _measure_here(Part(request.pop("model"), request.pop("local")), **request)
    print(found.model_dump_json())


def _measure_here(
    config: Network | Part,
    in_channels: int,
    classes: int,
    size: tuple[int, int],
    device: Device,
    repeats: int,
    threads: int,
) -> Measured:
    import torch

    from ablate.models.build import build_model
    from ablate.models.settings import AttentionUNet, UNet
    from ablate.training.devices import precision

    load = _load()
    torch.set_num_threads(threads)
    place = torch.device(device)
    dtype = precision(place)

    def network_and_input(config: Network | Part, size: tuple[int, int]) -> tuple[nn.Module, torch.Tensor]:
        model = build_model(config, in_channels, classes, size).eval()
        model = model.to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
        images = torch.randn(1, in_channels, *size).to(place, memory_format=torch.channels_last)
        return model, images

    with torch.inference_mode(), torch.autocast(device, dtype=dtype, enabled=dtype != torch.float32):
        for small in (UNet(width=8, stages=2), AttentionUNet(width=8, stages=2)):  # loads the libraries' code
            model, images = network_and_input(small, (32, 32))
            model(images)
        meter = _cuda_meter() if device == "cuda" else _cpu_meter()
        model, images = network_and_input(config, size)
        peak = meter(lambda: model(images))
        seconds = _seconds(lambda: model(images), repeats, _synchronise(device))
    quartiles = statistics.quantiles(seconds, n=4, method="inclusive")
    return Measured(
        latency_ms=1e3 * statistics.median(seconds),
        latency_iqr_ms=1e3 * (quartiles[2] - quartiles[0]),
        peak_memory_mb=peak / 1e6,
        device=_device_name(device, threads),
        threads=threads,
        channels=in_channels,
        size=size,
        repeats=repeats,
        precision=str(dtype).removeprefix("torch."),
        load=load,
        versions={"ablate": importlib.metadata.version(DISTRIBUTION), "torch": importlib.metadata.version("torch")},
    )


def _seconds(step: Callable[[], object], repeats: int, synchronise: Callable[[], None]) -> list[float]:
    for _ in range(WARM_UP):
        step()
    found = []
    for _ in range(repeats):
        synchronise()
        started = time.perf_counter()
        step()
        synchronise()
        found.append(time.perf_counter() - started)
    return found


def _synchronise(device: Device) -> Callable[[], None]:
    import torch

    return torch.cuda.synchronize if device == "cuda" else lambda: None


Meter = Callable[[Callable[[], object]], float]
"""Runs a step, and returns the most bytes that were in use during it, above what was when the meter was made."""


def _cuda_meter() -> Meter:
    import torch

    before = torch.cuda.memory_allocated()

    def meter(step: Callable[[], object]) -> float:
        torch.cuda.reset_peak_memory_stats()
        step()
        torch.cuda.synchronize()
        return float(torch.cuda.max_memory_allocated() - before)

    return meter


def _cpu_meter() -> Meter:
    before = _resident("VmRSS")

    def meter(step: Callable[[], object]) -> float:
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")  # sets VmHWM back to what is resident now; see proc(5)
        step()
        return float(_resident("VmHWM") - before)

    return meter


def _resident(line: Literal["VmRSS", "VmHWM"]) -> int:
    """Bytes that this process has resident, or had at its peak.

    `ru_maxrss` serves only where there is no /proc: Linux starts it at the size of the process that this one came from.
    """
    try:
        found = re.search(rf"^{line}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    except OSError:
        found = None
    if found:
        return int(found[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _device_name(device: Device, threads: int) -> str:
    if device == "cuda":
        import torch

        return f"cuda ({torch.cuda.get_device_name()})"
    return f"cpu ({_cpu_name()}, {threads} thread{'' if threads == 1 else 's'})"


def _cpu_name() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()


if __name__ == "__main__":
    _main()
