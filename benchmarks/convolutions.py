"""The rule of `ablate.models.lanes` over every convolution of a pyramid in the packaged spaces: the time of each pass
by its way, over the library's and over the fastest way there is.

    python benchmarks/convolutions.py [--size 128] [--images 5] [--every] [--repeats 5]

One thread, in its own CPU seconds, the least of several; ways take turns. `--every` times all ways, and says what the
rule gives away; without it, the chosen one and the library's. With one image, that is prediction, forward passes alone.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from ablate.data.load import load_data
from ablate.models import grouped
from ablate.models.build import build_model
from ablate.models.lanes import LIBRARY, Shape, Way, alternatives, ways
from ablate.models.pyconv import PyConv2d
from ablate.search_spaces.plan import make_plan
from ablate.search_spaces.profiles import PROFILES
from ablate.search_spaces.space import load_space
from ablate.training.devices import make_deterministic

SPACES = ("pyramid_levels", "kernel_sizes", "group_splits", "pyramid_shares")
PASSES = ("forward", "data", "weights")


def shapes_of(space: str, images: int, size: int) -> Counter[Shape]:
    """Every convolution of a pyramid in the networks of `space`, and how often it is there."""
    found: Counter[Shape] = Counter()

    def seen(layer: nn.Conv2d, given: tuple[Tensor], _: Tensor) -> None:
        (kernel, _), groups, (height, width) = layer.kernel_size, layer.groups, given[0].shape[2:]
        inputs, outputs = layer.in_channels // groups, layer.out_channels // groups
        found[Shape(kernel, inputs, outputs, groups, images, height, width)] += 1

    plan = make_plan(load_space(space), PROFILES["quick"], dataset_of=load_data, seeds=1)
    for trial in plan.trials:
        with torch.device("meta"):
            model = build_model(trial.config.model, 1, 1)
            for pyramid in model.modules():
                for level in pyramid.levels if isinstance(pyramid, PyConv2d) else ():
                    level.register_forward_hook(seen)  # type: ignore[arg-type]
            model(torch.empty(images, 1, size, size))
    return found


def calls(shape: Shape) -> dict[str, Callable[[Way], object]]:
    """Each pass of `shape` on random numbers, by a way."""
    groups, size = shape.groups, (shape.height, shape.width)
    x = torch.randn(shape.images, groups * shape.inputs, *size).contiguous(memory_format=torch.channels_last)
    of_y = torch.randn(shape.images, groups * shape.outputs, *size).contiguous(memory_format=torch.channels_last)
    weight = torch.randn(groups * shape.outputs, shape.inputs, shape.kernel, shape.kernel)
    return {
        "forward": partial(grouped.forward, x, weight, groups),
        "data": partial(grouped.data_gradient, of_y, x, weight, groups),
        "weights": partial(grouped.weight_gradient, of_y, x, weight, groups),
    }


def milliseconds(work: Callable[[Way], object], tried: tuple[Way, ...], repeats: int) -> dict[Way, float]:
    least = dict.fromkeys(tried, float("inf"))
    for turn in range(repeats + 1):
        for way in least:
            start = time.thread_time()
            work(way)
            if turn:
                least[way] = min(least[way], 1e3 * (time.thread_time() - start))
    return least


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=128, help="height and width of the images")
    parser.add_argument("--images", type=int, default=5, help="of a batch")
    parser.add_argument("--every", action="store_true", help="time every way")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    make_deterministic(torch.device("cpu"))
    lanes = grouped._lanes()
    passes = PASSES[:1] if options.images == 1 else PASSES

    spaces = {name: shapes_of(name, options.images, options.size) for name in SPACES}
    times: dict[tuple[Shape, str], tuple[float, float, float]] = {}
    slower: list[tuple[float, float, str]] = []
    for shape in sorted(set().union(*spaces.values())):
        chosen, (along, of_weights) = ways(shape, lanes), alternatives(shape)
        work = calls(shape)
        for number, name in enumerate(passes):
            tried = (of_weights if name == "weights" else along) if options.every else (LIBRARY, chosen[number])
            least = milliseconds(work[name], tried, options.repeats)
            mine, library = least[chosen[number]], least[LIBRARY]
            times[shape, name] = library, mine, min(least.values())
            slower.append((mine / library, mine - library, f"{name} of {tuple(shape)} by {tuple(chosen[number])}"))

    print(f"{lanes} lanes, {options.images} images of {options.size}x{options.size}, {len(times)} passes of shapes; ms")
    for space, counted in spaces.items():
        for name in passes:
            library, mine, best = (
                sum(count * times[shape, name][which] for shape, count in counted.items()) for which in range(3)
            )
            every = f", the fastest ways {best:7.0f}" if options.every else ""
            print(f"{space:16} {name:8} library {library:7.0f}, by the rule {mine:7.0f} ({mine / library:.2f}){every}")
    print("Slowest against the library's way:")
    for ratio, more, what in sorted(slower, reverse=True)[:8]:
        print(f"  {ratio:.2f} ({more:+.2f} ms) {what}")


if __name__ == "__main__":
    main()
