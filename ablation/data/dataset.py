"""From samples in their native form to the arrays a trial reads."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ablate.data.intensity import Scaling, normalised, scaled, scalings
from ablate.data.room import available_memory
from ablate.data.settings import DataSource, Split
from ablate.data.source import IGNORED, Sample
from ablate.data.splits import Parts, split
from ablate.errors import InputError, brief
from ablate.part import DataPart
from ablate.trial import KEY_LENGTH


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and masks ready for a network: contiguous arrays, which Ray's object store shares without a copy."""

    config: DataPart
    """With its fingerprint."""
    ids: tuple[str, ...]
    groups: tuple[str, ...]
    """The case each image came from (a patient, a volume): what a split must not divide."""
    images: np.ndarray
    """(N, channels, H, W) float32 in [-1, 1] (a phantom's noise may pass these, and z-scores). May be read-only."""
    masks: np.ndarray
    """(N, H, W) uint8 class indices, 0 the background, `IGNORED` where it is not known. May be read-only."""
    notes: tuple[str, ...] = ()
    """What was decided about the images and masks that may not be what was meant, a sentence each."""
    spacings: tuple[tuple[float, float] | None, ...] = ()
    """Of each image, as of `Sample`, at its own size; empty where none is known."""
    fixed: tuple[str, ...] = ()
    """The part each image is in, where the data set fixes its split."""
    strata: tuple[str, ...] = ()
    """Of each image, where the data set has them."""

    def split(self, config: Split) -> Parts:
        """The images that train, select and judge. Raises as `ablate.data.splits.split` does."""
        return split(self.groups, config)

    def __len__(self) -> int:
        return len(self.ids)


def assemble(samples: Sequence[Sample], config: DataPart | DataSource) -> Dataset:
    """The samples scaled as `ablate.data.intensity` says, resized to `config.size` and brought to `config.channels`.

    Raises `InputError` if `config` has a fingerprint and the samples have another, if the arrays would not fit into
    this machine's memory, if images have other channels, or masks classes that there are not.
    """
    part = config if isinstance(config, DataPart) else DataPart.of(config)
    check_room(len(samples), part)
    found = fingerprint(samples)
    if part.fingerprint not in ("", found):
        raise InputError(
            f"the images or masks of {part.name} changed: their fingerprint is {found}, not {part.fingerprint}; "
            "restore them, or start a new study"
        )
    masks = np.stack([resize_mask(sample.mask, part.size) for sample in samples])
    return Dataset(
        config=part.but(fingerprint=found),
        ids=tuple(sample.id for sample in samples),
        groups=tuple(sample.group for sample in samples),
        images=prepare_images(samples, part),
        masks=masks,
        notes=_notes(samples, part, _held(samples, part)),
        spacings=tuple(sample.spacing for sample in samples) if any(sample.spacing for sample in samples) else (),
        fixed=tuple(sample.part for sample in samples) if any(sample.part for sample in samples) else (),
        strata=tuple(sample.stratum for sample in samples) if any(sample.stratum for sample in samples) else (),
    )


def check_room(count: int, config: DataPart | DataSource) -> None:
    """Raises `InputError` if `count` images and masks, as a trial reads them, are more than this machine's memory."""
    height, width = config.size
    needed, available = count * height * width * (4 * config.channels + 1), available_memory()
    if needed > available:
        images = f"{count:,} images at {config.channels}x{height}x{width}"
        raise InputError(
            f"{_called(config)}: {images} take {needed / 1e9:,.1f} GB, and {available / 1e9:,.1f} GB of memory are "
            "available: choose a smaller data.size, or fewer images"
        )


def _called(config: DataPart | DataSource) -> str:
    return config.name if isinstance(config, DataPart) else config.called


def _held(samples: Sequence[Sample], config: DataPart) -> set[int]:
    """The classes that masks hold, and `IGNORED`. Raises `InputError` for a class that there is not, and for masks
    that hold nothing but background and what is ignored: those would be of a reader that has white for foreground."""
    classes, held = max(config.classes, 2), set()
    for sample in samples:
        of_mask = {int(value) for value in np.unique(sample.mask)}
        other = of_mask - {*range(classes), IGNORED}
        if other:
            raise InputError(
                f"mask '{sample.id}' of {_called(config)} has class {min(other)} and n_classes is {config.classes}: "
                f"expected 0 to {classes - 1}, or {IGNORED} where it is not known"
            )
        held |= of_mask
    if held == {0, IGNORED} and not getattr(config, "ignore", ()):
        raise InputError(
            f"the masks of {_called(config)} hold 0 and {IGNORED} alone, and {IGNORED} is where it is not known: give "
            "classes, as 0 and 1"
        )
    return held


def _notes(samples: Sequence[Sample], config: DataPart, held: set[int]) -> tuple[str, ...]:
    notes = []
    colour = sum(sample.image.ndim == 3 for sample in samples)
    if colour and config.channels == 1:
        notes.append(
            f"{colour} of {len(samples)} images of {_where(config)} are in colour and were made grey, since "
            "data.channels is 1; data.channels=3 keeps the colour"
        )
    ignore = getattr(config, "ignore", ())
    if isinstance(ignore, tuple) and ignore and IGNORED not in held:
        notes.append(f"data.ignore is {_few(ignore)}, and no mask of {_where(config)} has it")
    if config.classes > 1:
        if labels := samples[0].labels:
            values = _few([f"{value:g}" for value in labels])
            notes.append(f"the values {values} in the masks of {_where(config)} became classes 0 to {len(labels) - 1}")
        absent = [index for index in range(config.classes) if index not in held]
        if absent:
            notes.append(
                f"data.n_classes is {config.classes}, but no mask of {_where(config)} has class {_few(absent)}: a "
                "class that occurs nowhere lifts the mean over classes; set data.n_classes to what the masks hold"
            )
    return tuple(notes)


def _few(values: Sequence[object]) -> str:
    return ", ".join(map(str, values[:6])) + (", …" if len(values) > 6 else "")


def _where(config: DataPart) -> str:
    return f"{config.name} '{brief(config.root)}'" if config.root else config.name


def prepare_images(samples: Sequence[Sample], config: DataPart | DataSource) -> np.ndarray:
    """The samples' images as a network sees them: (N, channels, H, W) float32, scaled and resized as by `assemble`."""
    check_room(len(samples), config)
    images = np.empty((len(samples), config.channels, *config.size), dtype=np.float32)
    for i, (sample, scaling) in enumerate(zip(samples, scalings(samples, config), strict=True)):
        images[i] = _prepared(sample.image, scaling, config)
    return images


def fingerprint(samples: Sequence[Sample]) -> str:
    """SHA-256 (first 12 hex) of the decoded images and masks, in order: what they are, not how they were stored."""
    digest = hashlib.sha256()
    for sample in samples:
        digest.update(f"{sample.id}\n".encode())
        for array in (sample.image, sample.mask):
            digest.update(f"{array.dtype} {array.shape}\n".encode())
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:KEY_LENGTH]


def _prepared(image: np.ndarray, scaling: Scaling, config: DataPart | DataSource) -> np.ndarray:
    """(channels, H, W) float32 from (h, w) or (h, w, channels)."""
    resized = resize_image(scaled(image, scaling, config), config.size)
    return np.broadcast_to(normalised(resized, scaling), (config.channels, *config.size))


def resize_image(planes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(C, h, w) float32 to (C, H, W): bilinear, with antialiasing where it shrinks."""
    if planes.shape[1:] == size:
        return planes
    import torch
    from torch.nn import functional

    tensor = torch.from_numpy(np.ascontiguousarray(planes))[None]
    return functional.interpolate(tensor, size=size, mode="bilinear", antialias=True, align_corners=False)[0].numpy()


def resize_mask(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(h, w) class indices to (H, W): the class that covers most of a pixel's area, of equal ones the higher.

    So a binary pixel is foreground if at least half of it is, and a thin structure is not lost to sampling.
    """
    if mask.shape == size:
        return mask
    chosen, largest = np.zeros(size, dtype=np.uint8), np.zeros(size)
    for value in np.unique(mask):
        area = _summed(_summed(mask == value, size[0]).T, size[1]).T
        chosen[area >= largest] = value
        largest = np.maximum(largest, area)
    return chosen


def _summed(array: np.ndarray, new: int) -> np.ndarray:
    """(old, width) to (new, width): what the rows cover of each of `new` equal stretches, in old rows.

    A running sum and not a matrix product, whose threads wait for each other where trials share the cores.
    """
    old = len(array)
    running = np.concatenate([np.zeros((1, array.shape[1])), array.cumsum(axis=0)])
    edges = np.arange(new + 1) * (old / new)
    below = np.minimum(edges.astype(int), old - 1)
    part = (edges - below)[:, None]
    return np.diff(running[below] * (1 - part) + running[below + 1] * part, axis=0)
