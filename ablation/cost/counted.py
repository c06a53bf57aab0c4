"""What a network costs, known before training: parameters and multiply–accumulates (MACs)."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch
from ptflops import get_model_complexity_info
from torch import nn

from ablate.errors import InputError, brief
from ablate.models.build import build_model, check_input
from ablate.models.settings import Network


class Cost(NamedTuple):
    params: int
    """Trainable parameters."""
    macs: int
    """Multiply–accumulates of one image's prediction (what the paper's Table 3 calls FLOPs)."""


MOST_PARAMETERS = 1_000_000_000_000
"""Of a network: with their gradients and Adam's moments they take sixteen bytes each."""


def build_on_meta(config: Network, in_channels: int, classes: int) -> nn.Module:
    """The network without weights: shapes alone, in milliseconds, however large it is.

    Raises `InputError` for a configuration that no network can have, or none of at most `MOST_PARAMETERS`.
    """
    try:
        with torch.device("meta"):
            model = build_model(config, in_channels, classes)
    except RuntimeError as error:  # a layer of more elements than 64 bits count
        raise InputError(f"{config.name} is too large to be built: {brief(str(error))}") from None
    params = sum(parameter.numel() for parameter in model.parameters())
    if params > MOST_PARAMETERS:
        raise InputError(f"{config.name} has {params:,} parameters: at most {MOST_PARAMETERS:,} are trained")
    return model


@cache
def cost(config: Network, in_channels: int, classes: int, size: tuple[int, int]) -> Cost:
    """Parameters and MACs of `config` for one image of `size` (height, width), in milliseconds and without memory.

    MACs are counted as in the paper: by ptflops, of modules and not of functional calls. The first call in a process
    takes about a second longer, in which PyTorch loads what its `meta` device needs.
    Raises `InputError` for an impossible network, or a size it cannot take.
    """
    check_input(config, *size)
    model = build_on_meta(config, in_channels, classes)
    if not _has_statistics(model.eval(), in_channels, size):
        raise InputError(
            f"{config.name} comes down to one pixel at {size[0]}x{size[1]}, of which its norm has no statistics: "
            "use a larger data.size, fewer stages, or another norm"
        )
    with torch.device("meta"):
        macs, params = get_model_complexity_info(
            model,
            (in_channels, *size),
            as_strings=False,
            print_per_layer_stat=False,
            backend="pytorch",
            backend_specific_config={"count_functional": False},
        )
    if macs is None:
        raise RuntimeError(f"ptflops could not count {config.name}; its own message is above")
    return Cost(params, macs)


@cache
def try_one_image(config: Network, in_channels: int, classes: int, size: tuple[int, int]) -> None:
    """Train on a batch of one image as far as shapes go.

    Raises `InputError` where batch norm would have a single value for each channel, of which there are no statistics.
    """
    if not _has_statistics(build_on_meta(config, in_channels, classes).train(), in_channels, size):
        raise InputError(
            f"in batches of one image {config.name} comes down to one pixel at {size[0]}x{size[1]}, of which batch "
            "norm has no statistics: use a larger protocol.batch_size or data.size, or fewer stages"
        )


@torch.no_grad()
def _has_statistics(model: nn.Module, in_channels: int, size: tuple[int, int]) -> bool:
    """Whether each norm of `model`, on `meta`, has several values to normalise of one image."""
    try:
        model(torch.empty(1, in_channels, *size, device="meta"))
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        return False
    return True
