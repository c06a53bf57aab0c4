"""What trials that share a card are told of: NVIDIA's Multi-Process Service, for their kernels to run side by side."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ablate.runners.execution.resources import Resources


def advice(resources: Resources) -> str | None:
    """A line to say where trials share cards of this machine and MPS does not run on it."""
    shares = resources.shares is not None or 0 < resources.gpus < 1
    if not shares or _mps_runs():
        return None
    return (
        "Trials share a GPU, and MPS does not run: they take turns instead of running side by side. "
        "Start it with `nvidia-cuda-mps-control -d`, and give the command again."
    )


def _mps_runs() -> bool:
    """Its daemon listens at a pipe of this name (NVIDIA, Multi-Process Service, section on environment variables)."""
    return Path(os.environ.get("CUDA_MPS_PIPE_DIRECTORY") or "/tmp/nvidia-mps", "control").exists()
