"""The Medical Segmentation Decathlon's layout: dataset.json lists the volumes with their labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from ablate.data.dataset_json import FILE, read_json
from ablate.data.images import one_form, stem
from ablate.data.layouts import Msd
from ablate.data.pairing import Pair, data_root, natural
from ablate.data.samples import read_pairs
from ablate.data.source import DatasetInfo, Sample
from ablate.errors import InputError, brief

INFO = DatasetInfo(
    name="msd",
    what="The Medical Segmentation Decathlon's layout; channels (as a volume's fourth axis) and labels as its "
    "dataset.json says.",
    layout="dataset.json whose training lists image and label (imagesTr/case.nii.gz, labelsTr/case.nii.gz)",
    needs_dir=True,
    citation="Antonelli et al., The Medical Segmentation Decathlon, Nature Communications 13, 2022 (the layout)",
)


def pairs(config: Msd) -> list[Pair]:
    """What `training` lists, in the natural order of the images' names."""
    root = data_root(config, INFO)
    file = root / FILE
    listed = read_json(root).get("training")
    if not isinstance(listed, list) or not listed:
        raise InputError(f"'{file}' lists no training images: {INFO.name} expects {INFO.layout}")
    found: dict[str, Pair] = {}
    for entry in listed:
        if not isinstance(entry, dict) or not {"image", "label"} <= set(entry):
            raise InputError(f"'{file}', training: expected image and label, not {brief(entry)}")
        image, label = (_below(root, entry[name], file) for name in ("image", "label"))
        name = stem(image)
        if one_form(name) in found:
            raise InputError(f"'{file}', training: '{brief(name)}' is listed twice")
        found[one_form(name)] = Pair(name, image, label)
    return sorted(found.values(), key=lambda pair: natural(pair.id))


def read(config: Msd) -> Sequence[Sample]:
    """The volumes in the natural order of their names; the slices of one are one group."""
    return read_pairs(pairs(config), config)


def _below(root: Path, name: Any, file: Path) -> Path:
    """A file that is listed. A list may be a stranger's: what is read lies below the data set's own folder."""
    path = PurePosixPath(str(name))
    if not isinstance(name, str) or path.is_absolute() or ".." in path.parts or not path.name:
        raise InputError(f"'{file}', training: '{brief(name)}' is no file below {root}")
    if not (root / path).is_file():
        raise InputError(f"'{file}', training: '{brief(name)}' is not there")
    return root / path
