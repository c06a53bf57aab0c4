"""From a network's settings to the network."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import nn

from ablate.errors import InputError
from ablate.models import settings
from ablate.models.attention_unet import AttentionUNet
from ablate.models.encoder_weights import load_encoder_weights
from ablate.models.fcn8s import FCN8s
from ablate.models.resnet34_unet import ResNet34UNet
from ablate.models.settings import Network
from ablate.models.unet import PyConvUNet, UNet
from ablate.models.unet_plus_plus import UNetPlusPlus
from ablate.settings import Config

MODELS: dict[type[Config], Callable[..., nn.Module]] = {
    settings.UNet: UNet,
    settings.UNetPlusPlus: UNetPlusPlus,
    settings.AttentionUNet: AttentionUNet,
    settings.ResNet34UNet: ResNet34UNet,
    settings.FCN8s: FCN8s,
    settings.PyConvUNet: PyConvUNet,
}


def build_model(config: Network, in_channels: int, classes: int) -> nn.Module:
    """The network of `config`, from images of `in_channels` channels to logits of `classes` classes.

    Weights are PyTorch's default initialisation, from its global random state, or `config.encoder_weights` where given.
    On the `meta` device (`with torch.device("meta")`) no weights are made or read.
    Raises `InputError` for a configuration that no network can have.
    """
    model = MODELS[type(config)](config, in_channels, classes)
    if isinstance(model, ResNet34UNet | FCN8s) and isinstance(config, settings.ResNet34UNet | settings.FCN8s):
        on_meta = next(model.parameters()).is_meta
        if config.encoder_weights is not None and not on_meta:
            load_encoder_weights(model.encoder, config.encoder_weights)
    return model


def downsampling(config: Network) -> int:
    """The factor that must divide the height and width of the network's input."""
    if isinstance(config, settings.ResNet34UNet | settings.FCN8s):
        return 32
    return 2 ** (config.stages - 1)


def check_input(config: Network, height: int, width: int) -> None:
    """Raises `InputError` for an input size in pixels that does not survive the network's pooling."""
    factor = downsampling(config)
    sides = (height, width)
    if all(side > 0 and side % factor == 0 for side in sides):
        return
    below = [max(side // factor, 1) * factor for side in sides]
    above = [max(math.ceil(side / factor), 1) * factor for side in sides]
    sizes = " or ".join(dict.fromkeys(f"{h}x{w}" for h, w in (below, above)))
    raise InputError(
        f"{config.name} needs a height and width that are multiples of {factor}, not {height}x{width}: use {sizes}"
    )
