"""How Ray is to behave. It reads this from the environment, most of it when it is first imported."""

from __future__ import annotations

import os
from pathlib import Path

_ALWAYS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",  # the newer output cannot be silenced
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # else Ray's daemons write into what a run prints
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # a trial's last report is of no epoch
    "TUNE_GLOBAL_CHECKPOINT_S": str(10**9),  # the study remembers; Ray need not
    "TUNE_MAX_PENDING_TRIALS_PG": "1",
}
_ALONE = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""By which Ray takes loopback for its address, as it does by itself on macOS and Windows, and listens nowhere else."""


def prepare_ray(address: str | None) -> None:
    """Set what Ray reads, before it is imported: for this machine alone, or for the cluster at `address`."""
    for name, value in (_ALWAYS if address else _ALWAYS | _ALONE).items():
        os.environ.setdefault(name, value)
    Path.home().joinpath(".ray").mkdir(mode=0o700, exist_ok=True)  # its token is for nobody else to read
