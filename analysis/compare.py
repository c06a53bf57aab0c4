"""Several data sets, each judged by itself: the same networks side by side, and their ranks over the data sets.

Cells differ between data sets, so a network is known by its configuration. Scores of different test images are never
averaged; what can be averaged are ranks (`ablate.analysis.ranks`).
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
from ablate.analysis.data_sets import DataSet, data_sets, repeats
from ablate.analysis.format import MIXED, listing, model_name, several
from ablate.analysis.pareto import COSTS, Cell, Cost, cells, value
from ablate.analysis.ranks import (
    MOST_RANKED,
    Friedman,
    PostHoc,
    friedman,
    friedman_said,
    post_hoc,
    post_hoc_said,
    ranks,
)
from ablate.analysis.scores import cell_scores, metrics_of
from ablate.analysis.significance import mean_interval
from ablate.errors import InputError, unknown
from ablate.metrics.counts import METRICS, MetricName

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


class Comparison(NamedTuple):
    """Networks, those with the best mean rank first and trivial ones last, over the data sets named in `data`."""

    metric: MetricName
    data: tuple[str, ...]
    networks: tuple[Network, ...]
    friedman: Friedman | None
    post_hoc: PostHoc | None
    """Which networks differ, of those that every data set has."""
    ranked: tuple[str, ...]
    """The data sets that mean ranks and tests are over: none repeats another's images."""
    notes: tuple[str, ...]


class _Judged(NamedTuple):
    """A data set with its scored cells."""

    data: DataSet
    cells: tuple[Cell, ...]


def compare(studies: Mapping[str, Frames], metric: MetricName = "dice") -> Comparison:
    """The networks of several studies, by name, over all their data sets.

    Raises `InputError` where there are not two data sets with a scored network, or a study does not have the metric.
    """
    judged = _judged(studies, metric)
    if len(judged) < 2:
        found = (
            f"one data set with scored networks ({judged[0].data.name})"
            if judged
            else "no data set with scored networks"
        )
        raise InputError(f"{listing(list(studies))}: {found}; expected two or more: give studies of several data sets")
    notes: list[str] = []
    places = _matched(judged, notes)
    names = _labels({key: [one for one in row if one is not None] for key, row in places.items()})
    intervals = [_intervals(one, metric) for one in judged]
    common = [key for key, row in places.items() if all(one is not None and not one.trivial for one in row)]
    sign = METRICS[metric].sign
    scores = np.array([[sign * value(one, metric) for one in places[key] if one is not None] for key in common])
    found_ranks = ranks(scores)
    again = repeats([one.data for one in judged])
    notes += [f"{name} looks like {other} again: the same images count once in ranks." for name, other in again.items()]
    once = [at for at, one in enumerate(judged) if one.data.name not in again]
    rank_of = dict(zip(common, found_ranks.tolist(), strict=False))
    networks = []
    for key, row in places.items():
        some = next(one for one in row if one is not None)
        own = rank_of.get(key)
        entries = tuple(
            None if one is None else _entry(one, metric, intervals[at], None if own is None else own[at])
            for at, one in enumerate(row)
        )
        mean_rank = None if own is None else float(np.mean([own[at] for at in once]))
        networks.append(Network(names[key], some.model, some.configuration, some.trivial, entries, mean_rank))
    networks.sort(key=partial(_best_first, sign))
    _say_ranked(len(common), sum(not network.trivial for network in networks), notes)
    ranked = len(found_ranks) > 0
    return Comparison(
        metric=metric,
        data=tuple(one.data.name for one in judged),
        networks=tuple(networks),
        friedman=friedman(found_ranks[:, once]) if ranked else None,
        post_hoc=post_hoc([names[key] for key in common], scores[:, once]) if ranked else None,
        ranked=tuple(judged[at].data.name for at in once),
        notes=tuple(notes),
    )


def _say_ranked(ranked: int, trained: int, notes: list[str]) -> None:
    if ranked < 2:
        notes.append(f"{several(ranked, 'network')} in every data set: ranks need two.")
    elif ranked < trained:
        notes.append(f"Ranks are among the {ranked} of {trained} networks that every data set has.")
    if ranked > MOST_RANKED:
        notes.append(
            f"Pairs of {ranked} networks are not tested: no correction would leave anything of so many; "
            f"up to {MOST_RANKED} are."
        )


def _judged(studies: Mapping[str, Frames], metric: MetricName) -> list[_Judged]:
    """Every data set with a trained cell that has the metric."""
    for study, frames in studies.items():
        known = [*metrics_of(frames.images), *frames.scoring.asked]
        if metric not in known:
            raise unknown(f"metric of {study}", metric, known)
    found = []
    for one in data_sets(studies):
        judged = tuple(_of_all(cell, one) for cell in cells(by_seed(one.frames)) if math.isfinite(value(cell, metric)))
        if any(not cell.trivial for cell in judged):
            found.append(_Judged(one, judged))
    return found


def _of_all(cell: Cell, data: DataSet) -> Cell:
    """The cell under a name that holds for all studies: short ones (n7) are each study's own."""
    named = data.frames.named.get(cell.id)
    if named is None:
        return cell
    return cell._replace(label=named.configuration + MIXED * cell.label.endswith(MIXED))


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
    scores = cell_scores(judged.data.frames, metric)
    return {name: mean_interval(found) for name, found in scores.items() if len(found.seeds) > 1}


def _entry(found: Cell, metric: MetricName, intervals: Mapping[str, Interval], rank: float | None) -> Entry:
    alone = Interval(value(found, metric), math.nan, math.nan, 0.95)
    costs = {cost: value(found, cost) for cost in COSTS}
    return Entry(found.id, intervals.get(found.id, alone), found.seeds, costs, rank)


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
            f"Best mean rank over {several(len(comparison.ranked), 'data set')}: "
            f"{listing([network.label for network in best])} ({ranked[0].mean_rank:.2f} of {len(ranked)})."
        )
    if comparison.friedman is not None:
        said.append(friedman_said(comparison.friedman))
    elif ranked:
        said.append("The Friedman test needs three networks on three different data sets.")
    if comparison.post_hoc is not None:
        said += post_hoc_said(comparison.post_hoc)
    return [*said, *comparison.notes]
