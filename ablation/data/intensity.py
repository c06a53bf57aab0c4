"""From the values of an image to what a network sees: `data.intensity`.

By default, `range`: 8-bit images from 0 to 255, others from least to greatest, over the image or, for slices of a
volume, over the volume; of grey and colour over all channels together, otherwise over each. A constant one is the
least. Then mean and standard deviation 0.5, as in the paper's code: [-1, 1]. What is measured otherwise (`zscore`,
`percentiles`) is each channel's own, and colour that becomes grey does so before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ablate.data.settings import DataSource
from ablate.data.source import Sample
from ablate.data.value_settings import Intensity
from ablate.errors import InputError
from ablate.part import DataPart

MEAN, STD = 0.5, 0.5
"""Pixels are scaled to [0, 1] and then normalised with these, as in the paper's code: to [-1, 1]."""
_WHOLE = {np.dtype(np.uint8): (0.0, 255.0), np.dtype(bool): (0.0, 1.0)}
"""Types whose range is known: the values that become 0 and 1."""
_DEVIATIONS = 3.0
"""A picture shows what lies within as many standard deviations of the mean."""


class Scaling(NamedTuple):
    """How the values of one image are scaled: an entry for each channel, or one for all."""

    offset: np.ndarray
    """What becomes 0."""
    unit: np.ndarray
    """What is then divided by."""
    cut: np.ndarray
    """Whether what is then below 0 or above 1 is cut off."""
    standard: np.ndarray
    """Whether the result has mean 0 and deviation 1 already."""


def intensities(config: DataSource | DataPart) -> tuple[Intensity, ...]:
    """`data.intensity`, as settings; empty where there is none, which is `range`."""
    given = getattr(config, "intensity", ())
    # A data set of a user's own may have a setting of this name, which is something else.
    if not isinstance(given, tuple) or not all(isinstance(one, dict | Intensity) for one in given):
        return ()
    return tuple(Intensity.model_validate(one) for one in given)


def check_channels(held: int, wanted: int, what: str) -> None:
    """Raises `InputError` where images of `held` channels cannot be seen as `wanted`: as they are, or grey for colour
    and colour for grey."""
    if held != wanted and {held, wanted} != {1, 3}:
        has = f"{held} channel{'s' if held > 1 else ''}"
        raise InputError(f"{what} has {has} and data.channels is {wanted}: set data.channels={held}")


def scalings(samples: Sequence[Sample], config: DataSource | DataPart) -> list[Scaling]:
    """How each sample is scaled.

    Raises `InputError` naming the first sample that has not the channels that `config` says.
    """
    for sample in samples:
        check_channels(_planes(sample.image).shape[2], config.channels, f"image '{sample.id}'")
    given = intensities(config)
    if not given and config.channels in (1, 3):
        return [_between(low, high) for low, high in _limits(samples)]
    volumes: dict[str, list[int]] = {}
    for index, sample in enumerate(samples):
        volumes.setdefault(sample.volume or sample.group, []).append(index)
    found: dict[int, Scaling] = {}
    for indices in volumes.values():
        scaling = _of_volume([samples[index] for index in indices], given or (Intensity(name="range"),), config)
        found |= dict.fromkeys(indices, scaling)
    return [found[index] for index in range(len(samples))]


def scaled(image: np.ndarray, scaling: Scaling, config: DataSource | DataPart) -> np.ndarray:
    """(channels, h, w) float32 from (h, w) or (h, w, channels); one channel where several would be the same."""
    planes = _planes(image)
    if intensities(config):
        planes = _grey_first(planes, config.channels)
    values = (planes.astype(np.float64) - scaling.offset) / scaling.unit
    if scaling.cut.any():
        values = np.where(scaling.cut, values.clip(0, 1), values)
    planes = np.moveaxis(values, -1, 0)
    if config.channels == 1:
        planes = planes.mean(axis=0, keepdims=True)
    return planes.astype(np.float32)


def normalised(planes: np.ndarray, scaling: Scaling) -> np.ndarray:
    """What `scaled` gave, resized or not, as a network sees it: (channels, H, W) float32."""
    found = (planes - np.float32(MEAN)) / np.float32(STD)
    return np.where(scaling.standard[:, None, None], planes, found) if scaling.standard.any() else found


def visible(image: np.ndarray, config: DataSource | DataPart) -> np.ndarray:
    """An image (channels, H, W) as a network sees it, as an 8-bit picture: (H, W) of its first channel, or (H, W, 3) of
    its first three."""
    shown = image[:3] if len(image) >= 3 else image[:1]
    given = intensities(config)
    for channel in range(len(shown)):
        if given and given[channel % len(given)].name == "zscore":
            shown = shown.copy()
            shown[channel] /= _DEVIATIONS
    pixels = np.clip(shown * 127.5 + 127.5, 0, 255).round().astype(np.uint8)
    return pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, -1)


def _planes(image: np.ndarray) -> np.ndarray:
    """(h, w, channels)"""
    return image if image.ndim == 3 else image[..., None]


def _grey_first(planes: np.ndarray, channels: int) -> np.ndarray:
    return planes.mean(axis=2, keepdims=True) if (channels, planes.shape[2]) == (1, 3) else planes


def _limits(samples: Sequence[Sample]) -> list[tuple[float, float]]:
    """The values of each sample that become 0 and 1, of all channels together."""
    of_volume: dict[str, tuple[float, float]] = {}
    for sample in samples:
        if sample.image.dtype not in _WHOLE:
            low, high = of_volume.get(sample.volume or sample.group, (np.inf, -np.inf))
            found = min(low, float(sample.image.min())), max(high, float(sample.image.max()))
            of_volume[sample.volume or sample.group] = found
    return [
        sample.limits or _WHOLE.get(sample.image.dtype) or of_volume[sample.volume or sample.group]
        for sample in samples
    ]


def _between(low: float, high: float, cut: bool = False) -> Scaling:
    return Scaling(np.array([low]), np.array([(high - low) or 1.0]), np.array([cut]), np.array([False]))


def _of_volume(samples: Sequence[Sample], given: Sequence[Intensity], config: DataSource | DataPart) -> Scaling:
    """Of the slices of one volume, or of one image; `given` is one intensity, or one for each channel."""
    slices = [_grey_first(_planes(sample.image), config.channels) for sample in samples]
    held = min(one.shape[2] for one in slices)
    found = []
    for channel in range(max(held, len(given))):
        of_channel = [one[..., min(channel, held - 1)].ravel() for one in slices]
        found.append(_of_channel(np.concatenate(of_channel), given[channel % len(given)]))
    return Scaling(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def _of_channel(values: np.ndarray, intensity: Intensity) -> Scaling:
    if intensity.name == "zscore":
        if values.min() == values.max():
            mean, deviation = float(values[0]), 1.0  # rounding would make a deviation of it
        else:
            mean, deviation = float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64))
        return Scaling(np.array([mean]), np.array([deviation]), np.array([False]), np.array([True]))
    low, high = intensity.low, intensity.high
    if low is None or high is None:
        return _between(*(_WHOLE.get(values.dtype) or (float(values.min()), float(values.max()))))
    if intensity.name == "percentiles":
        low, high = np.percentile(values.astype(np.float64), (low, high)).tolist()
    return _between(low, high, cut=True)
