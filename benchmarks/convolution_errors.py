"""How far PyConvU-Net's outputs and gradients are from float64, with the library's convolutions and by the ways that
fill a CPU's lanes; and why a whole network's gradients are further from it than any of its convolutions'.

    python benchmarks/convolution_errors.py [--size 64] [--epochs 20 --seeds 3]

Errors are relative, of the norm: the median and the worst of all levels' weights. Where a ReLU's input, or two values
that a maximum is taken of, lie within rounding of each other, rounding decides which way the gradient goes. A network
with softplus and mean pooling in their places has no such place, and shows what rounding alone does. `--epochs` trains
on the packaged MNI152 slices, each seed both ways.
"""

from __future__ import annotations

import argparse
import copy
import statistics
from contextlib import AbstractContextManager, nullcontext
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from ablate.data.load import load_data
from ablate.data.settings import Mni152, Split
from ablate.models import grouped
from ablate.models.build import build_model
from ablate.models.settings import PyConvUNet
from ablate.training.devices import make_deterministic
from ablate.training.loop import train
from ablate.trial import Protocol, TrialConfig

WAYS = {"library": True, "lanes filled": False}


def by(library: bool) -> AbstractContextManager[object]:
    return patch.object(grouped, "_lanes", return_value=0) if library else nullcontext()


def smooth(model: nn.Module) -> nn.Module:
    """Softplus for ReLU, mean for maximum."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.ReLU):
                setattr(module, name, nn.Softplus())
            elif isinstance(child, nn.MaxPool2d):
                setattr(module, name, nn.AvgPool2d(child.kernel_size, child.stride))
    return model


def found(model: nn.Module, images: Tensor, masks: Tensor) -> dict[str, Tensor]:
    """The logits and the gradients of all levels, in float64."""
    model.zero_grad()
    logits = model(images)
    binary_cross_entropy_with_logits(logits, masks).backward()
    gradients = {
        name: p.grad.double() for name, p in model.named_parameters() if "levels" in name and p.grad is not None
    }
    return {"": logits.detach().double(), **gradients}


def errors(model: nn.Module, size: int) -> None:
    drawn = torch.Generator().manual_seed(1)
    images = torch.randn(2, 1, size, size, generator=drawn).to(memory_format=torch.channels_last)
    masks = (torch.rand(2, 1, size, size, generator=drawn) > 0.5).float()
    right = found(copy.deepcopy(model).double(), images.double(), masks.double())
    for name, library in WAYS.items():
        with by(library):
            is_found = found(model, images, masks)
        relative = {at: float((is_found[at] - right[at]).norm() / right[at].norm()) for at in right}
        logits, gradients = relative.pop(""), list(relative.values())
        print(
            f"  {name:13} logits {logits:.1e}, gradients: median {statistics.median(gradients):.1e}, "
            f"worst {max(gradients):.1e}"
        )


def test_dice(seed: int, epochs: int, library: bool) -> float:
    data = load_data(Mni152(size=(96, 96)))
    trial = TrialConfig(
        model=PyConvUNet(), data=data.config, protocol=Protocol(epochs=epochs, split=Split(shuffle=False)), seed=seed
    )
    with by(library):
        return train(trial, data, device=torch.device("cpu")).test.dice


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=64, help="height and width of the images")
    parser.add_argument("--epochs", type=int, default=0, help="of trainings by both ways; 0: none")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    make_deterministic(torch.device("cpu"))

    torch.manual_seed(0)
    model = build_model(PyConvUNet(), 1, 1).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    print(f"PyConvU-Net, two random images of {options.size}x{options.size} with random masks, against float64")
    errors(model, options.size)
    print("The same with softplus for ReLU, and means for maxima")
    errors(smooth(model), options.size)
    if not options.epochs:
        return
    print(f"Test Dice on mni152 after {options.epochs} epochs")
    of_way = {
        name: [test_dice(seed, options.epochs, library) for seed in range(options.seeds)]
        for name, library in WAYS.items()
    }
    for name, dices in of_way.items():
        spread = f", standard deviation {statistics.stdev(dices):.4f}" if len(dices) > 1 else ""
        print(f"  {name:13} {' '.join(f'{dice:.4f}' for dice in dices)}: mean {statistics.mean(dices):.4f}{spread}")


if __name__ == "__main__":
    main()
