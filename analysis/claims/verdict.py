"""What came of a claim."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

Outcome = Literal["supported", "refuted", "inconclusive"]


class Verdict(NamedTuple):
    """One hypothesis, judged. `estimate`, `low` and `high` are in `unit`; NaN where there is no figure."""

    name: str
    kind: str
    outcome: Outcome
    estimate: float
    low: float
    high: float
    unit: str
    sentence: str
    """What a paper could print."""
    note: str = ""
    """What limits it: one seed, cells missing, what would decide it."""
    error: float = math.nan
    """The standard error of a difference; NaN where there is none."""


class ClaimResult(NamedTuple):
    """A claim as a whole: it is supported if every hypothesis is, refuted if any is, and inconclusive otherwise."""

    name: str
    statement: str
    task: str
    outcome: Outcome
    verdicts: tuple[Verdict, ...]
    sentence: str
