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
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

from ablate import DISTRIBUTION
from ablate.cost.machine import Machine, processor_of
from ablate.cost.measured import Device, Measured, load_average
from ablate.cost.rounds import Rounds, timed
from ablate.modules import use_code
from ablate.part import Part
from ablate.user_code import Source, UserCode

if TYPE_CHECKING:
    import torch

    from ablate.models.network import Network


def _main(what: str, watched: int) -> None:
    threading.Thread(target=end_with_parent, args=(watched,), daemon=True).start()
    asked = Asked.of(json.load(sys.stdin))
    print(_peak(asked) if what == "memory" else _timed(asked).model_dump_json())


class Asked(NamedTuple):
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

    @classmethod
    def of(cls, request: dict[str, Any]) -> Self:
        """Of what `measured.request` made, whose code of the user's is put to use."""
        use_code(UserCode(read={name: Source(*source) for name, source in request.pop("code").items()}))
        return cls(**request | {"size": tuple(request["size"])})


def end_with_parent(watched: int) -> None:
    """Wait for the end of a pipe that the parent holds open, and end: a parent that is killed cannot end this."""
    os.read(watched, 1)
    os._exit(1)


@contextlib.contextmanager
def inference(asked: Asked) -> Iterator[Callable[[], Callable[[], torch.Tensor]]]:
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


def _peak(asked: Asked) -> float:
    with inference(asked) as make:
        meter = _cuda_meter() if asked.device == "cuda" else cpu_meter()
        return meter(make())


def _timed(asked: Asked) -> Measured:
    import torch

    from ablate.training.devices import precision

    load = load_average()
    with inference(asked) as make:
        found = timed(make(), _synchronise(asked.device), asked.repeats, asked.seconds, worked)
    what_ran = str(precision(torch.device(asked.device))).removeprefix("torch.")
    return measured(asked, found, asked.peak, what_ran, load, ("torch",))


def measured(
    asked: Asked, found: Rounds, peak: float, precision: str, load: float | None, libraries: Sequence[str]
) -> Measured:
    """The record of what was found. `peak`: of memory, in bytes; `libraries`: distributions that ran it."""
    quartiles = statistics.quantiles(found.passes, n=4, method="inclusive")
    low, high = found.interval
    return Measured(
        latency_ms=1e3 * statistics.median(found.wall),
        latency_iqr_ms=1e3 * (quartiles[2] - quartiles[0]),
        peak_memory_mb=peak / 1e6,
        device=str(Machine(asked.device, processor_of(asked.device), asked.threads)),
        threads=asked.threads,
        channels=asked.in_channels,
        size=asked.size,
        repeats=len(found.passes),
        precision=precision,
        load=load,
        versions={"ablate": importlib.metadata.version(DISTRIBUTION)}
        | {name: importlib.metadata.version(name) for name in libraries},
        rounds=len(found.wall),
        latency_low_ms=1e3 * low,
        latency_high_ms=1e3 * high,
        latency_cpu_ms=1e3 * statistics.median(found.cpu),
        others=found.others,
    )


def _synchronise(device: Device) -> Callable[[], None]:
    import torch

    return torch.cuda.synchronize if device == "cuda" else lambda: None


def worked() -> float | None:
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


def cpu_meter() -> Meter:
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
