"""From samples in their native form to the arrays a trial reads."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from ablate.data.facts import NO_FACTS, THUMBNAIL, Facts, ImageFacts, image_facts, thumbnail
from ablate.data.fit import Size, fit_image, fit_mask, fit_of, is_scored_at_own_size
from ablate.data.intensity import Scaling, normalised, scaled, scalings
from ablate.data.one_by_one import blocks_of, shapes_of
from ablate.data.ragged import Arrays, Ragged
from ablate.data.room import MEMORY, Room
from ablate.data.settings import DataSource, Split
from ablate.data.source import IGNORED, Sample
from ablate.data.splits import Known, Parts, split
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
    images: Arrays
    """(N, channels, H, W) float32 in [-1, 1] (a phantom's noise may pass these, and z-scores). May be read-only.

    Where `data.fit` is `patches`, each (channels, h, w) at its own size."""
    masks: Arrays
    """(N, H, W) uint8 class indices, 0 the background, `IGNORED` where it is not known. May be read-only.

    Where `data.fit` is `patches`, each (h, w) at its own size."""
    notes: tuple[str, ...] = ()
    """What was decided about the images and masks that may not be what was meant, a sentence each."""
    spacings: tuple[tuple[float, float] | None, ...] = ()
    """Of each image, as of `Sample`, at its own size; empty where none is known."""
    fixed: tuple[str, ...] = ()
    """The part each image is in, where the data set fixes its split."""
    strata: tuple[str, ...] = ()
    """Of each image, where the data set has them."""
    own_sizes: tuple[Size, ...] = ()
    """Height and width of each image, and of its mask as it was drawn; empty where they are not known."""
    drawn: Ragged | None = None
    """The masks as they were drawn, where test images are scored at their own size (`data.scored_at`)."""

    facts: Facts = NO_FACTS
    """Of each image and its mask."""
    passed_over: tuple[str, ...] = ()
    """The files under its folder that are not read."""

    @property
    def judged_by(self) -> Arrays:
        """The masks that test images are scored against: as drawn, or at the trial's size."""
        return self.masks if self.drawn is None else self.drawn

    def holds_ignored(self) -> bool:
        """Whether any mask that a trial reads has pixels that are not known; the border of small images is of these."""
        height, width = self.config.size
        is_cut = fit_of(self.config) == "patches"
        return any(mask.max() == IGNORED for mask in self.masks) or (
            is_cut and any(own[0] < height or own[1] < width for own in self.own_sizes)
        )

    def split(self, config: Split) -> Parts:
        """The images that train, select and judge. Raises as `ablate.data.splits.split` does."""
        foreground: list[tuple[float, float]] = []
        if config.stratify == "foreground":
            foreground = [
                (float(np.count_nonzero(decided & (mask > 0))), float(np.count_nonzero(decided)))
                for mask in self.masks
                for decided in [mask != IGNORED]
            ]
        return split(self.groups, config, Known(self.fixed, self.strata, foreground))

    @property
    def cases(self) -> tuple[str, ...]:
        """What each image is of, as a split deals it out: its case, or where all are slices of one volume, itself."""
        return self.groups if len(set(self.groups)) > 1 else self.ids

    def __len__(self) -> int:
        return len(self.ids)


def assemble(
    samples: Sequence[Sample], config: DataPart | DataSource, *, grouped: bool = False, room: Room = MEMORY
) -> Dataset:
    """The samples scaled as `ablate.data.intensity` says, brought to `config.size` as `config.fit` says, and to
    `config.channels`. `grouped`: as of `fingerprint`. `room`: where the arrays are.

    Of samples that are decoded as they are reached, each is decoded once, and one file's are in memory at a time.
    Raises `InputError` if `config` has a fingerprint and the samples have another, if the arrays would find no room, if
    images have other channels, or masks classes that there are not.
    """
    part = config if isinstance(config, DataPart) else DataPart.of(config)
    own_sizes = shapes_of(samples)
    check_room(len(samples), part, own_sizes, room)
    made = _Made(part, own_sizes, grouped, room)
    for block in blocks_of(samples):
        for sample, scaling in zip(block, scalings(block, part), strict=True):
            made.add(sample, scaling)
    return made.dataset()


class _Made:
    """A data set so far, image after image."""

    def __init__(self, part: DataPart, own_sizes: Sequence[Size], grouped: bool, room: Room) -> None:
        self._part, self._own_sizes, self._fit = part, tuple(own_sizes), fit_of(part)
        self._digest = _Digest(grouped)
        self._known: list[Sample] = []
        """Without their pixels."""
        self._facts: list[ImageFacts] = []
        count, as_drawn = len(own_sizes), self._fit == "patches"
        self._images: Arrays = _empty_images(part, own_sizes, room)
        self._drawn: Ragged | None = None
        if as_drawn or is_scored_at_own_size(part):
            self._drawn = Ragged.empty(own_sizes, np.uint8, partial(room.empty, "drawn"))
        self._masks: Arrays
        if as_drawn and self._drawn is not None:
            self._masks = self._drawn
        else:
            self._masks = room.empty("masks", (count, *part.size), np.uint8)
        self._thumbnails = room.empty("thumbnails", (count, THUMBNAIL, THUMBNAIL), np.uint8)

    def add(self, sample: Sample, scaling: Scaling) -> None:
        place, part = len(self._known), self._part
        self._digest.add(sample)
        self._images[place][...] = _prepared(sample.image, scaling, part)
        self._masks[place][...] = fit_mask(sample.mask, part.size, self._fit)
        if self._drawn is not None:
            self._drawn[place][...] = sample.mask
        image, mask = self._images[place], self._masks[place]
        self._facts.append(image_facts(sample, image, mask, self._fit))
        self._thumbnails[place] = thumbnail(image)
        image, mask = (np.empty((0, *array.shape[1:]), array.dtype) for array in (sample.image, sample.mask))
        self._known.append(sample._replace(image=image, mask=mask))  # a slice of none would keep the whole

    def dataset(self) -> Dataset:
        """Raises as `assemble` does for what is known of all images alone."""
        part, known, found = self._part, self._known, self._digest.text
        check_fingerprint(part, found)
        held = _held(known, self._facts, part)
        return Dataset(
            config=part.but(fingerprint=found),
            ids=tuple(sample.id for sample in known),
            groups=tuple(sample.group for sample in known),
            images=self._images,
            masks=self._masks,
            notes=(*_notes(known, part, held), *_size_notes(self._own_sizes, part)),
            spacings=tuple(sample.spacing for sample in known) if any(sample.spacing for sample in known) else (),
            fixed=tuple(sample.part for sample in known) if any(sample.part for sample in known) else (),
            strata=tuple(sample.stratum for sample in known) if any(sample.stratum for sample in known) else (),
            own_sizes=self._own_sizes,
            drawn=self._drawn if is_scored_at_own_size(part) else None,
            facts=Facts(tuple(self._facts), self._thumbnails),
        )


def check_fingerprint(part: DataPart, found: str) -> None:
    """Raises `InputError` where a data set is asked for by another fingerprint than was `found`."""
    if part.fingerprint not in ("", found):
        raise InputError(
            f"the images or masks of {part.name} changed: their fingerprint is {found}, not {part.fingerprint}; "
            "restore them, or start a new study"
        )


def check_room(count: int, config: DataPart | DataSource, own_sizes: Sequence[Size] = (), room: Room = MEMORY) -> None:
    """Raises `InputError` if `count` images and masks, as a trial reads them, are more than there is `room` for.

    `own_sizes`: of the images, where some of what a trial reads is at these.
    """
    height, width = config.size
    own = sum(height * width for height, width in own_sizes)
    if fit_of(config) == "patches":
        needed, size = own * (4 * config.channels + 1), "their own size"
    else:
        needed, size = count * height * width * (4 * config.channels + 1), f"{config.channels}x{height}x{width}"
        needed += own if is_scored_at_own_size(config) else 0
    available = room.available()
    if needed > available:
        raise InputError(
            f"{_called(config)}: {count:,} images at {size} take {needed / 1e9:,.1f} GB, and {available / 1e9:,.1f} GB "
            f"of {room.what} are available: choose a smaller data.size, or fewer images"
        )


def _called(config: DataPart | DataSource) -> str:
    return config.name if isinstance(config, DataPart) else config.called


def _held(samples: Sequence[Sample], facts: Sequence[ImageFacts], config: DataPart) -> set[int]:
    """The classes that masks hold, and `IGNORED`. Raises `InputError` for a class that there is not, and for masks
    that hold nothing but background and what is ignored: those would be of a reader that has white for foreground."""
    classes, held = max(config.classes, 2), set[int]()
    for sample, found in zip(samples, facts, strict=True):
        other = found.classes.keys() - set(range(classes))
        if other:
            raise InputError(
                f"mask '{sample.id}' of {_called(config)} has class {min(other)} and n_classes is {config.classes}: "
                f"expected 0 to {classes - 1}, or {IGNORED} where it is not known"
            )
        held |= found.classes.keys() | ({IGNORED} if found.ignored else set())
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
            f"{colour} of {len(samples)} images of {_where(config)} are stored in colour and were made grey, since "
            "data.channels is 1; data.channels=3 keeps the colour"
        )
    ignore = getattr(config, "ignore", ())
    if isinstance(ignore, tuple) and ignore and IGNORED not in held:
        notes.append(f"data.ignore is {_few(ignore)}, and no mask of {_where(config)} has it")
    if labels := samples[0].labels:
        values = _few([f"{value:g}" for value in labels])
        became = f"classes 0 to {len(labels) - 1}" if config.classes > 1 else "background and foreground"
        notes.append(f"the values {values} in the masks of {_where(config)} became {became}")
    if config.classes > 1:
        absent = [index for index in range(config.classes) if index not in held]
        if absent:
            notes.append(
                f"data.n_classes is {config.classes}, but no mask of {_where(config)} has class {_few(absent)}: a "
                "class that occurs nowhere lifts the validation scores; set data.n_classes to what the masks hold"
            )
    return tuple(notes)


def _few(values: Sequence[object]) -> str:
    return ", ".join(map(str, values[:6])) + (", …" if len(values) > 6 else "")


def _size_notes(own_sizes: Sequence[Size], config: DataPart) -> list[str]:
    """What must be said of images that are not resized."""
    if fit_of(config) != "patches":
        return []
    height, width = config.size
    notes = [f"MACs and latency are of one window of {height}x{width}, and not of a whole image ({_where(config)})"]
    small = sum(own[0] < height or own[1] < width for own in own_sizes)
    if small:
        notes.append(
            f"{small} of {len(own_sizes)} images of {_where(config)} are smaller than the patches of {height}x{width} "
            "and get a border, which is neither learnt from nor scored"
        )
    return notes


def _where(config: DataPart) -> str:
    return f"{config.name} '{brief(config.root)}'" if config.root else config.name


def prepare_images(samples: Sequence[Sample], config: DataPart | DataSource) -> Arrays:
    """The samples' images as a network sees them: (N, channels, H, W) float32, scaled and resized as by `assemble`.

    Where `config.fit` is `patches`, each (channels, h, w).
    """
    own_sizes = [(sample.image.shape[0], sample.image.shape[1]) for sample in samples]
    check_room(len(samples), config, own_sizes)
    images = _empty_images(config, own_sizes, MEMORY)
    for i, (sample, scaling) in enumerate(zip(samples, scalings(samples, config), strict=True)):
        images[i][...] = _prepared(sample.image, scaling, config)
    return images


def _empty_images(config: DataPart | DataSource, own_sizes: Sequence[Size], room: Room) -> Arrays:
    if fit_of(config) == "patches":
        shapes = [(config.channels, *own) for own in own_sizes]
        return Ragged.empty(shapes, np.float32, partial(room.empty, "images"))
    return room.empty("images", (len(own_sizes), config.channels, *config.size), np.float32)


def fingerprint(samples: Sequence[Sample], *, grouped: bool = False) -> str:
    """SHA-256 (first 12 hex) of the decoded images and masks, in order: what they are, not how they were stored.

    `grouped`: with their cases, parts and strata, where the user described these.
    """
    digest = _Digest(grouped)
    for sample in samples:
        digest.add(sample)
    return digest.text


class _Digest:
    """A `fingerprint` so far."""

    def __init__(self, grouped: bool) -> None:
        self._grouped, self._sha = grouped, hashlib.sha256()

    def add(self, sample: Sample) -> None:
        self._sha.update(f"{sample.id}\n".encode())
        if self._grouped:
            self._sha.update(repr((sample.group, sample.part, sample.stratum)).encode())
        for array in (sample.image, sample.mask):
            self._sha.update(f"{array.dtype} {array.shape}\n".encode())
            self._sha.update(np.ascontiguousarray(array).data)

    @property
    def text(self) -> str:
        return self._sha.hexdigest()[:KEY_LENGTH]


def _prepared(image: np.ndarray, scaling: Scaling, config: DataPart | DataSource) -> np.ndarray:
    """(channels, H, W) float32 from (h, w) or (h, w, channels)."""
    fitted = fit_image(scaled(image, scaling, config), config.size, fit_of(config))
    return np.broadcast_to(normalised(fitted, scaling), (config.channels, *fitted.shape[1:]))
