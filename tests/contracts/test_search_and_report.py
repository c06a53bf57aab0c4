"""Every sampler, scheduler and section of this project keeps the contract that users' are held to."""

from suites import suites

from ablate.testing import SamplerContract, SchedulerContract, SectionContract

globals().update(suites(SamplerContract))
globals().update(suites(SchedulerContract))
globals().update(suites(SectionContract))
