"""What can be computed again of the paper: its networks' costs, and what calling every pixel foreground scores.

What was measured on the published masks is either computed here, where the masks are at hand, or quoted from an earlier
measurement, and each record says which.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ablate.analysis.paper.published import TABLE_3, TABLE_3_INPUT, PublishedCost

if TYPE_CHECKING:
    from ablate.part import Part


class CostRow(NamedTuple):
    """A network's cost as published and as computed here, in Table 3's units."""

    model: str
    reading: str
    published: PublishedCost
    params_m: float
    gmacs: float

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


def costs() -> tuple[CostRow, ...]:
    """Table 3, published and computed. PyConvU-Net has three readings, none of them tuned to meet its figures."""
    from ablate.models.network import network

    baselines = [(network(name), "") for name in TABLE_3 if name != "pyconvunet"]
    return tuple(_cost_row(config, reading) for config, reading in [*baselines, *_readings()])


def _readings() -> list[tuple[Part, str]]:
    from ablate.models.network import network

    return [
        (network("pyconvunet"), "each 3x3 a PyConv"),
        (network("pyconvunet", block="bottleneck"), "the code's block, one a stage"),
        (network("pyconvunet", block="bottleneck", blocks=2), "the code's block, two a stage"),
    ]


def _cost_row(config: Part, reading: str) -> CostRow:
    from ablate.cost.counted import cost

    channels, *size = TABLE_3_INPUT
    found = cost(config, channels, 1, (size[0], size[1]))
    return CostRow(config.name, reading, TABLE_3[config.name], found.params / 1e6, found.macs / 1e9)


class AllForeground(NamedTuple):
    """What calling every pixel foreground scores on ISBICell: foreground IoU and Dice, means over images, and Eq. (1).

    Each is a range over the sets of test images that it was computed on, which `images` names.
    """

    iou: tuple[float, float]
    dice: tuple[float, float]
    miou: tuple[float, float]
    images: str
    measured_here: bool

    @property
    def provenance(self) -> str:
        """Where these figures are from, as a sentence."""
        if self.measured_here:
            return f"All-foreground was computed here, on {self.images}."
        return f"All-foreground was not computed here but is quoted: measured earlier on {self.images}."


QUOTED = AllForeground(
    iou=(0.777, 0.782),
    dice=(0.874, 0.878),
    miou=(0.39, 0.39),
    images="all 30 published masks, and two plausible 20 % splits",
    measured_here=False,
)
"""Measured earlier, for those who have no masks at hand."""


def all_foreground(folder: Path) -> AllForeground:
    """The same, computed on the 512×512 masks in `folder`: on all of them, and on the paper's 20 %.

    Raises `InputError` where the files are missing or unfit.
    """
    import numpy as np

    from ablate.data.load import load_data
    from ablate.data.settings import Isbi2012, Split
    from ablate.metrics.counts import confusion, scores

    dataset = load_data(Isbi2012(size=(512, 512), root=folder))
    masks = np.asarray(dataset.masks)
    counts = confusion(np.ones_like(masks), masks, classes=2)
    test = list(dataset.split(Split(method="paper")).test)
    found = [scores(part) for part in (counts, counts[test])]

    def extent(values: list[float]) -> tuple[float, float]:
        return min(values), max(values)

    return AllForeground(
        iou=extent([score.iou for score in found]),
        dice=extent([score.dice for score in found]),
        miou=extent([score.miou for score in found]),
        images=f"all {len(masks)} masks, and the {len(test)} of the paper's test split",
        measured_here=True,
    )
