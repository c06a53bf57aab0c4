"""The outlines of networks against the networks: parameters and MACs as ptflops counts them of what is built."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from itertools import product
from typing import get_args

import pytest
import torch
from torch import nn

from ablate.cost.built import built_cost, one_image_trains
from ablate.cost.counted import cost, try_one_image
from ablate.cost.layers import Cost, Layer, cost_of, layers_of
from ablate.errors import InputError
from ablate.kinds import KINDS, own_parts
from ablate.models.build import build_model
from ablate.models.network import Network, downsampling, network
from ablate.models.settings import Normalisation, PyConvUNet, UNet
from ablate.part import Part
from ablate.search_spaces.networks import networks_of
from ablate.search_spaces.space import load_space, packaged

SIZES = ((32, 32), (96, 64), (128, 256), (512, 512))
TAPERED = {"kernels": [[3, 5], [3], [1, 3]], "groups": [[1, 2], [2], [1, 4]], "width": 8, "stages": 3}
VARIANTS = {
    "unet": [{"width": 3, "stages": 2}, {"upsampling": "bilinear", "stages": 3}, {"width": 24, "stages": 6}],
    "unet_plus_plus": [{"stages": 2}, {"stages": 4, "width": 5, "deep_supervision": False}, {"stages": 3}],
    "attention_unet": [{"width": 6, "stages": 3}, {"width": 7, "stages": 4}],
    "resnet34_unet": [],
    "fcn8s": [],
    "multires_unet": [
        {"width": 9, "stages": 3},
        {"alpha": 2.5, "stages": 2},
        {"res_path": False, "stages": 3},
        {"multires": False, "stages": 3},
        {"multires": False, "res_path": False, "stages": 4, "width": 7},
    ],
    "pyconvunet": [
        *(
            TAPERED | {"block": "plain", "blocks": n, "upsampling": up}
            for n, up in ((1, "bilinear"), (3, "transposed"))
        ),
        *(
            TAPERED | {"block": block, "blocks": n, "expansion": expansion, "residual": residual}
            for block, n, expansion, residual in product(("bottleneck", "published"), (1, 2), (1, 2), (True, False))
        ),
        {"share": "quarters", "width": 64, "stages": 2},
        {"share": "equal", "groups": [1, 2, 4, 8], "stages": 2},
        {"share": [0.25, 0.5, 0.25], "kernels": [3, 1, 7], "groups": [1, 2, 4], "stages": 3, "width": 16},
        {"kernels": [3], "groups": [1], "stages": 3, "width": 5},
    ],
}
"""Settings beside the defaults that change what a network is made of; the norm and dropout are varied for each."""


def built(config: Network | Part, in_channels: int, classes: int) -> nn.Module:
    with torch.device("meta"):
        return build_model(config, in_channels, classes)


def by_layers(config: Network | Part, in_channels: int, classes: int, size: tuple[int, int]) -> Cost:
    layers = layers_of(config, in_channels, classes, size)
    assert layers is not None
    return cost_of(layers)


def test_every_network_has_its_variants_here():
    assert VARIANTS.keys() == own_parts(KINDS["network"]).keys()


@pytest.mark.parametrize(("name", "settings"), [(name, each) for name in VARIANTS for each in [{}, *VARIANTS[name]]])
def test_outlines_count_what_ptflops_counts(name, settings):
    cases = [(1, 1, (64, 32)), (3, 4, (32, 96)), (1, 2, (64, 64)), (3, 1, (96, 32))]
    for norm, (in_channels, classes, size) in zip(get_args(Normalisation), cases, strict=True):
        config = network(name, **settings, norm=norm, dropout=0.2 if classes == 4 else 0)
        found = by_layers(config, in_channels, classes, size)
        assert found == built_cost(config, in_channels, classes, size)[0], norm


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("space", packaged())
def test_outlines_count_what_ptflops_counts_in_every_shipped_space(space, size):
    for _, config in networks_of(load_space(space), {}):
        assert by_layers(config, 3, 1, size) == built_cost(config, 3, 1, size)[0]


def test_a_layer_is_the_closed_form():
    conv = Layer("conv", 8, 16, 5, 4, 1, 6, 10, bias=True)
    assert (conv.params, conv.macs) == (5 * 5 * 2 * 16 + 16, (5 * 5 * 2 * 16 + 16) * 60)
    up = Layer("transposed", 8, 4, 2, 1, 2, 6, 10)
    assert (up.params, up.macs) == (2 * 2 * 8 * 4, 2 * 2 * 8 * 4 * 15)


@pytest.mark.parametrize("name", VARIANTS)
def test_the_layers_have_the_shapes_of_the_modules(name):
    """Every convolution, transposed convolution and norm of the network is a layer of its outline, and no other."""
    config = network(name)
    model = built(config, 3, 2)
    seen = []

    def note(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        _, channels, *size = output.shape
        if isinstance(module, nn.BatchNorm2d):
            seen.append(("batch_norm", channels, channels, 1, channels, 1, *size, False))
        else:
            kind = "conv" if isinstance(module, nn.Conv2d) else "transposed"
            shape = (module.kernel_size[0], module.groups, module.stride[0], *size, module.bias is not None)
            seen.append((kind, module.in_channels, module.out_channels, *shape))

    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.BatchNorm2d):
            module.register_forward_hook(note)
    model.eval()(torch.empty(1, 3, 64, 96, device="meta"))
    layers = layers_of(config, 3, 2, (64, 96))
    assert sorted(seen) == sorted(
        tuple(layer) for layer in layers if layer.kind in ("conv", "transposed", "batch_norm")
    )


@pytest.mark.parametrize(
    "config",
    [
        PyConvUNet(width=8),
        PyConvUNet(width=30),
        PyConvUNet(block="bottleneck", expansion=3),
        PyConvUNet(block="published", expansion=4, width=32),
        PyConvUNet(share="quarters", kernels=(3, 5, 7, 9, 11), groups=(1, 1, 1, 1, 1)),
        PyConvUNet(kernels=((3,), (3, 5)), groups=((1,), (1, 48)), stages=2),
    ],
)
def test_what_cannot_be_built_has_no_layers_and_the_same_reason(config):
    with pytest.raises(InputError) as of_building:
        built(config, 1, 1)
    with pytest.raises(InputError) as of_layers:
        layers_of(config, 1, 1, (64, 64))
    assert str(of_layers.value) == str(of_building.value)


@pytest.mark.parametrize("norm", get_args(Normalisation))
@pytest.mark.parametrize("name", VARIANTS)
def test_a_network_of_one_pixel_is_refused_where_pytorch_would(name, norm):
    """In prediction and in training, of the smallest image and of one that is twice as wide."""

    def refused(asked: Callable[[], object]) -> bool:
        try:
            return asked() is False
        except InputError as error:
            return "one pixel" in str(error)

    for settings in ({}, {"width": 4, "stages": 2} if name in ("unet", "unet_plus_plus", "attention_unet") else {}):
        config = network(name, **settings, norm=norm)
        side = downsampling(config)
        for size in ((side, side), (side, 2 * side)):
            asked = config, 1, 1, size
            assert refused(lambda asked=asked: cost(*asked)) == refused(lambda asked=asked: built_cost(*asked))
            here = refused(lambda asked=asked: try_one_image(*asked))
            assert here == refused(lambda asked=asked: one_image_trains(*asked))


def test_of_networks_of_others_nothing_is_known():
    class Mine(UNet):
        def build(self, in_channels: int, classes: int) -> nn.Module:
            return nn.Conv2d(in_channels, classes, 1)

    assert layers_of(Mine(), 1, 1, (64, 64)) is None
    assert layers_of(network("torch.nn:Conv2d", kernel_size=1), 1, 1, (8, 8)) is None


def test_layers_are_told_without_pytorch():
    code = (
        "import sys; from ablate.cost.layers import layers_of; from ablate.models.network import network; "
        "assert layers_of(network('pyconvunet'), 3, 1, (64, 64)); print({'torch', 'ptflops'} & sys.modules.keys())"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
