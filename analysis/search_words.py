"""A study's searches in words: what each was asked for, how far it came, why it ended. Needs no tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ablate.analysis.format import listing, several
from ablate.study.searches import FREEZE_THAW, Search

if TYPE_CHECKING:
    from ablate.study.records import Record


def called(search: Search) -> str:
    """A search, by what it was asked for."""
    how = f"--search{_settings(search)}" if _is_search(search) else f"--sampler {search.strategy}"
    return f"{search.space or 'a search'} ({search.profile} profile), {how}, seed {search.seed}"


def _settings(search: Search) -> str:
    """What a `--search` goes by, as its file's name has it, in brackets; nothing where it is as by default."""
    said = []
    for part in filter(None, search.strategy.removeprefix(FREEZE_THAW).split("-")):
        if part.startswith("within_"):
            said.append(f"within bounds of {listing(part.removeprefix('within_').split('+'))}")
        elif part.startswith("learnt_"):
            said.append(f"learning from {listing(search.learnt)}")
        else:
            said.append(f"by {listing(part.split('+'))}")
    return f" ({', '.join(said)})" if said else ""


def _is_search(search: Search) -> bool:
    """Whether it is `--search`; what costs it goes by and within what bounds stands behind the strategy."""
    return search.strategy == FREEZE_THAW or search.strategy.startswith(f"{FREEZE_THAW}-")


def ending(search: Search) -> str:
    """Why it ended, as far as it says so."""
    if search.ended:
        return f"ended: {search.ended}"
    if _is_search(search):
        return "not ended: the same command goes on with it"
    return "a sampler's search ends with its number of trials, or its budget"


def standing(search: Search, records: Mapping[str, Record]) -> str:
    """How far a search came, in a line."""
    if search.fault:
        return f"Search of {called(search)}: {search.fault}"
    states: dict[str, set[str]] = defaultdict(set)
    for record in records.values():
        states[record.cell].add(record.state)
    own = [states[cell] for cell in search.cells]
    whole, lost = sum(found == {"complete"} for found in own), sum("failed" in found for found in own)
    parts = [f"{several(len(own), 'configuration')} begun", f"{whole} trained to their end"]
    parts += [f"{lost} failed"] if lost else []
    return f"Search of {called(search)}: {', '.join(parts)}; {ending(search)}"
