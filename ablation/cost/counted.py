"""What a network costs, known before training: parameters and multiply–accumulates (MACs)."""

from __future__ import annotations

from functools import cache

from ablate.cost.layers import Cost, check_parameters, cost_of, layers_of, normalises, one_pixel
from ablate.errors import InputError
from ablate.models.network import Network, check_input, network_of
from ablate.part import Part


def cost(config: Network | Part, in_channels: int, classes: int, size: tuple[int, int]) -> Cost:
    """Parameters and MACs of `config` for one image of `size` (height, width), in milliseconds and without memory.

    MACs are counted as in the paper: as ptflops does, of modules and not of functional calls. Networks of this project
    are counted from their shapes alone. Others are built, on the `meta` device or, where they cannot run on it, on the
    CPU, and the first of a process takes seconds longer, in which PyTorch loads what that needs. Where a network of
    others computes so much outside of modules that PyTorch's own counter finds more, that one's figure stands
    (`cost_note`).
    Raises `InputError` for an impossible network, or a size it cannot take.
    """
    return _priced(config, in_channels, classes, size)[0]


def cost_note(config: Network | Part, in_channels: int, classes: int, size: tuple[int, int]) -> str:
    """What must be said of that cost: how it was counted, where not as others are; else nothing."""
    return _priced(config, in_channels, classes, size)[1]


@cache
def _priced(config: Network | Part, in_channels: int, classes: int, size: tuple[int, int]) -> tuple[Cost, str]:
    check_input(config, *size)
    layers = layers_of(config, in_channels, classes, size)
    if layers is None:
        from ablate.cost.built import built_cost

        return built_cost(config, in_channels, classes, size)
    found = cost_of(layers)
    check_parameters(config, found.params)
    if not normalises(layers, training=False):
        raise InputError(one_pixel(config, size))
    return found, ""


def check_can_be_built(config: Network | Part, in_channels: int, classes: int) -> None:
    """Raises `InputError` for a configuration that no network can have, at any size of images."""
    side = network_of(config).downsampling
    layers = layers_of(config, in_channels, classes, (side, side))
    if layers is None:
        from ablate.cost.built import build_on_meta

        build_on_meta(config, in_channels, classes)
        return
    check_parameters(config, cost_of(layers).params)


@cache
def try_one_image(config: Network | Part, in_channels: int, classes: int, size: tuple[int, int]) -> None:
    """Train on a batch of one image as far as shapes go.

    Raises `InputError` where batch norm would have a single value for each channel, of which there are no statistics.
    """
    layers = layers_of(config, in_channels, classes, size)
    if layers is None:
        from ablate.cost.built import one_image_trains

        holds = one_image_trains(config, in_channels, classes, size)
    else:
        holds = normalises(layers, training=True)
    if not holds:
        raise InputError(
            f"in batches of one image {network_of(config).called} comes down to one pixel at {size[0]}x{size[1]}, of "
            "which batch norm has no statistics: use a larger protocol.batch_size or data.size, or fewer stages"
        )
