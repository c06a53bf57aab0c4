"""Which trials of a study are meant by a name: the one way in which every command, and every message, names them.

A trial is named by its key or the beginning of it, or as `best`. A cell by its key or the beginning of it, by the short
name of a network that a search proposed (n7), or by the label that tables and figures give it (`levels=4`). A cell with
one complete trial names that, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ablate.errors import InputError, brief, nearest
from ablate.study.short_names import is_short

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from ablate.study.study import Study

BEST = "best"
_SHORTEST = 4
"""Characters of a key that may stand for it."""
_LISTED = 4
"""Of several that a name may mean, so many are said."""


def _no_labels() -> Mapping[str, str]:
    return {}


def trial_called(
    study: Study, name: str, labels: Callable[[], Mapping[str, str]] = _no_labels, *, for_all: str = ""
) -> str:
    """The key of the trial that `name` means.

    Args:
        labels: of cells, by their keys; asked for only where `name` is no key.
        for_all: the option that takes all trials of a cell, for the message about a cell that has several.

    Raises `InputError` for a name that none has or several have, and as `best_trial` and `trials_of_cell` do.
    """
    if name == BEST:
        return best_trial(study)
    records = study.records()
    if not is_short(name) and (key := _whole("key", name, records)):
        return key
    if not (cell := _cell(study, name, labels)):
        raise _unknown(study, "trial", name, [*_names(study, labels), *records, BEST], f", or '{BEST}'")
    first, *others = _complete(study, cell, name)
    if others:
        more = f", or {for_all} {brief(name)} for all" if for_all else ""
        raise InputError(
            f"{brief(name)} has {len(others) + 1} complete trials: give the key of one ({_listed([first, *others])})"
            f"{more}"
        )
    return first


def trials_of_cell(study: Study, name: str, labels: Callable[[], Mapping[str, str]] = _no_labels) -> list[str]:
    """The complete trials of the cell that `name` means: all its seeds and folds, in their keys' order.

    Raises `InputError` for a name that no cell has or several have, and if none of its trials is complete.
    """
    return _complete(study, cell_called(study, name, labels), name)


def cell_called(study: Study, name: str, labels: Callable[[], Mapping[str, str]] = _no_labels) -> str:
    """The key of the cell that `name` means. Raises `InputError` for a name that no cell has or several have."""
    if cell := _cell(study, name, labels):
        return cell
    cells = {one.cell for one in study.records().values()}
    raise _unknown(study, "cell", name, [*_names(study, labels), *cells])


def short_names_of_cells(study: Study) -> dict[str, str]:
    """The short names of the cells of trials that ended, by cell; see `ablate.study.short_names`."""
    records = study.records()
    return {records[key].cell: name for key, name in study.plans.names.items() if key in records}


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
        latest = f", {study.manifest.runs[-1].space}" if study.manifest.runs else ""
        raise InputError(f"'{study.path}' has no complete trial of its latest space{latest}: give a KEY")
    if len({study.config(key).data.fingerprint for key in scores}) > 1:
        raise InputError(
            "the trials of the latest space are of several data sets, whose scores have no best: give a KEY"
        )
    return max(sorted(scores), key=scores.__getitem__)


def _unknown(study: Study, what: str, name: str, known: Collection[str], more: str = "") -> InputError:
    near = nearest(name, known, alike=0.5)
    hint = f"did you mean '{near}'?" if near else f"give a key or a name that `ablate status {study.path}` lists{more}"
    return InputError(f"unknown {what} '{brief(name)}': {hint}")


def _names(study: Study, labels: Callable[[], Mapping[str, str]]) -> list[str]:
    return [*short_names_of_cells(study).values(), *labels().values()]


def _cell(study: Study, name: str, labels: Callable[[], Mapping[str, str]]) -> str:
    """The cell that `name` means, or nothing. Raises `InputError` where it may mean several."""
    records = study.records()
    if not is_short(name) and (cell := _whole("cell", name, {one.cell for one in records.values()})):
        return cell
    for named in (short_names_of_cells(study), labels()):
        found = sorted(cell for cell, one in named.items() if one == name != "")
        if len(found) > 1:  # under several settings, say
            raise InputError(f"{brief(name)} is {len(found)} cells: give the key of one ({_listed(found)})")
        if found:
            return found[0]
    return ""


def _complete(study: Study, cell: str, name: str) -> list[str]:
    found = [key for key, one in study.records().items() if one.cell == cell and one.state == "complete"]
    if not found:
        called = cell if cell.startswith(name) else f"{brief(name)} ({cell})"
        raise InputError(f"cell {called} has no complete trial: give another, or train it")
    return found


def _whole(what: str, name: str, known: Collection[str]) -> str:
    """The one of `known` that `name` is, or begins; nothing if it begins none."""
    if name in known:
        return name
    found = sorted(one for one in known if name and one.startswith(name))
    if len(found) > 1:
        raise InputError(f"{what} '{brief(name)}' begins {_listed(found)}: give more of it")
    if found and len(name) < _SHORTEST:
        raise InputError(f"{what} '{brief(name)}': give at least {_SHORTEST} characters of {found[0]}")
    return found[0] if found else ""


def _listed(names: Collection[str]) -> str:
    return ", ".join([*list(names)[:_LISTED], *(["…"] if len(names) > _LISTED else [])])
