"""What a careful reader can check of the paper's numbers, and how each check came out."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ablate.analysis.paper import accuracy, lightness
from ablate.analysis.paper.check import Check
from ablate.analysis.paper.costs import CostRow, costs
from ablate.analysis.paper.foreground import QUOTED, AllForeground, all_foreground


class Paper(NamedTuple):
    """Everything that is known of the paper's numbers, in the order of its tables."""

    all_foreground: AllForeground
    costs: tuple[CostRow, ...]
    checks: tuple[Check, ...]


def examine(folder: Path | None = None) -> Paper:
    """Recompute and check the paper, with ISBICell's masks in `folder` where they are at hand.

    Raises `InputError` where that has not the 30 masks.
    """
    trivial = all_foreground(folder) if folder else QUOTED
    rows = costs()
    of_scores = (
        *accuracy.bounds(),
        accuracy.class_mean(trivial),
        *accuracy.against_all_foreground(trivial),
        *accuracy.ranks(),
        *accuracy.leads(),
        *accuracy.unseen(),
        *accuracy.blurred(),
    )
    of_costs = (
        *lightness.cost_columns(rows),
        *lightness.lightest(rows),
        *lightness.pyramid_costs(),
        *lightness.shares(),
    )
    return Paper(trivial, rows, (*of_scores, *of_costs))
