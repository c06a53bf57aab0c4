"""A user's own data: a folder with images/ and masks/."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ablate.data.images import stem
from ablate.data.pairing import Pair, data_root, files_in, match, natural, subfolder
from ablate.data.samples import read_pairs
from ablate.data.settings import Folder
from ablate.data.source import DatasetInfo, Sample
from ablate.errors import InputError

INFO = DatasetInfo(
    name="folder",
    what="Your own images and masks, 2-D or volumes, of data.n_classes classes.",
    layout="images/ and masks/ with files of the same stems (PNG, TIFF, JPEG, NPY, NIfTI; volumes become axial slices)",
    needs_dir=True,
    citation="",
)


def pairs(config: Folder) -> list[Pair]:
    """The images in the natural order of their names.

    Sub-folders are read where they tell cases or parts: those of images/ and masks/, or, without an images/, those
    that have their own (`train/images/`).
    """
    root = data_root(config, INFO)
    below = "folder" in (config.case, config.parts)
    places = [] if (root / "images").is_dir() or not below else _with_images(root)
    if not places:
        return _pairs_of(root, config, below)
    found = []
    for place in places:
        within = place.relative_to(root).as_posix()
        found += [pair._replace(id=f"{within}/{pair.id}") for pair in _pairs_of(place, config, below)]
    return found


def read(config: Folder) -> Sequence[Sample]:
    """The images in the natural order of their names; a volume's slices are one group."""
    return read_pairs(pairs(config), config)


def _with_images(root: Path) -> list[Path]:
    """The folders below `root` that have an images/ of their own."""
    found = [path.parent for path in root.rglob("images") if path.is_dir()]
    return sorted(found, key=lambda path: natural(path.relative_to(root).as_posix()))


def _pairs_of(root: Path, config: Folder, below: bool) -> list[Pair]:
    """Of one folder with images/ and masks/; with a pattern of the masks' names either may be left out."""
    if not config.mask:
        images, masks = (subfolder(root, [name], INFO) for name in ("images", "masks"))
        found, of_found = files_in(images, below=below), files_in(masks, below=below)
        try:
            return match(found, of_found, images, INFO)
        except InputError as error:
            raise InputError(f"{error}{_remedy(images, found, of_found)}") from None
    before, after = _around(config.mask)
    images = root / "images" if (root / "images").is_dir() else root
    masks = root / "masks" if (root / "masks").is_dir() else images
    files, of_masks = files_in(images, below=below), {}
    for name, path in files_in(masks, below=below).items():
        folder, slash, own = name.rpartition("/")
        if own.startswith(before) and own.endswith(after) and len(own) > len(before) + len(after):
            of_masks[folder + slash + own.removeprefix(before).removesuffix(after)] = path
    others = set(of_masks.values())
    return match({name: path for name, path in files.items() if path not in others}, of_masks, images, INFO)


def _remedy(images: Path, found: dict[str, Path], masks: dict[str, Path]) -> str:
    """What may be meant where images and masks do not go together by their names."""
    if not found and any(path.is_dir() and files_in(path, below=True) for path in images.iterdir()):
        return "; sub-folders are read with data.case=folder or data.parts=folder"
    first = next(iter(found), "")
    within = [mask for mask in masks if first and first in mask and mask != first]
    for before, _, after in [part for mask in within for part in (mask.partition(first), mask.rpartition(first))]:
        if {f"{before}{name}{after}" for name in found} <= set(masks):
            return f"; if masks are called so, set data.mask='{before}*{after}'"
    return ""


def _around(pattern: str) -> tuple[str, str]:
    """What a mask's stem has before and after its image's."""
    before, _, after = pattern.rpartition("*")
    return before, stem(Path(after)) if after else ""
