"""`ablate predict`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ablate.errors import InputError
from ablate.runners.cli.output import check_place, say, study_of, write
from ablate.runners.cli.shared import code_option, notes, open_study, say_imports, study_argument, use_own_code

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@click.command()
@study_argument
@click.argument("key")
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="IMAGE...")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The folder for the masks.")
@code_option
@click.option("--overwrite", is_flag=True, help="Replace masks that are there; never the images.")
def predict(study: Path, key: str, images: tuple[Path, ...], output: Path, code: Path | None, overwrite: bool) -> None:
    """Segment images with a trained trial.

    Each image becomes IMAGE's name with .png in the folder: a mask of the
    image's own size, white the foreground (of several classes, the last). A
    volume becomes a mask for each slice. Files that are there are not replaced,
    nor is anything else done, without --overwrite.

    \b
    Example:
      ablate predict STUDY 1f0c2ab34d56 slice.png -o predicted/
    """
    from ablate.data.images import stem

    targets = [output / f"{stem(image)}.png" for image in images]
    _check_names(targets)
    for image, target in zip(images, targets, strict=True):
        for path in (target, *_slices(target, range(1))) if _may_be_volume(image) else (target,):
            _check_place(path, images, overwrite)
    from ablate.prediction import Predictor
    from ablate.study.trial_folder import grey_levels, png

    opened = open_study(study)
    use_own_code(code)
    say_imports([opened.config(key)])
    predictor = Predictor.of_trial(opened, key)
    # All are read and segmented before the first is written, so that a bad one leaves nothing half done.
    masks: list[tuple[Path, NDArray[np.uint8]]] = []
    for image, target in zip(images, targets, strict=True):
        found = predictor.segment(image)
        masks += [(target, found)] if found.ndim == 2 else zip(_slices(target, range(len(found))), found, strict=True)
    _check_names([path for path, _ in masks])
    for path, _ in masks:
        _check_place(path, images, overwrite)
    for path, mask in masks:
        write(path, png(grey_levels(mask, predictor.classes)))
        say(path)
    for note in notes(opened):
        say(note, err=True)


def _slices(target: Path, numbers: range) -> list[Path]:
    return [target.with_stem(f"{target.stem}_z{z:03d}") for z in numbers]


def _may_be_volume(image: Path) -> bool:
    from ablate.data.images import suffix

    return suffix(image) not in (".png", ".jpg", ".jpeg")


def _check_names(targets: list[Path]) -> None:
    names: set[str] = set()
    for target in targets:
        if target.name.casefold() in names:  # there are file systems to which case is nothing
            raise InputError(f"two of the images would both become '{target}': predict them into separate folders")
        names.add(target.name.casefold())


def _check_place(target: Path, images: tuple[Path, ...], overwrite: bool) -> None:
    """Raises `InputError` if a mask would replace what it must not, or cannot be written."""
    if study := study_of(target):
        raise InputError(f"'{target}' would be among the files of study '{study}': predict into a folder elsewhere")
    check_place(target)
    if not target.exists():
        return
    if any(image.exists() and target.samefile(image) for image in images):
        raise InputError(f"'{target}' is itself to be segmented, and is not replaced: predict into another folder")
    if not overwrite:
        raise InputError(f"'{target}' exists: predict into another folder, or replace masks there with --overwrite")
