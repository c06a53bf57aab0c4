"""Where the masks of `ablate predict` go: beside nobody's files, over no image, two never to one name."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ablate.errors import InputError
from ablate.files import kind
from ablate.runners.cli.output import check_place, study_of

if TYPE_CHECKING:
    from ablate.part import DataPart


_BY_CHANNEL = "nnunet"
"""The data set whose images have a file for each channel."""
_CHANNEL = re.compile(r"(.+)_([0-9]{4})")


class Job(NamedTuple):
    """An image to segment, and the files that are to be made of it."""

    image: Path
    mask: Path
    probabilities: tuple[Path, ...] = ()
    """A file for each class, or one for the foreground; only where asked for."""
    others: tuple[Path, ...] = ()
    """Files of the image's further channels."""

    @property
    def sources(self) -> tuple[Path, ...]:
        return (self.image, *self.others)

    @property
    def targets(self) -> tuple[Path, ...]:
        return (self.mask, *self.probabilities)


class Below(NamedTuple):
    """What is below a folder."""

    images: list[Path]
    passed_over: list[Path]
    """Files that are no images, and folders that are links; what is hidden is not among them."""


def below(folder: Path, output: Path) -> Below:
    """Every image below `folder` in the order of names, but for what is in `output`.

    Raises `InputError` if it is no folder, or holds no image.
    """
    from ablate.data.images import suffix

    if not folder.is_dir():
        raise InputError(f"--all '{folder}' is not a folder: give one with images")
    found, done = Below([], []), output.resolve()

    def unreadable(error: OSError) -> None:
        raise InputError(f"'{error.filename}' cannot be read: {error.strerror}")

    for place, folders, files in os.walk(folder, onerror=unreadable):
        here = Path(place)
        folders[:] = sorted(name for name in folders if name[0] != "." and (here / name).resolve() != done)
        found.passed_over.extend(here / name for name in folders if (here / name).is_symlink())
        for name in sorted(name for name in files if name[0] != "."):
            (found.images if suffix(here / name) else found.passed_over).append(here / name)
    if not found.images:
        raise InputError(f"--all '{folder}': no image is below it")
    return found


def jobs(
    images: Sequence[Path], root: Path | None, output: Path, data: DataPart, *, probabilities: bool = False
) -> list[Job]:
    """What is to be made of each image, by its name, or its path below `root`, in the folder `output`."""
    from ablate.data.writing import mask_ending, probability_ending

    found = []
    for name, (image, *others) in _by_image(images, data):
        folder = output / image.parent.relative_to(root) if root else output
        numbers = [f"_{number}" for number in range(data.classes)] if data.classes > 1 else [""]
        names = [f"{name}_prob{number}{probability_ending(image)}" for number in numbers if probabilities]
        mask = folder / f"{name}{mask_ending(image, data)}"
        found.append(Job(image, mask, tuple(folder / name for name in names), tuple(others)))
    return found


def _by_image(images: Sequence[Path], data: DataPart) -> list[tuple[str, list[Path]]]:
    """Each image's name and its files: one, or in nnU-Net's layout one for each channel (`case_0000`, `case_0001`).

    Raises `InputError` where a channel is missing.
    """
    from ablate.data.images import stem

    if data.name != _BY_CHANNEL:
        return [(stem(image), [image]) for image in images]
    found: dict[tuple[Path, str], dict[int, Path]] = {}
    for image in images:
        channel = _CHANNEL.fullmatch(stem(image))
        if channel is None:
            raise InputError(f"'{image}' does not end in its channel: expected names such as case_0000.nii.gz")
        files = found.setdefault((image.parent, channel[1]), {})
        if (other := files.setdefault(int(channel[2]), image)) != image:
            raise InputError(f"'{other}' and '{image}' are one channel of one image: leave one out")
    for (_, name), files in found.items():
        if gap := set(range(max(files) + 1)) - files.keys():
            raise InputError(f"image '{name}' has no file of channel {min(gap)}: give '{name}_{min(gap):04d}' too")
    return [(name, [files[number] for number in sorted(files)]) for (_, name), files in found.items()]


def check_targets(planned: Sequence[Job], *, force: bool, skip_existing: bool) -> None:
    """Raises `InputError` if a file would replace what it must not, or cannot be written."""
    _check_names(planned)
    images = {_identity(image) for job in planned for image in job.sources if image.exists()}
    for target in (target for job in planned for target in job.targets):
        if study := study_of(target):
            raise InputError(f"'{target}' would be among the files of study '{study}': predict into a folder elsewhere")
        check_place(target)
        if not kind(target):
            continue
        if _identity(target) in images:
            raise InputError(f"'{target}' is itself to be segmented, and is not replaced: predict into another folder")
        if not (force or skip_existing):
            raise InputError(
                f"'{target}' exists: predict into another folder, replace what is there with --force, or keep it with "
                "--skip-existing"
            )


def _identity(path: Path) -> tuple[int, int]:
    """Of a file, by whatever name or link it is found."""
    found = path.stat()
    return found.st_dev, found.st_ino


def _check_names(planned: Iterable[Job]) -> None:
    names: dict[str, Path] = {}
    for job in planned:
        for target in job.targets:
            name = unicodedata.normalize("NFC", str(target)).casefold()  # to some file systems these are one
            if name in names:
                raise InputError(
                    f"two of the images would both become '{target}' ('{names[name]}', '{job.image}'): predict them "
                    "into separate folders"
                )
            names[name] = job.image
