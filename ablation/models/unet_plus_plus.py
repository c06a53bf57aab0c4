"""UNet++ (Zhou et al. 2018, arXiv 1807.10165)."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

from ablate.models.blocks import Norm, bilinear, double_conv, normalisation, with_dropout
from ablate.models.channels import stage_widths
from ablate.models.settings import UNetPlusPlus as UNetPlusPlusConfig


class UNetPlusPlus(nn.Module):
    """Nested U-Nets: node (stage i, column j) sees all earlier nodes of its stage and the one below its predecessor.

    Column 0 is the encoder; the others are up-sampling paths of growing length, which end in the nodes of the top row.
    Input (N, `in_channels`, H, W), H and W multiples of `downsampling`; output: logits (N, `classes`, H, W) of the last
    top node. With deep supervision each of the `stages` - 1 top nodes has a head, and in training the output is the
    tuple of all their logits, shortest path first.
    """

    def __init__(self, config: UNetPlusPlusConfig, in_channels: int, classes: int) -> None:
        super().__init__()
        self.downsampling = 2 ** (config.stages - 1)
        widths = stage_widths(config.width, config.stages)
        block = partial(_node, normalisation(config.norm), config.dropout)
        self.encoder = nn.ModuleList(block(*step) for step in pairwise([in_channels, *widths]))
        self.pool = nn.MaxPool2d(2)
        self.up = bilinear()
        self.nodes = nn.ModuleDict(
            {
                f"{stage}_{column}": block(column * widths[stage] + widths[stage + 1], widths[stage])
                for column in range(1, config.stages)
                for stage in range(config.stages - column)
            }
        )
        self.deep_supervision = config.deep_supervision
        heads = config.stages - 1 if config.deep_supervision else 1
        self.heads = nn.ModuleList(nn.Conv2d(widths[0], classes, kernel_size=1) for _ in range(heads))

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        rows = [[self.encoder[0](x)]]
        for encode in self.encoder[1:]:
            rows.append([encode(self.pool(rows[-1][0]))])
        for column in range(1, len(rows)):
            # Top down, so that the row below still ends in the previous column.
            for stage in range(len(rows) - column):
                inputs = torch.cat([*rows[stage], self.up(rows[stage + 1][-1])], dim=1)
                rows[stage].append(self.nodes[f"{stage}_{column}"](inputs))
        # All heads in prediction too: it costs 0.02 %, and Table 3 of Li et al. counts them.
        logits = tuple(head(node) for head, node in zip(self.heads, rows[0][-len(self.heads) :], strict=True))
        return logits if self.training and self.deep_supervision else logits[-1]


def _node(norm: Norm, dropout: float, in_channels: int, out_channels: int) -> nn.Module:
    return with_dropout(double_conv(in_channels, out_channels, norm), dropout)
