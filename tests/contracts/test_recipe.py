"""Every part of a recipe that this project has keeps the contract that users' are held to."""

from suites import suites

from ablate.testing import (
    AugmentationContract,
    LossContract,
    MetricContract,
    OptimizerContract,
    ScheduleContract,
)

globals().update(suites(LossContract))
globals().update(suites(OptimizerContract))
globals().update(suites(ScheduleContract))
globals().update(suites(AugmentationContract))
globals().update(suites(MetricContract))
