"""What a page shows of a data set's networks, all at once: what each is, costs, scores and loses, and how it got there.

A record, from the tables alone; `networks_data` writes it as the JSON that the page's views read. No HTML and no figure
is made here, so that a report, the page of a front and a page that grows while trials train show the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ablate.analysis.figures.networks_progress import Progress, progress_of
from ablate.analysis.format import MIXED, NO_BREAK, model_name
from ablate.analysis.levels import declared, in_order, is_number, logarithmic, natural
from ablate.analysis.names import FACTOR
from ablate.analysis.pareto import COSTS, UNITS, Cell, axis_title, best_first, cells, fronts, maximised, offered, value
from ablate.analysis.scores import metrics_of
from ablate.analysis.uncertainty import with_chosen
from ablate.metrics.counts import METRICS, MetricName
from ablate.study.short_names import is_short

if TYPE_CHECKING:
    import pandas as pd

    from ablate.analysis.crossed import Interval
    from ablate.analysis.failures import Failures
    from ablate.analysis.frames import Frames
    from ablate.analysis.pareto import Pareto
    from ablate.analysis.scores import CellScores
    from ablate.analysis.uncertainty import UncertainFront
    from ablate.study.runs import Run

    Intervals = Mapping[MetricName, Mapping[str, Interval]]

FAILURES = "failures"
"""The quantity that is a share of tests: what was lost of them."""
_LONGEST = 24
"""Characters of a name that is written beside a point; where one is longer, all have short ones."""


class Network(NamedTuple):
    """A network, or a trivial predictor. `name` is what it is called in figures, `label` what tables call it."""

    cell: str
    name: str
    label: str
    model: str
    configuration: str
    trivial: bool
    seeds: int
    epochs: float
    seconds: float


class Quantity(NamedTuple):
    """What networks can be held against each other by: `values` (networks,), NaN where it is not known.

    `low` and `high` are 95 % intervals, `spread` is the standard deviation over seeds of those without one; each is
    empty where no network has it. `corrected`: places of those intervals that are corrected for having been chosen.
    `kind` is `cost`, `score` or `share`; `title` is what an axis says.
    """

    name: str
    label: str
    title: str
    kind: str
    maximise: bool
    unit: str
    values: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    spread: tuple[float, ...] = ()
    corrected: tuple[int, ...] = ()


class Factor(NamedTuple):
    """What was varied: its `levels` in order, and the place there of each network's (-1: it has none).

    `log`: they are numbers of a range on a logarithmic scale, or, of no range, that span more than a decade.
    """

    name: str
    levels: tuple[str, ...]
    at: tuple[int, ...]
    numeric: bool = False
    log: bool = False


class Sure(NamedTuple):
    """How sure a front of `y` against `x` is, by the places of networks: who is on it with which probability, who may
    be, who surely is; and its band, as of `uncertainty.Band`."""

    x: str
    y: str
    probability: Mapping[int, float]
    possible: tuple[int, ...]
    sure: tuple[int, ...]
    band: tuple[tuple[float, ...], ...]
    seeds: int


class Settings(NamedTuple):
    """Whole configurations, path by path: those that all networks share, and of others the text of each network."""

    shared: Mapping[str, str] = {}
    varied: Mapping[str, tuple[str, ...]] = {}


class Tested(NamedTuple):
    """Mean scores over seeds, (networks, units) as nested tuples, NaN where there is none. `networks` are the places of
    those that are in it."""

    metric: str
    unit: str
    units: tuple[str, ...]
    networks: tuple[int, ...]
    scores: tuple[tuple[float, ...], ...]


NOT_TESTED = Tested("", "image", (), (), ())


class Networks(NamedTuple):
    """One data set's networks, best Dice first and trivial predictors last, and what is known of them.

    `left_out` says in a line what is not in it, or is empty.
    """

    task: str
    networks: tuple[Network, ...]
    quantities: tuple[Quantity, ...]
    factors: tuple[Factor, ...]
    sure: tuple[Sure, ...]
    settings: Settings
    progress: Progress
    tested: Tested
    lost: Mapping[int, str] = {}
    """In words, by place."""
    left_out: str = ""


class Known(NamedTuple):
    """What is known of a data set's networks beside the tables. Whatever was not computed is empty."""

    intervals: Mapping[MetricName, Mapping[str, Interval]] = {}
    uncertain: Sequence[UncertainFront] = ()
    failures: Mapping[str, Failures] = {}
    scores: Mapping[str, CellScores] = {}
    """By cell, of Dice; scores of single cases are from these."""
    settings: Mapping[str, Mapping[str, str]] = {}
    """By cell, path and text of every setting."""
    runs: Sequence[Run] = ()


def networks(
    frames: Frames, trials: pd.DataFrame, called: Mapping[str, str], known: Known | None = None
) -> Networks | None:
    """The record of one data set, whose rows of `by_seed(frames)` are `trials`; None where no network is scored.

    `called` are the names of networks by cell (`short_names`), of all data sets together.
    """
    known = known or Known()
    found = best_first([cell for cell in cells(trials) if not cell.trivial])
    if not found:
        return None
    rows = [*found, *best_first([cell for cell in cells(trials) if cell.trivial])]
    place = {cell.id: at for at, cell in enumerate(rows)}
    ids = [cell.id for cell in rows]
    progress, stopped = progress_of(frames, trials, [cell.id for cell in found])
    return Networks(
        task=str(trials["data"].iloc[0]),
        networks=tuple(_network(cell, called.get(cell.id, cell.label), frames) for cell in rows),
        quantities=tuple(_quantities(rows, trials, known)),
        factors=tuple(_factors(trials, rows, known.runs)),
        sure=tuple(_sure(one, place) for one in known.uncertain),
        settings=_settings(ids, known.settings),
        progress=progress,
        tested=_tested(rows, known.scores),
        lost={place[cell]: _lost(one) for cell, one in known.failures.items() if cell in place},
        left_out=stopped,
    )


def by_task(frames: Frames, tasks: Mapping[str, pd.DataFrame], known: Mapping[str, Known]) -> tuple[Networks, ...]:
    """The records of the data sets (`pareto.tasks`) that have a scored network."""
    scored = (cell for rows in tasks.values() for cell in cells(rows) if not cell.trivial)
    called = short_names(list({cell.id: cell for cell in scored}.values()), frames.named)
    found = (networks(frames, rows, called, known.get(task)) for task, rows in tasks.items())
    return tuple(one for one in found if one is not None)


# Names and factors ---------------------------------------------------------------------------------------------------


def _network(cell: Cell, name: str, frames: Frames) -> Network:
    named = frames.named.get(cell.id)
    return Network(
        cell=cell.id,
        name=name,
        label=cell.label,
        model=model_name(cell.model),
        configuration=named.configuration if named else cell.configuration,
        trivial=cell.trivial,
        seeds=cell.seeds,
        epochs=cell.epochs,
        seconds=cell.train_seconds,
    )


def short_names(found: Sequence[Cell], named: Mapping[str, object]) -> dict[str, str]:
    """What networks are called in figures: the labels, if all are short; or else n1, n2, … in the order of labels.

    Networks that a search proposed keep the names that the study gave them; others are counted on from there.
    """
    if all(len(cell.label) <= _LONGEST for cell in found):
        return {cell.id: cell.label for cell in found}
    taken = [cell.label.removesuffix(MIXED) for cell in found if cell.id in named]
    last = max((int(name[1:]) for name in taken if is_short(name)), default=0)
    others = sorted((cell for cell in found if cell.id not in named), key=lambda cell: (natural(cell.label), cell.id))
    return {cell.id: cell.label for cell in found if cell.id in named} | {
        cell.id: f"n{last + at}" for at, cell in enumerate(others, 1)
    }


def _factors(trials: pd.DataFrame, rows: Sequence[Cell], runs: Sequence[Run]) -> list[Factor]:
    """Those that differ between networks: what networks are, then the factors of the spaces."""
    firsts = trials.drop_duplicates("cell").set_index("cell")
    found = [_factor("network", [model_name(cell.model) if not cell.trivial else "" for cell in rows], [])]
    for column in (name for name in trials if str(name).startswith(FACTOR)):
        levels = firsts[column].reindex([cell.id for cell in rows])
        texts = [
            "" if not isinstance(level, str) or cell.trivial else level
            for level, cell in zip(levels, rows, strict=True)
        ]
        name = str(column).removeprefix(FACTOR)
        if name != "network":
            found.append(_factor(name, texts, runs))
    return [
        factor
        for factor in found
        if len({at for at, cell in zip(factor.at, rows, strict=True) if not cell.trivial}) > 1
    ]


def _factor(name: str, texts: Sequence[str], runs: Sequence[Run]) -> Factor:
    known = [level for run in runs for level in declared(run, name)]
    levels = in_order([text for text in texts if text], known)
    place = {level: at for at, level in enumerate(levels)}
    numeric = bool(levels) and all(map(is_number, levels))
    log = next((found for run in runs if (found := logarithmic(run, name)) is not None), None)
    if log is None:
        log = numeric and 0 < 10 * float(levels[0]) <= float(levels[-1])
    return Factor(name, tuple(levels), tuple(place.get(text, -1) for text in texts), numeric, log)


# Costs and scores ----------------------------------------------------------------------------------------------------


def _quantities(rows: Sequence[Cell], trials: pd.DataFrame, known: Known) -> list[Quantity]:
    """Scores, then costs, then failures: each that a network has."""
    trained = [cell for cell in rows if not cell.trivial]
    metrics = [m for m in metrics_of(trials) if any(math.isfinite(value(cell, m)) for cell in trained)]
    intervals = with_chosen(known.intervals, known.uncertain) if known.intervals else {}
    found = [_scored(rows, metric, known.intervals, intervals) for metric in metrics]
    planes = {front.x: front for front in fronts(trials, "params", "dice") if front.y == "dice"}
    found += [_cost(rows, cost, planes[cost]) for cost in offered(rows) if cost in planes]
    if known.failures:
        rates = [known.failures[cell.id].counted.bounds if cell.id in known.failures else None for cell in rows]
        shares = tuple(math.nan if one is None else float(one.rate) for one in rates)
        most = tuple(math.nan if one is None else float(one.most) for one in rates)
        least = tuple(math.nan if one is None else float(one.least) for one in rates)
        found.append(
            Quantity(FAILURES, "Failures", "Failures, share of tests", "share", False, "", shares, least, most)
        )
    return found


def _cost(rows: Sequence[Cell], cost: Any, front: Pareto) -> Quantity:
    """Of costs that are measured, only networks measured on the one device that most were."""
    there = {point.cell for point in front.points}
    values = tuple(value(cell, cost) if cell.id in there else math.nan for cell in rows)
    return Quantity(cost, COSTS[cost], axis_title(cost, front.device), "cost", False, UNITS.get(cost, ""), values)


def _scored(rows: Sequence[Cell], metric: MetricName, plain: Intervals, intervals: Intervals) -> Quantity:
    of_cell, as_found = intervals.get(metric, {}), plain.get(metric, {})
    ends = [None if cell.trivial else of_cell.get(cell.id) for cell in rows]
    spread = tuple(
        math.nan if (of_seeds := cell.score(metric).spread) is None or _known(end) else of_seeds
        for cell, end in zip(rows, ends, strict=True)
    )
    return Quantity(
        name=metric,
        label=METRICS[metric].heading,
        title=METRICS[metric].heading,
        kind="score",
        maximise=maximised(metric),
        unit=METRICS[metric].unit,
        values=tuple(value(cell, metric) for cell in rows),
        low=tuple(math.nan if one is None else one.low for one in ends) if of_cell else (),
        high=tuple(math.nan if one is None else one.high for one in ends) if of_cell else (),
        spread=spread if any(map(math.isfinite, spread)) else (),
        corrected=tuple(at for at, one in enumerate(ends) if one is not None and one != as_found.get(rows[at].id)),
    )


def _known(one: Interval | None) -> bool:
    return one is not None and math.isfinite(one.low) and math.isfinite(one.high)


def _sure(found: UncertainFront, place: Mapping[str, int]) -> Sure:
    def places(names: Sequence[str]) -> tuple[int, ...]:
        return tuple(place[cell] for cell in names if cell in place)

    return Sure(
        x=found.x,
        y=found.y,
        probability={place[cell]: share for cell, share in found.probability.items() if cell in place},
        possible=places(found.possible),
        sure=places(found.sure),
        band=tuple(found.band) if found.band.costs else (),
        seeds=found.seeds,
    )


def _lost(found: Failures) -> str:
    """`3 of 36 tests, at most 20 %`."""
    counted = found.counted
    return f"{counted.losses}/{counted.tests} (≤{NO_BREAK}{100 * counted.bounds.most:.0f}{NO_BREAK}%)"


# Configurations and single cases -------------------------------------------------------------------------------------


def _settings(ids: Sequence[str], by_cell: Mapping[str, Mapping[str, str]]) -> Settings:
    paths = list(dict.fromkeys(path for cell in ids for path in by_cell.get(cell, ())))
    shared, varied = {}, {}
    known = [cell for cell in ids if cell in by_cell]
    for path in paths:
        texts = tuple(by_cell.get(cell, {}).get(path, "") for cell in ids)
        if len({by_cell[cell].get(path, "") for cell in known}) == 1:
            shared[path] = by_cell[known[0]][path]
        else:
            varied[path] = texts
    return Settings(shared, varied)


_MOST_SCORES = 300_000
"""Of single cases, over all networks; of more, those of the best networks."""


def _tested(rows: Sequence[Cell], scores: Mapping[str, CellScores]) -> Tested:
    there = [(at, scores[cell.id]) for at, cell in enumerate(rows) if cell.id in scores]
    if not there:
        return NOT_TESTED
    units = list(dict.fromkeys(unit for _, one in there for unit in one.images))
    there = there[: max(2, _MOST_SCORES // max(len(units), 1))]
    column = {unit: at for at, unit in enumerate(units)}
    found = []
    for _, one in there:
        means = np.full(len(units), math.nan)
        known = np.isfinite(one.values)
        sums, counts = np.where(known, one.values, 0.0).sum(axis=0), known.sum(axis=0)
        means[[column[unit] for unit in one.images]] = np.divide(
            sums, counts, out=np.full(len(sums), math.nan), where=counts > 0
        )
        found.append(tuple(means.tolist()))
    first = there[0][1]
    return Tested(first.metric or "dice", first.unit, tuple(units), tuple(at for at, _ in there), tuple(found))
