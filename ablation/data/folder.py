"""A user's own data: a folder with images/ and masks/."""

from __future__ import annotations

from ablate.data.pairing import Pair, data_root, files_in, match, subfolder
from ablate.data.samples import read_pairs
from ablate.data.settings import Folder
from ablate.data.source import DatasetInfo, Sample

INFO = DatasetInfo(
    name="folder",
    what="Your own images and masks, 2-D or volumes, of data.n_classes classes.",
    layout="images/ and masks/ with files of the same stems (PNG, TIFF, JPEG, NPY, NIfTI; volumes become axial slices)",
    needs_dir=True,
    citation="",
)


def pairs(config: Folder) -> list[Pair]:
    """The images in the natural order of their names."""
    root = data_root(config, INFO)
    images, masks = (subfolder(root, [name], INFO) for name in ("images", "masks"))
    return match(files_in(images), files_in(masks), images, INFO)


def read(config: Folder) -> list[Sample]:
    """The images in the natural order of their names; a volume's slices are one group."""
    return read_pairs(pairs(config), config)
