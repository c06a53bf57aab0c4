"""What calling every pixel foreground scores on ISBICell, on all masks, on the published split, and on any other.

Computed here where the masks are at hand; else quoted from such a computation, and the record says which.
"""

from __future__ import annotations

from itertools import chain, combinations
from math import comb
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ablate.analysis.paper.published import TABLE_1, TABLE_2
from ablate.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class TrivialScores(NamedTuple):
    """What all-foreground scores, as means over so many `images`: the foreground's IoU and Dice, and Eq. (1)."""

    images: int
    iou: float
    dice: float
    eq_1: float
    """The mean of IoU over both classes; the background's is 0."""


class Above(NamedTuple):
    """The share of splits on whose test images all-foreground scores more than a network's published figure."""

    iou: float
    dice: float


class AllForeground(NamedTuple):
    all_masks: TrivialScores
    split: TrivialScores
    """On the test images of the published code's split."""
    above: dict[str, Above]
    """By network, over every split of the masks that has as many test images; the published figures stay."""
    measured_here: bool

    @property
    def splits(self) -> int:
        """How many splits `above` is over."""
        return comb(self.all_masks.images, self.split.images)

    @property
    def source(self) -> str:
        how = "computed here on" if self.measured_here else "quoted from `ablate paper --data-dir` on"
        return f"{how} the {self.all_masks.images} published masks of ISBI 2012 (Arganda-Carreras et al. 2015)"


QUOTED = AllForeground(
    all_masks=TrivialScores(30, iou=0.780369, dice=0.876435, eq_1=0.390184),
    split=TrivialScores(6, iou=0.776867, dice=0.874083, eq_1=0.388433),
    above={
        "unet": Above(0.7532, 0.9876),
        "unet_plus_plus": Above(0.2055, 0.2237),
        "resnet34_unet": Above(0, 0),
        "attention_unet": Above(0, 0.0001),
        "fcn8s": Above(0, 0),
        "pyconvunet": Above(0, 0),
    },
    measured_here=False,
)
"""As `all_foreground` gives on the published masks, for those who have none at hand."""


def all_foreground(folder: Path) -> AllForeground:
    """The same, computed on the 30 masks of 512×512 in `folder`.

    Raises `InputError` where files are missing or unfit, and where there are not as many as the paper's.
    """
    import numpy as np

    from ablate.data.load import load_data
    from ablate.data.settings import Isbi2012, Split
    from ablate.metrics.counts import confusion, scores

    published = TABLE_1["ISBICell"]
    dataset = load_data(Isbi2012(size=published.size, root=folder))
    masks = np.asarray(dataset.masks)
    if len(masks) != published.images:
        raise InputError(
            f"--data-dir has {len(masks)} masks, the paper's ISBICell {published.images}: all-foreground is held "
            "against its Table 2 on those alone; give the whole training stack of ISBI 2012"
        )
    counts = confusion(np.ones_like(masks), masks, classes=2)
    test = list(dataset.split(Split(method="paper")).test)

    def trivial(part: NDArray[np.int64]) -> TrivialScores:
        found = scores(part)
        return TrivialScores(len(part), found.iou, found.dice, found.miou)

    each = [scores(counts[[image]]) for image in range(len(counts))]
    return AllForeground(
        all_masks=trivial(counts),
        split=trivial(counts[test]),
        above=above(np.array([one.iou for one in each]), np.array([one.dice for one in each]), len(test)),
        measured_here=True,
    )


def above(iou: NDArray[np.float64], dice: NDArray[np.float64], test: int) -> dict[str, Above]:
    """How often all-foreground, with these scores of each image, is above each network's row of Table 2.

    Every way to choose `test` of the images is a split: of 30 and 6 there are 593,775, so none is drawn.
    """
    import numpy as np

    every = combinations(range(len(iou)), test)
    chosen = np.fromiter(chain.from_iterable(every), dtype=np.uint8).reshape(-1, test)
    by_iou, by_dice = iou[chosen].mean(axis=1), dice[chosen].mean(axis=1)
    return {
        model: Above(float((by_iou > row.miou).mean()), float((by_dice > row.dice).mean()))
        for model, row in TABLE_2["ISBICell"].items()
    }
