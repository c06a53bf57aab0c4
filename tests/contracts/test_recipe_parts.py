"""Every part of a recipe that this project has keeps the contract that users' are held to."""

from suites import suites

from ablate.testing import (
    AugmentationContract,
    LossContract,
    MetricContract,
    OptimizerContract,
    ScheduleContract,
)

NEEDED = {"sum": {"losses": ["dice", "cross_entropy"], "weights": [1, 0.5]}, "nsd": {"tolerance": 1}}
"""What a part cannot be without."""


def needed(name: str) -> dict[str, object]:
    return NEEDED.get(name, {})


globals().update(suites(LossContract, needed))
globals().update(suites(OptimizerContract))
globals().update(suites(ScheduleContract))
globals().update(suites(AugmentationContract))
globals().update(suites(MetricContract, needed))
