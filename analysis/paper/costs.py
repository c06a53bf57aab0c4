"""Table 3 counted again, from networks that are built for it, and what a PyConv costs beside a 3×3 convolution."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from ablate.analysis.paper.published import PYRAMIDS, TABLE_3, TABLE_3_INPUT, PublishedCost

if TYPE_CHECKING:
    from ablate.models.channels import Share
    from ablate.part import Part


class CostRow(NamedTuple):
    """A network's cost as published and as counted here, in Table 3's units."""

    model: str
    reading: str
    """Which reading of PyConvU-Net it is; '' of the others, which have one."""
    published: PublishedCost
    params_m: float
    gmacs: float
    """By ptflops, of all modules: as the five columns were counted that come out."""
    convolution_gmacs: float
    """Of these the convolutions' alone, by PyTorch's counter."""

    @property
    def params_difference(self) -> float:
        return self.params_m - self.published.params_m

    @property
    def gmacs_difference(self) -> float:
        return self.gmacs - self.published.gmacs

    @property
    def reproduced(self) -> bool:
        """Whether both figures agree to the printed two decimals."""
        return (round(self.params_m, 2), round(self.gmacs, 2)) == self.published[:2]


@cache
def costs() -> tuple[CostRow, ...]:
    """Table 3, published and counted, in its order. Of PyConvU-Net several readings, none tuned to meet its figures."""
    from ablate.models.network import network

    baselines = [(network(name), "") for name in TABLE_3 if name != "pyconvunet"]
    return tuple(_cost_row(config, reading) for config, reading in [*baselines, *_readings()])


def _readings() -> list[tuple[Part, str]]:
    """The text's (each 3×3 of U-Net a PyConv), and the code's block at U-Net's widths, 32 to 512, and at its own.

    The code asks for widths of 128 to 2048, of two blocks each, that widen fourfold; its norms expect that they do not.
    Its literal repair has a block end at the width asked for, and a quarter of that inside.
    """
    from ablate.models.network import network

    def published(blocks: int, width: int = 32, expansion: int = 1) -> Part:
        return network("pyconvunet", block="published", blocks=blocks, width=width, expansion=expansion)

    return [
        (network("pyconvunet"), "each 3x3 a PyConv"),
        (published(1), "the code's block, one a stage"),
        (published(2), "the code's block, two a stage"),
        (published(1, width=128, expansion=4), "the code's block and widths, one a stage"),
        (published(2, width=128, expansion=4), "the code's block and widths, two a stage (its literal repair)"),
        (published(2, width=128), "the literal repair, as wide inside a block as outside"),
    ]


def _cost_row(config: Part, reading: str) -> CostRow:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from ablate.cost.built import build_on_meta
    from ablate.cost.counted import cost

    channels, *size = TABLE_3_INPUT
    found = cost(config, channels, 1, (size[0], size[1]))
    model = build_on_meta(config, channels, 1).eval()
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.empty(1, *TABLE_3_INPUT))
    convolutions = counter.get_total_flops() / 2  # it counts a multiplication and an addition as two
    return CostRow(config.name, reading, TABLE_3[config.name], found.params / 1e6, found.macs / 1e9, convolutions / 1e9)


def needed_groups(kernels: tuple[int, ...]) -> tuple[float, ...]:
    """The groups with which each level costs, for each of its output channels, what the first level does.

    Eqs. (5)–(8) give level z a kernel depth of FM_i·K₁²/K_z², which is FM_i divided by K_z²/K₁² groups.
    """
    return tuple(kernel**2 / kernels[0] ** 2 for kernel in kernels)


def cost_ratio(levels: int, share: Share) -> float:
    """A PyConv's parameters (and MACs) over those of the plain 3×3 convolution that it replaces, biases aside."""
    from ablate.models.channels import level_channels

    kernels, groups = PYRAMIDS[levels]
    outputs = 2**levels
    widths = level_channels(outputs, levels, share)
    weights = sum(k**2 * width / group for k, group, width in zip(kernels, groups, widths, strict=True))
    return weights / (9 * outputs)
