"""What came of a claim."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

Outcome = Literal["supported", "refuted", "inconclusive"]


def outcome_of(supported: bool, refuted: bool) -> Outcome:
    """Comparisons with NaN are false, so what has no interval is inconclusive."""
    return "supported" if supported else "refuted" if refuted else "inconclusive"


class LostCases(NamedTuple):
    """How much more often the subject fails than its rival: what was asked for, found, and could be found at all."""

    outcome: Outcome
    below: float
    """The Dice below which a test case is lost."""
    tolerance: float
    resolvable: float
    """The least tolerance that this many seeds and cases can find kept."""
    seeds: int
    cases: int
    subject: str
    """Cases lost of those tested: `1/36`."""
    rival: str
    difference: float
    least: float
    """One-sided bounds of the difference: `most` as surely as it takes to support, `least` to refute."""
    most: float


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
    failures: LostCases | None = None
    """Of what is to be not inferior."""
    p_supported: float = math.nan
    """Of the hypothesis being false; at most 0.05 where the verdict is supported. NaN where nothing is known."""
    p_refuted: float = math.nan
    """Of the hypothesis being true, uncorrected: the claim corrects over its verdicts. NaN where nothing is known."""
    cells: tuple[str, ...] = ()
    """The cells that it was judged by, the subject first; empty where it could not be."""
    hypothesis: int = 0
    """Which of the claim's it is of, counted from 0."""
    power: float = math.nan
    """How likely a study of this design would have supported it, were the networks equal; NaN where equal networks
    do not make it true, and where no formula says."""
    error: float = math.nan
    """The standard error of a difference; NaN where there is none."""


class ClaimResult(NamedTuple):
    """A claim as a whole. Each of its two errors is set for the whole: see `ablate.analysis.claims.whole`."""

    name: str
    statement: str
    task: str
    outcome: Outcome
    verdicts: tuple[Verdict, ...]
    sentence: str
    p_supported: float = math.nan
    """Of a claim that is false being supported: the largest of its verdicts'; NaN where one is not known."""
    p_refuted: float = math.nan
    """Of a claim that is true being refuted: the least of its verdicts', corrected for how many there are."""
    power: float = math.nan
    """How likely, at least, this design would have supported the claim, were the networks equal; NaN as a verdict's."""
    registered: str = ""
    """When the claim was written: before the first test score, or after; empty where nobody asked a study."""
