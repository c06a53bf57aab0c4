"""`ablate predict`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ablation.errors import InputError
from runners.cli.shared import notes, open_study, study_argument

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@click.command()
@study_argument
@click.argument("key")
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="IMAGE...")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The folder for the masks.")
def predict(study: Path, key: str, images: tuple[Path, ...], output: Path) -> None:
    """Segment images with a trained trial.

    Each image becomes IMAGE's name with .png in the folder: a mask of the
    image's own size, white the foreground (of several classes, the last). A
    volume becomes a mask for each slice.

    \b
    Example:
      ablate predict STUDY 1f0c2ab34d56 slice.png -o masks/
    """
    from ablation.data.images import stem
    from ablation.prediction import Predictor
    from ablation.trial_folder import grey_levels, png

    opened = open_study(study)
    predictor = Predictor.of_trial(opened, key)
    targets = [output / f"{stem(image)}.png" for image in images]
    twice = next((target for target in targets if targets.count(target) > 1), None)
    if twice:
        raise InputError(f"two of the images would both become '{twice}': predict them into separate folders")
    # All are read and segmented before the first is written, so that a bad one leaves nothing half done.
    masks = [predictor.segment(image) for image in images]
    try:
        output.mkdir(parents=True, exist_ok=True)
        for target, mask in zip(targets, masks, strict=True):
            slices = {target: mask} if mask.ndim == 2 else _slices(target, mask)
            for path, pixels in slices.items():
                path.write_bytes(png(grey_levels(pixels, predictor.classes)))
                click.echo(path)
        for note in notes(opened):
            click.echo(note, err=True)
    except OSError as error:
        raise InputError(f"folder '{output}' cannot be written: {error.strerror}") from None


def _slices(target: Path, masks: NDArray[np.uint8]) -> dict[Path, NDArray[np.uint8]]:
    return {target.with_stem(f"{target.stem}_z{z:03d}"): mask for z, mask in enumerate(masks)}
