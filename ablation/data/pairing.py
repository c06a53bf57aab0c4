"""From folders of images and masks to samples."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ablate.data.channels import picked
from ablate.data.images import read_labels, read_slices, stem, suffix
from ablate.data.masks import as_labels_say, class_indices, in_colour
from ablate.data.settings import DataSource, FileSource
from ablate.data.source import DatasetInfo, Sample
from ablate.errors import InputError


class Pair(NamedTuple):
    """An image file, or a volume's, and the file of its mask."""

    id: str
    image: Path
    mask: Path


def data_root(config: DataSource, info: DatasetInfo) -> Path:
    """The folder given as `--data-dir`. Raises `InputError` with the expected layout if there is none."""
    if config.root is None:
        raise InputError(f"{info.name} needs its files: give --data-dir a folder with {info.layout}")
    if not config.root.is_dir():
        raise InputError(f"--data-dir '{config.root}' is not a folder: {info.name} expects one with {info.layout}")
    return config.root


def subfolder(root: Path, names: Sequence[str], info: DatasetInfo) -> Path:
    """The first of `names` under `root` that is a folder. Raises `InputError` naming the first if none is."""
    for name in names:
        if (root / name).is_dir():
            return root / name
    raise InputError(f"folder '{root / names[0]}' is missing: {info.name} expects {info.layout}")


def files_in(folder: Path) -> dict[str, Path]:
    """The image files of `folder` by stem, in natural order (2 before 10). Raises `InputError` if two share a stem."""
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir(), key=lambda path: natural(path.name)):
        if not suffix(path) or path.name.startswith("."):
            continue
        if (other := files.setdefault(stem(path), path)) != path:
            raise InputError(f"'{path}' and '{other.name}' have the same stem: keep one of them")
    return files


def natural(name: str) -> tuple[list[str | int], str]:
    """A sort key that compares runs of digits as numbers."""
    parts = re.split(r"(\d+)", name)
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], name


def match(images: Mapping[str, Path], masks: Mapping[str, Path], where: Path, info: DatasetInfo) -> list[Pair]:
    """Pairs of image and mask by stem, in the images' order.

    Raises `InputError` if there is no image (in the folder `where`), or an image or a mask stays alone.
    """
    if not images:
        raise InputError(f"no images in '{where}': {info.name} expects {info.layout}")
    for kind, other, mine, theirs in (("images", "mask", images, masks), ("masks", "image", masks, images)):
        alone = [name for name in mine if name not in theirs]
        if alone:
            raise InputError(
                f"{len(alone)} of {len(mine)} {kind} have no {other}, the first is '{mine[alone[0]]}': "
                f"{info.name} expects {info.layout}"
            )
    return [Pair(name, path, masks[name]) for name, path in images.items()]


def read_pairs(pairs: Sequence[Pair], config: FileSource) -> list[Sample]:
    """The samples of `pairs`: one for an image, which is its own group, and one for each slice of a volume.

    Slice 12 of volume `a` is `a_z012`, of group `a`. Channels and classes are as `config` says.
    Raises `InputError` if a file cannot be read, a mask does not have its image's size, or its values do not fit.
    """
    images, values = [], []
    for pair in pairs:
        image, mask = picked(read_slices(pair.image), pair.image, config), _mask(pair.mask, config)
        if image.shape[:3] != mask.shape:
            raise InputError(
                f"'{pair.image}' is {_size(image.shape)} but its mask '{pair.mask.name}' is {_size(mask.shape)}"
            )
        images.append(image)
        values.append(mask)
    masks, anew = values, tuple[float, ...]()
    if not config.labels:
        masks, anew = class_indices(values, [pair.mask for pair in pairs], config.classes, config.ignore)
    samples = []
    for pair, image, mask in zip(pairs, images, masks, strict=True):
        planes = image[..., 0] if image.shape[3] == 1 else image
        for z in range(len(planes)):
            name = pair.id if len(planes) == 1 else f"{pair.id}_z{z:03d}"
            samples.append(Sample(name, pair.id, planes[z], mask[z], labels=anew, volume=pair.id))
    return samples


def _mask(path: Path, config: FileSource) -> np.ndarray:
    """(slices, H, W): class indices where labels say which values have which, else the file's own values."""
    stored = read_slices(path) if in_colour(config) else read_labels(path)[..., None]
    return as_labels_say(stored, path, config) if config.labels else stored[..., 0]


def _size(shape: tuple[int, ...]) -> str:
    slices, height, width = shape[:3]
    return f"{height}x{width}" + (f" with {slices} slices" if slices > 1 else "")
