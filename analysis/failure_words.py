"""Failures in words: the same counts and sentences in tables, figures, pages and the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ablate.analysis.failures import Counted, Failures, of_metrics
from ablate.analysis.format import NO_BREAK, listing, several
from ablate.metrics.counts import METRICS, MetricName

if TYPE_CHECKING:
    import pandas as pd

    from ablate.analysis.frames import Frames


def percent(share: float) -> str:
    """A share rounded up, for a bound from above: `8 %`, `0.3 %`."""
    return f"{math.ceil(1000 * share - 1e-9) / 10 if share < 0.1 else math.ceil(100 * share - 1e-9):g}{NO_BREAK}%"


def failed_of(found: Counted) -> str:
    """How many of its tests a cell lost, and the bound of the rate: `0/36 ≤22 %`."""
    return f"{found.losses}/{found.tests}{NO_BREAK}≤{percent(found.bounds.most)}"


def legend(found: Mapping[str, Failures], frames: Frames, metric: MetricName = "dice") -> str:
    """What the counts that `failed_of` gives are of; nothing where there are none."""
    by_task = {one.task: one.below for one in found.values()}
    if not by_task:
        return ""
    limits = [f"{below:.3g} on {task}" if len(by_task) > 1 else f"{below:.3g}" for task, below in by_task.items()]
    dice = METRICS[of_metrics([metric])].label
    half = " (half of the best network's median)" if frames.scoring.fail_below == "half" else ""
    return (
        f"Fails: {frames.unit}s lost of those tested, over seeds: {dice} of 0 or below {listing(limits)}{half}, and "
        "all that a failed training would have been tested on. ≤: the rate's 95 % bound, for which cases count, not "
        "seeds."
    )


def failed_trainings(trials: pd.DataFrame) -> list[str]:
    """A sentence that names every seed whose training failed, none where none did."""
    failed = trials[trials["state"] == "failed"]
    if failed.empty:
        return []
    judged = set(trials["cell"][trials["state"] == "complete"])
    named = []
    for (cell, label), rows in failed.groupby(["cell", "label"], sort=False):
        seeds = [str(seed) for seed in sorted({int(seed) for seed in rows["seed"]})]
        alone = "" if cell in judged else ", none complete: no score"
        named.append(f"{label} ({'seed' if len(seeds) == 1 else 'seeds'} {listing(seeds)}{alone})")
    return [
        f"{several(len(failed), 'trial')} failed: {listing(named)}. All that it would have been tested on counts as "
        "lost; the report has the reasons."
    ]


def lost_cases(found: Mapping[str, Failures]) -> list[str]:
    """A sentence that says which cells lost what, where no column does."""
    lost = sorted((one for one in found.values() if one.counted.losses), key=lambda one: -one.bounds.rate)
    if not lost:
        return [f"No network lost a test case (of {several(len(found), 'network')})."] if found else []
    rest = " The others lost none." if len(lost) < len(found) else ""
    return [f"Fails: {listing([f'{one.label} {failed_of(one.counted)}' for one in lost])}.{rest}"]
