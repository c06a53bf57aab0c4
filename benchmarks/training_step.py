"""What a training step of PyConvU-Net takes, over one of U-Net of the same width, with the library's convolutions and
by the ways that fill a CPU's lanes (`ablate.models.lanes`).

A step is forward, binary cross-entropy, backward and Adam, on five grey images, in the mode that `train` uses. The
networks take turns, so that what else the machine does falls on all. One thread is timed in its own CPU seconds,
several in wall time.

    python benchmarks/training_step.py [--size 128] [--steps 7] [--threads 1]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from unittest.mock import patch

import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from ablate.models import grouped
from ablate.models.build import build_model
from ablate.models.network import Network
from ablate.models.settings import PyConvUNet, UNet
from ablate.training.devices import make_deterministic

KERNELS, GROUPS = (3, 5, 7, 9), (1, 4, 8, 16)
NETWORKS: dict[str, tuple[Network, int]] = {
    "one level": (PyConvUNet(kernels=KERNELS[:1], groups=GROUPS[:1]), 32),
    "two levels": (PyConvUNet(kernels=KERNELS[:2], groups=GROUPS[:2]), 32),
    "three levels": (PyConvUNet(kernels=KERNELS[:3], groups=GROUPS[:3]), 32),
    "four levels": (PyConvUNet(), 32),
    "tapered, 4-3-2-1-1": (
        PyConvUNet(
            kernels=(KERNELS, KERNELS[:3], KERNELS[:2], KERNELS[:1], KERNELS[:1]),
            groups=(GROUPS, GROUPS[:3], GROUPS[:2], GROUPS[:1], GROUPS[:1]),
        ),
        32,
    ),
    "quarters, width 64": (PyConvUNet(width=64, share="quarters"), 64),
}
"""By what they are called, with the width of the U-Net beside them."""


def training_step(config: Network, size: int, *, library: bool) -> Callable[[], None]:
    """One step of a freshly built network."""
    torch.manual_seed(0)
    model = build_model(config, in_channels=1, classes=1).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = torch.randn(5, 1, size, size).to(memory_format=torch.channels_last)
    masks = (torch.rand(5, 1, size, size) > 0.5).float().to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)

    def step() -> None:
        optimizer.zero_grad()
        binary_cross_entropy_with_logits(model(images), masks).backward()
        optimizer.step()

    def with_the_library() -> None:
        with patch.object(grouped, "_lanes", return_value=0):
            step()

    return with_the_library if library else step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=128, help="height and width of the images")
    parser.add_argument("--steps", type=int, default=7, help="timed steps of each, after one that is not timed")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    make_deterministic(torch.device("cpu"))
    clock = time.thread_time if options.threads == 1 else time.perf_counter

    chosen = {name: NETWORKS[name] for name in options.networks}
    steps = {
        ("U-Net", width): training_step(UNet(width=width), options.size, library=True) for _, width in chosen.values()
    }
    for name, (config, _) in chosen.items():
        steps |= {(name, way): training_step(config, options.size, library=not way) for way in (0, 1)}
    seconds: dict[tuple[str, int], list[float]] = {name: [] for name in steps}
    for turn in range(options.steps + 1):
        for name, step in steps.items():
            start = clock()
            step()
            if turn:
                seconds[name].append(clock() - start)

    unit = "CPU s" if options.threads == 1 else "s"
    print(
        f"5x1x{options.size}x{options.size}, {options.threads} thread(s), {options.steps} steps: least, median {unit}"
    )
    print(f"{'':20} {'library':>15} {'lanes filled':>15}   over U-Net's step: library, lanes filled")
    for name, (_, width) in chosen.items():
        ratios = []
        for of in (min, statistics.median):
            base = of(seconds["U-Net", width])
            ratios.append(" ".join(f"{of(seconds[name, way]) / base:.2f}" for way in (0, 1)))
        times = [f"{min(t):7.3f} {statistics.median(t):7.3f}" for t in (seconds[name, 0], seconds[name, 1])]
        print(f"{name:20} {times[0]:>15} {times[1]:>15}   least {ratios[0]}, median {ratios[1]}")
    for (name, width), times_of in seconds.items():
        if name == "U-Net":
            print(f"U-Net, width {width}: {min(times_of):.3f} {statistics.median(times_of):.3f}")


if __name__ == "__main__":
    main()
