"""Which configurations are worth their cost: those that no other beats in cost and score at once."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, NamedTuple

import moocore
import numpy as np

if TYPE_CHECKING:
    import pandas as pd

Cost = Literal["params", "macs"]
Metric = Literal["dice", "miou", "iou"]
COSTS: dict[Cost, str] = {"params": "Parameters", "macs": "MACs"}
METRICS: dict[Metric, str] = {"dice": "Dice", "miou": "MIoU", "iou": "IoU"}


class Score(NamedTuple):
    """A test score: its mean over seeds and their sample standard deviation (`None` for one seed)."""

    mean: float
    spread: float | None


class Cell(NamedTuple):
    """All seeds of one configuration that were scored. `epochs` and `train_seconds` are means over them."""

    id: str
    label: str
    model: str
    configuration: str
    trivial: bool
    seeds: int
    params: float
    macs: float
    dice: Score
    miou: Score
    iou: Score
    epochs: float
    train_seconds: float


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
    """Cells by rising cost, which of them are on the front, and the trivial rows they are held against, best first."""

    x: Cost
    y: Metric
    points: tuple[Point, ...]
    front: tuple[str, ...]
    trivial: tuple[Point, ...]


def tasks(trials: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The trials of each data set, by its name: only scores of the same test images compare."""
    return {str(name): rows for name, rows in trials.groupby("data")}


def cells(trials: pd.DataFrame) -> tuple[Cell, ...]:
    """The scored cells of a trial table, trivial ones last. A cell without a complete trial is left out."""
    scored = trials[trials["state"].isin(("complete", "trivial"))]
    groups = scored.groupby("cell", sort=False)
    texts = groups[["label", "model", "configuration", "state"]].first().to_dict("index")
    seeds = groups.size().to_dict()
    means = groups[["params", "macs", "epochs", "train_seconds", *METRICS]].mean().to_dict("index")
    spreads = groups[[*METRICS]].std(ddof=1).to_dict("index")

    def cell(name: str) -> Cell:
        def score(metric: Metric) -> Score:
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
            dice=score("dice"),
            miou=score("miou"),
            iou=score("iou"),
            epochs=float(mean["epochs"]),
            train_seconds=float(mean["train_seconds"]),
        )

    return tuple(sorted((cell(str(name)) for name in texts), key=lambda row: row.trivial))


def pareto(trials: pd.DataFrame, x: Cost, y: Metric) -> Pareto:
    """Cells by cost `x` and score `y`, and the front: cells that no other beats in one without losing in the other.

    Cells that tie in both are on the front together. Trivial rows are never on it: they cost nothing, so all would be.
    """
    measured = [cell for cell in cells(trials) if _finite(cell, x, y)]
    trained = [_point(cell, x, y) for cell in measured if not cell.trivial]
    trivial = [_point(cell, x, y) for cell in measured if cell.trivial]
    trained.sort(key=lambda point: (point.x, -point.y, point.label, point.cell))
    trivial.sort(key=lambda point: -point.y)
    if trained:
        plane = np.array([(point.x, point.y) for point in trained])
        best = moocore.is_nondominated(plane, maximise=[False, True], keep_weakly=True)
        trained = [point._replace(on_front=bool(on)) for point, on in zip(trained, best, strict=True)]
    return Pareto(
        x=x,
        y=y,
        points=tuple(trained),
        front=tuple(point.cell for point in trained if point.on_front),
        trivial=tuple(trivial),
    )


def fronts(trials: pd.DataFrame, x: Cost = "params", y: Metric = "dice") -> tuple[Pareto, ...]:
    """The records of every cost and score, that of `x` and `y` first."""
    pairs = [(cost, metric) for cost in COSTS for metric in METRICS]
    return tuple(pareto(trials, *pair) for pair in sorted(pairs, key=lambda pair: pair != (x, y)))


def _finite(cell: Cell, x: Cost, y: Metric) -> bool:
    return math.isfinite(getattr(cell, x)) and math.isfinite(getattr(cell, y).mean)


def _point(cell: Cell, x: Cost, y: Metric) -> Point:
    measured: Score = getattr(cell, y)
    return Point(
        cell=cell.id,
        label=cell.label,
        model=cell.model,
        configuration=cell.configuration,
        x=getattr(cell, x),
        y=measured.mean,
        spread=measured.spread,
        seeds=cell.seeds,
        on_front=False,
    )
