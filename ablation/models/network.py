"""What a network is to a trial: settings, and `build`."""

from __future__ import annotations

import importlib
import math
from typing import TYPE_CHECKING, Any, ClassVar

from ablate.errors import InputError
from ablate.kinds import KINDS, make, parse
from ablate.part import Part
from ablate.settings import Config

if TYPE_CHECKING:
    from torch import nn

CHANNELS = ("in_channels", "n_channels", "in_chans", "input_channels", "num_input_channels")
CLASSES = ("out_channels", "classes", "num_classes", "n_classes", "out_chans", "output_channels")
"""What libraries call the channels of images, and those of logits."""


class Network(Config):
    """Base of all networks: settings as typed fields, and `build`.

    class LightNet(ablate.Network):
        width: int = 16

        def build(self, in_channels, classes):
            return nn.Sequential(nn.Conv2d(in_channels, self.width, 3, padding=1), nn.ReLU(),
                                 nn.Conv2d(self.width, classes, 1))
    """

    module: ClassVar[str] = ""
    """Where the network itself is, as module:class, if not here: it takes settings, channels and classes."""

    def build(self, in_channels: int, classes: int) -> nn.Module:
        """From images (N, in_channels, H, W) to logits (N, classes, H, W), or in training a tuple of several.

        Weights are to come from PyTorch's global random state alone. Raises `InputError` for settings that no network
        can have.
        """
        module, _, name = self.module.partition(":")
        network: nn.Module = getattr(importlib.import_module(module), name)(self, in_channels, classes)
        return network

    @property
    def downsampling(self) -> int:
        """The factor that must divide the height and width of the input."""
        return 1

    @property
    def called(self) -> str:
        """As messages call it."""
        return str(getattr(self, "name", type(self).__name__))


def network_of(model: Network | Part) -> Any:
    """A network's settings with `build`, of a configuration's part; this imports what that names."""
    return make(KINDS["network"], model) if isinstance(model, Part) else model


def network(name: str, **settings: Any) -> Part:
    """The network of that name with these settings. Raises `InputError` for a name or a setting that does not exist."""
    return parse(KINDS["network"], {"name": name, **settings})


def downsampling(config: Network | Part) -> int:
    """The factor that must divide the height and width of the network's input, as far as that is known."""
    return int(network_of(config).downsampling)


def check_input(config: Network | Part, height: int, width: int) -> None:
    """Raises `InputError` for an input size in pixels that does not survive the network's pooling."""
    network = network_of(config)
    factor = network.downsampling
    sides = (height, width)
    if all(side > 0 and side % factor == 0 for side in sides):
        return
    below = [max(side // factor, 1) * factor for side in sides]
    above = [max(math.ceil(side / factor), 1) * factor for side in sides]
    sizes = " or ".join(dict.fromkeys(f"{h}x{w}" for h, w in (below, above)))
    raise InputError(
        f"{network.called} needs a height and width that are multiples of {factor}, not {height}x{width}: use {sizes}"
    )
