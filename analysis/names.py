"""What cells are called: by the levels of their design, or, where a search proposed them, n1, n2, …"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ablate.analysis.format import MIXED, level_label
from ablate.analysis.levels import natural
from ablate.study.chosen import short_names_of_cells
from ablate.study.short_names import is_short

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray
    from rich.table import Table

    from ablate.search_spaces.plan import Planned
    from ablate.study.study import Study
    from ablate.trial import TrialConfig


FACTOR = "factor."
"""Begins the name of a factor's column."""


class Named(NamedTuple):
    """A cell that a search proposed: its short name, which the study gave it for good, and its levels by factor."""

    name: str
    levels: Mapping[str, str]

    @property
    def configuration(self) -> str:
        """Its levels, in one line."""
        return level_label(dict(self.levels))


def document(found: Named | None) -> dict[str, Any]:
    """As JSON has it: `name` and `levels`, null of a cell that no search proposed."""
    return {"name": None, "levels": None} if found is None else {"name": found.name, "levels": dict(found.levels)}


def short_names_of(study: Study, configs: Mapping[str, TrialConfig]) -> dict[str, Named]:
    """By cell, those that searches proposed, in the order of their names; `configs` are of trials, by key."""
    short, levels = study.plans.names, _levels(study, configs)
    found = {configs[key].cell: Named(name, levels[configs[key].cell]) for key, name in short.items() if key in configs}
    return dict(sorted(found.items(), key=lambda item: natural(item[1].name)))


def labels_of(
    study: Study, configs: Mapping[str, TrialConfig], tasks: Mapping[str, str], named: Mapping[str, Named]
) -> dict[str, str]:
    """A short text for each cell; where two would share one, their data sets (`tasks`, by trial) or ids tell them
    apart."""
    levels = _levels(study, configs)
    labels: dict[str, str] = {}
    of_cell: dict[str, str] = {}
    for trial, config in configs.items():
        cell = config.cell
        of_cell[cell] = tasks[trial]
        if config.is_trivial:
            labels[cell] = config.model.name.replace("_", " ")
        elif cell in named:
            labels[cell] = named[cell].name
        else:
            labels[cell] = level_label(levels[cell]) if cell in levels else config.model.name
    if len(set(of_cell.values())) > 1:
        labels = told_apart(labels, of_cell)
    return told_apart(labels, {cell: cell[:4] for cell in labels})


def spelled_out(rows: pd.DataFrame) -> NDArray[np.object_]:
    """For each trial of a table its cell's levels in one line, where its label is a short name; else nothing: (rows,).

    A claim may name a network so, as it did before there were short names.
    """
    factors = [name for name in rows if str(name).startswith(FACTOR)]
    found = np.full(len(rows), "", dtype=object)
    if not factors:
        return found
    for at, (label, levels) in enumerate(zip(rows["label"], rows[factors].to_dict("records"), strict=True)):
        if is_short(str(label).removesuffix(MIXED)):
            known = {str(name).removeprefix(FACTOR): level for name, level in levels.items() if isinstance(level, str)}
            found[at] = level_label(known)
    return found


def told_apart(labels: dict[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """The labels; those that several cells share, with what `more` says of each cell."""
    shared = {label for label, count in Counter(labels.values()).items() if count > 1}
    return {cell: f"{label} ({more[cell]})" if label in shared else label for cell, label in labels.items()}


def _levels(study: Study, configs: Mapping[str, TrialConfig]) -> dict[str, dict[str, str]]:
    """The levels of each cell that was planned, in the first of its spaces: those that all of its trials have."""
    places: dict[str, dict[str, str]] = {}
    for run in study.plans.runs:
        for key, levels in run.trials.items():
            places.setdefault(key, levels)
    found: dict[str, dict[str, str]] = {}
    for key, config in configs.items():
        if key in places and not config.is_trivial:
            own = places[key]
            shared = dict(found.setdefault(config.cell, own).items() & own.items())  # of 0.1, folds may be levels
            found[config.cell] = {name: level for name, level in own.items() if name in shared} or own
    return found


def trial_labels(study: Study, trials: Iterable[Planned]) -> dict[str, str]:
    """What trials are called while they train, by key; fresh seeds of a searched network as it is."""
    asked, short = list(trials), study.plans.names
    others = bool(short) and any(trial.key not in short for trial in asked)
    of_cells = short_names_of_cells(study) if others else {}
    return {
        trial.key: short.get(trial.key) or of_cells.get(trial.config.cell) or level_label(trial.levels)
        for trial in asked
    }


def key_table(named: Iterable[Named]) -> Table:
    """A row a network: its short name and its configuration."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 1), show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold", ratio=1)
    for one in named:
        table.add_row(Text(one.name), Text(one.configuration))
    return table
