"""Several data sets, each judged by itself: the same networks side by side, and their ranks over the data sets.

Cells differ between data sets, so a network is known by its configuration. Scores of different test images are never
averaged; what can be averaged are ranks (Demšar 2006, JMLR 7:1-30).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ablate.analysis.by_seed import by_seed
from ablate.analysis.crossed import Interval
from ablate.analysis.format import listing, model_name, several
from ablate.analysis.pareto import COSTS, Cell, Cost, cells, tasks, value
from ablate.analysis.scores import cell_scores, metrics_of
from ablate.analysis.significance import mean_interval
from ablate.errors import InputError, unknown
from ablate.metrics.counts import COUNTS, METRICS, MetricName

if TYPE_CHECKING:
    from ablate.analysis.frames import Frames


class Entry(NamedTuple):
    """A network on one data set: its cell, its score (low and high NaN with one seed), and its costs there.

    `rank` is among the networks that every data set has, 1 the best; ties share the mean of their ranks.
    """

    cell: str
    score: Interval
    seeds: int
    costs: Mapping[Cost, float]
    rank: float | None


class Network(NamedTuple):
    """A network with an entry for each data set, `None` where it was not trained; `mean_rank` where it has all."""

    label: str
    model: str
    configuration: str
    trivial: bool
    entries: tuple[Entry | None, ...]
    mean_rank: float | None


class Friedman(NamedTuple):
    """The test of whether the networks' ranks differ at all (Friedman 1937); its p-value is an approximation."""

    statistic: float
    p_value: float
    networks: int
    data_sets: int


class Comparison(NamedTuple):
    """Networks, those with the best mean rank first and trivial ones last, over the data sets named in `data`."""

    metric: MetricName
    data: tuple[str, ...]
    networks: tuple[Network, ...]
    friedman: Friedman | None
    notes: tuple[str, ...]


class _Judged(NamedTuple):
    """One data set of one study."""

    name: str
    frames: Frames
    cells: tuple[Cell, ...]


def compare(studies: Mapping[str, Frames], metric: MetricName = "dice") -> Comparison:
    """The networks of several studies, by name, over all their data sets.

    Raises `InputError` where there are not two data sets with a scored network, or a study does not have the metric.
    """
    judged = _judged(studies, metric)
    if len(judged) < 2:
        found = (
            f"one data set with scored networks ({judged[0].name})" if judged else "no data set with scored networks"
        )
        raise InputError(f"{listing(list(studies))}: {found}; expected two or more: give studies of several data sets")
    notes: list[str] = []
    places = _matched(judged, notes)
    names = _labels({key: [one for one in row if one is not None] for key, row in places.items()})
    intervals = [_intervals(one, metric) for one in judged]
    common = [key for key, row in places.items() if all(one is not None and not one.trivial for one in row)]
    sign = METRICS[metric].sign
    ranks = _ranks([[sign * value(one, metric) for one in places[key] if one is not None] for key in common])
    rank_of = dict(zip(common, ranks, strict=False))
    networks = []
    for key, row in places.items():
        some = next(one for one in row if one is not None)
        own = rank_of.get(key)
        entries = tuple(
            None if one is None else _entry(one, metric, intervals[at], None if own is None else own[at])
            for at, one in enumerate(row)
        )
        mean_rank = None if own is None else float(np.mean(own))
        networks.append(Network(names[key], some.model, some.configuration, some.trivial, entries, mean_rank))
    networks.sort(key=partial(_best_first, sign))
    twins = _twins(judged, notes)
    trained = sum(not network.trivial for network in networks)
    if len(common) < 2:
        notes.append(f"{several(len(common), 'network')} in every data set: ranks need two.")
    elif len(common) < trained:
        notes.append(f"Ranks are among the {len(common)} of {trained} networks that every data set has.")
    friedman = _friedman(ranks, len(judged) - twins)
    return Comparison(metric, tuple(one.name for one in judged), tuple(networks), friedman, tuple(notes))


def _judged(studies: Mapping[str, Frames], metric: MetricName) -> list[_Judged]:
    """Every data set with a trained cell that has the metric; its name is the task's, with the study's where several
    share it."""
    for study, frames in studies.items():
        known = [*metrics_of(frames.images), *frames.scoring.asked]
        if metric not in known:
            raise unknown(f"metric of {study}", metric, known)
    by_study = {
        (study, task): frames._replace(trials=trials)
        for study, frames in studies.items()
        for task, trials in tasks(frames.trials).items()
    }
    shared = Counter(task for _, task in by_study)
    found = []
    for (study, task), frames in by_study.items():
        judged = tuple(one for one in cells(by_seed(frames)) if metric in METRICS or math.isfinite(value(one, metric)))
        if any(not one.trivial for one in judged):
            found.append(_Judged(f"{study}: {task}" if shared[task] > 1 else task, frames, judged))
    return found


def _matched(judged: Sequence[_Judged], notes: list[str]) -> dict[tuple[str, str], list[Cell | None]]:
    """The cells of each network, one a data set. Where a data set has a configuration twice, labels match too."""
    ambiguous = {
        configuration
        for one in judged
        for configuration, count in Counter(cell.configuration for cell in one.cells).items()
        if count > 1
    }
    if ambiguous:
        notes.append(
            f"{several(len(ambiguous), 'configuration')} trained in several ways on one data set: matched by name too."
        )
    places: dict[tuple[str, str], list[Cell | None]] = {}
    for at, one in enumerate(judged):
        for found in one.cells:
            key = (found.configuration, found.label if found.configuration in ambiguous else "")
            places.setdefault(key, [None] * len(judged))[at] = found
    return places


def _labels(networks: Mapping[tuple[str, str], Sequence[Cell]]) -> dict[tuple[str, str], str]:
    """A name for each network: the one that its cells share, else its family with what sets it apart there."""
    tokens = {key: set(found[0].configuration.split()) for key, found in networks.items()}

    def told_apart(key: tuple[str, str]) -> str:
        model = networks[key][0].model
        shared = set.intersection(*(tokens[other] for other, found in networks.items() if found[0].model == model))
        return " ".join([model_name(model), *(token for token in key[0].split() if token not in shared)])

    labels = {
        key: found[0].label if len({one.label for one in found}) == 1 else told_apart(key)
        for key, found in networks.items()
    }
    counts = Counter(labels.values())
    return {key: label if counts[label] == 1 else told_apart(key) for key, label in labels.items()}


def _intervals(judged: _Judged, metric: MetricName) -> dict[str, Interval]:
    scores = cell_scores(judged.frames, metric)
    return {name: mean_interval(found) for name, found in scores.items() if len(found.seeds) > 1}


def _entry(found: Cell, metric: MetricName, intervals: Mapping[str, Interval], rank: float | None) -> Entry:
    alone = Interval(value(found, metric), math.nan, math.nan, 0.95)
    costs = {cost: value(found, cost) for cost in COSTS}
    return Entry(found.id, intervals.get(found.id, alone), found.seeds, costs, rank)


def _ranks(scores: Sequence[Sequence[float]]) -> list[list[float]]:
    """Ranks of (networks, data sets) within each data set, 1 the highest; of one network there are none."""
    if len(scores) < 2:
        return []
    from scipy.stats import rankdata

    return [[float(rank) for rank in row] for row in rankdata(-np.asarray(scores), method="average", axis=0)]


def _friedman(ranks: Sequence[Sequence[float]], data_sets: int) -> Friedman | None:
    """Of at least three networks on at least three different data sets."""
    if len(ranks) < 3 or data_sets < 3:
        return None
    from scipy.stats import friedmanchisquare

    found = friedmanchisquare(*ranks)
    if not math.isfinite(found.pvalue):  # all tied everywhere
        return None
    return Friedman(float(found.statistic), float(found.pvalue), len(ranks), len(ranks[0]))


def _twins(judged: Sequence[_Judged], notes: list[str]) -> int:
    """How many data sets are another study's again: as their names, and the images' names, sizes and masks, say."""
    seen: dict[tuple[str, frozenset[tuple[str, ...]]], str] = {}
    twins = 0
    for one in judged:
        trials, images = one.frames.trials, one.frames.images
        images = images[images["key"].isin(trials["key"])]
        sizes = images.assign(there=images["tp"] + images["fn"], all=images[list(COUNTS)].sum(axis=1))
        distinct = sizes[["image", "class", "there", "all"]].drop_duplicates().astype(str)
        identity = (str(trials["data"].iloc[0]), frozenset(distinct.itertuples(index=False, name=None)))
        if identity in seen:
            notes.append(f"{one.name} looks like {seen[identity]} again: the same images count twice in mean ranks.")
            twins += 1
        seen.setdefault(identity, one.name)
    return twins


def _best_first(sign: int, network: Network) -> tuple[bool, float, float]:
    scores = [entry.score.estimate for entry in network.entries if entry is not None]
    rank = math.inf if network.mean_rank is None else network.mean_rank
    return network.trivial, rank, -sign * float(np.mean(scores))


# In words ------------------------------------------------------------------------------------------------------------


def findings(comparison: Comparison) -> list[str]:
    """What the ranks say, in sentences."""
    ranked = [network for network in comparison.networks if network.mean_rank is not None]
    said = []
    if ranked:
        best = [network for network in ranked if network.mean_rank == ranked[0].mean_rank]
        said.append(
            f"Best mean rank over {several(len(comparison.data), 'data set')}: "
            f"{listing([network.label for network in best])} ({ranked[0].mean_rank:.2f} of {len(ranked)})."
        )
    test = comparison.friedman
    if test is not None:
        said.append(
            f"Friedman test: ranks {'differ' if test.p_value <= 0.05 else 'are not shown to differ'} between networks "
            f"(chi-squared {test.statistic:.2f}, {test.networks - 1} degrees of freedom, p = {test.p_value:.2g}, which "
            "of few data sets is approximate)."
        )
    elif ranked:
        said.append("The Friedman test needs three networks on three different data sets.")
    return [*said, *comparison.notes]
