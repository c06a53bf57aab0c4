"""A data set as it is looked at: what each image and mask is, and the part of a split that it is in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from ablate.data.facts import ClassFacts, ImageFacts
from ablate.data.splits import Parts
from ablate.errors import brief
from ablate.part import DataPart

PARTS = ("train", "val", "test")
IN_WORDS = {"train": "training", "val": "validation", "test": "test", "all": "all"}
_NONE = ClassFacts(0, 0)


class Seen(NamedTuple):
    """All that a look is taken at; images are known by their places."""

    data: DataPart
    ids: Sequence[str]
    cases: Sequence[str]
    facts: Sequence[ImageFacts]
    thumbnails: np.ndarray
    """As of `Facts`."""
    parts: Parts

    @property
    def at_size(self) -> str:
        height, width = self.data.size
        return f"{height}x{width}"

    @property
    def classes(self) -> range:
        """The indices of the classes that are not the background."""
        return range(1, max(2, self.data.classes))

    def called(self, index: int) -> str:
        """A class, as people call it."""
        names = self.data.class_names
        if index < len(names):
            return names[index]
        return "background" if index == 0 else "foreground" if self.data.classes == 1 else f"class {index}"

    def of(self, image: int, index: int) -> ClassFacts:
        """A class in an image's mask."""
        return self.facts[image].classes.get(index, _NONE)

    def foreground(self, image: int, kept: bool = False) -> int:
        """Pixels of an image's mask that are of any class but the background: as drawn, or `kept` at the size."""
        found = (one for index, one in self.facts[image].classes.items() if index)
        return sum(one.kept if kept else one.drawn for one in found)

    def name(self, image: int) -> str:
        return f"'{brief(self.ids[image])}'"

    def some(self, images: Sequence[int], what: str = "images") -> str:
        """`3 of 12 images (the first: 'a')`."""
        return f"{len(images)} of {len(self.ids)} {what} (the first: {self.name(images[0])})"

    def where(self, image: int) -> str:
        """The part that an image is in, in words."""
        held = [name for name, part in zip(PARTS, self.parts, strict=True) if image in part]
        return IN_WORDS[held[-1]] if held else "no part"


class Doubt(NamedTuple):
    """What may not be as it was meant, in a sentence: how much of it there is, the first, and what to do."""

    kind: str
    """The same of two splits of a data set is said once."""
    said: str
    images: tuple[int, ...] = ()
    """Those it is about, if it is not about all."""
    stops: bool = False
    """Whether nothing can be learnt or judged so."""


def doubt(kind: str, said: str, images: Iterable[int] = ()) -> Doubt:
    return Doubt(kind, said, tuple(images))
