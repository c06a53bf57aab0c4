"""MultiResUNet (Ibtehaz and Rahman 2020, Neural Networks 121, arXiv 1902.04049): its settings and its modules.

It is built as in the authors' Keras code (github.com/nibtehaz/MultiResUNet), but for two things. The norms after its
convolutions have no scale there, and have one here, as everywhere in this project; and the last 1×1 convolution has a
bias and gives logits, where there a batch norm and a sigmoid follow it. For 3 channels, 1 class and width 32 that code
has 7,262,750 parameters as Keras counts: 7,238,228 that are trained, and 24,522 running means and variances. Here
7,244,774 are trained: those, and 6,546 scales.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from ablate.models.blocks import (
    Norm,
    conv1x1,
    conv3x3,
    conv_norm_relu,
    double_conv,
    normalisation,
    with_dropout,
)
from ablate.models.channels import stage_widths
from ablate.models.network import Network
from ablate.models.settings import Dropout, Normalisation
from ablate.settings import MOST_CHANNELS, Number, Whole

_PARTS = (0.167, 0.333, 0.5)
"""Of a block's W filters: what the first, second and third convolution of its chain has, rounded down."""


class MultiResUNet(Network):
    """U-Net with MultiRes blocks, and with Res paths on its skip connections.

    A stage that has U filters in U-Net, `width` in the first and twice as many in each below, has W = `alpha`·U in its
    MultiRes block. Without `multires` it is U-Net's two convolutions of U filters; without `res_path` a skip connection
    is plain; without both it is U-Net. `norm` takes the place of every batch norm.
    """

    name: Literal["multires_unet"] = "multires_unet"
    width: Whole = Field(32, ge=1, le=MOST_CHANNELS)
    stages: Whole = Field(5, ge=2, le=8)
    alpha: Number = Field(1.67, gt=0, le=16)
    multires: bool = True
    res_path: bool = True
    norm: Normalisation = "batch"
    dropout: Dropout = 0.0

    @model_validator(mode="after")
    def _alpha_is_of_multires_blocks(self) -> MultiResUNet:
        """The canonical form: what a plain block does not have makes no difference."""
        if not self.multires:
            object.__setattr__(self, "alpha", type(self).model_fields["alpha"].default)
        elif not all(chain_widths(self.alpha * self.width)):
            raise ValueError(
                f"width {self.width} by alpha {self.alpha:g} leaves a block's first convolution without a filter: "
                "their product must be at least 6"
            )
        return self

    @property
    def downsampling(self) -> int:
        """The factor that must divide the height and width of the network's input."""
        return 2 ** (self.stages - 1)

    def build(self, in_channels: int, classes: int) -> nn.Module:
        """The network, from images of `in_channels` channels to logits of `classes` classes."""
        return _MultiResUNet(self, in_channels, classes)


class _MultiResUNet(nn.Module):
    """Stages down with 2×2 max pooling between them, and up again, each joined with its encoder stage by a Res path.

    A path has as many steps as there are stages below its own: the further apart encoder and decoder are, the more.
    Dropout follows each stage.
    Input (N, `in_channels`, H, W), H and W multiples of `downsampling`; output: logits (N, `classes`, H, W).
    """

    def __init__(self, config: MultiResUNet, in_channels: int, classes: int) -> None:
        super().__init__()
        self.downsampling = config.downsampling
        norm = normalisation(config.norm)
        filters = stage_widths(config.width, config.stages)
        chains = [chain_widths(config.alpha * width) for width in filters]
        outputs = [sum(chain) for chain in chains] if config.multires else filters  # channels, of each stage
        skips = filters if config.res_path else outputs

        def block(stage: int, inputs: int) -> nn.Module:
            if config.multires:
                return with_dropout(MultiResBlock(inputs, chains[stage], norm), config.dropout)
            return with_dropout(double_conv(inputs, filters[stage], norm), config.dropout)

        def path(stage: int) -> nn.Module:
            length = config.stages - 1 - stage
            return res_path(outputs[stage], filters[stage], length, norm) if config.res_path else nn.Identity()

        upper = range(config.stages - 1)
        self.encoder = nn.ModuleList(block(stage, inputs) for stage, inputs in enumerate([in_channels, *outputs[:-1]]))
        self.pool = nn.MaxPool2d(2)
        self.paths = nn.ModuleList(path(stage) for stage in upper)
        self.up = nn.ModuleList(nn.ConvTranspose2d(outputs[s + 1], filters[s], kernel_size=2, stride=2) for s in upper)
        self.decoder = nn.ModuleList(block(stage, skips[stage] + filters[stage]) for stage in upper)
        self.head = nn.Conv2d(outputs[0], classes, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.encoder[0](x)
        skips = []
        for path, encode in zip(self.paths, self.encoder[1:], strict=True):
            skips.append(path(x))
            x = encode(self.pool(x))
        for up, decode, skip in zip(reversed(self.up), reversed(self.decoder), reversed(skips), strict=True):
            x = decode(torch.cat([skip, up(x)], dim=1))
        return self.head(x)


class MultiResBlock(nn.Module):
    """A chain of 3×3 convolutions whose outputs are all concatenated: they see 3×3, 5×5 and 7×7 pixels of the input.

    The input, projected by a 1×1 convolution, is added to them. Output: (N, sum of `widths`, H, W).
    """

    def __init__(self, in_channels: int, widths: tuple[int, ...], norm: Norm) -> None:
        super().__init__()
        out_channels = sum(widths)
        self.shortcut = nn.Sequential(conv1x1(in_channels, out_channels), norm(out_channels))
        self.chain = nn.ModuleList(
            conv_norm_relu(conv3x3(inputs, outputs), outputs, norm)
            for inputs, outputs in pairwise([in_channels, *widths])
        )
        self.joined = norm(out_channels)
        self.last = nn.Sequential(nn.ReLU(inplace=True), norm(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        shortcut, outputs = self.shortcut(x), []
        for conv in self.chain:
            x = conv(x)
            outputs.append(x)
        return self.last(self.joined(torch.cat(outputs, dim=1)) + shortcut)


class ResStep(nn.Module):
    """A step of a Res path: a 3×3 convolution beside a 1×1 one, added."""

    def __init__(self, in_channels: int, out_channels: int, norm: Norm) -> None:
        super().__init__()
        self.shortcut = nn.Sequential(conv1x1(in_channels, out_channels), norm(out_channels))
        self.conv = conv_norm_relu(conv3x3(in_channels, out_channels), out_channels, norm)
        self.last = nn.Sequential(nn.ReLU(inplace=True), norm(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.conv(x) + self.shortcut(x))


def res_path(in_channels: int, out_channels: int, length: int, norm: Norm) -> nn.Sequential:
    rest = [ResStep(out_channels, out_channels, norm) for _ in range(length - 1)]
    return nn.Sequential(ResStep(in_channels, out_channels, norm), *rest)


def chain_widths(filters: float) -> tuple[int, ...]:
    """The output channels of each convolution of a MultiRes block of W = `filters`."""
    return tuple(int(filters * part) for part in _PARTS)
