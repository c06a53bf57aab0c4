"""What a data set must do: `read()` gives its samples, the same each time, in a fixed order."""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import Any

import numpy as np

from ablate.contracts.contract import Contract
from ablate.data.dataset import fingerprint
from ablate.data.load import source_of
from ablate.data.source import IGNORED, Sample
from ablate.errors import brief
from ablate.part import DataPart

_FEWEST = 3
"""Images that train, select and judge."""


class TriedData:
    def __init__(self, part: DataPart) -> None:
        self.part = part
        self.source = source_of(part)

    @cached_property
    def samples(self) -> list[Sample]:
        return list(self.source.read())


def it_reads_samples(tried: TriedData) -> str:
    for one in tried.samples:
        if not isinstance(one, Sample):
            return f"read gives a {type(one).__name__}: expected ablate.Sample(id, group, image, mask)"
    if len(tried.samples) < _FEWEST:
        return f"it has {len(tried.samples)} images: expected at least {_FEWEST}, to train, to select and to judge"
    return ""


def every_image_has_a_name_of_its_own(tried: TriedData) -> str:
    for sample in tried.samples:
        if not isinstance(sample.id, str) or not sample.id or not isinstance(sample.group, str) or not sample.group:
            return f"an image has the id {brief(sample.id)} and the group {brief(sample.group)}: expected text"
    name, times = Counter(sample.id for sample in tried.samples).most_common(1)[0]
    return f"{times} images have the id '{brief(name)}': give each its own" if times > 1 else ""


def images_are_numbers(tried: TriedData) -> str:
    channels = tried.part.channels
    as_many = (1, 3) if channels in (1, 3) else (channels,)
    for sample in tried.samples:
        image: Any = sample.image
        shape = image.shape if isinstance(image, np.ndarray) else ()
        if len(shape) not in (2, 3) or (*shape, 1)[2] not in as_many:
            given = f"shape {image.shape}" if isinstance(image, np.ndarray) else f"a {type(image).__name__}"
            return f"image '{brief(sample.id)}' has {given}: expected an array (H, W) or (H, W, {max(as_many)})"
        if image.dtype.kind not in "buif" or not np.isfinite(image).all():
            return f"image '{brief(sample.id)}' ({image.dtype}) is not all finite numbers: fill what is missing"
    return ""


def masks_fit_their_images(tried: TriedData) -> str:
    for sample in tried.samples:
        mask: Any = sample.mask
        if not isinstance(mask, np.ndarray) or mask.dtype != np.uint8:
            given = str(mask.dtype) if isinstance(mask, np.ndarray) else f"a {type(mask).__name__}"
            return f"mask '{brief(sample.id)}' is {given}: expected an array of uint8 (mask.astype(np.uint8))"
        if mask.shape != sample.image.shape[:2]:
            return (
                f"mask '{brief(sample.id)}' is {mask.shape} and its image {sample.image.shape}: expected the same H, W"
            )
    return ""


def masks_hold_only_its_classes(tried: TriedData) -> str:
    most = max(tried.part.classes, 2) - 1
    for sample in tried.samples:
        decided = sample.mask[sample.mask != IGNORED]
        if decided.max(initial=0) > most:
            return (
                f"mask '{brief(sample.id)}' has class {decided.max()} and n_classes is {tried.part.classes}: "
                f"expected 0 to {most}, or {IGNORED} where it is not known; number them anew, or raise n_classes"
            )
    return ""


def some_mask_has_foreground(tried: TriedData) -> str:
    if any(((sample.mask > 0) & (sample.mask != IGNORED)).any() for sample in tried.samples):
        return ""
    white = any((sample.mask == IGNORED).any() for sample in tried.samples)
    known = f" ({IGNORED} is where it is not known)" if white else ""
    return f"no mask has any foreground{known}: there is nothing to segment; look at how masks are read"


def reading_twice_gives_the_same(tried: TriedData) -> str:
    if fingerprint(tried.samples) == fingerprint(list(tried.source.read())):
        return ""
    return "read twice it gives other images, masks or another order: sort what it lists, and seed what it draws"


CONTRACT = Contract(
    TriedData,
    first=(it_reads_samples, every_image_has_a_name_of_its_own, images_are_numbers, masks_fit_their_images),
    then=(masks_hold_only_its_classes, some_mask_has_foreground, reading_twice_gives_the_same),
)
