"""The test images and masks that a study keeps to look at, `data/<fingerprint>-<size>/`: PNG, with their checksums.

They are of the size that they are scored at: where that is each image's own, the folder's name ends in `-own`, and the
image is what the network saw, brought back to it.
They derive from the data set, so one that is damaged or missing is made again whenever the data are at hand.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ablate.data.fit import fit_of, is_scored_at_own_size, unfit_image
from ablate.files import kind, read_regular, sha256, write_whole
from ablate.study.trial_folder import CHECKSUMS, grey_levels, keep_checksums, parse_checksums, picture_name, png
from ablate.trial import TrialConfig

if TYPE_CHECKING:
    from ablate.data.dataset import Dataset


class Pictured(NamedTuple):
    """A test image (8-bit grey or RGB) and its mask (grey levels), as PNG."""

    image: bytes
    mask: bytes


def pictures_dir(study: Path, trial: TrialConfig) -> Path:
    """Where the test images and masks of a trial's data are kept."""
    (height, width), fit = trial.data.size, fit_of(trial.data)
    ways = [*([fit] if fit != "stretch" else []), *(["own"] if is_scored_at_own_size(trial.data) else [])]
    return study / "data" / "-".join([trial.data.fingerprint, f"{height}x{width}", *ways])


def keep_pictures(folder: Path, dataset: Dataset, indices: Iterable[int]) -> None:
    """Have the pictures of these images in `folder`: those that are not there, or are not what was written, are made.

    Raises `OSError` where they cannot be written.
    """
    digests = _digests(folder)
    known = dict(digests)
    for index in indices:
        image, mask = names(dataset.ids[index])
        for name, make in ((image, _image), (mask, _mask)):
            if name not in known or _content(folder / name, known[name]) is None:
                picture = make(dataset, index)
                folder.mkdir(parents=True, exist_ok=True)
                write_whole(folder / name, picture, flush=False)
                digests[name] = sha256(picture)
    if digests != known:
        keep_checksums(folder, digests)


def read_pictures(folder: Path, image: str) -> Pictured | None:
    """The pictures of an image as they were written; None if one of them is missing, or was changed since.

    Those of a study that an earlier version wrote have no checksums, and are read as they are.
    """
    digests = _digests(folder) if has_checksums(folder) else None
    source, mask = (_content(folder / name, "" if digests is None else digests.get(name)) for name in names(image))
    return None if source is None or mask is None else Pictured(source, mask)


def has_checksums(folder: Path) -> bool:
    """Whether a folder of pictures has checksums: an earlier version wrote none."""
    return kind(folder / CHECKSUMS) == "file"


def names(image: str) -> tuple[str, str]:
    """The files of an image and of its mask."""
    return f"{picture_name(image)}.png", f"{picture_name(image)}_mask.png"


def _digests(folder: Path) -> dict[str, str]:
    try:
        return parse_checksums(read_regular(folder / CHECKSUMS))
    except (OSError, ValueError):
        return {}


def _content(file: Path, digest: str | None) -> bytes | None:
    """A file that has this SHA-256, or any if it is empty; None for no file, another, or without a SHA-256."""
    try:
        content = read_regular(file)
    except (OSError, ValueError):
        return None
    return content if digest is not None and digest in ("", sha256(content)) else None


def _image(dataset: Dataset, index: int) -> bytes:
    from ablate.data.intensity import visible

    seen = dataset.images[index]
    if dataset.drawn is not None:
        seen = unfit_image(seen, dataset.own_sizes[index], fit_of(dataset.config))
    return png(visible(seen, dataset.config))


def _mask(dataset: Dataset, index: int) -> bytes:
    return png(grey_levels(dataset.judged_by[index], dataset.config.classes))
