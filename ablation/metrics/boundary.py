"""Metrics of boundaries, which the counts of pixels do not tell."""

from __future__ import annotations

import warnings
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ablate.metrics.base import ImageMetric, MetricFunction, fill_undefined
from ablate.settings import Number


class SurfaceDice(ImageMetric):
    """The share of both boundaries, mask's and prediction's, that is within `tolerance` pixels of the other.

    Also called the normalised surface distance (Nikolov et al. 2021).
    """

    name: Literal["surface_dice"] = "surface_dice"
    tolerance: Number = Field(1.0, ge=0, le=10_000)

    def build(self) -> MetricFunction:
        def measured(predicted: NDArray[np.uint8], masks: NDArray[np.uint8], classes: int) -> NDArray[np.float64]:
            found = [_of_image(*pair, classes, self.tolerance) for pair in zip(predicted, masks, strict=True)]
            return fill_undefined(np.reshape(found, (len(masks), classes)), predicted, masks)

        return measured


def _of_image(
    predicted: NDArray[np.uint8], mask: NDArray[np.uint8], classes: int, tolerance: float
) -> NDArray[np.float64]:
    """NaN for a class that has no boundary in either."""
    import torch
    from monai.metrics import compute_surface_dice

    one, other = (torch.from_numpy(np.stack([m == c for c in range(classes)]))[None] for m in (predicted, mask))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes that are nowhere
        values = compute_surface_dice(one, other, [tolerance] * classes, include_background=True)
    of_class: NDArray[np.float64] = values[0].double().numpy()
    return of_class
