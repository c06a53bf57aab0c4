"""What several cells have in common: the test images that all were scored on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ablate.analysis.independent import Columns
from ablate.analysis.scores import CellScores


def shared_images(scores: Sequence[CellScores]) -> tuple[str, ...]:
    """The images that every cell has a score for with every seed, ascending."""
    shared: set[str] | None = None
    by_columns: dict[tuple[str, ...], list[CellScores]] = {}
    for found in scores:
        by_columns.setdefault(found.images, []).append(found)
    for images, members in by_columns.items():
        missing = np.any([np.isnan(found.values).any(axis=0) for found in members], axis=0)
        complete = {image for image, gone in zip(images, missing, strict=True) if not gone}
        shared = complete if shared is None else shared & complete
    return tuple(sorted(shared or ()))


def of_images(found: CellScores, images: tuple[str, ...]) -> NDArray[np.float64]:
    """The scores of these images, (seeds, images)."""
    if found.images == images:
        return found.values
    at = {image: column for column, image in enumerate(found.images)}
    return found.values[:, [at[image] for image in images]]


def shared_columns(scores: Sequence[CellScores], images: tuple[str, ...]) -> Columns | None:
    """What the shared images are, as the first cell has them."""
    if not scores:
        return None
    at = {image: column for column, image in enumerate(scores[0].images)}
    return scores[0].columns.at([at[image] for image in images])
