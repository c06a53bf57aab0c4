"""The process in which a network and its files are timed: `python -m ablate.deployment.measuring WHAT DESCRIPTOR`.

`ablate.deployment.measured` starts it. A request is read from standard input, and one line of JSON is printed: the peak
memory of the one file in bytes, or by runtime the record of each, a `Measured`. The descriptor is as that of
`ablate.cost.measuring`.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ablate.cost.measured import Measured, load_average
from ablate.cost.measuring import Asked, cpu_meter, end_with_parent, inference, measured, worked
from ablate.cost.names import PYTORCH, format_of_runtime, is_int8
from ablate.cost.rounds import timed_in_turn
from ablate.deployment.convert import quiet
from ablate.deployment.formats import FORMATS
from ablate.deployment.runtime import LIBRARIES, Exported


def _main(what: str, watched: int) -> None:
    threading.Thread(target=end_with_parent, args=(watched,), daemon=True).start()
    request: dict[str, Any] = json.load(sys.stdin)
    files = {runtime: Path(file) for runtime, file in request.pop("files").items()}
    peaks: dict[str, float] = request.pop("peaks", {})
    small = Path(request.pop("small", ""))
    asked = Asked.of(request)
    if what == "memory":
        [(runtime, file)] = files.items()
        print(_peak(asked, runtime, file, small))
    else:
        found = _timed(asked, files, peaks)
        print(json.dumps({runtime: one.model_dump(mode="json") for runtime, one in found.items()}))


def _peak(asked: Asked, runtime: str, file: Path, small: Path) -> float:
    """The most bytes from before the file was loaded to the end of its first prediction; that of a `small` one has
    loaded the library's code, as it is where a network is measured."""
    with torch.inference_mode():
        form = FORMATS[format_of_runtime(runtime)]
        Exported(form, small, asked.threads)(torch.zeros(1, 1, 8, 8))
        return cpu_meter()(lambda: _step(asked, runtime, file)())


def _timed(asked: Asked, files: dict[str, Path], peaks: dict[str, float]) -> dict[str, Measured]:
    """The network, if its peak memory is given, and its files, a round of each in turn."""
    load = load_average()
    with inference(asked) as make:
        steps: dict[str, Callable[[], object]] = {PYTORCH: make()} if PYTORCH in peaks else {}
        steps |= {runtime: _step(asked, runtime, file) for runtime, file in files.items()}
        rounds = timed_in_turn(list(steps.values()), lambda: None, asked.repeats, asked.seconds, worked)
    found = {}
    for runtime, of in zip(steps, rounds, strict=True):
        libraries = (PYTORCH,) if runtime == PYTORCH else LIBRARIES[format_of_runtime(runtime)]
        precision = "int8" if is_int8(runtime) else "float32"
        found[runtime] = measured(asked, of, peaks[runtime], precision, load, libraries)
    return found


def _step(asked: Asked, runtime: str, file: Path) -> Callable[[], object]:
    torch.set_num_threads(asked.threads)
    with quiet():
        exported = Exported(FORMATS[format_of_runtime(runtime)], file, asked.threads)
    images = torch.randn(1, asked.in_channels, *asked.size)
    return lambda: exported(images)


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]))
