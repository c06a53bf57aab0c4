"""Arrays of different sizes as one, which Ray's object store shares without a copy."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Ragged:
    """Arrays of one type and number of axes: all their values in a row, and the shape of each."""

    values: np.ndarray
    """One axis. May be read-only."""
    shapes: np.ndarray
    """(N, axes) int64."""
    starts: np.ndarray
    """(N,) int64: where in `values` each array begins."""

    @classmethod
    def empty(
        cls, shapes: Sequence[tuple[int, ...]], dtype: type, empty: Callable[..., np.ndarray] = np.empty
    ) -> Ragged:
        """Arrays of these shapes, to be filled: `ragged[i][...] = values`. `empty`: makes the row of their values."""
        return cls.of(empty((sum(math.prod(shape) for shape in shapes),), dtype), shapes)

    @classmethod
    def of(cls, values: np.ndarray, shapes: Sequence[Sequence[int]]) -> Ragged:
        """Arrays of these shapes whose values are there, in a row."""
        sizes = np.array([math.prod(shape) for shape in shapes], dtype=np.int64)
        starts = np.concatenate([[0], sizes.cumsum()]).astype(np.int64)
        return cls(values, np.array(shapes, dtype=np.int64), starts[:-1])

    def __len__(self) -> int:
        return len(self.shapes)

    def __getitem__(self, index: int) -> np.ndarray:
        """One of the arrays: a view."""
        start, shape = self.starts[index], self.shapes[index]
        return self.values[start : start + shape.prod()].reshape(shape)

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[index] for index in range(len(self)))


Arrays = np.ndarray | Ragged
"""One array for each image: of one shape stacked, or `Ragged`."""


def chosen(arrays: Arrays, indices: Sequence[int]) -> np.ndarray | list[np.ndarray]:
    """Some of the arrays, in this order: stacked where all are of one shape."""
    return [arrays[index] for index in indices] if isinstance(arrays, Ragged) else arrays[list(indices)]
