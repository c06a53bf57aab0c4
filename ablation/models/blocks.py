"""What the networks are made of. Every block keeps height and width; `upsample` doubles them."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from ablate.models.channels import inner_width, norm_groups
from ablate.models.settings import Normalisation, Upsampling

Conv = Callable[[int, int], nn.Module]
"""Makes a convolution that keeps height and width, from its input and its output channels."""
Norm = Callable[[int], nn.Module]
"""Makes the normalisation of so many channels."""


def normalisation(kind: Normalisation) -> Norm:
    """The normalisation of that name, with a learned scale and shift for each channel.

    `batch`: each channel over the batch (Ioffe and Szegedy 2015, arXiv 1502.03167), in prediction by running means.
    `instance`: each channel of each image (Ulyanov et al. 2016, arXiv 1607.08022). `group`: groups of neighbouring
    channels of each image (Wu and He 2018, arXiv 1803.08494), as many of them, up to 8, as divide the channels. These
    two see no other image and are in prediction what they are in training.
    `none`: nothing in its place; a convolution that left its bias to the normalisation has none then.
    """
    kinds: dict[Normalisation, Norm] = {
        "batch": nn.BatchNorm2d,
        "instance": _instance_norm,
        "group": _group_norm,
        "none": nn.Identity,
    }
    return kinds[kind]


def _instance_norm(channels: int) -> nn.GroupNorm:
    """A group for each channel. `nn.InstanceNorm2d` is the same function, but fails on the empty share of a batch that
    one of several processes may have, and returns the slower memory layout."""
    return nn.GroupNorm(channels, channels)


def _group_norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(norm_groups(channels), channels)


def with_dropout(stage: nn.Module, dropout: float) -> nn.Module:
    """`stage`, and after it in training channel dropout with probability `dropout`; at 0, `stage` as it is.

    Whole channels are left out, and the others scaled by 1 / (1 - `dropout`): neighbouring pixels are so alike that
    leaving out single ones leaves out little (Tompson et al. 2015, arXiv 1411.4280).
    """
    if not dropout:
        return stage
    return nn.Sequential(*(stage if isinstance(stage, nn.Sequential) else [stage]), nn.Dropout2d(dropout))


def conv1x1(in_channels: int, out_channels: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, kernel_size=1, bias=False)


def conv3x3(in_channels: int, out_channels: int, bias: bool = False) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, bias=bias)


def biased_conv3x3(in_channels: int, out_channels: int) -> nn.Conv2d:
    return conv3x3(in_channels, out_channels, bias=True)


def conv_norm_relu(conv: nn.Module, out_channels: int, norm: Norm) -> nn.Sequential:
    return nn.Sequential(conv, norm(out_channels), nn.ReLU(inplace=True))


def double_conv(
    in_channels: int, out_channels: int, norm: Norm, first: Conv = biased_conv3x3, second: Conv = biased_conv3x3
) -> nn.Sequential:
    """Two convolutions, each with norm and ReLU: U-Net's block, or with PyConvs, PyConvU-Net's plain one."""
    return nn.Sequential(
        *conv_norm_relu(first(in_channels, out_channels), out_channels, norm),
        *conv_norm_relu(second(out_channels, out_channels), out_channels, norm),
    )


class Bottleneck(nn.Module):
    """1×1 → `conv` → 1×1, each with norm, ReLU after each; the inner width is `out_channels / expansion`.

    `first` takes the place of the first 1×1. With `residual` the input, projected by a 1×1 convolution with norm where
    the channels differ, is added before the last ReLU (He et al. 2016, arXiv 1512.03385).
    Raises `InputError` where `expansion` does not divide `out_channels`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        conv: Conv,
        norm: Norm = nn.BatchNorm2d,
        first: Conv = conv1x1,
        expansion: int = 1,
        residual: bool = False,
    ) -> None:
        super().__init__()
        inner = inner_width(out_channels, expansion)
        self.body = nn.Sequential(
            *conv_norm_relu(first(in_channels, inner), inner, norm),
            *conv_norm_relu(conv(inner, inner), inner, norm),
            conv1x1(inner, out_channels),
            norm(out_channels),
        )
        self.shortcut: nn.Module | None = None
        if residual:
            projection = nn.Sequential(conv1x1(in_channels, out_channels), norm(out_channels))
            self.shortcut = projection if in_channels != out_channels else nn.Identity()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        if self.shortcut is not None:
            y = y + self.shortcut(x)
        return self.relu(y)


def bilinear() -> nn.Upsample:
    return nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)


def upsample(kind: Upsampling, in_channels: int, out_channels: int) -> nn.Module:
    """Doubles height and width and brings `in_channels` to `out_channels`.

    `transposed` is U-Net's 2×2 stride-2 transposed convolution. `bilinear` is a 1×1 convolution and then interpolation,
    which is the same function as in the other order at a quarter of the cost.
    """
    if kind == "transposed":
        return nn.ConvTranspose2d(in_channels, out_channels, kernel_size=2, stride=2)
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, kernel_size=1), bilinear())
