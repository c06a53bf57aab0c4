"""nnU-Net's layout (version 2): imagesTr/ with a file for each channel, labelsTr/, and dataset.json.

Its own folds (splits_final.json) and its test images (imagesTs/) are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ablate.data.dataset_json import FILE, channel_names, read_json
from ablate.data.images import SUFFIXES, suffix
from ablate.data.layouts import NnUNet
from ablate.data.pairing import Pair, data_root, files_in, match, subfolder
from ablate.data.samples import read_pairs
from ablate.data.source import DatasetInfo, Sample
from ablate.errors import InputError, brief

INFO = DatasetInfo(
    name="nnunet",
    what="nnU-Net's layout (version 2); channels and labels as its dataset.json says.",
    layout="imagesTr/case_0000.nii.gz (one file a channel), labelsTr/case.nii.gz and dataset.json",
    needs_dir=True,
    citation="Isensee et al., nnU-Net, Nature Methods 18, 2021 (the layout)",
)

_CHANNEL = re.compile(r"(.+)_(\d{4})")


def pairs(config: NnUNet) -> list[Pair]:
    """The cases of imagesTr/ in the natural order of their names."""
    root = data_root(config, INFO)
    content = read_json(root)
    images, labels = (subfolder(root, [name], INFO) for name in ("imagesTr", "labelsTr"))
    ending = str(content.get("file_ending", ".nii.gz"))
    if ending.lower() not in SUFFIXES:
        raise InputError(
            f"'{root / FILE}': file_ending '{brief(ending)}' cannot be read: expected one of {', '.join(SUFFIXES)}"
        )
    count = len(channel_names(content, root / FILE))
    channels: dict[str, dict[int, Path]] = {}
    for name, path in _of_ending(files_in(images), ending).items():
        numbered = _CHANNEL.fullmatch(name)
        if not numbered:
            raise InputError(f"'{path}' names no channel: expected {brief(name)}_0000{ending}")
        channels.setdefault(numbered[1], {})[int(numbered[2])] = path
    for case, found in channels.items():
        if sorted(found) not in (list(range(count)), [0]):  # one file may hold all of them, as RGB
            missing = next((n for n in range(count) if n not in found), count)
            what = "is missing" if missing < count else f"is one more than {FILE} names"
            raise InputError(f"'{images / case}_{missing:04d}{ending}' {what}: {FILE} names {count} channels of a case")
    matched = match(
        {case: found[0] for case, found in channels.items()}, _of_ending(files_in(labels), ending), images, INFO
    )
    return [one._replace(others=tuple(channels[one.id][n] for n in range(1, len(channels[one.id])))) for one in matched]


def read(config: NnUNet) -> Sequence[Sample]:
    """The cases in the natural order of their names; a volume's slices are one group."""
    return read_pairs(pairs(config), config)


def _of_ending(files: dict[str, Path], ending: str) -> dict[str, Path]:
    return {name: path for name, path in files.items() if suffix(path) == ending.lower()}
