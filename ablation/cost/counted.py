"""What a network costs, known before training: parameters and multiply–accumulates (MACs)."""

from __future__ import annotations

import contextlib
import io
from functools import cache
from typing import Any, NamedTuple

import torch
from ptflops import get_model_complexity_info
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ablate.calls import said
from ablate.errors import InputError, brief
from ablate.models.build import build_model, check_input
from ablate.models.network import Network, network_of
from ablate.part import Part


class Cost(NamedTuple):
    params: int
    """Trainable parameters."""
    macs: int
    """Multiply–accumulates of one image's prediction (what the paper's Table 3 calls FLOPs)."""


class _Priced(NamedTuple):
    cost: Cost
    note: str = ""
    """What must be said of it."""


MOST_PARAMETERS = 1_000_000_000_000
"""Of a network: with their gradients and Adam's moments they take sixteen bytes each."""
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
    params = sum(parameter.numel() for parameter in model.parameters())
    if params > MOST_PARAMETERS:
        raise InputError(
            f"{network_of(config).called} has {params:,} parameters: at most {MOST_PARAMETERS:,} are trained"
        )
    return model


def cost(config: Network | Part, in_channels: int, classes: int, size: tuple[int, int]) -> Cost:
    """Parameters and MACs of `config` for one image of `size` (height, width), in milliseconds and without memory.

    MACs are counted as in the paper: by ptflops, of modules and not of functional calls. Where a network of others
    computes so much outside of modules that PyTorch's own counter finds more, that one's figure stands (`cost_note`).
    What cannot run on the `meta` device is priced on the CPU. The first call in a process takes about a second longer,
    in which PyTorch loads what its `meta` device needs.
    Raises `InputError` for an impossible network, or a size it cannot take.
    """
    return _priced(config, in_channels, classes, size).cost


def cost_note(config: Network | Part, in_channels: int, classes: int, size: tuple[int, int]) -> str:
    """What must be said of that cost: how it was counted, where not as others are; else nothing."""
    return _priced(config, in_channels, classes, size).note


@cache
def _priced(config: Network | Part, in_channels: int, classes: int, size: tuple[int, int]) -> _Priced:
    check_input(config, *size)
    if _is_foreign(config):
        return _foreign(config, in_channels, classes, size)
    model = build_on_meta(config, in_channels, classes)
    if not _has_statistics(model.eval(), in_channels, size):
        raise InputError(
            f"{network_of(config).called} comes down to one pixel at {size[0]}x{size[1]}, of which its norm has no "
            "statistics: use a larger data.size, fewer stages, or another norm"
        )
    with torch.device("meta"):
        return _Priced(_by_modules(config, model, in_channels, size))


def _is_foreign(config: Network | Part) -> bool:
    return isinstance(config, Part) and bool(config.made_by)


def _foreign(config: Network | Part, in_channels: int, classes: int, size: tuple[int, int]) -> _Priced:
    called = network_of(config).called
    try:
        with torch.device("meta"):
            return _compared(config, build_on_meta(config, in_channels, classes, size), in_channels, size)
    except InputError:
        raise
    except Exception:  # it may ask for values, or move itself to a device
        try:
            found = _compared(config, build_model(config, in_channels, classes, size), in_channels, size)
        except InputError:
            raise
        except Exception as error:
            raise InputError(f"{called} cannot take {in_channels}x{size[0]}x{size[1]}: {said(error)}") from error
        before = f"; {found.note}" if found.note else ""
        return found._replace(note=f"{called} is priced on the CPU: it does not run on PyTorch's meta device{before}")


def _compared(config: Network | Part, model: nn.Module, in_channels: int, size: tuple[int, int]) -> _Priced:
    """The cost by modules, held against what PyTorch counts of the operations below them."""
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model.eval()(torch.zeros(1, in_channels, *size))
    macs = counter.get_total_flops() // 2
    shared = len(list(model.named_modules(remove_duplicate=False))) > len(list(model.named_modules()))
    params, by_modules = _by_modules(config, model, in_channels, size)
    if not shared and by_modules >= (1 - _TOLERANCE) * macs:
        return _Priced(Cost(params, by_modules))
    params = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    why = "counts a module that has two places twice" if shared else f"misses {1 - by_modules / macs:.0%} of them"
    return _Priced(Cost(params, macs), f"{network_of(config).called}: MACs by PyTorch's own counter; ptflops {why}")


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


@cache
def try_one_image(config: Network | Part, in_channels: int, classes: int, size: tuple[int, int]) -> None:
    """Train on a batch of one image as far as shapes go.

    Raises `InputError` where batch norm would have a single value for each channel, of which there are no statistics.
    """
    try:
        holds = _has_statistics(build_on_meta(config, in_channels, classes, size).train(), in_channels, size)
    except Exception:  # what others made may not run without memory
        if not _is_foreign(config):
            raise
        return
    if not holds:
        raise InputError(
            f"in batches of one image {network_of(config).called} comes down to one pixel at {size[0]}x{size[1]}, of "
            "which batch norm has no statistics: use a larger protocol.batch_size or data.size, or fewer stages"
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
