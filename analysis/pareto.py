"""Which configurations are worth their cost: those that no other beats in cost and score at once.

Non-domination, ranks and hypervolume are moocore's (compiled, exact). Costs are to be small, and so are scores that are
distances; others are to be large. A cell without a value for one of a plane's axes is left out of that plane.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import moocore
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ablate.analysis.deployed import Files, OfFiles, about_files, files_of
from ablate.analysis.format import NO_BREAK, si
from ablate.analysis.scores import metrics_of
from ablate.cost.names import ALL_COSTS, COSTS_OF_NETWORKS, runtime_of
from ablate.cost.names import UNITS as UNITS
from ablate.errors import InputError, unknown
from ablate.metrics.counts import METRICS, MetricName
from ablate.study.tables import JUDGED, own_metrics

if TYPE_CHECKING:
    import pandas as pd

Cost = str
"""One of `COSTS`: params, macs, latency_ms, …, and of files latency_ms@onnx, …"""
Objective = Cost | MetricName
COSTS: dict[Cost, str] = ALL_COSTS
COST_WORDS: dict[Cost, str] = {c: name if c == "macs" else name[0].lower() + name[1:] for c, name in COSTS.items()}
"""As they stand within a sentence."""
MARGIN = 1.1
"""The reference point's cost, in units of the largest cost."""


class Score(NamedTuple):
    """A test score: its mean over seeds and their sample standard deviation (`None` for one seed)."""

    mean: float
    spread: float | None


class Cell(NamedTuple):
    """All seeds of one configuration that were scored. Costs, `epochs` and `train_seconds` are means over them.

    A cost that was not measured is NaN; `device` is what latency and memory were measured on and with, or empty.
    """

    id: str
    label: str
    model: str
    configuration: str
    trivial: bool
    seeds: int
    params: float
    macs: float
    latency_ms: float
    peak_memory_mb: float
    device: str
    dice: Score
    miou: Score
    iou: Score
    epochs: float
    train_seconds: float
    more: Mapping[MetricName, Score] = {}
    """By metrics of the trials' own; NaN where they have none."""
    files: Files = Files()

    def score(self, metric: MetricName) -> Score:
        found: Score = self.more[metric] if metric in self.more else getattr(self, metric)
        return found


class Point(NamedTuple):
    """A cell in the plane of cost (`x`) and mean score (`y`)."""

    cell: str
    label: str
    model: str
    configuration: str
    x: float
    y: float
    spread: float | None
    seeds: int
    on_front: bool


class Pareto(NamedTuple):
    """Cells by rising cost, which of them are on the front, and the trivial rows they are held against, best first.

    `hypervolume` is the area that the front dominates up to `reference` (cost, score), in cost times score. `device` is
    what a measured cost was measured on, empty where it does not matter or is not known.
    """

    x: Cost
    y: MetricName
    points: tuple[Point, ...]
    front: tuple[str, ...]
    trivial: tuple[Point, ...]
    reference: tuple[float, float]
    hypervolume: float
    device: str = ""
    of_files: OfFiles | None = None


class Front(NamedTuple):
    """The trained cells under several objectives: `points` (cells, objectives), `ranks` (cells,): 0 is the front."""

    objectives: tuple[Objective, ...]
    cells: tuple[str, ...]
    points: NDArray[np.float64]
    ranks: NDArray[np.intp]
    reference: tuple[float, ...]
    hypervolume: float

    @property
    def front(self) -> tuple[str, ...]:
        return tuple(cell for cell, rank in zip(self.cells, self.ranks, strict=True) if rank == 0)


# Of points -----------------------------------------------------------------------------------------------------------


def nondominated(points: ArrayLike, maximise: Sequence[bool]) -> NDArray[np.bool_]:
    """Which rows of `points` (n, objectives) no other row beats: (n,). Rows that are equal stand or fall together."""
    rows = np.asarray(points, dtype=np.float64)
    if not len(rows):
        return np.zeros(0, dtype=bool)
    return np.asarray(moocore.is_nondominated(rows, maximise=list(maximise), keep_weakly=True), dtype=bool)


def ranks(points: ArrayLike, maximise: Sequence[bool]) -> NDArray[np.intp]:
    """The rank of each row of `points` (n, objectives): 0 is the front, 1 the front of what is left, and so on."""
    rows = np.asarray(points, dtype=np.float64)
    if not len(rows):
        return np.zeros(0, dtype=np.intp)
    return np.asarray(moocore.pareto_rank(rows, maximise=list(maximise)), dtype=np.intp)


def hypervolume(points: ArrayLike, reference: Sequence[float], maximise: Sequence[bool]) -> float:
    """The volume between the front of `points` (n, objectives) and `reference` (objectives,), in the objectives' units.

    Points that are no better than the reference in some objective add nothing.
    """
    rows = np.asarray(points, dtype=np.float64)
    return float(moocore.hypervolume(rows, ref=list(reference), maximise=list(maximise))) if len(rows) else 0.0


def maximised(objective: Objective) -> bool:
    """Scores are to be large; costs, and scores that are distances, small."""
    return objective not in COSTS and METRICS[objective].sign > 0


def most_dominated(reference: tuple[float, float], metric: MetricName) -> float:
    """The hypervolume, up to `reference` (cost, score), of a network that is free and perfect."""
    cost, bar = reference
    return cost * (1 - bar) if maximised(metric) else cost * bar


# Of cells ------------------------------------------------------------------------------------------------------------


def tasks(trials: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The trials of each data set, by its name: only scores of the same test images compare."""
    return {str(name): rows for name, rows in trials.groupby("data")}


def cells(trials: pd.DataFrame) -> tuple[Cell, ...]:
    """The scored cells of a trial table, trivial ones last. A cell without a complete trial is left out."""
    scored = trials[trials["state"].isin(JUDGED)]
    scored = scored.assign(**{name: math.nan for name in COSTS_OF_NETWORKS if name not in scored})
    files = files_of(scored)
    scored = scored.assign(device=_measured_on(scored))
    groups = scored.groupby("cell", sort=False)
    texts = groups[["label", "model", "configuration", "state", "device"]].first().to_dict("index")
    seeds = groups.size().to_dict()
    metrics, own = metrics_of(scored), own_metrics(scored)
    means = groups[[*COSTS_OF_NETWORKS, "epochs", "train_seconds", *metrics]].mean().to_dict("index")
    spreads = groups[metrics].std(ddof=1).to_dict("index")

    def cell(name: str) -> Cell:
        def score(metric: MetricName) -> Score:
            spread = float(spreads[name][metric])
            return Score(float(means[name][metric]), None if math.isnan(spread) else spread)

        text, mean = texts[name], means[name]
        return Cell(
            id=name,
            label=str(text["label"]),
            model=str(text["model"]),
            configuration=str(text["configuration"]),
            trivial=text["state"] == "trivial",
            seeds=int(seeds[name]),
            params=float(mean["params"]),
            macs=float(mean["macs"]),
            latency_ms=float(mean["latency_ms"]),
            peak_memory_mb=float(mean["peak_memory_mb"]),
            device=str(text["device"]),
            dice=score("dice"),
            miou=score("miou"),
            iou=score("iou"),
            epochs=float(mean["epochs"]),
            train_seconds=float(mean["train_seconds"]),
            more={label: score(label) for label in own},
            files=files.get(name, Files()),
        )

    return tuple(sorted((cell(str(name)) for name in texts), key=lambda row: row.trivial))


def _measured_on(trials: pd.DataFrame) -> Sequence[str] | str:
    """The device and the input size of each trial's latency and memory, as far as the table has them."""
    columns = [trials[name] for name in ("latency_device", "latency_input") if name in trials]
    if not columns:
        return ""
    texts = zip(*(column.where(column.notna(), "") for column in columns), strict=True)
    return [", ".join(str(text) for text in parts if text) for parts in texts]


def offered(known: Iterable[Cell]) -> tuple[Cost, ...]:
    """The costs that at least one trained cell has."""
    trained = [cell for cell in known if not cell.trivial]
    return tuple(cost for cost in COSTS if any(math.isfinite(value(cell, cost)) for cell in trained))


def value(cell: Cell, objective: Objective) -> float:
    """A cell's cost, or its mean score."""
    if runtime_of(objective):
        return float(cell.files.costs.get(objective, math.nan))
    return float(getattr(cell, objective)) if objective in COSTS else cell.score(objective).mean


def device_of(cell: Cell, cost: Cost) -> str:
    """What a cost was measured on and with; '' of one that is the same everywhere."""
    if cost not in UNITS or cost.startswith("file_mb"):
        return ""
    return cell.files.devices.get(runtime_of(cost), "") if runtime_of(cost) else cell.device


def best_first(known: Iterable[Cell]) -> list[Cell]:
    """By Dice, those without one last."""
    return sorted(known, key=lambda one: -one.dice.mean if math.isfinite(one.dice.mean) else math.inf)


# Fronts --------------------------------------------------------------------------------------------------------------


def pareto(trials: pd.DataFrame, x: Cost, y: MetricName, reference: tuple[float, float] | None = None) -> Pareto:
    """Cells by cost `x` and score `y`, and the front: cells that no other beats in one without losing in the other.

    Cells that tie in both are on the front together. Trivial rows are never on it: they cost nothing, so all would be.
    The hypervolume's `reference` (cost, score) is, unless given, 1.1 times the largest cost and the score of the best
    trivial row: what is dominated is what training earns. Without one it is 0, of a distance 1.1 times the largest.
    Measured costs compare on one device only: cells measured on another than most are left out.
    """
    return _pareto(cells(trials), x, y, reference)


def fronts(trials: pd.DataFrame, x: Cost = "params", y: MetricName = "dice") -> tuple[Pareto, ...]:
    """The records of every score and every cost that a cell has, that of `x` and `y` first."""
    known = cells(trials)
    measured = offered(known)
    scored = [m for m in metrics_of(trials) if m in (*METRICS, y) or any(math.isfinite(value(c, m)) for c in known)]
    pairs = [(cost, metric) for cost in COSTS if cost == x or cost in measured for metric in scored]
    return tuple(_pareto(known, *pair) for pair in sorted(pairs, key=lambda pair: pair != (x, y)))


def front(trials: pd.DataFrame, objectives: Sequence[Objective], reference: Sequence[float] | None = None) -> Front:
    """The trained cells under several objectives at once: `front(trials, ("dice", "params", "macs"))`.

    `reference` is one value for each objective; its default is as `pareto` has it. Raises `InputError` for objectives
    that are unknown, fewer than two, or named twice.
    """
    for name in objectives:
        if name not in COSTS and name not in metrics_of(trials):
            raise unknown("objective", name, [*COSTS, *metrics_of(trials)])
    if len(set(objectives)) != len(objectives) or len(objectives) < 2:
        raise InputError(f"objectives {', '.join(objectives)}: expected two or more different ones")
    known = cells(trials)
    trained = [cell for cell in known if not cell.trivial]
    for name in objectives:
        trained = _on_one_device(trained, name)
    trained = [cell for cell in trained if all(math.isfinite(value(cell, name)) for name in objectives)]
    points = np.array([[value(cell, name) for name in objectives] for cell in trained], dtype=np.float64)
    points = points.reshape(len(trained), len(objectives))
    trivial = [cell for cell in known if cell.trivial]
    if reference is None:
        reference = [
            MARGIN * float(points[:, at].max(initial=0))
            if name in COSTS
            else _bar(name, (value(cell, name) for cell in trivial), points[:, at])
            for at, name in enumerate(objectives)
        ]
    if len(reference) != len(objectives):
        raise InputError(
            f"reference point with {len(reference)} values for {len(objectives)} objectives: give each one"
        )
    up = [maximised(name) for name in objectives]
    return Front(
        objectives=tuple(objectives),
        cells=tuple(cell.id for cell in trained),
        points=points,
        ranks=ranks(points, up),
        reference=tuple(reference),
        hypervolume=hypervolume(points, reference, up),
    )


def _pareto(known: Sequence[Cell], x: Cost, y: MetricName, reference: tuple[float, float] | None = None) -> Pareto:
    scored = [cell for cell in known if math.isfinite(value(cell, y))]
    candidates = [cell for cell in scored if not cell.trivial and math.isfinite(value(cell, x))]
    candidates = _on_one_device(candidates, x)
    trained = [_point(cell, x, y) for cell in candidates]
    trivial = [_point(cell, x, y) for cell in scored if cell.trivial]
    sign, up = METRICS[y].sign, (False, maximised(y))
    trained.sort(key=lambda point: (point.x, -sign * point.y, point.label, point.cell))
    trivial.sort(key=lambda point: -sign * point.y)
    plane = np.array([(point.x, point.y) for point in trained], dtype=np.float64).reshape(-1, 2)
    best = nondominated(plane, up)
    trained = [point._replace(on_front=bool(on)) for point, on in zip(trained, best, strict=True)]
    if reference is None:
        reference = (MARGIN * float(plane[:, 0].max(initial=0)), _bar(y, (point.y for point in trivial), plane[:, 1]))
    return Pareto(
        x=x,
        y=y,
        points=tuple(trained),
        front=tuple(point.cell for point in trained if point.on_front),
        trivial=tuple(trivial),
        reference=reference,
        hypervolume=hypervolume(plane, reference, up),
        device=device_of(candidates[0], x) if candidates else "",
        of_files=about_files(x, (cell for cell in scored if not cell.trivial)),
    )


def _bar(metric: MetricName, trivial: Iterable[float], trained: NDArray[np.float64]) -> float:
    """The best of the trivial rows' scores; without any what is as bad as can be, or beyond the worst that is there."""
    known = [score for score in trivial if math.isfinite(score)]
    if maximised(metric):
        return max(known, default=0.0)
    return min(known, default=MARGIN * float(trained.max(initial=0)))


def _on_one_device(measured: list[Cell], cost: Cost) -> list[Cell]:
    """The cells whose cost was measured on the device that most were: times on two do not compare."""
    devices = [device_of(cell, cost) for cell in measured]
    if len(set(devices)) < 2:
        return measured
    most = Counter(devices).most_common(1)[0][0]
    return [cell for cell, device in zip(measured, devices, strict=True) if device == most]


def _point(cell: Cell, x: Cost, y: MetricName) -> Point:
    measured, cost = cell.score(y), value(cell, x)
    return Point(
        cell=cell.id,
        label=cell.label,
        model=cell.model,
        configuration=cell.configuration,
        x=0.0 if cell.trivial and math.isnan(cost) else cost,
        y=measured.mean,
        spread=measured.spread,
        seeds=cell.seeds,
        on_front=False,
    )


# In words ------------------------------------------------------------------------------------------------------------


def amount(cost: Cost, measured: float) -> str:
    """A cost with its unit, as people read it: `7.77 M`, `12.3 ms`, `431 MB`."""
    unit = UNITS.get(cost)
    if unit is None or not math.isfinite(measured):
        return si(measured)
    decimals = 2 if abs(measured) < 9.995 else 1 if abs(measured) < 99.95 else 0
    return f"{measured:,.{decimals}f}{NO_BREAK}{unit}"


def axis_title(cost: Cost, device: str = "") -> str:
    """What a cost is called, with its unit and, if it was measured, on what: `Latency (ms), cpu (…), 1x96x96`."""
    if cost == "macs":
        return "MACs (multiply–accumulates for one image)"
    title = f"{COSTS[cost]} ({UNITS[cost]})" if cost in UNITS else COSTS[cost]
    return f"{title}, {device}" if device else title
