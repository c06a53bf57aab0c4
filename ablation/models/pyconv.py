"""The pyramidal convolution (PyConv): Duta et al. 2020, arXiv 2006.11538."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Literal

import torch
from torch import Tensor, nn

from ablate.errors import InputError
from ablate.models.grouped import convolve

Share = Literal["pyramid", "quarters", "equal"] | tuple[float, ...]


class PyConv2d(nn.Module):
    """Parallel grouped convolutions of growing kernel size over one input, their outputs concatenated in level order.

    Level z is a convolution with kernel `kernels[z]`, `groups[z]` groups, same padding and no bias; it gives the
    `share` of the output channels that `level_channels` says. The whole has ΣK_z²·C_in·C_z/G_z parameters.

    Input (N, `in_channels`, H, W), output (N, `out_channels`, H, W).
    Raises `InputError`, naming the level counted from 1, for a pyramid that cannot be built.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernels: Sequence[int] = (3, 5, 7, 9),
        groups: Sequence[int] = (1, 4, 8, 16),
        share: Share = "pyramid",
    ) -> None:
        super().__init__()
        if len(kernels) != len(groups):
            raise InputError(f"PyConv: {len(kernels)} kernels but {len(groups)} groups; give each level one of both")
        channels = level_channels(out_channels, len(kernels), share)
        _check_levels(in_channels, out_channels, kernels, groups, share)
        self.levels = nn.ModuleList(
            nn.Conv2d(in_channels, width, kernel, padding=kernel // 2, groups=group, bias=False)
            for width, kernel, group in zip(channels, kernels, groups, strict=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        outputs = [convolve(level, x) for level in self.levels]
        # A pyramid of one level is a convolution, and costs no more than one.
        return torch.cat(outputs, dim=1) if len(outputs) > 1 else outputs[0]


def level_channels(out_channels: int, levels: int, share: Share = "pyramid") -> tuple[int, ...]:
    """How many of `out_channels` each of `levels` levels gives, in level order; they sum to `out_channels`.

    `pyramid` is the share that PyConvU-Net's published code gives four levels: half to the last (the largest kernel), a
    quarter to the one before, and so on, the first two alike. `quarters` is that of PyConv's own released code (Duta et
    al. 2020): a quarter to each of four levels; of three and fewer it is the pyramid's. `equal` is what it says;
    otherwise `share` holds one fraction a level.
    Raises `InputError` where a share is not a whole, positive number of channels.
    """
    fractions = _fractions(levels, share)
    for level, fraction in enumerate(fractions, start=1):
        if (out_channels * fraction).denominator != 1:
            raise InputError(
                f"PyConv level {level}: its share {fraction} of {out_channels} output channels "
                f"({_named(share)} over {levels} levels) is {float(out_channels * fraction):g}, not a whole number; "
                f"use a multiple of {math.lcm(*(f.denominator for f in fractions))}"
            )
    return tuple(int(out_channels * fraction) for fraction in fractions)


def _fractions(levels: int, share: Share) -> tuple[Fraction, ...]:
    if levels < 1:
        raise InputError("PyConv: no levels; give at least one kernel")
    if share == "quarters":
        if levels > 4:
            raise InputError(f"PyConv: share quarters is of at most 4 levels, not {levels}; choose pyramid or equal")
        share = "equal" if levels == 4 else "pyramid"
    if share == "pyramid":
        return tuple(Fraction(1, 2 ** min(levels - 1, levels - level)) for level in range(levels))
    if share == "equal":
        return (Fraction(1, levels),) * levels
    if isinstance(share, str):
        raise InputError(
            f"PyConv: unknown share '{share}'; choose pyramid, quarters, equal or one fraction for each level"
        )
    # The nearest simple fraction, so that 0.333333 and 0.1 mean a third and a tenth exactly.
    fractions = tuple(Fraction(value).limit_denominator(4096) for value in share)
    if len(fractions) != levels or min(fractions) <= 0 or sum(fractions) != 1:
        raise InputError(f"PyConv: share {_listed(share)}; expected {levels} positive fractions that sum to 1")
    return fractions


def _check_levels(
    in_channels: int, out_channels: int, kernels: Sequence[int], groups: Sequence[int], share: Share
) -> None:
    fractions = _fractions(len(kernels), share)
    # out·p/q is a multiple of g exactly where out is a multiple of q·g/gcd(g, p).
    fitting = math.lcm(*(f.denominator * g // math.gcd(g, f.numerator) for f, g in zip(fractions, groups, strict=True)))
    for level, (kernel, group, fraction) in enumerate(zip(kernels, groups, fractions, strict=True), start=1):
        name = f"PyConv level {level} (kernel {kernel})"
        width = int(out_channels * fraction)
        if kernel < 1 or kernel % 2 == 0:
            raise InputError(f"{name}: same padding needs an odd kernel of at least 1")
        if group < 1:
            raise InputError(f"{name}: {group} groups; expected at least 1")
        if width % group:
            raise InputError(
                f"{name}: groups {group} do not divide its {width} output channels ({_named(share)} of {out_channels});"
                f" use a width that is a multiple of {fitting}, or fewer groups"
            )
        if in_channels % group:
            raise InputError(
                f"{name}: groups {group} do not divide the {in_channels} input channels; "
                f"use a multiple of {math.lcm(*groups)}, or fewer groups"
            )


def _named(share: Share) -> str:
    return f"{share} share" if isinstance(share, str) else f"share {_listed(share)}"


def _listed(share: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in share)
