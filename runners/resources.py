"""What a trial may use of the machine."""

from __future__ import annotations

import os
from typing import NamedTuple

from ablation.errors import InputError


class Resources(NamedTuple):
    """CPUs and GPUs of each trial (GPUs may be fractions: several trials share a card), and how many run at once."""

    cpus: int
    gpus: float
    max_concurrent: int | None

    @property
    def threads(self) -> int:
        """PyTorch threads of a trial: its CPUs, so that trials side by side do not fight for cores."""
        return self.cpus


def choose_resources(
    cpus_per_trial: int | None, gpus_per_trial: float | None, max_concurrent: int | None, *, study_threads: int | None
) -> Resources:
    """Resources from what was asked, the study's own number of threads, and what is there.

    By default one CPU a trial, which uses a machine best while trials outnumber cores, and one whole GPU where there is
    one. Raises `InputError` where more is asked than the machine has.
    """
    from ablation.training import choose_device

    cpus = cpus_per_trial or study_threads or 1
    available = os.cpu_count() or 1
    if cpus > available:
        raise InputError(f"--cpus-per-trial {cpus}: this machine has {available}; give at most that")
    has_gpu = choose_device().type == "cuda"
    gpus = gpus_per_trial if gpus_per_trial is not None else float(has_gpu)
    if gpus > 0 and not has_gpu:
        raise InputError(f"--gpus-per-trial {gpus:g}: this machine has no CUDA GPU; leave it out to train on the CPU")
    if gpus > 1:
        raise InputError(f"--gpus-per-trial {gpus:g}: a trial uses one GPU or a fraction of one; give at most 1")
    return Resources(cpus, gpus, max_concurrent)
