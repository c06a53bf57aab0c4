"""Which trials of a study are meant: by the beginning of a key or of a cell, by a searched network's short name, or as
the best."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ablate.errors import InputError, brief, unknown
from ablate.study.short_names import is_short

if TYPE_CHECKING:
    from collections.abc import Collection

    from ablate.study.study import Study

BEST = "best"
_SHORTEST = 4
"""Characters of a key that may stand for it."""


def trial_called(study: Study, name: str) -> str:
    """The key of the trial that `name` means: its key, the beginning of it, `best`, or the short name of a network (n7)
    of which one trial is complete.

    Raises `InputError` for a name that no trial has or several have, and as `best_trial` and `trials_of_cell` do.
    """
    if name == BEST:
        return best_trial(study)
    if not is_short(name):
        return _whole("key", name, study.records())
    first, *others = trials_of_cell(study, name)
    if others:
        raise InputError(f"{name} has {len(others) + 1} complete trials: give --cell {name} for all, or a trial's key")
    return first


def trials_of_cell(study: Study, name: str) -> list[str]:
    """The complete trials of the cell whose key begins with `name`, or whose short name it is: all its seeds and folds,
    in their keys' order.

    Raises `InputError` for a name that no cell has or several have, and if none of its trials is complete.
    """
    records = study.records()
    cell = _cell_named(study, name) if is_short(name) else _whole("cell", name, {one.cell for one in records.values()})
    found = [key for key, record in records.items() if record.cell == cell and record.state == "complete"]
    if not found:
        raise InputError(f"cell {cell} has no complete trial: give another, or train it")
    return found


def short_names_of_cells(study: Study) -> dict[str, str]:
    """The short names of the cells of trials that ended, by cell; see `ablate.study.short_names`."""
    records = study.records()
    return {records[key].cell: name for key, name in study.plans.names.items() if key in records}


def _cell_named(study: Study, name: str) -> str:
    known = short_names_of_cells(study)
    found = sorted(cell for cell, one in known.items() if one == name)
    if not found:
        raise unknown("network", name, known.values())
    if len(found) > 1:
        raise InputError(f"{name} was trained under several settings: give one of cells {', '.join(found)}")
    return found[0]


def best_trial(study: Study) -> str:
    """The complete trial of the study's latest space with the highest Dice on its validation images.

    Raises `InputError` if there is none, and where the trials are of several data sets, whose scores are no ranking.
    """
    planned = study.manifest.runs[-1].trials if study.manifest.runs else {}
    records = study.records()
    scores = {
        key: record.val_dice
        for key in planned
        if (record := records.get(key)) and record.state == "complete" and record.val_dice is not None
    }
    if not scores:
        raise InputError(f"'{study.path}' has no complete trial of its latest space: give a KEY")
    if len({study.config(key).data.fingerprint for key in scores}) > 1:
        raise InputError(
            "the trials of the latest space are of several data sets, whose scores have no best: give a KEY"
        )
    return max(sorted(scores), key=scores.__getitem__)


def _whole(what: str, name: str, known: Collection[str]) -> str:
    """The one of `known` that `name` is, or begins."""
    if name in known:
        return name
    found = sorted(one for one in known if name and one.startswith(name))
    if len(found) == 1 and len(name) >= _SHORTEST:
        return found[0]
    if not found:
        raise unknown(what, name, known)
    if len(found) > 1:
        raise InputError(
            f"{what} '{brief(name)}' begins {', '.join(found[:4])}{', …' * (len(found) > 4)}: give more of it"
        )
    raise InputError(f"{what} '{brief(name)}': give at least {_SHORTEST} characters of {found[0]}")
