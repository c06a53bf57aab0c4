"""Test images beside their masks and predictions, with every error marked (as the paper's Fig. 4)."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from ablate.analysis.format import shortened
from ablate.analysis.guard import attempt
from ablate.analysis.pareto import best_first
from ablate.analysis.report.content import Content, Picture
from ablate.analysis.report.page import NOTHING, Part, laid_out
from ablate.analysis.report.sections.base import Section
from ablate.errors import InputError
from ablate.settings import Number

_RIGHT, _FALSE_POSITIVE, _FALSE_NEGATIVE, _WRONG_CLASS = (255, 255, 255), (230, 159, 0), (0, 114, 178), (213, 94, 0)
"""White, and Okabe and Ito's orange, blue and vermillion: in grey still light to dark in that order."""
_DIM = 0.22
"""How much is left of the image beneath an overlay: darker than any of the marks in grey."""
_MOST_PIXELS = 256
"""A side of what is shown."""
_MOST_COLUMNS, _MOST_ON_PAPER = 12, 7
"""Networks beside each other; the others are there, and come into view when they are asked for."""


class Segmentations(Section):
    """Test images beside their masks and predictions."""

    name: Literal["segmentations"] = "segmentations"
    title: str = "Test images"
    place: Number = 80

    def parts(self, content: Content) -> Iterable[Part]:
        return [lambda: _images(content)]


def _images(content: Content) -> Markup:
    names = {cell.id: shortened(cell.label, 60) for cell in best_first(content.known)}
    return images_section(content.pictures, names) if content.pictures else NOTHING


class Shown(NamedTuple):
    """A PNG as the page has it."""

    png: bytes
    alt: str
    width: int
    height: int


class _Column(NamedTuple):
    """A cell's: `kind` says whether it is only on screen, or waits to be asked for (`more`)."""

    cell: str
    name: str
    kind: str


class _Predicted(NamedTuple):
    """A prediction, or why it cannot be shown."""

    image: Shown | None
    caption: str
    why: str = ""


class _Row(NamedTuple):
    """A test image and its mask (`given`), and the predictions by cell; or why they cannot be shown."""

    name: str
    role: str
    given: tuple[Shown, ...] = ()
    predicted: Mapping[str, _Predicted] = {}
    why: str = ""


class _Strip(NamedTuple):
    """The rows of one data set."""

    task: str
    columns: tuple[_Column, ...]
    rows: tuple[_Row, ...]


def images_section(pictures: Sequence[Picture], names: Mapping[str, str]) -> Markup:
    """For each data set a row an image: the image, its mask, and each cell's prediction, best cells first.

    `names` are those of cells, best first; a cell that is not there (its trials failed since) comes last, under its id.
    A picture that cannot be shown costs its own place: that of the image its row, that of a prediction its cell.
    """
    by_task: dict[str, list[Picture]] = {}
    for picture in pictures:
        by_task.setdefault(picture.task, []).append(picture)
    several_classes = any(attempt(partial(_has_classes, picture), lambda _: False) for picture in pictures)
    marks = [(_RIGHT, "found"), (_FALSE_POSITIVE, "false positive"), (_FALSE_NEGATIVE, "missed")]
    marks += [(_WRONG_CLASS, "taken for another class")] if several_classes else []
    return laid_out(
        "segmentations",
        keys=[(f"rgb{colour}", text) for colour, text in marks],
        strips=[_strip(task, members, names) for task, members in by_task.items()],
        most_in_view=_MOST_COLUMNS,
        most_on_paper=_MOST_ON_PAPER,
    )


def _has_classes(picture: Picture) -> bool:
    mask = _grey(picture.mask)
    return len(np.unique(mask[(mask > 0) & (mask != picture.ignored)])) > 1


def _strip(task: str, pictures: Sequence[Picture], names: Mapping[str, str]) -> _Strip:
    place = {cell: at for at, cell in enumerate(names)}
    predicted = dict.fromkeys(cell for picture in pictures for cell in picture.predictions)
    columns = tuple(
        _Column(cell, names.get(cell, cell), _kind(at))
        for at, cell in enumerate(sorted(predicted, key=lambda cell: place.get(cell, len(place))))
    )
    return _Strip(task, columns, tuple(_row(picture, names) for picture in pictures))


def _kind(at: int) -> str:
    return "more" if at >= _MOST_COLUMNS else "screen" if at >= _MOST_ON_PAPER else ""


def _row(picture: Picture, names: Mapping[str, str]) -> _Row:
    def predicted(cell: str, source: NDArray[np.uint8], mask: NDArray[np.uint8]) -> _Predicted:
        found = picture.predictions[cell]
        labels = _grey(found.mask)
        if labels.shape != mask.shape:
            raise InputError(f"the prediction is {_size(labels)}, its mask {_size(mask)}: expected one size")
        alt = f"Prediction of {names.get(cell, cell)} for {picture.image}, Dice {found.dice:.3f}"
        return _Predicted(_shown(_small(overlay(source, mask, labels, picture.ignored)), alt), f"Dice {found.dice:.3f}")

    def whole() -> _Row:
        source, mask = _grey(picture.source), _grey(picture.mask)
        given = (
            _shown(_small(picture.source), f"Test image {picture.image}"),
            _shown(_small(picture.mask), f"Mask of {picture.image}"),
        )
        by_cell = {
            cell: attempt(partial(predicted, cell, source, mask), lambda why: _Predicted(None, "", why))
            for cell in picture.predictions
        }
        return _Row(picture.image, picture.role, given, by_cell)

    return attempt(whole, lambda why: _Row(picture.image, picture.role, why=why))


def overlay(
    source: NDArray[np.uint8], mask: NDArray[np.uint8], prediction: NDArray[np.uint8], ignored: int | None = None
) -> bytes:
    """A PNG of what a prediction got right and wrong, on the dimmed image.

    `source` is (H, W) grey of 0 to 255, and is brought to the masks' size; `mask` and `prediction` are (h, w) class
    labels, 0 the background. White is the right class; a wrong one is an error whichever it is. Where the mask is
    `ignored` there is nothing to be right or wrong about.
    """
    height, width = mask.shape
    grey = np.asarray(Image.fromarray(source.astype(np.uint8)).resize((width, height), Image.Resampling.BILINEAR))
    shown = np.repeat((grey * _DIM).astype(np.uint8)[..., None], 3, axis=2)
    known = mask != ignored if ignored is not None else np.full(mask.shape, True)
    found, there = (prediction > 0) & known, (mask > 0) & known
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


def _shown(png: bytes, alt: str) -> Shown:
    with Image.open(io.BytesIO(png)) as image:
        return Shown(png, alt, *image.size)
