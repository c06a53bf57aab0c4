"""From a network's settings to the network."""

from __future__ import annotations

from torch import nn

from ablate.errors import InputError
from ablate.models.adapt import CalledNetwork
from ablate.models.network import Network, network_of
from ablate.part import Part


def build_model(
    config: Network | Part, in_channels: int, classes: int, size: tuple[int, int] | None = None
) -> nn.Module:
    """The network of `config`, from images of `in_channels` channels to logits of `classes` classes.

    Weights are the network's own initialisation, from PyTorch's global random state, or `encoder_weights` where given.
    On the `meta` device (`with torch.device("meta")`) no weights are made or read. `size`: of the images, for networks
    of others that must know it.
    Raises `InputError` for a configuration that no network can have.
    """
    network = network_of(config)
    if isinstance(network, CalledNetwork):
        return network.build(in_channels, classes, size)
    model: nn.Module = network.build(in_channels, classes)
    if not isinstance(model, nn.Module):
        raise InputError(f"{network.called}.build gives a {type(model).__name__}: expected a torch.nn.Module")
    return model
