"""What a network costs, known before training: parameters and multiply–accumulates (MACs)."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch
from ptflops import get_model_complexity_info

from ablation.config import Network
from ablation.models import build_model, check_input


class Cost(NamedTuple):
    params: int
    """Trainable parameters."""
    macs: int
    """Multiply–accumulates of one image's prediction (what the paper's Table 3 calls FLOPs)."""


@cache
def cost(config: Network, in_channels: int, classes: int, size: tuple[int, int]) -> Cost:
    """Parameters and MACs of `config` for one image of `size` (height, width), in milliseconds and without memory.

    MACs are counted as in the paper: by ptflops, of modules and not of functional calls. The first call in a process
    takes about a second longer, in which PyTorch loads what its `meta` device needs.
    Raises `InputError` for an impossible network, or a size it cannot take.
    """
    check_input(config, *size)
    with torch.device("meta"):
        model = build_model(config, in_channels, classes)
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
