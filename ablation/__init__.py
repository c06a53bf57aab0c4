"""Distributed ablation studies of segmentation networks, with evidence: one package, installed as `DISTRIBUTION`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ablate.analysis.report.sections.base import Section as Section
    from ablate.data.settings import DataSource as DataSource
    from ablate.data.source import Sample as Sample
    from ablate.metrics.base import ImageMetric as Metric  # noqa: F401
    from ablate.models.network import Network as Network
    from ablate.models.pyconv import PyConv2d as PyConv2d
    from ablate.runners.run import run as run
    from ablate.runners.search.samplers.base import Sampler as Sampler
    from ablate.runners.search.schedulers.base import Scheduler as Scheduler
    from ablate.study.study import Study as Study
    from ablate.training.augmentations.base import Augmentation as Augmentation
    from ablate.training.losses.base import Loss as Loss
    from ablate.training.optimizers.base import Optimizer as Optimizer
    from ablate.training.schedules.base import Schedule as Schedule

DISTRIBUTION = "ablate-study"
"""What this is called where packages are installed; `ablate` is another's on the Python package index."""
_PUBLIC = {
    "Augmentation": "ablate.training.augmentations.base:Augmentation",
    "DataSource": "ablate.data.settings:DataSource",
    "Loss": "ablate.training.losses.base:Loss",
    "Metric": "ablate.metrics.base:ImageMetric",
    "Network": "ablate.models.network:Network",
    "Optimizer": "ablate.training.optimizers.base:Optimizer",
    "PyConv2d": "ablate.models.pyconv:PyConv2d",
    "Sample": "ablate.data.source:Sample",
    "Sampler": "ablate.runners.search.samplers.base:Sampler",
    "Schedule": "ablate.training.schedules.base:Schedule",
    "Scheduler": "ablate.runners.search.schedulers.base:Scheduler",
    "Section": "ablate.analysis.report.sections.base:Section",
    "Study": "ablate.study.study:Study",
    "run": "ablate.runners.run:run",
}
"""Names that are here without being asked for at once: where each is, as module:attribute."""


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'ablate' has no attribute {name!r}")
    module, _, attribute = _PUBLIC[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
