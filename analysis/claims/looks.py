"""Deciding a claim in looks: seeds are added until each hypothesis is decided, and 5 % is all the error there is.

Who looks after 2, 4, 6 and 10 seeds and stops as soon as p <= 0.05 errs in far more than 5 %. So each look may spend a
part of the error, planned beforehand: with `t` the share of the seeds that it has, all looks up to it have spent

    alpha(t) = 2 - 2 Phi(z / sqrt(t)),   z the quantile of 1 - alpha/2,

little at first, and alpha in the end (Lan and DeMets, Biometrika 70, 1983: of O'Brien and Fleming's type). A look
decides at what it adds, alpha(t) less what was spent before, held against p-values. So the error of all looks is at
most the sum, alpha, however they depend on each other: with few seeds, on the same images, p-values of several looks do
not go together as the usual boundaries assume. Those would allow a little more (0.042 instead of 0.038 at the last of
these four looks).

Once decided, a verdict stays as it is. One that refutes does so at its share of the claim's error (`whole`), so that
what is refuted refutes the claim, and with that the claim is decided. A claim that is false is supported in at most
5 %, for one of its verdicts that is false must have been.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

from ablate.analysis.claims.sure import ALPHA
from ablate.analysis.claims.verdict import ClaimResult, Outcome, Verdict
from ablate.analysis.claims.whole import chances
from ablate.analysis.failures import LEVEL
from ablate.analysis.format import MIXED
from ablate.errors import InputError

SEEDS = (2, 4, 6, 10)
"""Of each look, by default."""
_MOST_LOOKS, _MOST_SEEDS = 20, 1000

State = Literal["supported", "refuted", "open", "beyond"]
"""`beyond`: undecided, and no number of seeds would show it on so few test cases."""


class Decision(NamedTuple):
    """One verdict after a look. `look`, counted from 1, is when it was decided; 0 while it is not."""

    task: str
    hypothesis: int
    name: str
    state: State
    p_supported: float | None
    p_refuted: float | None
    cells: tuple[str, ...]
    look: int = 0

    @property
    def place(self) -> tuple[str, int, str]:
        return place_of(self.task, self.hypothesis, self.name)


def place_of(task: str, hypothesis: int, name: str) -> tuple[str, int, str]:
    """Which verdict it is, from look to look: cells whose seeds several versions made are marked from then on."""
    return task, hypothesis, name.replace(MIXED, "")


def check_looks(seeds: Sequence[int]) -> None:
    """Raises `InputError` for numbers of seeds that cannot be looked at in turn."""
    rising = all(one < other for one, other in pairwise(seeds))
    if not seeds or seeds[0] < 2 or not rising or len(seeds) > _MOST_LOOKS or seeds[-1] > _MOST_SEEDS:
        raise InputError(
            f"--looks {','.join(map(str, seeds))}: expected rising numbers of seeds from 2 on, at most {_MOST_LOOKS} "
            f"of them and at most {_MOST_SEEDS} seeds (2,4,6,10)"
        )


def spent(share: float, alpha: float = ALPHA) -> float:
    """The error that all looks up to this one may make, of the share (0 to 1) of the seeds that it has."""
    from scipy import stats

    return float(2 * stats.norm.sf(stats.norm.isf(alpha / 2) / math.sqrt(share))) if share > 0 else 0.0


def levels(seeds: Sequence[int], alpha: float = ALPHA) -> tuple[float, ...]:
    """The level of each look, by its number of seeds; their sum is `alpha`."""
    used = [0.0, *(spent(count / seeds[-1], alpha) for count in seeds)]
    return tuple(later - earlier for earlier, later in pairwise(used))


def decide(
    results: Sequence[ClaimResult], before: Iterable[Decision], seeds: Sequence[int], look: int
) -> tuple[Decision, ...]:
    """What is decided after a look, counted from 1, with what was `before`: that stays.

    `results` are the claim judged by the seeds of this look. A verdict that was open and is not judged any more stays
    open.
    """
    known = {decision.place: decision for decision in before}
    spending = levels(seeds)
    for result in results:
        over = chances(result.verdicts)
        for verdict in result.verdicts:
            place = place_of(result.task, verdict.hypothesis, verdict.name)
            if place not in known or known[place].state == "open":
                known[place] = _after(verdict, result.task, spending, look, over)
    return tuple(known.values())


def _after(verdict: Verdict, task: str, spending: Sequence[float], look: int, over: int) -> Decision:
    level = spending[look - 1]
    state: State = "open"
    if verdict.p_refuted <= level / over:
        state = "refuted"
    elif verdict.p_supported <= level:
        state = "supported"
    elif _is_beyond(verdict, spending[look:]):
        state = "beyond"
    decided = look if state in ("supported", "refuted") else 0
    p_supported, p_refuted = _known(verdict.p_supported), _known(verdict.p_refuted)
    return Decision(task, verdict.hypothesis, verdict.name, state, p_supported, p_refuted, verdict.cells, decided)


def _known(p: float) -> float | None:
    return None if math.isnan(p) else p


def _is_beyond(verdict: Verdict, later: Sequence[float]) -> bool:
    """Whether, on so many test cases, no loss at all would not show what is tolerated at any later look."""
    lost = verdict.failures
    if lost is None or not later or lost.resolvable >= 1:
        return False
    independent = math.log(1 - LEVEL) / math.log1p(-lost.resolvable)
    return (1 - lost.tolerance) ** independent > max(later)


def needed(decisions: Iterable[Decision]) -> set[str]:
    """The cells that an open verdict needs more seeds of: the subject, and those that it is held against.

    On a data set where the claim is refuted it is decided: nothing is needed any more.
    """
    known = list(decisions)
    over = {decision.task for decision in known if decision.state == "refuted"}
    return {cell for one in known if one.state == "open" and one.task not in over for cell in one.cells}


def outcome(decisions: Iterable[Decision]) -> Outcome:
    """What the claim is by its decisions, of one data set."""
    states = {decision.state for decision in decisions}
    return "refuted" if "refuted" in states else "supported" if states == {"supported"} else "inconclusive"
