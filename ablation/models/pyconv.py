"""The pyramidal convolution (PyConv): Duta et al. 2020, arXiv 2006.11538."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ablate.errors import InputError
from ablate.models.channels import Share, check_levels, level_channels
from ablate.models.grouped import convolve


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
        check_levels(in_channels, out_channels, kernels, groups, share)
        self.levels = nn.ModuleList(
            nn.Conv2d(in_channels, width, kernel, padding=kernel // 2, groups=group, bias=False)
            for width, kernel, group in zip(channels, kernels, groups, strict=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        outputs = [convolve(level, x) for level in self.levels]
        # A pyramid of one level is a convolution, and costs no more than one.
        return torch.cat(outputs, dim=1) if len(outputs) > 1 else outputs[0]
