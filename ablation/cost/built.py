"""What a network costs by building it on PyTorch's `meta` device, where tensors have shapes and no contents.

By ptflops: of networks that have no outline (`ablate.cost.layers`), and what outlines are tested against.
"""

from __future__ import annotations

import contextlib
import io
from typing import Any

import torch
from ptflops import get_model_complexity_info
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ablate.calls import said
from ablate.cost.layers import Cost, check_parameters, one_pixel
from ablate.errors import InputError, brief
from ablate.models.build import build_model
from ablate.models.network import Network, network_of
from ablate.part import Part

_TOLERANCE = 0.02
"""By which share PyTorch's count may pass that of modules, before what modules miss is taken to matter."""


def build_on_meta(
    config: Network | Part, in_channels: int, classes: int, size: tuple[int, int] | None = None
) -> nn.Module:
    """The network without weights: shapes alone, in milliseconds, however large it is.

    Raises `InputError` for a configuration that no network can have, or none of at most `MOST_PARAMETERS`.
    """
    try:
        with torch.device("meta"):
            model = build_model(config, in_channels, classes, size)
    except RuntimeError as error:  # a layer of more elements than 64 bits count
        raise InputError(f"{network_of(config).called} is too large to be built: {brief(str(error))}") from None
    check_parameters(config, sum(parameter.numel() for parameter in model.parameters()))
    return model


def built_cost(config: Network | Part, in_channels: int, classes: int, size: tuple[int, int]) -> tuple[Cost, str]:
    """The cost of `config`, and what must be said of it; as `ablate.cost.counted.cost` has it."""
    if _is_foreign(config):
        return _foreign(config, in_channels, classes, size)
    model = build_on_meta(config, in_channels, classes)
    if not _has_statistics(model.eval(), in_channels, size):
        raise InputError(one_pixel(config, size))
    with torch.device("meta"):
        return _by_modules(config, model, in_channels, size), ""


def _is_foreign(config: Network | Part) -> bool:
    return isinstance(config, Part) and bool(config.made_by)


def _foreign(config: Network | Part, in_channels: int, classes: int, size: tuple[int, int]) -> tuple[Cost, str]:
    called = network_of(config).called
    try:
        with torch.device("meta"):
            return _compared(config, build_on_meta(config, in_channels, classes, size), in_channels, size)
    except InputError:
        raise
    except Exception:  # it may ask for values, or move itself to a device
        try:
            found, note = _compared(config, build_model(config, in_channels, classes, size), in_channels, size)
        except InputError:
            raise
        except Exception as error:
            raise InputError(f"{called} cannot take {in_channels}x{size[0]}x{size[1]}: {said(error)}") from error
        before = f"; {note}" if note else ""
        return found, f"{called} is priced on the CPU: it does not run on PyTorch's meta device{before}"


def _compared(config: Network | Part, model: nn.Module, in_channels: int, size: tuple[int, int]) -> tuple[Cost, str]:
    """The cost by modules, held against what PyTorch counts of the operations below them."""
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model.eval()(torch.zeros(1, in_channels, *size))
    macs = counter.get_total_flops() // 2
    shared = len(list(model.named_modules(remove_duplicate=False))) > len(list(model.named_modules()))
    params, by_modules = _by_modules(config, model, in_channels, size)
    if not shared and by_modules >= (1 - _TOLERANCE) * macs:
        return Cost(params, by_modules), ""
    params = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    why = "counts a module that has two places twice" if shared else f"misses {1 - by_modules / macs:.0%} of them"
    return Cost(params, macs), f"{network_of(config).called}: MACs by PyTorch's own counter; ptflops {why}"


def _by_modules(config: Network | Part, model: nn.Module, in_channels: int, size: tuple[int, int]) -> Cost:
    macs: Any
    with contextlib.redirect_stdout(io.StringIO()):
        macs, params = get_model_complexity_info(
            model,
            (in_channels, *size),
            as_strings=False,
            print_per_layer_stat=False,
            backend="pytorch",
            backend_specific_config={"count_functional": False},
        )
    if macs is None:
        raise RuntimeError(f"ptflops could not count {network_of(config).called}")
    return Cost(params, macs)


def one_image_trains(config: Network | Part, in_channels: int, classes: int, size: tuple[int, int]) -> bool:
    """Whether each norm of the network has several values to normalise in a batch of one image.

    Of what others made and cannot be run without memory, nothing is known: it is taken to train.
    """
    try:
        return _has_statistics(build_on_meta(config, in_channels, classes, size).train(), in_channels, size)
    except Exception:
        if not _is_foreign(config):
            raise
        return True


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
