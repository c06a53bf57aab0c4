"""One encoder–decoder; U-Net and PyConvU-Net give it different blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

from ablate.errors import InputError
from ablate.models.blocks import (
    Bottleneck,
    Conv,
    conv1x1,
    conv3x3,
    double_conv,
    normalisation,
    upsample,
    with_dropout,
)
from ablate.models.channels import stage_widths
from ablate.models.pyconv import PyConv2d
from ablate.models.settings import PyConvUNet as PyConvUNetConfig
from ablate.models.settings import UNet as UNetConfig

Block = Callable[[int, int, int], nn.Module]
"""Makes what a stage does, from its number (0 is the highest resolution), its input and its output channels."""


class EncoderDecoder(nn.Module):
    """Stages down with 2×2 max pooling between them, as many less one up again, each joined with its encoder stage.

    `first` is the whole first stage, from the image to `widths[0]` channels; `block` makes all others, of the encoder
    and of the decoder; `up(in_channels, out_channels)` makes what doubles height and width. Dropout follows each stage.
    Input (N, channels, H, W), H and W multiples of `downsampling`; output: logits (N, `classes`, H, W).
    """

    def __init__(
        self, first: nn.Module, widths: Sequence[int], classes: int, block: Block, up: Conv, dropout: float
    ) -> None:
        super().__init__()
        self.downsampling = 2 ** (len(widths) - 1)
        steps = list(enumerate(pairwise(widths)))
        encoder = [first, *(block(stage + 1, upper, lower) for stage, (upper, lower) in steps)]
        self.encoder = nn.ModuleList(with_dropout(stage, dropout) for stage in encoder)
        self.pool = nn.MaxPool2d(2)
        self.up = nn.ModuleList(up(lower, upper) for _, (upper, lower) in steps)
        self.decoder = nn.ModuleList(
            with_dropout(block(stage, 2 * upper, upper), dropout) for stage, (upper, _) in steps
        )
        self.head = nn.Conv2d(widths[0], classes, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.encoder[0](x)
        skips = []
        for encode in self.encoder[1:]:
            skips.append(x)
            x = encode(self.pool(x))
        for stage in reversed(range(len(skips))):
            x = self.up[stage](x)
            x = self.decoder[stage](torch.cat([self.skip(stage, skips[stage], x), x], dim=1))
        return self.head(x)

    def skip(self, stage: int, features: Tensor, gate: Tensor) -> Tensor:
        """What the decoder sees of an encoder stage's `features`, given its own up-sampled ones: here, all of them."""
        return features


class UNet(EncoderDecoder):
    """U-Net (Ronneberger et al. 2015, arXiv 1505.04597) with same padding and normalisation."""

    def __init__(self, config: UNetConfig, in_channels: int, classes: int) -> None:
        block = partial(double_conv, norm=normalisation(config.norm))
        super().__init__(
            first=block(in_channels, config.width),
            widths=stage_widths(config.width, config.stages),
            classes=classes,
            block=lambda stage, inputs, outputs: block(inputs, outputs),
            up=partial(upsample, config.upsampling),
            dropout=config.dropout,
        )


class PyConvUNet(EncoderDecoder):
    """PyConvU-Net (Li et al. 2021): U-Net with pyramidal convolutions.

    The convolution that sees the image is a plain 3×3, since an image's channels cannot be grouped; in a `published`
    block it is the 1×1 that every block begins with.
    """

    def __init__(self, config: PyConvUNetConfig, in_channels: int, classes: int) -> None:
        super().__init__(
            first=_pyramid_stage(config, 0, in_channels, config.width, first=conv3x3),
            widths=stage_widths(config.width, config.stages),
            classes=classes,
            block=partial(_pyramid_stage, config),
            up=partial(upsample, config.upsampling),
            dropout=config.dropout,
        )


def _pyramid_stage(
    config: PyConvUNetConfig, stage: int, in_channels: int, out_channels: int, first: Conv | None = None
) -> nn.Sequential:
    """`config.blocks` blocks; `first` replaces the first convolution of the first block."""
    kernels, groups = config.levels(stage)
    pyconv = partial(PyConv2d, kernels=kernels, groups=groups, share=config.share)
    norm = normalisation(config.norm)

    def block(inputs: int, outputs: int, first: Conv | None = None) -> nn.Module:
        if config.block == "plain":
            return double_conv(inputs, outputs, norm, first=first or pyconv, second=pyconv)
        if config.block == "published":
            body = Bottleneck(inputs, outputs, pyconv, norm, conv1x1, config.expansion, config.residual)
            return nn.Sequential(body, norm(outputs), nn.ReLU(inplace=True))
        return Bottleneck(inputs, outputs, pyconv, norm, first or conv1x1, config.expansion, config.residual)

    try:
        start = block(in_channels, out_channels, first)
        return nn.Sequential(start, *(block(out_channels, out_channels) for _ in range(config.blocks - 1)))
    except InputError as error:
        raise InputError(f"{config.name}, stage {stage + 1}: {error}") from None
