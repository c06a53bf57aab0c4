"""Test images beside their masks and predictions, with every error marked (as the paper's Fig. 4)."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ablate.analysis.report.guard import attempt
from ablate.analysis.report.page import escape, note, table
from ablate.errors import InputError

_RIGHT, _FALSE_POSITIVE, _FALSE_NEGATIVE, _WRONG_CLASS = (255, 255, 255), (230, 159, 0), (0, 114, 178), (213, 94, 0)
"""White, and Okabe and Ito's orange, blue and vermillion: in grey still light to dark in that order."""
_DIM = 0.22
"""How much is left of the image beneath an overlay: darker than any of the marks in grey."""
_MOST_PIXELS = 256
"""A side of what is shown."""
_MOST_COLUMNS, _MOST_ON_PAPER = 12, 7
"""Networks beside each other; the others are there, and come into view when they are asked for."""


class Prediction(NamedTuple):
    """A predicted mask as a PNG like `Picture.mask`, and its Dice on this image."""

    mask: bytes
    dice: float


class Picture(NamedTuple):
    """A test image as PNGs: the input, and its mask, whose grey levels are classes with 0 the background.

    `predictions` are by cell. `role` says why it is shown (worst, median, best), or is empty. `task` is its data set.
    """

    image: str
    source: bytes
    mask: bytes
    predictions: Mapping[str, Prediction]
    role: str = ""
    task: str = ""


def comparison(pictures: Sequence[Picture], names: Mapping[str, str]) -> str:
    """For each data set a row an image: the image, its mask, and each cell's prediction, best cells first.

    `names` are those of cells, best first; a cell that is not there (its trials failed since) comes last, under its id.
    A picture that cannot be shown costs its own place: that of the image its row, that of a prediction its cell.
    """
    by_task: dict[str, list[Picture]] = {}
    for picture in pictures:
        by_task.setdefault(picture.task, []).append(picture)
    several_classes = any(attempt(partial(_has_classes, picture.mask), lambda _: False) for picture in pictures)
    marks = [(_RIGHT, "found"), (_FALSE_POSITIVE, "false positive"), (_FALSE_NEGATIVE, "missed")]
    marks += [(_WRONG_CLASS, "taken for another class")] if several_classes else []
    keys = "".join(f'<span class="key" style="background:rgb{colour}"></span>{text}' for colour, text in marks)
    strips = "".join(
        (f"<h3>{escape(task)}</h3>" if len(by_task) > 1 else "") + _strip(members, names)
        for task, members in by_task.items()
    )
    return f'<p class="note keys">{keys}</p>{strips}'


def _has_classes(png: bytes) -> bool:
    mask = _grey(png)
    return len(np.unique(mask[mask > 0])) > 1


def _strip(pictures: Sequence[Picture], names: Mapping[str, str]) -> str:
    place = {cell: at for at, cell in enumerate(names)}
    predicted = dict.fromkeys(cell for picture in pictures for cell in picture.predictions)
    order = sorted(predicted, key=lambda cell: place.get(cell, len(place)))
    # What an element of a column has: its cell, and whether it waits to be asked for.
    column = {
        cell: f' data-cell="{escape(cell)}"'
        + (' class="more"' if at >= _MOST_COLUMNS else ' class="screen"' if at >= _MOST_ON_PAPER else "")
        for at, cell in enumerate(order)
    }

    def predicted_by(cell: str, picture: Picture, source: NDArray[np.uint8], mask: NDArray[np.uint8]) -> str:
        shown = picture.predictions[cell]
        labels = _grey(shown.mask)
        if labels.shape != mask.shape:
            raise InputError(f"the prediction is {_size(labels)}, its mask {_size(mask)}: expected one size")
        alt = f"Prediction of {names.get(cell, cell)} for {picture.image}, Dice {shown.dice:.3f}"
        return (
            f"<figure>{_image(_small(overlay(source, mask, labels)), alt)}"
            f"<figcaption>Dice {shown.dice:.3f}</figcaption></figure>"
        )

    def images(picture: Picture) -> str:
        source, mask = _grey(picture.source), _grey(picture.mask)
        return "".join(
            [
                f"<td>{_image(_small(picture.source), f'Test image {picture.image}')}</td>",
                f"<td>{_image(_small(picture.mask), f'Mask of {picture.image}')}</td>",
                *(
                    f"<td{column[cell]}>{attempt(partial(predicted_by, cell, picture, source, mask), _not_shown)}</td>"
                    if cell in picture.predictions
                    else f"<td{column[cell]}></td>"
                    for cell in order
                ),
            ]
        )

    def row(picture: Picture) -> str:
        role = f"<b>{escape(picture.role)}</b> " if picture.role else ""
        columns = attempt(
            partial(images, picture), lambda why: f'<td colspan="{2 + len(order)}">{_not_shown(why)}</td>'
        )
        return f'<tr><th scope="row">{role}{escape(picture.image)}</th>{columns}</tr>'

    headers = ['<td></td><th scope="col">Image</th><th scope="col">Mask</th>']
    headers += [
        f'<th scope="col" id="images-{escape(cell)}" tabindex="-1"{column[cell]}>{escape(names.get(cell, cell))}</th>'
        for cell in order
    ]
    return table("strip", headers, map(row, pictures), "Test images and predictions") + _left_out(len(order))


def _not_shown(why: str) -> str:
    return f'<span class="note">{escape(f"cannot be shown: {why}")}</span>'


def _left_out(networks: int) -> str:
    """What must be said of networks that are not in view."""
    said = ""
    if networks > _MOST_COLUMNS:
        said += (
            f'<span class="screen">The best {_MOST_COLUMNS} of {networks} networks; a click on another’s point or name '
            "adds it.</span>"
        )
    if networks > _MOST_ON_PAPER:
        said += f'<span class="paper">The best {_MOST_ON_PAPER} of {networks} networks.</span>'
    return note(said) if said else ""


def overlay(source: NDArray[np.uint8], mask: NDArray[np.uint8], prediction: NDArray[np.uint8]) -> bytes:
    """A PNG of what a prediction got right and wrong, on the dimmed image.

    `source` is (H, W) grey of 0 to 255, and is brought to the masks' size; `mask` and `prediction` are (h, w) class
    labels, 0 the background. White is the right class; a wrong one is an error whichever it is.
    """
    height, width = mask.shape
    grey = np.asarray(Image.fromarray(source.astype(np.uint8)).resize((width, height), Image.Resampling.BILINEAR))
    shown = np.repeat((grey * _DIM).astype(np.uint8)[..., None], 3, axis=2)
    found, there = prediction > 0, mask > 0
    shown[found & there] = _WRONG_CLASS
    shown[found & (prediction == mask)] = _RIGHT
    shown[found & ~there] = _FALSE_POSITIVE
    shown[~found & there] = _FALSE_NEGATIVE
    return _png(Image.fromarray(shown))


def _grey(png: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(png)).convert("L"))


def _size(image: NDArray[np.uint8]) -> str:
    return f"{image.shape[0]}x{image.shape[1]}"


def _small(png: bytes) -> bytes:
    """The image no larger than it is shown: averaged, so that thin errors stay visible."""
    with Image.open(io.BytesIO(png)) as image:
        if max(image.size) <= _MOST_PIXELS:
            return png
        factor = _MOST_PIXELS / max(image.size)
        size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
        return _png(image.resize(size, Image.Resampling.BOX))


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()


def _image(png: bytes, alt: str) -> str:
    with Image.open(io.BytesIO(png)) as image:
        width, height = image.size
    data = base64.b64encode(png).decode("ascii")
    return (
        f'<img src="data:image/png;base64,{data}" alt="{escape(alt)}" width="{width}" height="{height}" loading="lazy" '
        'decoding="async">'
    )
