"""Finding and Measuring Lungs in CT Data (the paper's kaggleLung): lung (1) in CT slices."""

from __future__ import annotations

from ablate.data.pairing import data_root, files_in, match, read_pairs, subfolder
from ablate.data.settings import KaggleLung
from ablate.data.source import DatasetInfo, Sample

INFO = DatasetInfo(
    name="kaggle_lung",
    what="267 CT slices of 512x512; the target is lung.",
    layout="2d_images/ID_0000_Z_0142.tif ... and 2d_masks/ with the same names (TIFF or PNG)",
    needs_dir=True,
    citation="K Scott Mader, Finding and Measuring Lungs in CT Data, Kaggle, kmader/finding-lungs-in-ct-data",
)


def read(config: KaggleLung) -> list[Sample]:
    """The slices in the order of their names; each is its own group."""
    root = data_root(config, INFO)
    images, masks = (subfolder(root, [name], INFO) for name in ("2d_images", "2d_masks"))
    return read_pairs(match(files_in(images), files_in(masks), images, INFO), config)
