"""What a finished study recorded of its trials, as a replay has them again: curves, costs, cells."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Self

from ablate.errors import InputError
from ablate.foreign import keys, missing, need, numbers_of, whole

if TYPE_CHECKING:
    import pandas as pd

COSTS = ("params", "macs")
MOST_COSTS = 4
STATES = ("complete", "stopped", "failed")
"""Of the trials that take part."""
_MOST_SECONDS = 1e12
"""Of an epoch: sums of many stay finite."""


class Curve(NamedTuple):
    """A recorded trial. `costs`: one to four. `scores` and `seconds`: of each epoch, the first first.

    `cell` is the network whose seed or fold it is; without, it is a network of its own. Of a trial whose `state` is
    "stopped" nothing more can be had than is here; one that "failed" trains what is here, and then fails.
    """

    costs: tuple[float, ...]
    scores: tuple[float, ...]
    seconds: tuple[float, ...]
    cell: str = ""
    state: str = "complete"


class Grid(NamedTuple):
    """A recorded grid: what a strategy may know of it, and how it is judged.

    `trials` is the table that `curves` are of, a row each, in its order; `costs` are the names of the curves' costs.
    Scores count above `bar`. Whenever a worker starts a trial, or goes on with one that had paused, `restart` seconds
    pass before it trains.
    """

    trials: pd.DataFrame
    curves: Mapping[str, Curve]
    costs: tuple[str, ...] = COSTS
    bar: float = 0.0
    restart: float = 0.0

    @classmethod
    def of(
        cls,
        trials: pd.DataFrame,
        epochs: pd.DataFrame,
        costs: Sequence[str] = COSTS,
        bar: float | None = None,
        restart: float = 0.0,
    ) -> Self:
        """The grid of the tables of a study; `bar` is that of its best trivial predictor, unless it is given.

        Raises `InputError` as `recorded` and `trivial_bar` do.
        """
        curves = recorded(trials, epochs, costs)
        found = trivial_bar(trials) if bar is None else bar
        return cls(taking_part(trials), curves, tuple(costs), found, restart)

    @property
    def cells(self) -> dict[str, tuple[str, ...]]:
        """The keys of each cell's trials."""
        return cells_of(self.curves)

    @property
    def cell_of(self) -> dict[str, str]:
        """The cell of each trial, by its key."""
        return {key: curve.cell or key for key, curve in self.curves.items()}

    @property
    def prices(self) -> dict[str, tuple[float, ...]]:
        """The costs of each trial, by its key."""
        return {key: curve.costs for key, curve in self.curves.items()}

    @property
    def epoch_seconds(self) -> dict[str, float]:
        """What an epoch of each trial takes, by its key: the mean of those recorded, 0 where there is none."""
        return {key: sum(curve.seconds) / max(len(curve.seconds), 1) for key, curve in self.curves.items()}

    @property
    def max_epochs(self) -> int:
        """Of any trial; at least 1."""
        return max(1, *(len(curve.scores) for curve in self.curves.values()))

    @property
    def epochs(self) -> int:
        """Of all trials together."""
        return sum(len(curve.scores) for curve in self.curves.values())

    @property
    def seconds(self) -> float:
        """Of a machine that trains all trials, one after another: their epochs, and a start each."""
        return math.fsum(math.fsum(curve.seconds) for curve in self.curves.values()) + self.restart * len(self.curves)

    @property
    def states(self) -> Counter[str]:
        return Counter(curve.state for curve in self.curves.values())


def cells_of(curves: Mapping[str, Curve]) -> dict[str, tuple[str, ...]]:
    """The keys of each cell's trials; a trial without a cell is one by itself."""
    found: dict[str, list[str]] = {}
    for key, curve in curves.items():
        found.setdefault(curve.cell or key, []).append(key)
    return {cell: tuple(of_cell) for cell, of_cell in found.items()}


def taking_part(trials: pd.DataFrame) -> pd.DataFrame:
    """The rows of the trials that are replayed: all but the trivial predictors, which are not trained.

    Raises `InputError` for a state that no trial has.
    """
    if "state" not in trials:
        return trials
    states = trials["state"].tolist()
    for row, state in enumerate(states):
        if missing(state) or state not in (*STATES, "trivial"):
            raise InputError(
                f"table trials has state {str(state)[:50]!r} in row {row}: expected {', '.join(STATES)} or trivial"
            )
    rows = [row for row, state in enumerate(states) if state != "trivial"]
    return trials.iloc[rows]  # an empty list of truth values would choose columns


def recorded(trials: pd.DataFrame, epochs: pd.DataFrame, costs: Sequence[str] = COSTS) -> dict[str, Curve]:
    """The curves of a study's trials, by key: of the complete, of the stopped, and of those that failed.

    Of the tables of `ablate.analysis.frames`, `trials` needs `key` and the columns `costs` (and `state`, unless all are
    complete; and `cell`, unless each is a network of its own), and `epochs` needs `key, epoch, val_dice` (and
    `seconds`, unless all take one). Epochs may count from 0, and keys may be numbers.

    Raises `InputError` where a column is missing, a number is none or out of bounds, there is no complete trial, or an
    epoch is missing, repeated or has no score.
    """
    if not 1 <= len(set(costs)) == len(costs) <= MOST_COSTS:
        raise InputError(f"costs {', '.join(costs)}: expected one to {MOST_COSTS}, each once")
    need("trials", trials, ("key",))
    need("epochs", epochs, ("key", "epoch", "val_dice"))
    table = taking_part(trials)
    names = keys("trials", table)
    twice = next((key for key, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise InputError(f"table trials has trial {twice} twice: expected one row each")
    states = table["state"].tolist() if "state" in table else ["complete"] * len(names)
    if "complete" not in states:
        raise InputError("no complete trial has a curve to replay: give a study that has finished trials")
    priced = list(zip(*(_prices(table, names, cost) for cost in costs), strict=True))
    cells = keys("trials", table, "cell") if "cell" in table else [""] * len(names)
    rows = epochs.assign(key=keys("epochs", epochs))
    rows = rows[rows["key"].isin(set(names))]
    rows = rows.assign(epoch=whole("epochs", rows, "epoch"))
    first = int(rows["epoch"].min()) if len(rows) else 1
    by_key = {str(key): of_key.sort_values("epoch") for key, of_key in rows.groupby("key")}
    curves = {}
    for key, price, cell, state in zip(names, priced, cells, states, strict=True):
        of_key = by_key.get(key, rows[:0])
        expected = list(range(len(of_key)))
        if first > 1 or list(of_key["epoch"] - first) != expected or not (expected or state != "complete"):
            raise InputError(
                f"trial {key} has no whole curve in table epochs: expected val_dice of epochs 1, 2, …, each once"
            )
        scores = numbers_of("epochs", of_key, "val_dice", high=1).tolist()
        seconds = numbers_of("epochs", of_key, "seconds", high=_MOST_SECONDS).tolist() if "seconds" in of_key else None
        curves[key] = Curve(price, tuple(scores), tuple(seconds or [1.0] * len(scores)), cell, state)
    return curves


def _prices(table: pd.DataFrame, names: Sequence[str], cost: str) -> list[float]:
    """A cost of each trial."""
    if cost not in table:
        from pandas.api.types import is_bool_dtype, is_numeric_dtype

        known = [str(name) for name in table if is_numeric_dtype(table[name]) and not is_bool_dtype(table[name])]
        raise InputError(f"table trials lacks {cost}: a cost is one of its numbers, {', '.join(known)[:150] or 'none'}")
    need("trials", table, (cost,))
    without = [name for name, value in zip(names, table[cost].tolist(), strict=True) if missing(value)]
    if without:
        raise InputError(
            f"{len(without)} of {len(names)} trials have no {cost}, {without[0][:50]} among them: "
            "measure it (`ablate measure`), or take another cost"
        )
    found: list[float] = numbers_of("trials", table, cost, above=True).tolist()
    return found


def trivial_bar(trials: pd.DataFrame) -> float:
    """The score of the best trivial predictor, above which hypervolume counts: 0 without any.

    It is their Dice on the test images, for they have no validation score. Raises `InputError` for one that is none.
    """
    trivial = trials[trials["state"] == "trivial"] if "state" in trials else trials[:0]
    scores = numbers_of("trials", trivial[trivial["dice"].notna()], "dice", high=1) if "dice" in trivial else ()
    return float(max(scores, default=0.0))
