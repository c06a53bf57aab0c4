"""stevenazy/liver-dataset (the paper's liver): liver (1) in CT slices."""

from __future__ import annotations

from collections.abc import Sequence

from ablate.data.pairing import Pair, data_root, files_in, match, subfolder
from ablate.data.samples import read_pairs
from ablate.data.settings import Liver
from ablate.data.source import DatasetInfo, Sample

INFO = DatasetInfo(
    name="liver",
    what="CT slices of 512x512, 400 of them in train/; the target is liver.",
    layout="train/000.png with train/000_mask.png ..., and the same in val/ (which may be left out)",
    needs_dir=True,
    citation="stevenazy/liver-dataset, Kaggle",
)

_MASK = "_mask"


def pairs(config: Liver) -> list[Pair]:
    """The slices of train/, then of val/, ids `train/000`, ..."""
    root = data_root(config, INFO)
    folders = [subfolder(root, ["train"], INFO)]
    if (root / "val").is_dir():
        folders.append(root / "val")
    found = []
    for folder in folders:
        files = files_in(folder)
        masks = {name.removesuffix(_MASK): path for name, path in files.items() if name.endswith(_MASK)}
        images = {name: path for name, path in files.items() if not name.endswith(_MASK)}
        found += [pair._replace(id=f"{folder.name}/{pair.id}") for pair in match(images, masks, folder, INFO)]
    return found


def read(config: Liver) -> Sequence[Sample]:
    """The slices of train/, then of val/. Which share a patient is not published, so each is its own group."""
    return read_pairs(pairs(config), config)
