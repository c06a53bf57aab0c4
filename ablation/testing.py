"""The contracts as a pytest suite, for packages that bring parts of their own.

    from ablate.testing import NetworkContract

    class TestLightNet(NetworkContract):
        part = "my_package.nets:LightNet"
        variants = ({}, {"width": 4, "attention": False})

Each check of the part's kind is a test of its own, of each variant of its settings; what fails says what to mend.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import pytest

from ablate.contracts.contract import Check, Checked, contract_of, name_of, run_contract
from ablate.kinds import KINDS, parse


class _Contract:
    """Base of the suites: its subclasses of a kind get the kind's tests where they are given a part."""

    kind: ClassVar[str]
    part: ClassVar[Any] = None
    """A part by its short name or as module:attribute, or the class or function itself."""
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ({},)
    """Settings, each with all tests."""
    tried: ClassVar[Mapping[str, Any]] = {}
    """What the checks are given beside the part: of a network in_channels, classes and size (height, width)."""
    local: ClassVar[Mapping[str, Any]] = {}
    """Paths on this machine: of a data set its root."""
    _found: ClassVar[dict[str, dict[str, Checked]]]

    def __init_subclass__(cls, kind: str | None = None) -> None:
        if kind is not None:
            cls.kind = kind
        if cls.part is not None:
            cls._found = {}
            for check in contract_of(KINDS[cls.kind]).checks:
                setattr(cls, f"test_{check.__name__}", _test(check, cls.variants))

    @classmethod
    def _checked(cls, settings: Mapping[str, Any]) -> dict[str, Checked]:
        """The checks of a variant by their names, tried once."""
        identity = json.dumps(settings, sort_keys=True, default=str)
        if identity not in cls._found:
            name = cls.part if isinstance(cls.part, str) else f"{cls.part.__module__}:{cls.part.__qualname__}"
            kind = KINDS[cls.kind]
            part = parse(kind, {"name": name, **settings}, local=dict(cls.local))
            cls._found[identity] = {one.name: one for one in run_contract(kind, part, **cls.tried)}
        return cls._found[identity]


def _test(check: Check, variants: tuple[Mapping[str, Any], ...]) -> Callable[..., None]:
    def test(self: _Contract, variant: Mapping[str, Any]) -> None:
        found = self._checked(variant).get(name_of(check))
        if found is None:
            pytest.skip("a check that this one rests on fails")
        if found.problem:
            pytest.fail(f"{found.name}: {found.problem}", pytrace=False)
        if found.doubt:
            warnings.warn(f"{found.name}, but {found.doubt}", stacklevel=1)

    said = [" ".join(f"{name}={value}" for name, value in variant.items()) or "defaults" for variant in variants]
    marked: Callable[..., None] = pytest.mark.parametrize("variant", variants, ids=said)(test)
    return marked


class NetworkContract(_Contract, kind="network"):
    """Of a network: shape, gradients, seeds, state, cost, and a training that resumes."""


class DataSetContract(_Contract, kind="data set"):
    """Of a data set: samples, their names, masks and classes, and a fixed order."""


class LossContract(_Contract, kind="loss"):
    """Of a loss: finite on empty and full masks, and lower where a prediction is right."""


class OptimizerContract(_Contract, kind="optimizer"):
    """Of an optimizer: it goes down, and goes on from what was saved."""


class ScheduleContract(_Contract, kind="schedule"):
    """Of a schedule: learning rates that are positive, the same in a replay."""


class AugmentationContract(_Contract, kind="augmentation"):
    """Of an augmentation: labels are kept, masks move with images, all comes from the generator."""


class MetricContract(_Contract, kind="metric"):
    """Of a metric: scores from 0 to 1, the highest for a perfect prediction."""


class SamplerContract(_Contract, kind="sampler"):
    """Of a sampler: it proposes within the space, the same for one seed."""


class SchedulerContract(_Contract, kind="scheduler"):
    """Of a scheduler: it decides on trials that report."""


class SectionContract(_Contract, kind="section"):
    """Of a section: text, of a small study."""
