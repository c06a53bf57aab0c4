"""ISBI 2012 EM challenge, training stack (the paper's ISBICell): cell interior (1) against membrane (0)."""

from __future__ import annotations

from ablate.data.pairing import Pair, data_root, files_in, match, subfolder
from ablate.data.samples import read_pairs
from ablate.data.settings import Isbi2012
from ablate.data.source import DatasetInfo, Sample

INFO = DatasetInfo(
    name="isbi2012",
    what="30 consecutive 512x512 electron microscopy slices of a Drosophila larva's nerve cord; the target is cell "
    "interior.",
    layout="images/00.png ... and labels/00.png ... (or TIFF; or train/images and train/label), "
    "or train-volume.tif and train-labels.tif",
    needs_dir=True,
    citation="Cardona et al., PLoS Biology 8(10), 2010; Arganda-Carreras et al., Front. Neuroanat. 9:142, 2015",
)

_STACKS = ("train-volume.tif", "train-labels.tif")


def pairs(config: Isbi2012) -> list[Pair]:
    """The two stacks, or the slices in the order of their names."""
    root = data_root(config, INFO)
    volume, labels = (root / name for name in _STACKS)
    if volume.is_file() and labels.is_file():
        return [Pair("stack", volume, labels)]
    images = subfolder(root, ("images", "train/images"), INFO)
    masks = subfolder(root, [f"{images.relative_to(root).parent}/{name}" for name in ("labels", "label")], INFO)
    return match(files_in(images), files_in(masks), images, INFO)


def read(config: Isbi2012) -> list[Sample]:
    """The slices in order, ids `00`, `01`, ... whatever the files are called, all of one group: the stack."""
    samples = read_pairs(pairs(config), config)
    return [sample._replace(id=f"{i:02d}", group="isbi2012", volume="") for i, sample in enumerate(samples)]
