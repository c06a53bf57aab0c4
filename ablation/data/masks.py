"""From the values found in mask files to class indices.

`data.labels` says which values stand for which class, `data.ignore` which for none. Without labels, values are taken as
classes where their order leaves no doubt.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ablate.data.settings import FileSource
from ablate.data.source import IGNORED
from ablate.data.value_settings import Label
from ablate.errors import InputError

_SHOWN = 6
_MANY = 20
"""Values of which so many are hardly classes."""
_MOST = 256
"""Values that are counted."""
_MOST_PROPOSED = 12
_NOISE = 1e-6
"""Fractions that differ by less, of the number or of 1, are one number, rounded on its way."""


def as_labels_say(stored: np.ndarray, path: Path, config: FileSource) -> np.ndarray:
    """The class indices of a mask: (slices, H, W) uint8, of (slices, H, W, channels) as stored in `path`.

    Raises `InputError` naming the file for a value that no label of `config` stands for.
    """
    stands_for = [(value, index) for index, of_class in enumerate(config.labels) for value in of_class]
    stands_for += [(value, IGNORED) for value in config.ignore]
    known = np.array([int(value[1:], 16) if isinstance(value, str) else value for value, _ in stands_for])
    classes = np.array([index for _, index in stands_for], dtype=np.uint8)
    mask = _colours(stored, path) if config.in_colour else stored[..., 0]
    values = np.unique(mask)
    nearest = _nearest(values, known)
    if (nearest < 0).any():
        raise _unknown(values[nearest < 0], path, config.in_colour)
    return _replaced(mask, values, classes[nearest])


def class_indices(
    masks: Sequence[np.ndarray], paths: Sequence[Path], classes: int, ignore: Sequence[Label] = ()
) -> tuple[list[np.ndarray], tuple[float, ...]]:
    """The masks as uint8 class indices, by one `numbering`, and what became 0, 1, … where it is other values."""
    by = numbering(masks, paths, classes, ignore)
    return [by.of(mask) for mask in masks], by.anew


class Numbering(NamedTuple):
    """How the values of a data set's masks become class indices."""

    values: np.ndarray
    """In order."""
    classes: np.ndarray
    """Of each value: uint8."""
    anew: tuple[float, ...]
    """What became 0, 1, … where it is other values."""

    def of(self, mask: np.ndarray) -> np.ndarray:
        """The class indices of one of the masks: uint8."""
        found = np.unique(mask)
        return _replaced(mask, found, np.append(self.classes, IGNORED)[_nearest(found, self.values)])


def numbering(
    masks: Iterable[np.ndarray], paths: Sequence[Path], classes: int, ignore: Sequence[Label] = ()
) -> Numbering:
    """One for the whole data set; of the masks, one is looked at after the other. What is in `ignore` becomes
    `IGNORED`.

    `classes` 1: foreground (1) is what is not zero; of two values neither of which is zero, the greater. More: values
    below `classes` are taken as they are; of as many values as classes, the sorted ones become 0, 1, ...
    Raises `InputError` naming the first of `paths` that brings more distinct values than the classes can hold, and for
    values that may stand for other classes than these.
    """
    ignored = np.array(ignore, dtype=np.float64)
    of_masks = (_settled(np.unique(mask), ignored) for mask in masks)
    values = np.zeros(0)
    for path, of_mask in zip(paths, of_masks, strict=True):
        values = np.union1d(values, of_mask)
        if len(values) > max(classes, 2):
            raise _too_many(path, values, of_masks, classes)
    taken = _taken(values, classes)
    if taken is None:
        raise _ambiguous(paths[0].parent, values, classes)
    return Numbering(values, taken.classes, tuple(values.tolist()) if taken.anew else ())


class _Taken(NamedTuple):
    classes: np.ndarray
    """Of each value: uint8."""
    anew: bool
    """Whether the values were numbered anew, in order."""


def _taken(values: np.ndarray, classes: int) -> _Taken | None:
    """Which class each value stands for; None where that may be another."""
    if classes == 1 and (0 in values or len(values) < 2):
        return None if (values < 0).any() else _Taken((values != 0).astype(np.uint8), False)
    if classes > 1 and np.isin(values, np.arange(classes)).all():
        return _Taken(values.astype(np.uint8), False)
    return _Taken(np.arange(len(values), dtype=np.uint8), True) if len(values) == max(classes, 2) else None


def _settled(values: np.ndarray, ignored: np.ndarray) -> np.ndarray:
    """Distinct values as float64, without those that are ignored; fractions that are all but whole are whole."""
    kept = values.astype(np.float64)
    if values.dtype.kind == "f":
        whole = kept.round()
        kept = np.where(np.abs(kept - whole) <= _NOISE * np.maximum(1, np.abs(whole)), whole, kept)
    return np.unique(kept[_nearest(kept, ignored) < 0])


def _nearest(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Which of `known` each value is, by its place there; -1 where it is none of them."""
    if not len(known):
        return np.full(len(values), -1)
    order = np.argsort(known)
    ordered, given = known[order].astype(np.float64), values.astype(np.float64)
    at = np.searchsorted((ordered[1:] + ordered[:-1]) / 2, given)
    return np.where(np.abs(given - ordered[at]) <= _NOISE * np.maximum(1, np.abs(ordered[at])), order[at], -1)


def _replaced(mask: np.ndarray, values: np.ndarray, by: np.ndarray) -> np.ndarray:
    """The mask with each of its `values`, which are in order, replaced; uint8."""
    if mask.dtype == np.uint8:
        table = np.zeros(256, dtype=np.uint8)
        table[values] = by
        return table[mask]
    replaced: np.ndarray = by.astype(np.uint8)[np.searchsorted(values, mask)]
    return replaced


def _colours(image: np.ndarray, path: Path) -> np.ndarray:
    """(slices, H, W) uint32, 0xRRGGBB, of (slices, H, W, channels): grey or colour, alpha left out."""
    if image.dtype not in (np.uint8, bool):
        raise InputError(
            f"mask '{path}' holds {image.dtype} values and data.labels are colours: expected 8-bit grey or colour, or "
            "labels that are numbers"
        )
    white = 255 if image.dtype == bool else 1
    planes = [image[..., channel if image.shape[-1] >= 3 else 0].astype(np.uint32) * white for channel in range(3)]
    return planes[0] << 16 | planes[1] << 8 | planes[2]


def _unknown(values: np.ndarray, path: Path, colours: bool) -> InputError:
    shown = _listed([f"#{value:06x}" if colours else f"{value:g}" for value in values.tolist()])
    noun = ("colour" if colours else "value") + ("s" if len(values) > 1 else "")
    advice = "give each a class in data.labels, or name it in data.ignore"
    if len(values) > _MANY:
        advice = "edges were smoothed, or values compressed: save the masks with the nearest value, as PNG"
    return InputError(f"mask '{path}' has the {noun} {shown}, which no label stands for: {advice}")


def _too_many(path: Path, so_far: np.ndarray, others: Iterable[np.ndarray], classes: int) -> InputError:
    """`path` brings the first values that are too many, which makes them those `so_far`; `others` come after it."""
    values = so_far
    for of_mask in others:
        if len(values) > _MOST:
            break
        values = np.union1d(values, of_mask)
    limit = max(classes, 2)
    shown = _listed([f"{value:g}" for value in so_far])
    return InputError(
        f"mask '{path}' makes it {len(so_far)} distinct values ({shown}), at most {limit} fit: "
        f"{_advice(path, values, classes)}"
    )


def _advice(path: Path, values: np.ndarray, classes: int) -> str:
    if path.suffix.lower() in (".jpg", ".jpeg"):
        return "JPEG is lossy, save the masks as PNG"
    if (values != values.round()).any():
        return "fractions are no classes; decide which are foreground, and save whole numbers"
    if len(values) > _MANY:
        return (
            "so many are hardly classes; where they number objects, give all objects of a class one value; where edges "
            "were smoothed, save the nearest value"
        )
    for marker in (values[0], values[-1]):
        rest = values[values != marker]
        if np.isin(rest, np.arange(max(classes, 2))).all() and (marker < 0 or marker == IGNORED):
            same = "if it is foreground as 1 is, data.labels=[0,[1,255]]; " if values.tolist() == [0, 1, 255] else ""
            return (
                f"if {marker:g} marks what nobody decided, set data.ignore={marker:g}; {same}if it is a class, set "
                f"{_proposed(values, len(values))}"
            )
    return f"if these are classes, set data.n_classes={len(values)}, or {_proposed(values, len(values))}"


def _ambiguous(folder: Path, values: np.ndarray, classes: int) -> InputError:
    """Of values that are too few to be numbered in order, or one of which is negative."""
    shown = _listed([f"{value:g}" for value in values])
    advice = f"say what each class is, the background first: {_proposed(values, max(classes, 2))}"
    if values[0] < 0:
        advice = f"if {values[0]:g} marks what nobody decided, set data.ignore={values[0]:g}; else {advice}"
    return InputError(f"the masks in '{folder}' hold {shown}, and data.n_classes is {classes}: {advice}")


def _proposed(values: np.ndarray, count: int) -> str:
    """Labels for `count` classes: the values there are, and the least numbers that there are not."""
    if count > _MOST_PROPOSED:
        return "data.labels, a value for each class"
    absent = [value for value in range(count + len(values)) if value not in values]
    labels = sorted([*values.tolist(), *absent[: count - len(values)]])
    return f"data.labels=[{','.join(f'{value:g}' for value in labels)}]"


def _listed(values: Sequence[str]) -> str:
    return ", ".join(values[:_SHOWN]) + (", ..." if len(values) > _SHOWN else "")
