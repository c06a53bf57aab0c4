"""The figures of Li, Fan, Cai (2021), of a study: Figs. 2 and 3 are curves, Fig. 4 is what networks predict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ablate.analysis.paper.published import NAMES
from ablate.analysis.printed.sheet import sheet
from ablate.analysis.printed.training import WIDE, grey
from ablate.analysis.report.content import Picture

FIG_2 = {"train_loss": "Training loss"}
FIG_3 = {"val_iou": "Validation IoU", "val_dice": "Validation Dice"}
"""What the paper calls MIoU is the foreground's IoU: `ablate.analysis.paper`."""
_MOST_IMAGES = 3
_MOST_NETWORKS, _MOST_IN_A_COLUMN = 6, 3
_OUTLINE = "#D55E00"


def in_its_order(networks: Mapping[str, str]) -> list[str]:
    """Cells in the order of the paper's tables, and the other networks after these. `networks`: models, by cell."""
    order = list(NAMES)
    return sorted(networks, key=lambda cell: order.index(networks[cell]) if networks[cell] in order else len(order))


def predictions_figure(
    pictures: Sequence[Picture], cells: Mapping[str, str], called: Mapping[str, str], width: float
) -> tuple[Figure, list[str]]:
    """A row a test image: the image, its mask, and what each network predicts, with the mask's outline drawn on it; and
    the labels used.

    `cells` are labels by cell, in the order of columns. `called`: as of `labels.short`.
    """
    rows = pictures[:_MOST_IMAGES]
    there = [cell for cell in cells if any(cell in picture.predictions for picture in rows)]
    there = there[: _MOST_NETWORKS if width >= WIDE else _MOST_IN_A_COLUMN]
    height, across = grey(rows[0].mask).shape
    side = width / (2 + len(there))
    figure = sheet(width, (side * height / across + 3.5) * len(rows) + 4)
    grid = figure.subplots(len(rows), 2 + len(there), squeeze=False)
    for at, picture in enumerate(rows):
        mask = grey(picture.mask)
        predicted = [picture.predictions.get(cell) for cell in there]
        shown: list[tuple[NDArray[np.uint8] | None, str]] = [(grey(picture.source), picture.role), (mask, "")]
        shown += [(None, "") if one is None else (grey(one.mask), f"{one.dice:.3f}") for one in predicted]
        for column, (axes, (image, below)) in enumerate(zip(grid[at], shown, strict=True)):
            axes.set_xticks([])
            axes.set_yticks([])
            axes.grid(visible=False)
            axes.spines[:].set_linewidth(0.3)
            axes.spines[:].set_visible(True)
            axes.set_xlabel(below, labelpad=1.5, fontsize="small")
            if image is None:
                continue
            axes.imshow(image, cmap="gray", interpolation="nearest", vmin=0, vmax=255)
            if column > 1:
                for inside in _areas(mask, picture.ignored):
                    axes.contour(inside, levels=[0.5], colors=_OUTLINE, linewidths=0.5)
    for axes, name in zip(grid[0], ["test image", "mask", *(called[cells[cell]] for cell in there)], strict=True):
        axes.set_title(name, fontsize="small")
    return figure, [cells[cell] for cell in there]


def _areas(mask: NDArray[np.uint8], ignored: int | None) -> list[NDArray[np.bool_]]:
    """Where each class but the background is; one that fills the image, or is nowhere, has no outline."""
    levels = [level for level in np.unique(mask) if level not in (0, ignored)]
    return [mask == level for level in levels if not (mask == level).all()]
