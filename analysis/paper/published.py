"""The paper's published numbers, as printed there.

Li, Fan, Cai: *PyConvU-Net: a lightweight and multiscale network for biomedical image segmentation*, BMC Bioinformatics
22:14 (2021).
"""

from __future__ import annotations

from typing import NamedTuple

CITED = "Li, Fan and Cai (2021)"


class PublishedData(NamedTuple):
    """A row of Table 1: `images` of `size` (height, width). `source` is this project's name for the data set."""

    images: int
    size: tuple[int, int]
    modality: str
    foreground: str
    source: str


TABLE_1 = {
    "kaggleLung": PublishedData(267, (512, 512), "CT", "lung", "kaggle_lung"),
    "liver": PublishedData(400, (512, 512), "CT", "liver", "liver"),
    "ISBICell": PublishedData(30, (512, 512), "ssTEM", "cell interior", "isbi2012"),
}


class PublishedScores(NamedTuple):
    """Two neighbouring cells of Table 2."""

    miou: float
    dice: float


TABLE_2 = {
    "kaggleLung": {
        "unet": PublishedScores(0.7279, 0.7834),
        "unet_plus_plus": PublishedScores(0.6078, 0.6471),
        "resnet34_unet": PublishedScores(0.9494, 0.9721),
        "attention_unet": PublishedScores(0.7723, 0.8278),
        "fcn8s": PublishedScores(0.9545, 0.9752),
        "pyconvunet": PublishedScores(0.9630, 0.9339),
    },
    "liver": {
        "unet": PublishedScores(0.6207, 0.7386),
        "unet_plus_plus": PublishedScores(0.6504, 0.7690),
        "resnet34_unet": PublishedScores(0.6623, 0.7451),
        "attention_unet": PublishedScores(0.6989, 0.8083),
        "fcn8s": PublishedScores(0.5139, 0.6447),
        "pyconvunet": PublishedScores(0.7050, 0.8227),
    },
    "ISBICell": {
        "unet": PublishedScores(0.7742, 0.8639),
        "unet_plus_plus": PublishedScores(0.7878, 0.8808),
        "resnet34_unet": PublishedScores(0.8398, 0.9115),
        "attention_unet": PublishedScores(0.8269, 0.8945),
        "fcn8s": PublishedScores(0.8345, 0.9005),
        "pyconvunet": PublishedScores(0.8385, 0.9117),
    },
}


class PublishedCost(NamedTuple):
    """A column of Table 3: parameters in millions, and GMac ("FLOPs" there) at 3x512x512 with one output channel.

    `reproducible`: whether the network that the paper describes has these figures. PyConvU-Net's come neither out of
    the published code nor of any reading of the text that `ablate.analysis.paper.costs` counts.
    """

    params_m: float
    gmacs: float
    reproducible: bool = True


TABLE_3 = {
    "unet": PublishedCost(7.77, 48.57),
    "unet_plus_plus": PublishedCost(9.16, 138.63),
    "resnet34_unet": PublishedCost(21.66, 24.27),
    "attention_unet": PublishedCost(34.88, 266.54),
    "fcn8s": PublishedCost(18.64, 85.86),
    "pyconvunet": PublishedCost(3.7, 10.65, reproducible=False),
}
TABLE_3_INPUT = (3, 512, 512)

NAMES = {
    "unet": "U-Net",
    "unet_plus_plus": "UNet++",
    "resnet34_unet": "Resnet34_UNet",
    "attention_unet": "Attention U-Net",
    "fcn8s": "FCN8s",
    "pyconvunet": "PyConvU-Net",
}
"""The networks as the paper writes them, in its tables' order."""

# Code ----------------------------------------------------------------------------------------------------------------

CODE = {
    "published code": "github.com/StevenAZy/PyConvU-Net, commit a9e321a",
    "UNET-ZOO": "github.com/Andy-zhujunwen/UNET-ZOO, commit 34c219f; the published README refers to it",
    "PyConv": "github.com/iduta/pyconv, commit 0fdea01 (Duta et al. 2020, arXiv 2006.11538)",
}
"""Where the code that checks cite was read."""

SHARES = {
    4: ((1 / 8, 1 / 8, 1 / 4, 1 / 2), (1 / 4, 1 / 4, 1 / 4, 1 / 4)),
    3: ((1 / 4, 1 / 2, 1 / 2), (1 / 4, 1 / 4, 1 / 2)),
    2: ((1 / 2, 1 / 2), (1 / 2, 1 / 2)),
}
"""By number of levels, the share of the output that each level has: in the published code, and in PyConv's own."""

PYRAMIDS = {
    4: ((3, 5, 7, 9), (1, 4, 8, 16)),
    3: ((3, 5, 7), (1, 4, 8)),
    2: ((3, 5), (1, 4)),
}
"""Kernels and groups by number of levels, in both codes."""
