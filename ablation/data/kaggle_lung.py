"""Finding and Measuring Lungs in CT Data (the paper's kaggleLung): lung (1) in CT slices."""

from __future__ import annotations

from collections.abc import Sequence

from ablate.data.pairing import Pair, data_root, files_in, match, subfolder
from ablate.data.samples import read_pairs
from ablate.data.settings import KaggleLung
from ablate.data.source import DatasetInfo, Sample

INFO = DatasetInfo(
    name="kaggle_lung",
    what="267 CT slices of 512x512; the target is lung.",
    layout="2d_images/ID_0000_Z_0142.tif ... and 2d_masks/ with the same names (TIFF or PNG)",
    needs_dir=True,
    citation="K Scott Mader, Finding and Measuring Lungs in CT Data, Kaggle, kmader/finding-lungs-in-ct-data",
)


def pairs(config: KaggleLung) -> list[Pair]:
    """The slices in the order of their names."""
    root = data_root(config, INFO)
    images, masks = (subfolder(root, [name], INFO) for name in ("2d_images", "2d_masks"))
    return match(files_in(images), files_in(masks), images, INFO)


def read(config: KaggleLung) -> Sequence[Sample]:
    """The slices in the order of their names; each is its own group."""
    return read_pairs(pairs(config), config)
