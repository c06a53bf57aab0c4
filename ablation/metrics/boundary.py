"""Metrics of boundaries, which the counts of pixels do not tell: HD95, ASSD and NSD.

A mask's boundary is its pixels with one of their four neighbours outside of it; what is beyond the image's edge is
outside. Distances are Euclidean, from the middle of each boundary pixel to that of the nearest of the other boundary,
in millimetres by the image's spacing (`LengthMetric`). So are MONAI's `compute_hausdorff_distance`,
`compute_average_surface_distance` and `compute_surface_dice`, to which tests hold these.

A class that only one of mask and prediction has is as wrong as can be: its distances are the image's diagonal, from the
middle of one corner pixel to that of the other, which no distance within the image exceeds, and its NSD is 0. Left out,
a network that finds nothing would look best (Maier-Hein, Reinke et al., Metrics reloaded, Nature Methods 21, 2024,
recommend the worst value as well). Of a class that neither has, a distance is not defined: NaN, and what that counts as
is the analysis's stated choice (`ablate.metrics.counts.Empty`).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ablate.metrics.base import ImageMetric, LengthMetric, MetricFunction, fill_undefined
from ablate.settings import Number


class SurfaceDice(ImageMetric):
    """The share of both boundaries, mask's and prediction's, that is within `tolerance` pixels of the other.

    `nsd` is the same with its tolerance in millimetres.
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


class HD95(ImageMetric):
    """The 95th percentile of the Hausdorff distance: of both directions' percentiles the larger.

    A percentile between two distances is interpolated linearly. The smaller the better.
    """

    name: Literal["hd95"] = "hd95"

    def build(self) -> LengthMetric:
        return LengthMetric(partial(_distance, _percentile), "_", distance=True)


class ASSD(ImageMetric):
    """The average symmetric surface distance: the mean over all pixels of both boundaries. The smaller the better."""

    name: Literal["assd"] = "assd"

    def build(self) -> LengthMetric:
        return LengthMetric(partial(_distance, _mean), "_", distance=True)


class NSD(ImageMetric):
    """The normalised surface distance (Nikolov et al. 2021): the share of both boundaries within `tolerance`.

    The tolerance is in millimetres where the images' spacing is known, and in pixels where it is not.
    """

    name: Literal["nsd"] = "nsd"
    tolerance: Number = Field(ge=0, le=10_000)

    def build(self) -> LengthMetric:
        reach = f"{self.tolerance:.4f}".rstrip("0").rstrip(".").replace(".", "_")
        return LengthMetric(partial(_share, self.tolerance), f"_at_{reach}", distance=False)


_Directed = tuple[NDArray[np.float64], NDArray[np.float64]]


def _distance(
    of: Callable[[_Directed], float],
    predicted: NDArray[np.bool_],
    mask: NDArray[np.bool_],
    pixel: tuple[float, float],
) -> float:
    there = bool(predicted.any()), bool(mask.any())
    if there == (False, False):
        return np.nan
    if not all(there):
        return float(np.hypot(*((side - 1) * length for side, length in zip(mask.shape, pixel, strict=True))))
    return of(boundary_distances(predicted, mask, pixel))


def _percentile(distances: _Directed) -> float:
    return float(max(np.percentile(one, 95) for one in distances))


def _mean(distances: _Directed) -> float:
    return float(np.concatenate(distances).mean())


def _share(
    tolerance: float, predicted: NDArray[np.bool_], mask: NDArray[np.bool_], pixel: tuple[float, float]
) -> float:
    there = bool(predicted.any()), bool(mask.any())
    if not all(there):
        return float(there == (False, False))
    # In single precision, so that three pixels of 0.1 mm are within 0.3 mm, whatever the last digit says.
    found = np.concatenate(boundary_distances(predicted, mask, pixel)).astype(np.float32)
    return float((found <= np.float32(tolerance)).mean())


def boundary_distances(
    one: NDArray[np.bool_], other: NDArray[np.bool_], pixel: tuple[float, float] = (1.0, 1.0)
) -> _Directed:
    """How far each boundary pixel of `one` is from `other`'s boundary, and the other way; neither mask is empty."""
    from scipy.ndimage import binary_erosion, distance_transform_edt

    either = one | other
    rows, columns = (np.flatnonzero(either.any(axis=axis)) for axis in (1, 0))
    part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]  # nothing of either is beyond it
    first, second = (mask[part] & ~binary_erosion(mask[part]) for mask in (one, other))
    to_second, to_first = (distance_transform_edt(~edge, sampling=pixel) for edge in (second, first))
    return to_second[first], to_first[second]
