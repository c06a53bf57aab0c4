"""Where a network runs, and in which numbers."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from typing import Any

import torch


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
    # warn_only: bilinear up-sampling has no deterministic backward pass on CUDA.
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Else every new tensor is filled with NaN before it is written: a check of torch's own operations.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
