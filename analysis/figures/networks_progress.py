"""How far networks had come after so many epochs: what a front was while its networks were trained.

The tables have no clock, so trials count as trained side by side: after `e` epochs each has had `e`, or as many as it
was given. A network stands at the best validation score of each of its trials so far, the mean over them. That is no
test score: those are known of the selected epoch alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ablate.analysis.format import several
from ablate.study.tables import VALIDATION

if TYPE_CHECKING:
    import pandas as pd

    from ablate.analysis.frames import Frames

_MOST_STEPS, _FEW_STEPS, _MANY = 24, 8, 2000
"""Numbers of epochs that are shown; of more than `_MANY` networks."""


class Progress(NamedTuple):
    """`scores` has by validation metric (`val_dice`) an array (networks, steps), NaN where a network has none yet.

    `epochs` are the steps, as epochs a trial, and `spent` those of all trials together by then.
    """

    epochs: tuple[int, ...]
    spent: tuple[int, ...]
    scores: dict[str, NDArray[np.float64]]


NO_PROGRESS = Progress((), (), {})


def progress_of(frames: Frames, trials: pd.DataFrame, ids: Sequence[str]) -> tuple[Progress, str]:
    """Of the networks `ids` of one data set; and what is not in it, in a sentence, or nothing."""
    task = trials["data"].iloc[0]
    own = frames.trials[frames.trials["data"] == task]
    stopped = own.loc[own["state"] == "stopped", "cell"]
    gone = len(set(stopped) - set(ids))
    said = (
        f"{several(gone, 'network')} that had been stopped early {'is' if gone == 1 else 'are'} left out."
        if gone
        else ""
    )
    rows = own.loc[(own["state"] == "complete") & own["cell"].isin(ids), ["key", "cell"]]
    columns = [name for name in VALIDATION if name in frames.epochs]
    curves = frames.epochs.loc[frames.epochs["key"].isin(rows["key"]), ["key", "epoch", *columns]] if columns else None
    if curves is None or curves.empty or int(curves["epoch"].max()) < 2:
        return NO_PROGRESS, said
    last = int(curves["epoch"].max())
    keys = {key: at for at, key in enumerate(rows["key"])}
    row, column = curves["key"].map(keys).to_numpy(), curves["epoch"].to_numpy(dtype=int) - 1
    place = {one: at for at, one in enumerate(ids)}
    cell = np.array([place[one] for one in rows["cell"]], dtype=int)
    steps = _steps(last, len(ids))
    had = np.zeros((len(keys), last), dtype=int)
    had[row, column] = 1
    spent = had.sum(axis=0).cumsum()[steps]
    scores = {}
    for name in columns:
        table = np.full((len(keys), last), np.nan)
        table[row, column] = curves[name].to_numpy(dtype=np.float64, na_value=np.nan)
        if np.isfinite(table).any():
            scores[name] = _means(np.fmax.accumulate(table, axis=1)[:, steps], cell, len(ids))
    if not scores:
        return NO_PROGRESS, said
    return Progress(tuple(int(step) + 1 for step in steps), tuple(map(int, spent)), scores), said


def _steps(last: int, count: int) -> NDArray[np.intp]:
    """Which epochs are shown, counted from 0: all, or some, more of the first."""
    most = _FEW_STEPS if count > _MANY else _MOST_STEPS
    if last <= most:
        return np.arange(last)
    return np.unique(np.geomspace(1, last, most).round().astype(np.intp)) - 1


def _means(best: NDArray[np.float64], cell: NDArray[np.int_], count: int) -> NDArray[np.float64]:
    """Over the trials of each network, once all of them have a score: (networks, steps)."""
    sums, trials = np.zeros((count, best.shape[1])), np.zeros(count)
    np.add.at(sums, cell, best)  # NaN stays NaN
    np.add.at(trials, cell, 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return sums / trials[:, None]
