"""What came of a claim."""

from __future__ import annotations

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


class ClaimResult(NamedTuple):
    """A claim as a whole: it is supported if every hypothesis is, refuted if any is, and inconclusive otherwise."""

    name: str
    statement: str
    task: str
    outcome: Outcome
    verdicts: tuple[Verdict, ...]
    sentence: str
