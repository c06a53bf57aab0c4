"""Every data set of this project keeps the contract that users' are held to; what needs files has a few, as it says."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image
from suites import suites

from ablate.data.load import described
from ablate.testing import DataSetContract

_FILES = TemporaryDirectory()
LAYOUTS = {
    "isbi2012": ("images/{n}.png", "labels/{n}.png"),
    "kaggle_lung": ("2d_images/{n}.tif", "2d_masks/{n}.tif"),
    "liver": ("train/{n:03}.png", "train/{n:03}_mask.png"),
    "folder": ("images/{n}.png", "masks/{n}.png"),
    "nnunet": ("imagesTr/{n}_0000.png", "labelsTr/{n}.png"),
    "msd": ("imagesTr/{n}.png", "labelsTr/{n}.png"),
}
"""Where an image is and where its mask, of each data set that needs files."""
ABOUT = {
    "channel_names": {"0": "light"},
    "modality": {"0": "light"},
    "labels": {"background": 0, "thing": 255},
    "file_ending": ".png",
    "training": [{"image": f"./imagesTr/{n}.png", "label": f"./labelsTr/{n}.png"} for n in range(30)],
}
"""What a dataset.json says, where a layout has one: of both kinds."""


def root(name: str) -> dict[str, Path]:
    """A folder of the least images that the data set `name` takes; nothing for one that needs none."""
    if not next(info for info in described() if info.name == name).needs_dir:
        return {}
    folder = Path(_FILES.name) / name
    rng = np.random.default_rng(0)
    for n in range(30):
        mask = np.zeros((16, 16), np.uint8)
        mask[4:9, 3 : 6 + n % 5] = 255
        for place, pixels in zip(LAYOUTS[name], (rng.integers(0, 256, mask.shape, np.uint8), mask), strict=True):
            file = folder / place.format(n=n)
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(file)
    (folder / "dataset.json").write_text(json.dumps(ABOUT))
    return {"root": folder}


globals().update(suites(DataSetContract, local=root))
