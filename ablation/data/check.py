"""A look at a data set before anything is spent on it: what it holds, part by part, and what may not be as meant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ablate.data.dataset import Dataset
from ablate.data.doubts import doubts_of_all
from ablate.data.doubts_of_split import doubts_of_split
from ablate.data.fit import fit_of
from ablate.data.seen import PARTS, Doubt, Seen, doubt
from ablate.data.splits import Parts
from ablate.errors import InputError, brief

_NO_IMAGES = (
    "",
    ".txt",
    ".md",
    ".pdf",
    ".html",
    ".json",
    ".yaml",
    ".yml",
    ".csv",
    ".tsv",
    ".xlsx",
    ".py",
    ".db",
    ".ini",
)
"""What lies beside images and is none: passed over without a word."""
_MOST_CLASSES, _MOST_STORED = 40, 12


class ClassLook(NamedTuple):
    """A class in the masks of a part."""

    name: str
    images: int
    """How many have it."""
    drawn: float
    """Its share of the pixels, as drawn."""
    kept: float
    """At the trial's size."""
    objects: int
    vanished: int


class PartLook(NamedTuple):
    """A part of a data set."""

    part: str
    """`train`, `val` or `test`."""
    images: int
    cases: int
    empty: int
    """Masks without foreground."""
    classes: tuple[ClassLook, ...]
    """All but the background."""


class Look(NamedTuple):
    """What a data set holds, and what may not be as it was meant."""

    called: str
    size: tuple[int, int]
    fit: str
    parts: tuple[PartLook, ...]
    stored: tuple[tuple[str, int], ...]
    """Types and channels as stored, with how many images have them."""
    least: tuple[int, int]
    most: tuple[int, int]
    """The smallest and the largest image as stored: height and width."""
    spacing: tuple[float, float] | None
    """The least and the largest side of a pixel in mm, where it is known."""
    passed_over: int
    doubts: tuple[Doubt, ...]

    @property
    def stops(self) -> str:
        """Why nothing can be learnt or judged on this; empty where something can."""
        return next((one.said for one in self.doubts if one.stops), "")

    def plain(self) -> dict[str, Any]:
        """What it holds as plain data, bounded: what a study keeps."""
        parts = {
            one.part: {
                "images": one.images,
                "cases": one.cases,
                "empty": one.empty,
                "classes": [
                    found._asdict()
                    | {"name": brief(found.name), "drawn": _short(found.drawn), "kept": _short(found.kept)}
                    for found in one.classes[:_MOST_CLASSES]
                ],
            }
            for one in self.parts
        }
        return {
            "size": list(self.size),
            "fit": self.fit,
            "stored": dict(self.stored[:_MOST_STORED]),
            "least": list(self.least),
            "most": list(self.most),
            "spacing": None if self.spacing is None else [_short(side) for side in self.spacing],
            "passed_over": self.passed_over,
            "parts": parts,
        }


def look(dataset: Dataset, parts: Parts | None, undivided: str = "") -> Look:
    """What `dataset` holds in these `parts`, or where it cannot be divided (why: `undivided`) in all.

    Reads no file, and none of the images. Of one that was not assembled from samples it is the numbers of images and
    cases, and its notes.
    """
    shown = {"all": tuple(range(len(dataset)))} if parts is None else dict(zip(PARTS, parts, strict=True))
    facts = dataset.facts
    seen = Seen(dataset.config, dataset.ids, dataset.groups, facts.images, facts.thumbnails, parts or Parts((), (), ()))
    known = [side for one in dataset.spacings if one is not None for side in one]
    sizes = sorted((one.size for one in seen.facts), key=lambda size: size[0] * size[1]) or [dataset.config.size]
    return Look(
        called=called(dataset),
        size=dataset.config.size,
        fit=fit_of(dataset.config),
        parts=tuple(_part(seen, name, part) for name, part in shown.items()),
        stored=tuple(Counter(one.stored for one in seen.facts).most_common()),
        least=sizes[0],
        most=sizes[-1],
        spacing=(min(known), max(known)) if known else None,
        passed_over=len(dataset.passed_over),
        doubts=tuple(_doubts(seen, dataset, undivided)),
    )


def called(dataset: Dataset) -> str:
    """What messages call a data set: its title, or its name and where its files are."""
    data = dataset.config
    return data.title or (f"{data.name} '{brief(data.root)}'" if data.root else data.name)


def require(found: Look) -> Look:
    """The same look. Raises `InputError` where nothing can be learnt or judged on what was seen."""
    if found.stops:
        raise InputError(f"{found.called}: {found.stops}")
    return found


def _doubts(seen: Seen, dataset: Dataset, undivided: str) -> list[Doubt]:
    found = [doubt("note", note) for note in dataset.notes]
    over = [name for name in map(Path, dataset.passed_over) if name.suffix.lower() not in _NO_IMAGES]
    if over:
        others = f"{len(over)} files of the folder are" if len(over) > 1 else "1 file of the folder is"
        said = f"{others} passed over (the first: '{brief(over[0])}'): see that none is an image or a mask"
        found.append(doubt("passed over", said))
    if seen.facts:
        found += doubts_of_all(seen, dataset.spacings)
        found += doubts_of_split(seen) if not undivided else []
    if undivided:
        found.append(Doubt("undivided", undivided, stops=True))
    return found


def _part(seen: Seen, name: str, part: Sequence[int]) -> PartLook:
    return PartLook(
        part=name,
        images=len(part),
        cases=len({seen.cases[i] for i in part}),
        empty=sum(not seen.foreground(i) for i in part) if seen.facts else 0,
        classes=tuple(_class(seen, index, part) for index in seen.classes) if seen.facts else (),
    )


def _class(seen: Seen, index: int, part: Sequence[int]) -> ClassLook:
    found = [seen.of(i, index) for i in part]
    drawn = sum(one.drawn for i in part for one in seen.facts[i].classes.values())
    kept = sum(one.kept for i in part for one in seen.facts[i].classes.values())
    return ClassLook(
        name=seen.called(index),
        images=sum(one.drawn > 0 for one in found),
        drawn=sum(one.drawn for one in found) / max(1, drawn),
        kept=sum(one.kept for one in found) / max(1, kept),
        objects=sum(one.objects for one in found),
        vanished=sum(one.vanished for one in found),
    )


def _short(value: float) -> float:
    return float(f"{value:.4g}")
