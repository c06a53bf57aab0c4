"""What a search may start: configurations of a space that can be had, with their prices."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ablate.errors import InputError
from ablate.runners.search.beliefs import doubt_of, draw_believing
from ablate.runners.search.catalogue import as_params, combinations
from ablate.runners.search.encoding import Encoding, changed
from ablate.runners.search.freeze_thaw.cells import Offered
from ablate.search_spaces.designs import Choice, Variant, variant
from ablate.search_spaces.space import Space

MOST_PRICED = 1000
"""Configurations of a grid that are all priced beforehand; of larger ones, and of ranges, a pool is drawn."""
POOL = 96
_TRIES = 4


class Had(NamedTuple):
    """A configuration that can be had: what `Offered` says of it but for its place."""

    cell: str
    costs: tuple[float, ...]
    seconds: float
    epochs: int
    keys: tuple[str, ...]
    by_layers: bool = True


class Offers:
    """Offers configurations of `space`; `have` makes one, or raises `InputError` for what cannot be had."""

    def __init__(self, space: Space, have: Callable[[Variant], Had], costs: int, seed: int) -> None:
        self._space, self._have, self._seed = space, have, seed
        self._encoding = Encoding(space, costs)
        self.choices: dict[str, Choice] = {}
        """Of each configuration that was offered or asked for, by cell."""
        self._all: dict[str, Offered] | None = None
        self._why: InputError | None = None
        self._pool: tuple[tuple[int, tuple[str, ...]], dict[str, Offered]] | None = None

    @property
    def named(self) -> NDArray[np.bool_]:
        """Which of `Offered.features` have no order."""
        return self._encoding.named

    def of(self, choice: Mapping[str, Any]) -> Offered:
        """A configuration by its choice. Raises `InputError` for what cannot be had."""
        had = self._have(variant(self._space, choice))
        row = self._encoding.row(as_params(dict(choice), self._encoding.distributions), had.costs)
        self.choices[had.cell] = dict(choice)
        return Offered(had.cell, tuple(row), *had[1:], doubt=doubt_of(self._space, choice))

    def fresh(self, started: Collection[str], front: Sequence[str]) -> dict[str, Offered]:
        """What could be started, by cell: all of a small grid; else `POOL` of them, half of them drawn at random and
        half by changes of one or two factors of a configuration on the `front`. The same for the same arguments."""
        if self._all is None:
            few = list(combinations(self._space))
            self._all = self._found(few) if 0 < len(few) <= MOST_PRICED else {}
        if self._all:
            return {cell: offered for cell, offered in self._all.items() if cell not in started}
        basis = len(started), tuple(front)
        if self._pool is None or self._pool[0] != basis:
            self._pool = basis, self._drawn(*basis)
        return {cell: offered for cell, offered in self._pool[1].items() if cell not in started}

    def impossible(self) -> InputError:
        """What is to be said where nothing can be had."""
        return InputError(f"nothing of space {self._space.name} can be trained: {self._why or 'it is empty'}")

    def _drawn(self, number: int, front: Sequence[str]) -> dict[str, Offered]:
        rng = np.random.default_rng([self._seed, number])
        found: dict[str, Offered] = {}
        for _ in range(_TRIES * POOL):
            parent = self.choices[front[int(rng.integers(len(front)))]] if front and rng.random() < 0.5 else None
            choice = draw_believing(self._space, rng) if parent is None else changed(self._space, parent, rng)
            found |= self._found([choice])
            if len(found) >= POOL:
                break
        return found

    def _found(self, choices: Sequence[Choice]) -> dict[str, Offered]:
        found = {}
        for choice in choices:
            try:
                offered = self.of(choice)
            except InputError as error:  # too dear, or impossible
                self._why = error
                continue
            found[offered.cell] = offered
        return found
