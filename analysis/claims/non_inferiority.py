"""Non-inferiority, asked in two parts: the typical score, and what is lost.

A network that loses an image in twenty is worse by four margins of 0.01, and most studies of twelve images do not see
it in a mean. So a subject is not inferior if its typical score, on cases that neither lost, is not worse by the margin,
*and* it does not fail more often than the claim tolerates. Each part has its own bound at 5 %, and both must hold (an
intersection-union test, Berger 1982: at 5 % as a whole). It is inferior if one part is shown to fail, at 2.5 % each.
"""

from __future__ import annotations

from typing import NamedTuple

from ablate.analysis.claims.schema import NonInferior
from ablate.analysis.claims.verdict import LostCases, Outcome, outcome_of
from ablate.analysis.failure_words import percent
from ablate.analysis.failures import LEVEL, Failures, cases_needed, difference_bounds, neither_lost, resolvable
from ablate.analysis.format import several
from ablate.analysis.scores import CellScores
from ablate.analysis.significance import Difference, difference, one_sided_bound
from ablate.metrics.counts import METRICS

_REFUTED = 0.975
"""The level of each part's bound for a refutation: there are two ways to be wrong."""


class NonInferiority(NamedTuple):
    """Both parts, judged."""

    outcome: Outcome
    typical: Difference | None
    """On cases that neither lost, its interval with the one-sided bounds at 95 %; None where there are none."""
    typically: Outcome
    seeds_needed: int | None
    images: int
    """That both were scored on."""
    lost: LostCases

    @property
    def notes(self) -> list[str]:
        """What limits it, and what would decide it."""
        found = self.typical
        said = [found.note] if found is not None and found.note else []
        if found is not None and found.images < self.images:
            said.append(f"typical of {found.images} of {several(self.images, 'image')}, which neither lost")
        if self.typically == "inconclusive" and self.seeds_needed is not None:
            said.append(f"about {self.seeds_needed} seeds would likely decide it")
        lost = self.lost
        if lost.outcome == "inconclusive" and lost.resolvable > lost.tolerance and lost.seeds > 1:
            said.append(
                f"to show {percent(lost.tolerance)} takes {cases_needed(lost.tolerance)} cases of which none is lost: "
                "more test cases, or folds"
            )
        elif lost.outcome == "inconclusive" and lost.seeds > 1:
            said.append("more test cases, or folds, would tell how often it fails")
        return said


def non_inferiority(
    ours: CellScores, theirs: CellScores, lost: tuple[Failures, Failures], asked: NonInferior, refuted: float = _REFUTED
) -> NonInferiority:
    """The subject's scores and failures held against a rival's; `refuted` is the level of bounds that refute.

    Raises `InputError` as `difference`.
    """
    whole = difference(ours, theirs, asked.metric)
    kept = neither_lost(*lost, (ours, theirs))
    failures = _lost(*lost, asked, refuted)
    typical, typically, needed = None, outcome_of(False, False), None
    if kept is not None:
        # The lower end of a two-sided interval at 1 - 2α is the one-sided bound at 1 - α.
        typical = difference(*kept, asked.metric, 2 * LEVEL - 1)
        surely = difference(*kept, asked.metric, 2 * refuted - 1)
        typically = outcome_of(_ends(typical)[0] > -asked.margin, _ends(surely)[1] < -asked.margin)
        needed = one_sided_bound(*kept, LEVEL, METRICS[asked.metric].sign).seeds_needed(asked.margin)
    both = {typically, failures.outcome}
    return NonInferiority(
        outcome=outcome_of(both == {"supported"}, "refuted" in both),
        typical=typical,
        typically=typically,
        seeds_needed=needed,
        images=whole.images,
        lost=failures,
    )


def lost_in_words(found: NonInferiority) -> str:
    """What the failures come to, as the second half of a sentence about the subject."""
    lost = found.lost
    words = {
        "supported": f"it fails more often by at most {lost.tolerance:g}",
        "refuted": f"it fails more often by more than {lost.tolerance:g}",
        "inconclusive": f"it is not shown to fail more often by at most {lost.tolerance:g}, or by more",
    }
    return (
        f"{words[lost.outcome]} ({lost.subject} and {lost.rival} lost, Dice below {lost.below:.3g}: "
        f"{100 * lost.difference:+.1f} %, at most {percent(lost.most)}; {several(lost.cases, 'case')} and "
        f"{several(lost.seeds, 'seed')} can show {percent(lost.resolvable)} where neither loses any)"
    )


def _lost(ours: Failures, theirs: Failures, asked: NonInferior, refuted: float) -> LostCases:
    found, surely = difference_bounds(ours, theirs), difference_bounds(ours, theirs, refuted)
    tolerance = asked.failures.tolerance
    several_seeds = found.seeds > 1
    return LostCases(
        outcome=outcome_of(several_seeds and found.most <= tolerance, several_seeds and surely.least > tolerance),
        below=ours.below,
        tolerance=tolerance,
        resolvable=resolvable(found.independent, found.seeds),
        seeds=found.seeds,
        cases=found.cases,
        subject=f"{ours.counted.losses}/{ours.counted.tests}",
        rival=f"{theirs.counted.losses}/{theirs.counted.tests}",
        difference=found.rate,
        least=surely.least,
        most=found.most,
    )


def _ends(found: Difference) -> tuple[float, float]:
    """The interval's, of a metric that is to be large."""
    low, high = found.interval.low, found.interval.high
    return (low, high) if METRICS[found.metric].sign > 0 else (-high, -low)
