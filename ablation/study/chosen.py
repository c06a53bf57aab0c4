"""Which trials of a study are meant: by the beginning of a key or of a cell, or as the best."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ablate.errors import InputError, brief, unknown

if TYPE_CHECKING:
    from collections.abc import Collection

    from ablate.study.study import Study

BEST = "best"
_SHORTEST = 4
"""Characters of a key that may stand for it."""


def trial_called(study: Study, name: str) -> str:
    """The key of the trial that `name` means: its key, the beginning of it, or `best`.

    Raises `InputError` for a name that no trial has or several have, and as `best_trial` does.
    """
    return best_trial(study) if name == BEST else _whole("key", name, study.records())


def trials_of_cell(study: Study, name: str) -> list[str]:
    """The complete trials of the cell whose key begins with `name`: all its seeds and folds, in their keys' order.

    Raises `InputError` for a name that no cell has or several have, and if none of its trials is complete.
    """
    records = study.records()
    cell = _whole("cell", name, {record.cell: None for record in records.values()})
    found = [key for key, record in records.items() if record.cell == cell and record.state == "complete"]
    if not found:
        raise InputError(f"cell {cell} has no complete trial: give another, or train it")
    return found


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
