"""The looks that were taken at a plan's data sets, each in each of its splits; and what is to be said of them, once."""

from __future__ import annotations

from typing import Any, NamedTuple

from ablate.data.check import Look, look, require
from ablate.data.dataset import Dataset
from ablate.data.seen import Doubt
from ablate.data.settings import Split
from ablate.data.splits import Parts

_MOST_DOUBTS, _MOST_LOOKS, _LONGEST = 200, 12, 1_000


class Said(NamedTuple):
    """A doubt about a data set, of the first of its splits that raised it: in `some` of `all_` of them."""

    doubt: Doubt
    some: int
    all_: int

    @property
    def text(self) -> str:
        more = f" (and in {self.some} of {self.all_} splits)" if self.some > 1 else ""
        return (self.doubt.said + ("" if self.some == self.all_ else more))[:_LONGEST]


class Taken(NamedTuple):
    """A data set with what was seen of it in the first of its splits, and what is doubted of it in any."""

    look: Look
    doubts: list[Said]
    dataset: Dataset
    parts: Parts | None
    """None where it cannot be divided."""


class Looks:
    """What was seen so far, by data set and split."""

    def __init__(self) -> None:
        self._of: dict[str, dict[Split, Look]] = {}
        self._first: dict[str, tuple[Dataset, Parts | None]] = {}

    def take(self, dataset: Dataset, split: Split, parts: Parts | None, undivided: str = "") -> Look:
        """A look at a data set in a split, taken once; `undivided`: why it cannot be split so.

        Raises `InputError` where nothing can be learnt on it.
        """
        identity = f"{dataset.config.text} {dataset.config.root}"
        found = self._of.setdefault(identity, {})
        self._first.setdefault(identity, (dataset, parts))
        if split not in found:
            found[split] = look(dataset, parts, undivided)
        return require(found[split])

    def taken(self) -> list[Taken]:
        """Of each data set, in the order in which they were looked at."""
        return [
            Taken(next(iter(looks.values())), said(list(looks.values())), *self._first[identity])
            for identity, looks in self._of.items()
        ]

    def notes(self) -> list[str]:
        """What is doubted of what can be trained on, a line each, with the data set's name."""
        return [
            one.text if one.doubt.kind == "note" else f"{found.look.called}: {one.text}"
            for found in self.taken()
            for one in found.doubts
            if not one.doubt.stops
        ]

    def record(self, fingerprint: str) -> dict[str, Any]:
        """What a study keeps of the looks at a data set: `doubts` and `facts`, at each of its sizes."""
        found = [one for one in self.taken() if one.dataset.config.fingerprint == fingerprint]
        doubts = dict.fromkeys(one.text for of_size in found for one in of_size.doubts)
        facts = {"looks": [one.look.plain() for one in found[:_MOST_LOOKS]]} if found else {}
        return {"doubts": list(doubts)[:_MOST_DOUBTS], "facts": facts}


def said(looks: list[Look]) -> list[Said]:
    """What is doubted of one data set in its splits, each kind once."""
    kinds: dict[tuple[str, str], list[Doubt]] = {}
    for one in looks:
        for found in one.doubts:
            kinds.setdefault((found.kind, found.said if found.kind == "note" else ""), []).append(found)
    return [Said(found[0], len(found), len(looks)) for found in kinds.values()]
