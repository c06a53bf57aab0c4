"""From pairs of files to samples: each image with its mask, held together by what their files say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ablate.data.axes import Reading, taken, would_fit
from ablate.data.geometry import check_together
from ablate.data.images import read_image, read_mask
from ablate.data.masks import as_labels_say, class_indices
from ablate.data.pairing import Pair
from ablate.data.picture import Picture, upright
from ablate.data.settings import FileSource
from ablate.data.source import Sample
from ablate.errors import InputError


def read_pairs(pairs: Sequence[Pair], config: FileSource) -> list[Sample]:
    """The samples of `pairs`: one for an image, which is its own group, and one for each slice of a volume.

    Slice 12 of volume `a` is `a_z012`, of group `a`. Raises `InputError` if a file cannot be read, a mask does not have
    its image's size or place, the channels are others than asked for, or the values of the masks do not fit.
    """
    reading = Reading.of(config)
    images, values = [], []
    for pair in pairs:
        picture, drawn = _read_pair(pair, reading)
        images.append(picture)
        values.append(as_labels_say(drawn.slices, pair.mask, config) if config.labels else drawn.slices[..., 0])
    masks, anew = values, tuple[float, ...]()
    if not config.labels:
        masks, anew = class_indices(values, [pair.mask for pair in pairs], config.classes, config.ignore)
    samples = []
    for pair, image, mask in zip(pairs, images, masks, strict=True):
        planes = image.slices[..., 0] if image.slices.shape[3] == 1 else image.slices
        for z in range(len(planes)):
            name = pair.id if len(planes) == 1 else f"{pair.id}_z{z:03d}"
            one = Sample(name, pair.id, planes[z], mask[z], labels=anew, spacing=image.spacing, volume=pair.id)
            samples.append(one)
    return samples


def _read_pair(pair: Pair, reading: Reading) -> tuple[Picture, Picture]:
    """The image and its mask, upright, of one size."""
    image = with_all_channels(pair, reading)
    affine = image.volume.affine if image.volume and reading.geometry == "image" else None
    mask = read_mask(pair.mask, reading, affine)
    if reading.geometry == "image":
        mask = mask._replace(orientation=image.orientation)
    check_together(image, pair.image, mask, pair.mask, reading.geometry, is_mask=True)
    turned, turned_mask = upright(image), upright(mask)
    if turned.slices.shape[:3] != turned_mask.slices.shape[:3]:
        raise InputError(
            f"'{pair.image}' is {_size(turned.slices.shape)} but its mask '{pair.mask.name}' is "
            f"{_size(turned_mask.slices.shape)}{_other_axes(image, mask)}"
        )
    return turned, turned_mask


def with_all_channels(pair: Pair, reading: Reading) -> Picture:
    """The image, with the channels that its further files have after its own."""
    if not pair.others:
        return read_image(pair.image, reading)
    every = reading._replace(channels=0, use_channels=())
    image = read_image(pair.image, every)
    parts = [image.slices]
    for path in pair.others:
        other = read_image(path, every)
        if other.slices.shape[:3] != image.slices.shape[:3]:
            raise InputError(
                f"'{pair.image}' is {_size(image.slices.shape)} but '{path}' is {_size(other.slices.shape)}"
            )
        check_together(image, pair.image, other, path, reading.geometry, is_mask=False)
        parts.append(other.slices)
    joined = np.concatenate(parts, axis=3)
    return image._replace(slices=taken(joined, pair.image, reading))


def _other_axes(image: Picture, mask: Picture) -> str:
    """The remedy where an array's axes may be others than they were taken for."""
    axes = would_fit(image.stored, mask.slices.shape[:3])
    return f": if its shape {image.stored} is {axes}, set data.axes={axes}" if axes else ""


def _size(shape: tuple[int, ...]) -> str:
    slices, height, width = shape[:3]
    return f"{height}x{width}" + (f" with {slices} slices" if slices > 1 else "")
