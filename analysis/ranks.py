"""Ranks of networks over data sets: whether they differ at all, and which two differ (Demšar 2006, JMLR 7:1-30).

The post-hoc test is Wilcoxon's signed-rank test of each pair over the data sets, with Holm's correction over the pairs.
Nemenyi's, which compares mean ranks, depends on which other networks are in the pool: two networks may differ or not by
what else was trained, and in an ablation that is a choice of the author's (Benavoli, Corani and Mangili 2016, JMLR
17:1-10, who recommend this test in its place).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ablate.analysis.format import listing, several
from ablate.analysis.significance import holm_corrected

ALPHA = 0.05
MOST_RANKED = 50
"""Networks whose pairs are tested: of more, no correction leaves anything, and a diagram is not read."""
_MOST_DATA_SETS = 50
_DIGITS = 12
"""Differences that differ by less are ties: scores are fractions, and floating point tells equal ones apart."""


class Friedman(NamedTuple):
    """The test of whether the networks' ranks differ at all (Friedman 1937); its p-value is an approximation."""

    statistic: float
    p_value: float
    networks: int
    data_sets: int


class Pair(NamedTuple):
    """Two networks over the data sets: on how many `a` scores better, worse and alike, and the two-sided p-value of
    Wilcoxon's signed-rank test, exact up to 13 data sets; `p_holm` is corrected for all pairs."""

    a: str
    b: str
    better: int
    worse: int
    alike: int
    p_value: float
    p_holm: float

    @property
    def significant(self) -> bool:
        return self.p_holm <= ALPHA


class PostHoc(NamedTuple):
    """Which networks differ. `networks` are by mean rank, the best first, and `pairs` go through them in that order.

    `groups` are the bars of the critical-difference diagram: the first and last place of each run of networks, two or
    more, of which no two are shown to differ; none is within another.
    """

    networks: tuple[str, ...]
    mean_ranks: tuple[float, ...]
    pairs: tuple[Pair, ...]
    groups: tuple[tuple[int, int], ...]
    data_sets: int

    @property
    def least(self) -> float:
        """The least p-value, after Holm's correction, that any pair could have: one better on each data set."""
        return min(1.0, len(self.pairs) * _least(self.data_sets))

    @property
    def data_sets_needed(self) -> int | None:
        """The fewest data sets on which some pair could be shown to differ; `None` beyond 50."""
        numbers = range(1, _MOST_DATA_SETS + 1)
        return next((k for k in numbers if len(self.pairs) * _least(k) <= ALPHA), None)

    @property
    def outside(self) -> tuple[Pair, ...]:
        """Pairs that are not shown to differ and share no bar all the same, for one between them differs from one."""
        place = {name: at for at, name in enumerate(self.networks)}
        joined = {pair for first, last in self.groups for pair in combinations(range(first, last + 1), 2)}
        return tuple(
            pair for pair in self.pairs if not pair.significant and (place[pair.a], place[pair.b]) not in joined
        )


def ranks(scores: ArrayLike) -> NDArray[np.float64]:
    """Ranks of (networks, data sets) within each data set, 1 the highest; ties share the mean of theirs.

    Of one network there are none. Scores are to be large.
    """
    from scipy.stats import rankdata

    found = np.round(np.asarray(scores, dtype=np.float64), _DIGITS)
    return rankdata(-found, method="average", axis=0) if len(found) > 1 else np.empty((0, 0))


def friedman(found: NDArray[np.float64]) -> Friedman | None:
    """Of ranks (networks, data sets): of at least three networks on at least three data sets; `None` otherwise."""
    if len(found) < 3 or found.shape[1] < 3:
        return None
    from scipy.stats import friedmanchisquare

    test = friedmanchisquare(*found)
    if not math.isfinite(test.pvalue):  # all tied everywhere
        return None
    return Friedman(float(test.statistic), float(test.pvalue), *found.shape)


def post_hoc(names: Sequence[str], scores: ArrayLike) -> PostHoc | None:
    """Every pair of the networks `names`, with scores (networks, data sets) that are to be large.

    `None` of fewer than two networks or data sets, and of more than `MOST_RANKED` networks.
    """
    values = np.asarray(scores, dtype=np.float64)
    if not 2 <= len(names) <= MOST_RANKED or values.shape[1] < 2:
        return None
    mean_ranks = ranks(values).mean(axis=1)
    order = sorted(range(len(names)), key=lambda at: mean_ranks[at])
    places = list(combinations(order, 2))
    differences = np.round([values[a] - values[b] for a, b in places], _DIGITS)
    p_values = _wilcoxon(differences)
    pairs = tuple(
        Pair(names[a], names[b], int((d > 0).sum()), int((d < 0).sum()), int((d == 0).sum()), p, corrected)
        for (a, b), d, p, corrected in zip(places, differences, p_values, holm_corrected(p_values), strict=True)
    )
    told_apart = [
        (first, last)
        for (first, last), pair in zip(combinations(range(len(order)), 2), pairs, strict=True)
        if pair.significant
    ]
    return PostHoc(
        networks=tuple(names[at] for at in order),
        mean_ranks=tuple(float(mean_ranks[at]) for at in order),
        pairs=pairs,
        groups=_groups(len(order), told_apart),
        data_sets=values.shape[1],
    )


def _wilcoxon(differences: NDArray[np.float64]) -> list[float]:
    """The p-value of each row (a data set a column); 1 where there is no difference at all."""
    from scipy.stats import wilcoxon

    found = np.ones(len(differences))
    some = differences.any(axis=1)
    if some.any():
        with np.errstate(invalid="ignore", divide="ignore"):
            found[some] = wilcoxon(differences[some], axis=1).pvalue
    return [float(p) for p in found]


def _least(data_sets: int) -> float:
    """The least p-value of Wilcoxon's test, two-sided: all differences of one sign."""
    return float(2.0 ** (1 - data_sets))


def _groups(count: int, told_apart: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """The longest runs of places that have no two that are told apart."""
    found: list[tuple[int, int]] = []
    for first in range(count):
        last = min((b - 1 for a, b in told_apart if a >= first), default=count - 1)
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return tuple(found)


# In words ------------------------------------------------------------------------------------------------------------


def friedman_said(test: Friedman) -> str:
    verb = "differ" if test.p_value <= ALPHA else "are not shown to differ"
    return (
        f"Friedman test: ranks {verb} between networks (chi-squared {test.statistic:.2f}, "
        f"{test.networks - 1} degrees of freedom, p = {test.p_value:.2g}, which of few data sets is approximate)."
    )


def post_hoc_said(found: PostHoc) -> list[str]:
    """What the pairs show, and what so many data sets can show at all."""
    counted = f"{several(len(found.pairs), 'pair')} of networks on {several(found.data_sets, 'data set')}"
    if found.least > ALPHA:
        needed = f"; {found.data_sets_needed} data sets or more could" if found.data_sets_needed else ""
        corrected = f", {found.least:.2g} after Holm's correction" if len(found.pairs) > 1 else ""
        return [
            f"No ranks could tell two networks apart here: of {counted} the least p-value of Wilcoxon's test is "
            f"{_least(found.data_sets):.2g}{corrected}{needed}. A stated comparison can be decided by the sizes of its "
            "differences: ablate claim, with the same studies."
        ]
    apart = [pair for pair in found.pairs if pair.significant]
    said = [
        f"Wilcoxon's test with Holm's correction tells {len(apart)} of {counted} apart"
        f" (the least p-value that there could be: {found.least:.2g})."
    ]
    if found.outside:
        named = listing([f"{pair.a} and {pair.b}" for pair in found.outside], 4)
        said.append(f"Not told apart either, though no bar joins them: {named}.")
    return said
