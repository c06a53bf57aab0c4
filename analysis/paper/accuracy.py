"""What can be checked of Table 2, the accuracy of six networks on three data sets."""

from __future__ import annotations

from itertools import pairwise
from statistics import median

from ablate.analysis.paper.check import Check
from ablate.analysis.paper.foreground import Above, AllForeground
from ablate.analysis.paper.published import NAMES, TABLE_2, PublishedScores

_ROUNDING = 0.00005
"""Half a unit of the last printed digit of Table 2."""


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
        source="Table 2",
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
        source="Results and Discussion; Table 2",
    )


def leads() -> tuple[Check, ...]:
    """Whether PyConvU-Net is "much higher than the second" on liver: by more than a usual step between neighbours.

    Usual is the median step from one rank to the next in the same column of Table 2.
    """
    rows = TABLE_2["liver"]
    second = max((model for model in rows if model != "pyconvunet"), key=lambda model: rows[model].miou)
    ahead = [own - other for own, other in zip(rows["pyconvunet"], rows[second], strict=True)]
    usual = [_usual_step(column) for column in zip(*rows.values(), strict=True)]
    holds = all(lead > step for lead, step in zip(ahead, usual, strict=True))
    return (
        Check(
            name="PyConvU-Net is much higher than the second",
            subject="liver",
            outcome="holds" if holds else "fails",
            found=f"{ahead[0]:+.3f} MIoU and {ahead[1]:+.3f} Dice over {NAMES[second]}",
            reason=f"the median step from one rank to the next in these columns is {usual[0]:.3f} and {usual[1]:.3f}; "
            "and each is one run",
            source="Results and Discussion; Table 2",
        ),
    )


def _usual_step(column: tuple[float, ...]) -> float:
    return median(higher - lower for lower, higher in pairwise(sorted(column)))


def class_mean(trivial: AllForeground) -> Check:
    """Whether Table 2's "MIoU" is Eq. (1), the mean of IoU over classes, background included.

    The published code says what it is. The figures alone would not: see `greatest_class_mean`.
    """
    rows = TABLE_2["ISBICell"].values()
    share = trivial.all_masks.iou  # of all-foreground it is the foreground's share of the pixels
    most = [greatest_class_mean(row.dice, share) for row in rows]
    return Check(
        name="“MIoU” is Eq. (1), the mean over classes",
        subject="Table 2",
        outcome="fails",
        found="the published code averages get_iou over images and logs it as Miou: the foreground's intersection over "
        f"union. All-foreground scores {trivial.split.iou:.3f} by it on ISBICell, {trivial.split.eq_1:.2f} by Eq. (1)",
        reason="so it is the foreground's IoU, averaged over images. The figures alone do not tell: images that differ "
        f"enough could have an Eq. (1) of up to {min(most):.2f} to {max(most):.2f} beside the printed Dice",
        source="Eq. (1); main.py of the published code, metrics.py of UNET-ZOO",
    )


def greatest_class_mean(dice: float, share: float) -> float:
    """The most that the mean of Eq. (1) can be over images of mean foreground Dice `dice`, `share` of each foreground.

    Of one image with a Dice of d it is greatest where all errors are missed foreground (an invented one costs the
    background too): m = d/(2 − d) for the foreground, (1 − share)/(1 − share·m) for the background. That is convex in
    d, so a set of images has most where some are perfect and the others miss everything, (1 − share)/2 each.
    """
    return dice + (1 - dice) * (1 - share) / 2


_BETTER = "better than calling every pixel foreground"
_HARDLY = 0.05
"""Who is above all-foreground, but on more than this share of splits would not be, is hardly better."""


def against_all_foreground(trivial: AllForeground) -> tuple[Check, ...]:
    """Each network's ISBICell row against calling every pixel foreground: on all masks, on the split, on any split."""
    here = tuple(_against(model, row, trivial) for model, row in TABLE_2["ISBICell"].items())
    others = " and ".join(data for data in TABLE_2 if data != "ISBICell")
    return (
        *here,
        Check(
            _BETTER, f"all networks on {others}", "not checked", "", "needs the masks of the whole sets", here[0].source
        ),
    )


def _against(model: str, row: PublishedScores, trivial: AllForeground) -> Check:
    split, whole = trivial.split, trivial.all_masks
    ahead = [(row.miou - scores.iou, row.dice - scores.dice) for scores in (split, whole)]
    holds = min(min(pair) for pair in ahead) > 0
    above = trivial.above[model]
    hardly = ": hardly better" if holds and max(above) > _HARDLY else ""
    apart = f"{_signed(ahead[0])} on the published split, {_signed(ahead[1])} on all masks"
    return Check(
        name=_BETTER,
        subject=f"{NAMES[model]} on ISBICell",
        outcome="holds" if holds else "fails",
        found=f"MIoU {row.miou:.4f}, Dice {row.dice:.4f}; all-foreground {split.iou:.3f} and {split.dice:.3f} on the "
        f"published split, {whole.iou:.3f} and {whole.dice:.3f} on all masks",
        reason=f"{apart}. All-foreground is above it on {_often(above)} of {split.images} test images{hardly}",
        source=f"Table 2; {trivial.source}",
    )


def _signed(pair: tuple[float, float]) -> str:
    return f"{pair[0]:+.3f} and {pair[1]:+.3f}"


def _often(above: Above) -> str:
    """On which share of splits, in words."""
    if not any(above):
        return "no split"
    iou, dice = (f"{share:.0%}" if share >= 0.005 or share == 0 else "under 1%" for share in above)
    return f"{iou} (IoU) and {dice} (Dice) of all splits"


def unseen() -> tuple[Check, ...]:
    """Whether the images that judge had no part in the training."""
    return (
        Check(
            name="the test images choose nothing",
            subject="Table 2",
            outcome="fails",
            found="the published code takes the validation images for its test images (train_test_split, 20 %, "
            "random_state 41) and keeps the epoch that is best on them",
            reason="every score is optimistic. With one run a cell, no seeds and no intervals, no difference in the "
            "table can be told from chance",
            source="dataset.py and main.py of the published code",
        ),
    )


def blurred() -> tuple[Check, ...]:
    """The Discussion's hypothesis."""
    return (
        Check(
            name="PyConvU-Net is weak where boundaries are blurred",
            subject="kaggleLung and ISBICell",
            outcome="not checked",
            found="",
            reason="a hypothesis of the Discussion, tested on nothing there; the space boundary_blur asks it",
            source="Discussion",
        ),
    )
