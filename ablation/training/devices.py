"""Where a network runs, and in which numbers."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn


def choose_device() -> torch.device:
    """The best device there is: CUDA, then Apple's MPS, then the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def precision(device: torch.device) -> torch.dtype:
    """The type that convolutions run in: 16 bits on CUDA (bfloat16 where the card has it), float32 elsewhere."""
    if device.type != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


def autocast(device: torch.device) -> AbstractContextManager[Any]:
    dtype = precision(device)
    return torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32)


def make_deterministic(device: torch.device) -> None:
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cudnn.benchmark = False
    # Warns only: bilinear up-sampling has no deterministic backward pass on CUDA. `use_deterministic_algorithms` is the
    # same, but loads torch's compiler to tell it, which takes as long as all the rest of torch.
    torch.set_deterministic_debug_mode("warn")
    # Else every new tensor is filled with NaN before it is written: a check of torch's own operations.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def compiled(model: nn.Module) -> Callable[[Tensor], Any]:
    """The forward pass of `model` through `torch.compile`, deterministic.

    For each size of batch by itself: kernels for any size would depend on which sizes came before, and a training that
    is resumed has not seen those.
    """
    torch.use_deterministic_algorithms(True, warn_only=True)  # as it is already: now its compiler is told, too
    return torch.compile(model, dynamic=False)


ON_CARD = "ABLATE_ON_CARD"


def stays_on_card(device: torch.device) -> bool:
    """Whether a training is to keep its images on its card and not wait for it in a step: `ABLATE_ON_CARD=1`, on CUDA.

    It changes no number, so it is no part of a trial; asked for, and not the default, because it was never run on one.
    """
    return device.type == "cuda" and os.environ.get(ON_CARD) == "1"


def room(device: torch.device) -> int:
    """Bytes that are free on a card."""
    return torch.cuda.mem_get_info(device)[0]


def sent(tensor: Tensor, device: torch.device, memory_format: torch.memory_format = torch.preserve_format) -> Tensor:
    """`tensor` on `device`, in this memory format; without waiting for a card where `stays_on_card`."""
    if stays_on_card(device) and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True, memory_format=memory_format)
    return tensor.to(device, memory_format=memory_format)
