"""The paper's published numbers: Li, Fan, Cai, BMC Bioinformatics 22:14 (2021)."""

from __future__ import annotations

from typing import NamedTuple


class PublishedCost(NamedTuple):
    """A column of Table 3: parameters in millions, and GMac ("FLOPs" there) at 3x512x512 with one output channel.

    `reproducible`: whether the network that the paper describes has these figures. PyConvU-Net's do not come out of
    the published code, nor of any natural reading of the text.
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
