"""The price of networks of others, against PyTorch's own counter of operations and what they say of themselves."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from ablate.cost.counted import cost, cost_note
from ablate.errors import InputError
from ablate.models.build import build_model
from ablate.models.network import network
from ablate.modules import code_from
from ablate.part import Part

MONAI = "monai.networks.nets"
LIBRARY = {
    "BasicUNet": {"features": [8, 8, 16, 32, 64, 8]},
    "SegResNet": {"init_filters": 8},
    "AttentionUnet": {"channels": [8, 16, 32], "strides": [2, 2]},
    "DynUNet": {"kernel_size": [3, 3, 3], "strides": [1, 2, 2], "upsample_kernel_size": [2, 2], "filters": [8, 16, 32]},
    "UNet": {"channels": [8, 16, 32], "strides": [2, 2], "num_res_units": 2},
}
SIZE = (64, 64)
OWN = """
import torch
from torch import nn
from torch.nn import functional as F


class Functional(nn.Module):
    '''Its convolution is a function: no module has it.'''

    def __init__(self, in_channels, classes):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(8, in_channels, 3, 3))
        self.head = nn.Conv2d(8, classes, 1)

    def forward(self, x):
        return self.head(F.conv2d(x, self.weight, padding=1))


class Asks(Functional):
    '''It asks for a value, which the meta device has not.'''

    def forward(self, x):
        return super().forward(x) * (1.0 if x.mean().item() > 2 else 2.0)


class Twice(nn.Module):
    def __init__(self, in_channels, classes):
        super().__init__()
        self.first = nn.Conv2d(in_channels, 8, 3, padding=1)
        self.again = nn.Sequential(self.first)
        self.head = nn.Conv2d(8, classes, 1)

    def forward(self, x):
        return self.head(self.again(x))


class Picky(Functional):
    def forward(self, x):
        if x.shape[-1] % 48:
            raise RuntimeError('not my size')
        return super().forward(x)
"""
CONVOLUTIONS = 64 * 64 * (8 * 9 + 8)


def counted(part: Part) -> int:
    """MACs by PyTorch: half its FLOPs, of convolutions and products of matrices."""
    with torch.device("meta"):
        model = build_model(part, 1, 1, SIZE).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, 1, *SIZE, device="meta"))
    return counter.get_total_flops() // 2


@pytest.mark.parametrize("name", LIBRARY)
def test_a_library_s_network_has_the_macs_that_pytorch_counts(name):
    part = network(f"{MONAI}:{name}", **LIBRARY[name])
    found = cost(part, 1, 1, SIZE)
    assert found.params == sum(p.numel() for p in build_model(part, 1, 1, SIZE).parameters())
    # ptflops counts norms, activations and poolings too, which in networks as narrow as these are some per cent.
    assert counted(part) <= found.macs <= 1.15 * counted(part)


@pytest.fixture
def own(tmp_path: Path):
    (tmp_path / "own.py").write_text(OWN)
    with code_from(tmp_path):
        yield


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Functional", "ptflops misses 89% of them"),
        ("Asks", "is priced on the CPU"),
        ("Twice", "a module that has two places twice"),
    ],
)
def test_what_modules_do_not_tell_is_counted_otherwise_and_said(own, name, said):
    part = network(f"own:{name}")
    assert cost(part, 1, 1, SIZE).macs == CONVOLUTIONS
    assert said in cost_note(part, 1, 1, SIZE)


def test_a_size_that_it_cannot_take_is_said_with_its_own_words_and_line(own):
    with pytest.raises(
        InputError, match=r"Picky cannot take 1x64x64: RuntimeError: not my size \(.*own\.py, line 4\d\)"
    ):
        cost(network("own:Picky"), 1, 1, SIZE)
    assert cost(network("own:Picky"), 1, 1, (48, 48)).params == 81
