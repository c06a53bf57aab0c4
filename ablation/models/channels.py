"""How channels are counted out: of stages, levels of a pyramid, blocks and norms. Nothing here needs PyTorch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Literal

from ablate.errors import InputError

Share = Literal["pyramid", "quarters", "equal"] | tuple[float, ...]
_MOST_GROUPS = 8


def stage_widths(width: int, stages: int) -> list[int]:
    """The channels of each stage, highest resolution first: doubled with each halving of height and width."""
    return [width * 2**stage for stage in range(stages)]


def norm_groups(channels: int) -> int:
    """The groups of a group norm: as many, up to 8, as divide the channels."""
    return max(n for n in range(1, _MOST_GROUPS + 1) if channels % n == 0)


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


def check_levels(
    in_channels: int, out_channels: int, kernels: Sequence[int], groups: Sequence[int], share: Share
) -> None:
    """Raises `InputError` for a kernel without a middle, and for groups that do not divide a level's channels."""
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


def inner_width(out_channels: int, expansion: int) -> int:
    """The channels inside a bottleneck. Raises `InputError` where `expansion` does not divide `out_channels`."""
    inner, rest = divmod(out_channels, expansion)
    if rest:
        raise InputError(
            f"bottleneck: expansion {expansion} does not divide {out_channels} channels; "
            f"use a width that is a multiple of {expansion}, or another expansion"
        )
    return inner
