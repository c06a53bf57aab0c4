"""How long a study's trials took on one machine: read from their records, and kept nowhere else."""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice
from typing import TYPE_CHECKING

from ablate.cost.foretold import Timed, foretell
from ablate.errors import InputError

if TYPE_CHECKING:
    from ablate.cost.machine import Machine
    from ablate.study.records import Record
    from ablate.study.study import Study

_MOST_CELLS = 200
"""That are looked at: reading a configuration takes a millisecond or two."""


def timed(study: Study, machine: Machine, cells: Collection[str] = ()) -> Timed:
    """What `machine` is known to take. Earlier versions did not record it, so their trials teach nothing.

    `cells`: those that are to be foretold, which come first where a study has more than are looked at.
    """
    found = Timed()
    of_cell: dict[str, list[Record]] = {}
    for record in study.records().values():
        if record.processor and record.epochs and record.images and record.machine == machine:
            of_cell.setdefault(record.cell, []).append(record)
    nearest = sorted(of_cell.values(), key=lambda records: records[0].cell not in cells)
    for records in islice(nearest, _MOST_CELLS):
        try:
            trial = study.config(records[0].key)
            for record in records:
                assert record.images is not None
                foretold = foretell(trial, record.params, record.macs, record.images, machine)
                found.see(foretold, record.train_seconds / record.epochs)
        except InputError:  # damaged, or of a network that this version does not have
            continue
    return found
