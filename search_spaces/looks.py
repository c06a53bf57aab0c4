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


class Looks:
    """What was seen so far, by data set and split."""

    def __init__(self) -> None:
        self._of: dict[str, dict[Split, Look]] = {}
        self._fingerprints: dict[str, str] = {}

    def take(self, dataset: Dataset, split: Split, parts: Parts) -> Look:
        """A look at a data set in a split, taken once. Raises `InputError` where nothing can be learnt on it."""
        identity = f"{dataset.config.text} {dataset.config.root}"
        found = self._of.setdefault(identity, {})
        self._fingerprints[identity] = dataset.config.fingerprint
        if split not in found:
            found[split] = look(dataset, parts)
        return require(found[split])

    def all_of(self) -> list[tuple[Look, list[Said]]]:
        """Each data set by its first look, with what is doubted of it in any split."""
        return [(next(iter(found.values())), said(list(found.values()))) for found in self._of.values()]

    def notes(self) -> list[str]:
        """What is doubted, a line each, with the data set's name where the line does not have it."""
        return [
            one.text if one.doubt.kind == "note" else f"{first.called}: {one.text}"
            for first, doubts in self.all_of()
            for one in doubts
        ]

    def record(self, fingerprint: str) -> dict[str, Any]:
        """What a study keeps of the looks at a data set: `doubts` and `facts`, at each of its sizes."""
        found = [looks for identity, looks in self._of.items() if self._fingerprints[identity] == fingerprint]
        doubts = [one.text for looks in found for one in said(list(looks.values()))]
        facts = [one.plain() for looks in found for one in list(looks.values())[:1]]
        return {
            "doubts": list(dict.fromkeys(doubts))[:_MOST_DOUBTS],
            "facts": {"looks": facts[:_MOST_LOOKS]} if facts else {},
        }


def said(looks: list[Look]) -> list[Said]:
    """What is doubted of one data set in its splits, each kind once."""
    kinds: dict[tuple[str, str], list[Doubt]] = {}
    for one in looks:
        for found in one.doubts:
            kinds.setdefault((found.kind, found.said if found.kind == "note" else ""), []).append(found)
    return [Said(found[0], len(found), len(looks)) for found in kinds.values()]
