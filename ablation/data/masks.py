"""From the values found in mask files to class indices."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np

from ablate.errors import InputError

_SHOWN = 6


def class_indices(
    masks: Sequence[np.ndarray], paths: Sequence[Path], classes: int
) -> tuple[list[np.ndarray], tuple[float, ...]]:
    """The masks as uint8 class indices, by one mapping for the whole data set, and what became 0, 1, … where it is
    other values.

    `classes` 1: foreground (1) is what is not zero; of two values neither of which is zero, the greater. More: values
    below `classes` are taken as they are; otherwise the sorted distinct values become 0, 1, ...
    Raises `InputError` naming the first of `paths` that brings more distinct values than the classes can hold.
    """
    found = [np.unique(mask) for mask in masks]
    values = np.unique(np.concatenate(found))
    limit = max(classes, 2)
    if len(values) > limit:
        raise _too_many(found, paths, values, limit)
    if classes == 1 and (0 in values or len(values) == 1):
        return [(mask != 0).astype(np.uint8) for mask in masks], ()
    if classes > 1 and np.isin(values, np.arange(classes)).all():
        return [mask.astype(np.uint8) for mask in masks], ()
    return [np.searchsorted(values, mask).astype(np.uint8) for mask in masks], tuple(values.tolist())


def _too_many(found: Sequence[np.ndarray], paths: Sequence[Path], values: np.ndarray, limit: int) -> InputError:
    so_far = list(accumulate(found, np.union1d))
    first = next(i for i, seen in enumerate(so_far) if len(seen) > limit)
    shown = ", ".join(f"{value:g}" for value in so_far[first][:_SHOWN])
    if len(so_far[first]) > _SHOWN:
        shown += ", ..."
    if paths[first].suffix.lower() in (".jpg", ".jpeg"):
        advice = "JPEG is lossy, save the masks as PNG"
    else:
        advice = f"if these are classes, set data.n_classes={len(values)} on a folder data set"
    return InputError(
        f"mask '{paths[first]}' makes it {len(so_far[first])} distinct values ({shown}), at most {limit} fit: {advice}"
    )
