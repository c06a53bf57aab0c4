"""How long a pixel is, at the resolution that an image is scored at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ablate.data.fit import box_of, fit_of

if TYPE_CHECKING:
    from ablate.data.dataset import Dataset


def spacings_at(
    dataset: Dataset, indices: Sequence[int], *, at_trial_size: bool = False
) -> list[tuple[float, float]] | None:
    """Millimetres from row to row and from column to column of these images, as they are tested.

    That is at their own size or the trial's, as the data set says; the latter, if asked for, as they are validated.
    None where any image of the data set has no known spacing: then all are measured in pixels, for millimetres and
    pixels have no mean.
    """
    if not dataset.own_sizes or not dataset.spacings or not all(dataset.spacings):
        return None
    known = [spacing for spacing in dataset.spacings if spacing is not None]
    fit = fit_of(dataset.config)
    if fit == "patches" or (dataset.drawn is not None and not at_trial_size):
        return [known[at] for at in indices]
    found = []
    for at in indices:
        (height, width), (down, across) = dataset.own_sizes[at], known[at]
        box = box_of(dataset.own_sizes[at], dataset.config.size, fit)
        found.append((down * height / box.height, across * width / box.width))
    return found
