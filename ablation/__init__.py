"""Distributed ablation studies of segmentation networks, with evidence: one package, installed as `DISTRIBUTION`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ablate.data.settings import DataSource as DataSource
    from ablate.data.source import Sample as Sample
    from ablate.models.network import Network as Network
    from ablate.models.pyconv import PyConv2d as PyConv2d
    from ablate.runners.run import run as run
    from ablate.study.study import Study as Study

DISTRIBUTION = "ablate-study"
"""What this is called where packages are installed; `ablate` is another's on the Python package index."""
_PUBLIC = {
    "DataSource": "ablate.data.settings",
    "Network": "ablate.models.network",
    "Sample": "ablate.data.source",
    "PyConv2d": "ablate.models.pyconv",
    "Study": "ablate.study.study",
    "run": "ablate.runners.run",
}
"""Names that are here without being asked for at once: where each is from."""


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'ablate' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
