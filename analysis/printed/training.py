"""Training curves, and test images with what was found in them."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from PIL import Image

from ablate.analysis.figures.curves import PANELS, Curve
from ablate.analysis.figures.style import styles
from ablate.analysis.printed.sheet import DASHES, sheet
from ablate.analysis.report.content import Picture
from ablate.analysis.report.sections.segmentations import overlay

MOST_CURVES = 8
_MOST_NETWORKS, _MOST_IMAGES = 4, 3
WIDE = 120.0
"""Millimetres from which panels stand beside one another."""


def curves_figure(
    drawn: Sequence[Curve],
    first: Collection[str],
    called: Mapping[str, str],
    width: float,
    panels: Mapping[str, str] = PANELS,
) -> tuple[Figure, list[str]]:
    """A panel a quantity of `panels`; a mean line for each cell, and a band over its seeds; and the labels used.

    Of many cells, those in `first`. `called`: as of `labels.short`.
    """
    cells = list(dict.fromkeys(curve.cell for curve in drawn))
    shown = cells if len(cells) <= MOST_CURVES else [cell for cell in cells if cell in first][:MOST_CURVES]
    own = [curve for curve in drawn if curve.cell in shown]
    there = [quantity for quantity in panels if any(curve.quantity == quantity for curve in own)]
    beside = width >= WIDE
    figure = sheet(width, 62 if beside else 46 * len(there) + 8)
    grid = figure.subplots(*((1, len(there)) if beside else (len(there), 1)), squeeze=False)
    look = styles((curve.cell, curve.label, curve.model) for curve in own)
    for at, (axes, quantity) in enumerate(zip(grid.flat, there, strict=True)):
        for curve in (curve for curve in own if curve.quantity == quantity):
            style = look[curve.cell]
            if curve.seeds > 1:
                axes.fill_between(curve.epochs, curve.low, curve.high, color=style.shade, alpha=0.15, lw=0)
            axes.plot(curve.epochs, curve.mean, color=style.shade, ls=DASHES[style.dash], label=called[curve.label])
        axes.set_ylabel(panels[quantity])
        axes.set_xlabel("Epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if len(there) > 1:
            axes.set_title("abcdef"[at], loc="left", fontweight="bold")
    handles, names = grid.flat[0].get_legend_handles_labels()
    columns = 4 if beside or all(len(name) < 5 for name in names) else 2
    figure.legend(handles, names, loc="outside lower center", ncols=columns, handlelength=3)
    return figure, [curve.label for curve in own]


def images_figure(
    pictures: Sequence[Picture], names: Mapping[str, str], called: Mapping[str, str], width: float
) -> tuple[Figure, list[str]]:
    """A row a test image: the image, its mask, and what each network found, best first, with its Dice; and the names
    used. `called`: as of `labels.short`.

    `names` are those of cells, best first. White is right, light grey (orange) found where nothing is, dark (blue)
    missed: in grey still light to dark in that order.
    """
    rows = pictures[:_MOST_IMAGES]
    cells = [cell for cell in names if any(cell in picture.predictions for picture in rows)]
    cells = cells[: _MOST_NETWORKS if width >= WIDE else 2]
    side = width / (2 + len(cells))
    figure = sheet(width, (side + 3.5) * len(rows) + 4)
    grid = figure.subplots(len(rows), 2 + len(cells), squeeze=False)
    for at, picture in enumerate(rows):
        source, mask = grey(picture.source), grey(picture.mask)
        shown: list[tuple[NDArray[np.uint8] | None, str]] = [(source, picture.role), (mask, "")]
        for cell in cells:
            found = picture.predictions.get(cell)
            image = None if found is None else _coloured(overlay(source, mask, grey(found.mask), picture.ignored))
            shown.append((image, "" if found is None else f"Dice {found.dice:.3f}"))
        for axes, (image, below) in zip(grid[at], shown, strict=True):
            axes.set_xticks([])
            axes.set_yticks([])
            axes.grid(visible=False)
            axes.spines[:].set_visible(False)
            axes.set_xlabel(below, labelpad=1.5, fontsize="small")
            if image is not None:
                axes.imshow(image, cmap="gray", interpolation="nearest")
    for axes, name in zip(grid[0], ["test image", "mask", *(called[names[cell]] for cell in cells)], strict=True):
        axes.set_title(name, fontsize="small")
    return figure, [names[cell] for cell in cells]


def grey(png: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(png)).convert("L"))


def _coloured(png: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
