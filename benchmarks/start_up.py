"""What answers at once: `ablate --help` against a bare interpreter, and a network's price against building it for real.

    python benchmarks/start_up.py

Medians of alternating runs. The price is that of `ablate.cost.counted`, on PyTorch's meta device at 3x512x512; the
baseline is the same network on the CPU, counted by the same ptflops over a real forward pass.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from ptflops import get_model_complexity_info

from ablate.cost import counted
from ablate.cost.counted import cost
from ablate.kinds import KINDS, own_parts
from ablate.models.build import build_model
from ablate.models.network import network

SIZE = (512, 512)


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def main() -> None:
    ablate = str(Path(sys.executable).parent / "ablate")
    pairs = [(seconds(lambda: run(ablate, "--help")), seconds(lambda: run(sys.executable, "-c", ""))) for _ in range(9)]
    ours, bare = (statistics.median(times) for times in zip(*pairs, strict=True))
    print(f"ablate --help {ours:.3f} s, a bare interpreter {bare:.3f} s, ratio {ours / bare:.1f}")

    first = network("unet")
    print(f"the first price of a process {seconds(lambda: cost(first, 3, 1, SIZE)):.2f} s (PyTorch loads sympy)")
    for name in own_parts(KINDS["network"]):
        config = network(name)
        priced = statistics.median(
            seconds(lambda c=config: counted._priced.__wrapped__(c, 3, 1, SIZE)) for _ in range(5)
        )

        def for_real(config: object = config) -> None:
            get_model_complexity_info(
                build_model(config, 3, 1),  # type: ignore[arg-type]
                (3, *SIZE),
                as_strings=False,
                print_per_layer_stat=False,
                backend="pytorch",
                backend_specific_config={"count_functional": False},
            )

        real = seconds(for_real)
        print(
            f"{name:16} priced in {priced * 1000:5.0f} ms, built and run in {real:5.2f} s, ratio {real / priced:6.1f}"
        )


if __name__ == "__main__":
    main()
