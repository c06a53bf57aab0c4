"""The process in which one network is measured, `python -m ablate.cost.measuring memory|time DESCRIPTOR`.

`ablate.cost.measured` starts it. A request is read from standard input, and one line of JSON is printed: the peak
memory in bytes, or the record of all that was measured, a `Measured`. The last argument is the file descriptor of a
pipe's end: the other is the parent's, as long as that lives.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.metadata
import json
import os
import re
import resource
import statistics
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ablate import DISTRIBUTION
from ablate.cost.machine import Machine, processor_of
from ablate.cost.measured import Device, Measured, load_average
from ablate.cost.rounds import timed
from ablate.modules import use_code
from ablate.part import Part
from ablate.user_code import Source, UserCode

if TYPE_CHECKING:
    import torch

    from ablate.models.network import Network


def _main(what: str, watched: int) -> None:
    threading.Thread(target=_end_with_parent, args=(watched,), daemon=True).start()
    request: dict[str, Any] = json.load(sys.stdin)
    use_code(UserCode(read={name: Source(*source) for name, source in request.pop("code").items()}))
    asked = _Asked(**request | {"size": tuple(request["size"])})
    print(_peak(asked) if what == "memory" else _timed(asked).model_dump_json())


class _Asked(NamedTuple):
    """As `measured.measure` has it; to be timed, with the peak memory that was found."""

    model: dict[str, Any]
    local: dict[str, str]
    in_channels: int
    classes: int
    size: tuple[int, int]
    device: Device
    threads: int
    repeats: int = 0
    seconds: float = 0.0
    peak: float = 0.0


def _end_with_parent(watched: int) -> None:
    """Wait for the end of a pipe that the parent holds open, and end: a parent that is killed cannot end this."""
    os.read(watched, 1)
    os._exit(1)


@contextlib.contextmanager
def _inference(asked: _Asked) -> Iterator[Callable[[], Callable[[], torch.Tensor]]]:
    """What makes the network and its input, and gives the step that predicts; the libraries' code is loaded."""
    import torch

    from ablate.models.build import build_model
    from ablate.models.settings import AttentionUNet, UNet
    from ablate.training.devices import autocast

    torch.set_num_threads(asked.threads)
    place = torch.device(asked.device)

    def step_of(config: Network | Part, size: tuple[int, int]) -> Callable[[], torch.Tensor]:
        model = build_model(config, asked.in_channels, asked.classes, size).eval()
        model = model.to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
        images = torch.randn(1, asked.in_channels, *size).to(place, memory_format=torch.channels_last)
        return lambda: model(images)

    with torch.inference_mode(), autocast(place):
        for small in (UNet(width=8, stages=2), AttentionUNet(width=8, stages=2)):
            step_of(small, (32, 32))()
        yield lambda: step_of(Part(asked.model, asked.local), asked.size)


def _peak(asked: _Asked) -> float:
    with _inference(asked) as make:
        meter = _cuda_meter() if asked.device == "cuda" else _cpu_meter()
        return meter(make())


def _timed(asked: _Asked) -> Measured:
    import torch

    from ablate.training.devices import precision

    load = load_average()
    with _inference(asked) as make:
        found = timed(make(), _synchronise(asked.device), asked.repeats, asked.seconds, _worked)
    quartiles = statistics.quantiles(found.passes, n=4, method="inclusive")
    low, high = found.interval
    return Measured(
        latency_ms=1e3 * statistics.median(found.wall),
        latency_iqr_ms=1e3 * (quartiles[2] - quartiles[0]),
        peak_memory_mb=asked.peak / 1e6,
        device=str(Machine(asked.device, processor_of(asked.device), asked.threads)),
        threads=asked.threads,
        channels=asked.in_channels,
        size=asked.size,
        repeats=len(found.passes),
        precision=str(precision(torch.device(asked.device))).removeprefix("torch."),
        load=load,
        versions={"ablate": importlib.metadata.version(DISTRIBUTION), "torch": importlib.metadata.version("torch")},
        rounds=len(found.wall),
        latency_low_ms=1e3 * low,
        latency_high_ms=1e3 * high,
        latency_cpu_ms=1e3 * statistics.median(found.cpu),
        others=found.others,
    )


def _synchronise(device: Device) -> Callable[[], None]:
    import torch

    return torch.cuda.synchronize if device == "cuda" else lambda: None


def _worked() -> float | None:
    """Seconds that all processors of this machine have worked since it started, for whomever; None if none can tell."""
    try:
        user, nice, system, _idle, _waiting, *more = map(int, Path("/proc/stat").read_text().split()[1:9])
    except (OSError, ValueError):
        return None
    return (user + nice + system + sum(more)) / os.sysconf("SC_CLK_TCK")  # interrupts, and what a hypervisor took


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
    with contextlib.suppress(OSError, AttributeError):  # what is free now would be used again, and not seen
        ctypes.CDLL(None).malloc_trim(0)
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


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]))
