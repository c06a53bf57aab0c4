"""How much faster PyConvU-Net trains in the project's memory layout, `channels_last`, than in PyTorch's default, NCHW.

Grouped convolutions with large kernels are slow on a CPU in the default layout: the paper's lightest network by MACs is
the slowest to train there. `channels_last` for model and images is what makes the ablations feasible on a laptop.

A step is forward, binary cross-entropy, backward and Adam, on five grey images of 128×128. The two layouts take turns,
so that what else the machine does falls on both.

    python benchmarks/training_step.py [--steps 7] [--threads N]
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from ablate.models.build import build_model
from ablate.models.settings import PyConvUNet

LAYOUTS = {"channels_last": torch.channels_last, "NCHW": torch.contiguous_format}


def training_step(layout: torch.memory_format) -> Callable[[], None]:
    """One step of a freshly built network; both layouts start from the same weights and images."""
    torch.manual_seed(0)
    model = build_model(PyConvUNet(width=32, stages=5), in_channels=1, classes=1).to(memory_format=layout)
    images = torch.randn(5, 1, 128, 128).to(memory_format=layout)
    masks = (torch.rand(5, 1, 128, 128) > 0.5).float().to(memory_format=layout)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step() -> None:
        optimizer.zero_grad()
        binary_cross_entropy_with_logits(model(images), masks).backward()
        optimizer.step()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=7, help="timed steps of each layout, after one that is not timed")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="default: all cores")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    steps = {name: training_step(layout) for name, layout in LAYOUTS.items()}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(arguments.steps + 1):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if turn:
                seconds[name].append(time.perf_counter() - start)

    medians = {name: statistics.median(times) for name, times in seconds.items()}
    print(f"PyConvU-Net, 5x1x128x128, {arguments.threads} threads, median of {arguments.steps} training steps")
    for name, median in medians.items():
        print(f"{name:>14} {median:8.3f} s   (from {min(seconds[name]):.3f} to {max(seconds[name]):.3f})")
    print(f"{'ratio':>14} {medians['NCHW'] / medians['channels_last']:8.2f} times faster in channels_last")


if __name__ == "__main__":
    main()
