"""What a network costs, by the names that costs go by everywhere: on fronts, in claims, in tables.

A name by itself is of the network in PyTorch. `NAME@RUNTIME` is of the file that it leaves as, in that runtime.
"""

from __future__ import annotations

from ablate.errors import InputError, unknown

RUNTIMES = {"onnx": "ONNX", "onnx-int8": "ONNX int8", "executorch": "ExecuTorch"}
"""Where exported files run, and what each is called. Before `-int8` is the format of the file."""
PYTORCH = "torch"
"""Where networks are trained: what it takes there has a name without a runtime."""
COSTS_OF_NETWORKS = {"params": "Parameters", "macs": "MACs", "latency_ms": "Latency", "peak_memory_mb": "Peak memory"}
"""Of a network. The first two are known before training; the others are there once `ablate measure` was run."""
OF_FILES = {"latency_ms": "Latency", "peak_memory_mb": "Peak memory", "file_mb": "File size"}
"""Of a file in a runtime, once `ablate measure --runtime` was run."""
ALL_COSTS = COSTS_OF_NETWORKS | {
    f"{cost}@{runtime}": f"{word} in {called}"
    for runtime, called in RUNTIMES.items()
    for cost, word in OF_FILES.items()
}
_UNITS = {"latency_ms": "ms", "peak_memory_mb": "MB", "file_mb": "MB"}
UNITS = {cost: _UNITS[stem] for cost in ALL_COSTS if (stem := cost.partition("@")[0]) in _UNITS}
"""Of the costs that are measured."""


def cost_named(name: str) -> str:
    """The name itself. Raises `InputError` for one that no cost has, with the nearest that does."""
    stem, at, runtime = name.partition("@")
    if at and runtime == PYTORCH and stem in COSTS_OF_NETWORKS:
        raise InputError(f"unknown cost '{name}': PyTorch's is called {stem}")
    if name not in ALL_COSTS:
        raise unknown("cost", name, ALL_COSTS)
    return name


def runtime_named(name: str) -> str:
    """The name itself of a runtime of files. Raises `InputError` as `cost_named` does."""
    if name not in RUNTIMES:
        raise unknown("runtime", name, RUNTIMES)
    return name


def runtimes_named(text: str) -> list[str]:
    """`torch,onnx` as names, each once. Raises `InputError` for one that no runtime has, with the nearest that does."""
    names = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    for name in names:
        if name not in (PYTORCH, *RUNTIMES):
            raise unknown("runtime", name, (PYTORCH, *RUNTIMES))
    if not names:
        raise InputError(
            f"--runtime names none: expected one or more of {', '.join((PYTORCH, *RUNTIMES))}, with commas"
        )
    return names


def runtime_of(cost: str) -> str:
    """Where a cost is of a file: the runtime, or '' of what is the network's."""
    return cost.partition("@")[2]


def format_of_runtime(runtime: str) -> str:
    """The name of the format that it reads."""
    return runtime.removesuffix("-int8")


def is_int8(runtime: str) -> bool:
    return runtime.endswith("-int8")


def how_to_measure(cost: str, study: object = "STUDY") -> str:
    """The command after which a cost is known."""
    runtime = runtime_of(cost)
    return f"ablate measure {study}" + (f" --runtime {runtime}" if runtime else "")
