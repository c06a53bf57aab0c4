"""A claim as a whole, from its verdicts, with either error at most 5 %.

It is supported if every verdict is: to be so in error, one that is false must have been supported, which happens in at
most 5 % whatever the others do, so nothing is corrected (an intersection-union test; Berger, Technometrics 24, 1982).

It is refuted if any verdict is, and that has as many chances as there are verdicts: so one must be refuted at 5 %
divided by their number (Bonferroni; what Holm's procedure asks of the first). What is counted and not estimated, who
has the fewest parameters, cannot err: it is not among those, and refutes by itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from ablate.analysis.claims.sure import ALPHA
from ablate.analysis.claims.verdict import ClaimResult, Outcome, Verdict
from ablate.analysis.format import several

_COUNTED = "fewest"


class Whole(NamedTuple):
    """The fields of a `ClaimResult` that its verdicts decide."""

    outcome: Outcome
    p_supported: float
    p_refuted: float
    power: float


def whole(verdicts: Sequence[Verdict], alpha: float = ALPHA) -> Whole:
    """The claim whose verdicts these are, all of one data set."""
    fails, holds = [verdict.p_supported for verdict in verdicts], [verdict.p_refuted for verdict in verdicts]
    p_supported = math.nan if any(map(math.isnan, fails)) else max(fails, default=math.nan)
    p_refuted = min((p for p in holds if not math.isnan(p)), default=math.nan)
    p_refuted = min(1.0, p_refuted * chances(verdicts))
    outcome: Outcome = "inconclusive"
    if p_refuted <= alpha:
        outcome = "refuted"
    elif p_supported <= alpha and all(verdict.outcome == "supported" for verdict in verdicts):
        outcome = "supported"
    return Whole(outcome, p_supported, p_refuted, _power(verdicts))


def chances(verdicts: Sequence[Verdict]) -> int:
    """How many verdicts could refute the claim in error: those on scores, judged or not."""
    return max(1, sum(verdict.kind != _COUNTED for verdict in verdicts))


def _power(verdicts: Sequence[Verdict]) -> float:
    """The chance that all of those with a margin are supported, were they independent.

    All hold the same network against others, so they go together, and the chance is larger than that.
    """
    known = [verdict.power for verdict in verdicts if not math.isnan(verdict.power)]
    return math.prod(known) if known else math.nan


def said_of_error(result: ClaimResult) -> str:
    """What the claim's two errors are, in a sentence; and which verdicts are refuted that do not refute the claim."""
    count = chances(result.verdicts)
    level = f"{ALPHA / count:.2g}"
    said = f"Either error is at most {ALPHA:.0%} for the claim as a whole: all must be supported, each at {ALPHA:.0%}"
    said += f"; one refutes it at p <= {level}, {ALPHA:.0%} over {several(count, 'verdict')}." if count > 1 else "."
    alone = [verdict for verdict in result.verdicts if verdict.outcome == "refuted"]
    if alone and result.outcome != "refuted":
        said += f" {several(len(alone), 'verdict')} refuted by itself is not so at that level."
    return said


def said_of_power(result: ClaimResult) -> str:
    """How likely this design would have decided, in a sentence; empty where nothing says."""
    if math.isnan(result.power):
        return ""
    margins = sum(not math.isnan(verdict.power) for verdict in result.verdicts)
    least = min(verdict.power for verdict in result.verdicts if not math.isnan(verdict.power))
    shown = "its margin" if margins == 1 else f"all {margins} of its margins"
    likely = f"{result.power:.0%}" if margins == 1 else f"{result.power:.0%} to {least:.0%}"
    return f"Were the networks equal, a study of this size would show {shown} in {likely} of cases."
