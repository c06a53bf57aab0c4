"""Axial slices of the MNI152 T1 template, with its tissue maps as masks: real data that needs no download.

The volumes come in nilearn's wheel: T1, grey matter and white matter, 197×233×189 voxels of 1 mm, uint8.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from ablate.data.images import read_slices
from ablate.data.settings import Mni152
from ablate.data.source import DatasetInfo, Sample
from ablate.errors import InputError

INFO = DatasetInfo(
    name="mni152",
    what="Axial slices of the MNI152 T1 brain template; the target is grey matter, white matter or the brain.",
    layout="",
    needs_dir=False,
    citation="Fonov et al., Unbiased average age-appropriate atlases for pediatric studies, NeuroImage 54(1), 2011 "
    "(ICBM 152 nonlinear symmetric 2009a, as packaged by nilearn)",
)

FIRST_Z, LAST_Z = 24, 148
"""Slices (mm above the volume's floor) with at least 300 mm² of white matter, the scarcest target: no empty masks."""
_ROWS, _COLUMNS = slice(19, 211), slice(2, 194)
"""192×192 mm, front up, centred on the brain's bounding box (181×145 mm)."""
_HALF = 0.5 * 255


def read(config: Mni152) -> list[Sample]:
    """`config.slices` slices from FIRST_Z to LAST_Z, evenly spaced, bottom to top, 192×192 pixels of 1 mm, front up.

    The mask is where the target's probability is at least one half; the brain's is the sum of grey and white matter's
    (so without cerebrospinal fluid). All slices are one group. Raises `InputError` if nilearn is not installed.
    """
    levels = np.linspace(FIRST_Z, LAST_Z, config.slices).round().astype(int)
    t1 = _volume("t1")[levels]
    if config.target == "grey_matter":
        probability = _volume("gm")[levels]
    elif config.target == "white_matter":
        probability = _volume("wm")[levels]
    else:
        probability = _volume("gm")[levels].astype(np.uint16) + _volume("wm")[levels]
    masks = (probability >= _HALF).astype(np.uint8)
    return [Sample(f"mni152_z{z:03d}", "mni152", t1[i], masks[i]) for i, z in enumerate(levels)]


def folder() -> Path:
    """Where the volumes are. Raises `InputError` if nilearn is not installed."""
    package = importlib.util.find_spec("nilearn")  # importing it takes seconds
    if package is None or package.origin is None:
        raise InputError("mni152 is read from nilearn's package: pip install nilearn")
    return Path(package.origin).parent / "datasets" / "data"


def _volume(tissue: str) -> np.ndarray:
    """(z, 192, 192) uint8: the packaged volume, cropped."""
    return read_slices(folder() / f"mni_icbm152_{tissue}_tal_nlin_sym_09a_converted.nii.gz")[:, _ROWS, _COLUMNS, 0]
