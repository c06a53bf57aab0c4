"""What a careful reader can check of the paper's numbers, and how each check came out."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

from ablate.analysis.paper.published import NAMES, TABLE_2, PublishedScores
from ablate.analysis.paper.recomputed import QUOTED, AllForeground, CostRow, all_foreground, costs

Answer = Literal["holds", "fails", "not checked"]
_ROUNDING = 0.00005
"""Half a unit of the last printed digit of Table 2."""


class Check(NamedTuple):
    """A statement (`name`) about something in the paper (`subject`), whether it holds, what was found, and why."""

    name: str
    subject: str
    outcome: Answer
    found: str
    reason: str


class Paper(NamedTuple):
    """Everything that is known of the paper's numbers."""

    costs: tuple[CostRow, ...]
    all_foreground: AllForeground
    checks: tuple[Check, ...]


def examine(folder: Path | None = None) -> Paper:
    """Recompute and check the paper, with ISBICell's masks in `folder` where they are at hand."""
    trivial = all_foreground(folder) if folder else QUOTED
    rows = costs()
    return Paper(
        rows,
        trivial,
        (
            *bounds(),
            *ranks(),
            class_mean(trivial),
            *against_all_foreground(trivial),
            *cost_columns(rows),
            *lightest(rows),
            *pyramid_costs(),
        ),
    )


def bounds() -> tuple[Check, ...]:
    """Mean IoU ≤ mean Dice ≤ 2·mIoU/(1 + mIoU), for each row of Table 2.

    Of one mask Dice = 2·IoU/(1 + IoU), which is at least IoU, and concave: so the mean over images cannot be above the
    map of the mean (Jensen).
    """
    return tuple(_bound(data, model, row) for data, rows in TABLE_2.items() for model, row in rows.items())


def dice_bounds(miou: float) -> tuple[float, float]:
    """The least and greatest mean Dice over images whose mean IoU is `miou`."""
    return miou, 2 * miou / (1 + miou)


def possible(row: PublishedScores) -> bool:
    """Whether any set of masks can have these scores, rounded as printed."""
    low, high = dice_bounds(row.miou - _ROUNDING)[0], dice_bounds(row.miou + _ROUNDING)[1]
    return low <= row.dice + _ROUNDING and row.dice - _ROUNDING <= high


def _bound(data: str, model: str, row: PublishedScores) -> Check:
    low, high = dice_bounds(row.miou)
    holds = possible(row)
    reason = "between the bounds"
    if not holds:
        swapped = PublishedScores(miou=row.dice, dice=row.miou)
        reason = "impossible for any prediction: its Dice is below its MIoU"
        if possible(swapped):
            reason += (
                f". With the two cells swapped it is possible (Dice {swapped.dice:.4f} between {swapped.miou:.4f} and "
                f"{dice_bounds(swapped.miou)[1]:.4f}), so they were probably exchanged"
            )
    return Check(
        name="Dice is between MIoU and 2·MIoU/(1 + MIoU)",
        subject=f"{NAMES[model]} on {data}",
        outcome="holds" if holds else "fails",
        found=f"MIoU {row.miou:.4f}, Dice {row.dice:.4f}; possible: {low:.4f} to {high:.4f}",
        reason=reason,
    )


_STATED = {"kaggleLung": (2, 3), "liver": (1, 1), "ISBICell": (2, 1)}
"""PyConvU-Net's ranks in MIoU and Dice as the text states them."""
_ORDINALS = ("", "first", "second", "third", "fourth", "fifth", "sixth")


def ranks() -> tuple[Check, ...]:
    """PyConvU-Net's ranks in Table 2 against the text's."""
    return tuple(_rank(data, stated) for data, stated in _STATED.items())


def _rank(data: str, stated: tuple[int, int]) -> Check:
    own = TABLE_2[data]["pyconvunet"]
    others = [row for model, row in TABLE_2[data].items() if model != "pyconvunet"]

    def ranked(row: PublishedScores) -> tuple[int, int]:
        return 1 + sum(o.miou > row.miou for o in others), 1 + sum(o.dice > row.dice for o in others)

    def words(rank: tuple[int, int]) -> str:
        return f"{_ORDINALS[rank[0]]} in MIoU and {_ORDINALS[rank[1]]} in Dice"

    printed = ranked(own)
    found = f"the text: {words(stated)}; Table 2: {words(printed)}"
    if not possible(own):
        swapped = ranked(PublishedScores(miou=own.dice, dice=own.miou))
        found += f", or with the cells swapped {words(swapped)}"
        reason = (
            f"{'one' if stated in (printed, swapped) else 'neither'} reading of the row gives the ranks of the text"
        )
    else:
        reason = "the table gives the ranks of the text" if printed == stated else "the table gives others"
    return Check(
        name="PyConvU-Net ranks as the text says",
        subject=data,
        outcome="holds" if printed == stated else "fails",
        found=found,
        reason=reason,
    )


def class_mean(trivial: AllForeground) -> Check:
    """Whether Table 2's "MIoU" can be Eq. (1), the mean of IoU over classes, background included."""
    rows = TABLE_2["ISBICell"].values()
    # Of one image with foreground Dice d, IoU is d/(2 − d); the mean over images is at least that of the mean Dice.
    excess = max(row.miou - row.dice / (2 - row.dice) for row in rows)
    share = sum(trivial.iou) / 2
    gap = min(row.miou - greatest_class_mean(row.dice, share) for row in rows)
    return Check(
        name="“MIoU” is Eq. (1), the mean over classes",
        subject="ISBICell",
        outcome="fails",
        found=f"all-foreground scores IoU {_range(trivial.iou)} and Dice {_range(trivial.dice)}, but "
        f"{_range(trivial.miou, 2)} under Eq. (1)",
        reason=f"every row's MIoU is within {excess:.3f} above the foreground IoU that its Dice implies. With "
        f"{share:.0%} foreground, images that all scored the printed Dice would have an Eq. (1) at least {gap:.2f} "
        "below the printed MIoU. So it is the foreground's IoU, averaged over images",
    )


def greatest_class_mean(dice: float, share: float) -> float:
    """The most that Eq. (1) can be for one image with a foreground Dice of `dice` and `share` of it foreground.

    With F foreground, E = FN + FP errors and TP/(TP + E) = m fixed, the background's IoU is greatest when all errors
    are FN: then TP = m·F, TN = 1 − F, and it is (1 − F)/(1 − F + (1 − m)·F). An FP costs TN too.
    """
    foreground = dice / (2 - dice)
    background = (1 - share) / (1 - share + (1 - foreground) * share)
    return (foreground + background) / 2


def against_all_foreground(trivial: AllForeground) -> tuple[Check, ...]:
    """Each network's ISBICell row against calling every pixel foreground."""
    here = tuple(_against(model, row, trivial) for model, row in TABLE_2["ISBICell"].items())
    others = " and ".join(data for data in TABLE_2 if data != "ISBICell")
    elsewhere = Check(_BETTER, f"all networks on {others}", "not checked", "", "needs the masks of the whole sets")
    return *here, elsewhere


_BETTER = "better than calling every pixel foreground"


def _against(model: str, row: PublishedScores, trivial: AllForeground) -> Check:
    ahead = row.miou - trivial.iou[1], row.dice - trivial.dice[1]
    behind = trivial.iou[0] - row.miou, trivial.dice[0] - row.dice
    if min(ahead) > 0:
        outcome: Answer = "holds"
        hardly = "hardly: " if max(ahead) < 0.01 else ""
        reason = f"{hardly}above it by {ahead[0]:.3f} and {ahead[1]:.3f}"
    else:
        outcome = "fails"
        reason = f"below it by {behind[0]:.3f} and {behind[1]:.3f}" if min(behind) > 0 else "no better in both scores"
    return Check(
        name=_BETTER,
        subject=f"{NAMES[model]} on ISBICell",
        outcome=outcome,
        found=f"MIoU {row.miou:.4f}, Dice {row.dice:.4f}; all-foreground {_range(trivial.iou)} and "
        f"{_range(trivial.dice)} ({'computed' if trivial.measured_here else 'quoted'})",
        reason=reason,
    )


def cost_columns(rows: tuple[CostRow, ...]) -> tuple[Check, ...]:
    """Whether each column of Table 3 comes out of the network that the paper describes."""
    by_model: dict[str, list[CostRow]] = {}
    for row in rows:
        by_model.setdefault(row.model, []).append(row)
    return tuple(_column(model, found) for model, found in by_model.items())


def _column(model: str, rows: list[CostRow]) -> Check:
    published = rows[0].published
    holds = any(row.reproduced for row in rows)
    computed = "; ".join(
        f"{row.params_m:.2f} M, {row.gmacs:.2f} GMac" + (f" ({row.reading})" if row.reading else "") for row in rows
    )
    return Check(
        name="the Table 3 column can be recomputed",
        subject=NAMES[model],
        outcome="holds" if holds else "fails",
        found=f"published {published.params_m:g} M, {published.gmacs:g} GMac; computed {computed}",
        reason="both figures agree to the printed decimals"
        if holds
        else "the published code cannot run: its block widens to four times what its next batch norm expects. A search "
        "of some 875,000 layouts found none with both figures, and no width was tuned to meet them",
    )


def lightest(rows: tuple[CostRow, ...]) -> tuple[Check, ...]:
    """Whether PyConvU-Net has the fewest parameters and MACs of the six, as published and in each reading."""
    others = [row for row in rows if row.model != "pyconvunet"]
    own = [row for row in rows if row.model == "pyconvunet"]
    published = own[0].published
    figures = {"as published": published[:2]} | {row.reading: (row.params_m, row.gmacs) for row in own}
    return tuple(_lightest(subject, params, gmacs, others) for subject, (params, gmacs) in figures.items())


def _lightest(subject: str, params: float, gmacs: float, others: list[CostRow]) -> Check:
    lighter = [f"{NAMES[o.model]} has {o.params_m:.2f} M" for o in others if o.params_m <= params]
    lighter += [f"{NAMES[o.model]} has {o.gmacs:.2f} GMac" for o in others if o.gmacs <= gmacs]
    return Check(
        name="PyConvU-Net has the fewest parameters and MACs",
        subject=subject,
        outcome="fails" if lighter else "holds",
        found=f"{params:.2f} M, {gmacs:.2f} GMac",
        reason=", ".join(lighter) or "fewer than all five baselines in both",
    )


_PYRAMIDS = {
    4: ((3, 5, 7, 9), (1, 4, 8, 16)),
    3: ((3, 5, 7), (1, 4, 8)),
    2: ((3, 5), (1, 4)),
}
"""Kernels and groups by number of levels (Duta et al. 2020)."""


def needed_groups(kernels: tuple[int, ...]) -> tuple[float, ...]:
    """The groups with which each level costs, for each of its output channels, what the first level does.

    Eqs. (5)–(8) give level z a kernel depth of FM_i·K₁²/K_z², which is FM_i divided by K_z²/K₁² groups.
    """
    return tuple(kernel**2 / kernels[0] ** 2 for kernel in kernels)


def cost_ratio(kernels: tuple[int, ...], groups: tuple[int, ...]) -> float:
    """A PyConv's parameters (and MACs) over those of the plain 3×3 convolution that it replaces, biases aside."""
    from ablate.models.pyconv import level_channels

    outputs = 2 ** len(kernels)
    shares = level_channels(outputs, len(kernels))
    weights = sum(k**2 * width / group for k, group, width in zip(kernels, groups, shares, strict=True))
    return weights / (9 * outputs)


def pyramid_costs() -> tuple[Check, ...]:
    """Eqs. (7)–(8), by which a PyConv costs what the convolution it replaces does, against the groups used."""
    return tuple(_pyramid_cost(levels, *pyramid) for levels, pyramid in _PYRAMIDS.items())


def _pyramid_cost(levels: int, kernels: tuple[int, ...], groups: tuple[int, ...]) -> Check:
    needed = needed_groups(kernels)
    holds = needed == groups
    return Check(
        name="a PyConv costs what the 3x3 it replaces does (Eqs. 7, 8)",
        subject=f"{levels} levels",
        outcome="holds" if holds else "fails",
        found=f"{cost_ratio(kernels, groups):.3f} of its parameters and MACs",
        reason="the groups are those of the equations"
        if holds
        else f"the equations need groups {', '.join(f'{value:.3g}' for value in needed)}; used are "
        f"{', '.join(map(str, groups))}",
    )


def _range(values: tuple[float, float], decimals: int = 3) -> str:
    low, high = (f"{value:.{decimals}f}" for value in values)
    return low if low == high else f"{low}–{high}"
