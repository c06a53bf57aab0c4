"""Samples that are decoded as they are reached: a large data set is never in memory as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import overload

import numpy as np

from ablate.data.source import Sample
from ablate.progress import counted

LARGE = 32e6
"""Bytes of files from which on a data set is decoded so, and kept as it was made ready (`ablate.data.store`)."""

Decoded = list[Sample]
"""The samples of one file: an image alone, or the slices of a volume."""


def outline_of(name: str, volume: str, shape: tuple[int, int]) -> Sample:
    """A sample of its volume whose image and mask are of this shape, and take no memory."""
    blank = np.broadcast_to(np.zeros((), np.uint8), shape)
    return Sample(name, volume, blank, blank, volume=volume)


class OneByOne(Sequence[Sample]):
    """The samples of files, each decoded when one of its samples is reached; the last is kept until the next is."""

    def __init__(self, outline: Sequence[Sample], files: Sequence[int], decode: Callable[[int], Decoded]) -> None:
        """`outline`: each sample without its pixels, with the shape of its mask; `files`: the number of its file."""
        self.outline, self._files, self._decode = list(outline), list(files), decode
        self._last: tuple[int, Decoded] = (-1, [])

    def like(self, outline: Sequence[Sample]) -> OneByOne:
        """The same images and masks, with what else this outline says."""
        return OneByOne(outline, self._files, self._decode)

    def __len__(self) -> int:
        return len(self.outline)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> list[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | list[Sample]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        file = self._files[place]
        if self._last[0] != file:
            self._last = (-1, [])  # not both in memory
            self._last = (file, self._decode(file))
        found = self._last[1][place - self._files.index(file, max(0, place - len(self._last[1])))]
        known = self.outline[place]
        return known._replace(
            image=found.image, mask=found.mask, labels=found.labels, spacing=known.spacing or found.spacing
        )

    def blocks(self) -> Iterator[list[Sample]]:
        """The samples of one file after the other."""
        files = groupby(range(len(self)), key=self._files.__getitem__)
        for _, places in counted("making images ready", files, len(set(self._files))):
            yield [self[place] for place in places]


def shapes_of(samples: Sequence[Sample]) -> list[tuple[int, int]]:
    """Height and width of each mask, as drawn; nothing is decoded for it."""
    known = samples.outline if isinstance(samples, OneByOne) else samples
    return [(sample.mask.shape[0], sample.mask.shape[1]) for sample in known]


def blocks_of(samples: Sequence[Sample]) -> Iterator[Sequence[Sample]]:
    """All samples, in order: as many at a time as must be in memory together, which are those of a volume."""
    return samples.blocks() if isinstance(samples, OneByOne) else iter([samples])
