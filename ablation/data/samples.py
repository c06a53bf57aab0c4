"""From pairs of files to samples: each image with its mask, held together by what their files say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ablate.data.axes import Reading, taken, would_fit
from ablate.data.geometry import check_together
from ablate.data.images import read_image, read_mask
from ablate.data.masks import as_labels_say, class_indices, numbering
from ablate.data.one_by_one import LARGE, OneByOne, outline_of
from ablate.data.pairing import Pair
from ablate.data.picture import Picture, upright
from ablate.data.settings import FileSource
from ablate.data.source import Sample
from ablate.errors import InputError
from ablate.progress import counted


def read_pairs(pairs: Sequence[Pair], config: FileSource) -> Sequence[Sample]:
    """The samples of `pairs`: one for an image, which is its own group, and one for each slice of a volume.

    Slice 12 of volume `a` is `a_z012`, of group `a`. Those of many or large files are decoded as they are reached, once
    their masks have been looked at.
    Raises `InputError` if a file cannot be read, a mask does not have its image's size or place, the channels are
    others than asked for, or the values of the masks do not fit.
    """
    reading = Reading.of(config)
    if _stored(pairs) >= LARGE:
        return _one_by_one(pairs, reading, config)
    images, values = [], []
    for pair in pairs:
        picture, drawn = _read_pair(pair, reading)
        images.append(picture)
        values.append(_values(drawn, pair, config))
    masks, anew = values, tuple[float, ...]()
    if not config.labels:
        masks, anew = class_indices(values, [pair.mask for pair in pairs], config.classes, config.ignore)
    of_pairs = zip(pairs, images, masks, strict=True)
    return [one for pair, image, mask in of_pairs for one in _samples(pair, image, mask, anew)]


def _samples(pair: Pair, image: Picture, mask: np.ndarray, anew: tuple[float, ...]) -> list[Sample]:
    """Of one image, or the slices of one volume, with class indices (slices, H, W)."""
    planes = image.slices[..., 0] if image.slices.shape[3] == 1 else image.slices
    return [
        Sample(name, pair.id, planes[z], mask[z], labels=anew, spacing=image.spacing, volume=pair.id)
        for z, name in enumerate(_names(pair, len(planes)))
    ]


def _names(pair: Pair, slices: int) -> list[str]:
    return [pair.id] if slices == 1 else [f"{pair.id}_z{z:03d}" for z in range(slices)]


def _stored(pairs: Sequence[Pair]) -> int:
    return sum(path.stat().st_size for pair in pairs for path in (pair.image, pair.mask, *pair.others))


def _one_by_one(pairs: Sequence[Pair], reading: Reading, config: FileSource) -> OneByOne:
    shapes: list[tuple[int, ...]] = []

    def masks() -> Iterator[np.ndarray]:
        for pair in counted("reading masks", pairs, len(pairs)):
            mask = _values(_mask_alone(pair, reading), pair, config)
            shapes.append(mask.shape)
            yield mask

    by = None
    if config.labels:
        for _ in masks():
            pass
    else:
        by = numbering(masks(), [pair.mask for pair in pairs], config.classes, config.ignore)

    def decode(file: int) -> list[Sample]:
        pair = pairs[file]
        image, drawn = _read_pair(pair, reading)
        mask = _values(drawn, pair, config)
        return _samples(pair, image, by.of(mask) if by else mask, by.anew if by else ())

    outline = [
        outline_of(name, pair.id, (shape[1], shape[2]))
        for pair, shape in zip(pairs, shapes, strict=True)
        for name in _names(pair, shape[0])
    ]
    return OneByOne(outline, [file for file, shape in enumerate(shapes) for _ in range(shape[0])], decode)


def _values(mask: Picture, pair: Pair, config: FileSource) -> np.ndarray:
    """(slices, H, W): class indices where labels say which values have which, else the values as stored."""
    return as_labels_say(mask.slices, pair.mask, config) if config.labels else mask.slices[..., 0]


def _mask_alone(pair: Pair, reading: Reading) -> Picture:
    """The mask, upright: without its image where that does not say how it lies."""
    return _read_pair(pair, reading)[1] if reading.geometry == "image" else upright(read_mask(pair.mask, reading))


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
