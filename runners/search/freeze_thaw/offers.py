"""What a search may start: configurations of a space that can be had, with their prices."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ablate.errors import InputError, TrialError
from ablate.progress import counted
from ablate.runners.search.beliefs import doubt_of, draw_believing
from ablate.runners.search.catalogue import as_params, combinations
from ablate.runners.search.encoding import Encoding, changed
from ablate.runners.search.freeze_thaw.cells import Offered
from ablate.runners.search.freeze_thaw.costs import KNOWN, SPREAD, Basis, Costs, figures_of
from ablate.runners.search.freeze_thaw.earlier import Earlier, EarlierCurve
from ablate.runners.search.freeze_thaw.journal import Took
from ablate.search_spaces.designs import Choice, Variant, variant
from ablate.search_spaces.space import Space

if TYPE_CHECKING:
    from ablate.cost.measured import Measured

MOST_PRICED = 1000
"""Configurations of a grid that are all priced beforehand; of larger ones, and of ranges, a pool is drawn."""
POOL = 96
_TRIES = 4


class Had(NamedTuple):
    """A configuration that can be had: what `Offered` says of it but for its place. `costs`: by `costs.KNOWN`."""

    cell: str
    costs: tuple[float, ...]
    seconds: float
    epochs: int
    keys: tuple[str, ...]
    by_layers: bool = True


class Offers:
    """Offers configurations of `space`; `have` makes one, or raises `InputError` for what cannot be had."""

    def __init__(
        self,
        space: Space,
        have: Callable[[Variant], Had],
        costs: Sequence[str] = KNOWN,
        seed: int = 0,
        *,
        measure: Callable[[str], Measured] | None = None,
    ) -> None:
        """
        Args:
            costs: names of one to four.
            measure: measures a configuration that was had; raises `TrialError` where it cannot be. Needed where one of
                the costs, or a bound, is of what is measured.
        """
        self._space, self._have, self._seed = space, have, seed
        self._encoding = Encoding(space, len(costs))
        of_basis = Encoding(space, len(KNOWN) + 1)
        self.costs = Costs(costs, space.constraints, of_basis.named)
        self._measure = measure
        self.choices: dict[str, Choice] = {}
        """Of each configuration that was offered or asked for, by cell."""
        self._had: dict[str, Had] = {}
        self._offered: dict[str, Offered] = {}
        """As far as they were asked for since something was measured."""
        self._all: list[str] | None = None
        self._why: InputError | None = None
        self._pool: tuple[tuple[int, tuple[str, ...]], list[str]] | None = None

    @property
    def named(self) -> NDArray[np.bool_]:
        """Which of `Offered.features` have no order."""
        return self._encoding.named

    def earlier(self, studies: Sequence[Sequence[EarlierCurve]]) -> Earlier:
        """What earlier studies say of this space's configurations."""
        factors, names = len(self._encoding.distributions), self.costs.names
        params = names.index("params") if "params" in names else None
        return Earlier(studies, self._encoding.place, self.named[:factors], params)

    def cell(self, choice: Mapping[str, Any]) -> str:
        """A configuration's, by its choice. Raises `InputError` for what cannot be had."""
        had = self._have(variant(self._space, choice))
        self.choices[had.cell], self._had[had.cell] = dict(choice), had
        return had.cell

    def of(self, choice: Mapping[str, Any]) -> Offered:
        """A configuration by its choice. Raises `InputError` for what cannot be had."""
        cell = self.cell(choice)
        if why := self.rejected().get(cell):
            raise InputError(f"a configuration that this search started: {why}")
        return self._priced([cell])[cell]

    def fresh(self, started: Collection[str], front: Sequence[str]) -> dict[str, Offered]:
        """What could be started, by cell: all of a small grid; else `POOL` of them, half of them drawn at random and
        half by changes of one or two factors of a configuration on the `front`. The same for the same arguments, and
        the same measurements."""
        rejected = self.rejected()
        return self._priced(
            [cell for cell in self._possible(started, front) if cell not in started and cell not in rejected]
        )

    def impossible(self) -> InputError:
        """What is to be said where nothing can be had."""
        why = self._why or next(iter(self.rejected().values()), "it is empty")
        return InputError(f"nothing of space {self._space.name} can be trained: {why}")

    # What is measured ------------------------------------------------------------------------------------------------

    def spread(self, past: Iterable[Took]) -> Iterator[Took]:
        """What is measured before anything is foretold: configurations spread over the seconds of what may start, as
        far as it is not of the `past`, which is seen. Raises `InputError` where none can be measured."""
        known = {event.cell: event for event in past}
        possible = (
            sorted(self._possible((), ()), key=lambda cell: self._had[cell].seconds) if self.costs.measured else []
        )
        places = np.linspace(0, len(possible) - 1, min(SPREAD, len(possible))).round().astype(int)
        first = list(dict.fromkeys(possible[place] for place in places))
        for cell in counted("measuring networks", first, len(first)):
            if cell in known:
                self.see(known[cell])
            elif event := self.measured(cell):
                self.see(event)
                yield event
        if not self.costs.can_foretell():
            raise self.impossible()

    def measured(self, cell: str) -> Took | None:
        """A configuration that was offered, measured now; None if nothing of it is left to measure."""
        if self.is_settled(cell):
            return None
        assert self._measure is not None
        choice = self.choices[cell]
        try:
            found = self._measure(cell)
        except TrialError as error:
            return Took(cell=cell, choice=choice, why=f"it cannot be measured: {error}")
        return Took(cell=cell, choice=choice, figures=figures_of(found), on=found.device)

    def is_settled(self, cell: str) -> bool:
        """Whether nothing of a configuration is left to measure."""
        return self.costs.is_settled(cell)

    def rejected(self) -> Mapping[str, str]:
        """What was measured and must not be trained, by cell, and why."""
        return self.costs.rejected()

    def see(self, event: Took) -> None:
        """Go by what was measured."""
        self.costs.see(self._basis(self.cell(event.choice)), event.figures, event.why)
        self._offered.clear()

    # What can be had -------------------------------------------------------------------------------------------------

    def _possible(self, started: Collection[str], front: Sequence[str]) -> list[str]:
        if self._all is None:
            few = list(combinations(self._space))
            self._all = self._found(few) if 0 < len(few) <= MOST_PRICED else []
        if self._all:
            return self._all
        basis = len(started) + len(self.rejected()), tuple(front)
        if self._pool is None or self._pool[0] != basis:
            self._pool = basis, self._drawn(*basis)
            self._offered.clear()
        return self._pool[1]

    def _drawn(self, number: int, front: Sequence[str]) -> list[str]:
        rng = np.random.default_rng([self._seed, number])
        found: dict[str, None] = {}
        for _ in range(_TRIES * POOL):
            parent = self.choices[front[int(rng.integers(len(front)))]] if front and rng.random() < 0.5 else None
            choice = draw_believing(self._space, rng) if parent is None else changed(self._space, parent, rng)
            found |= dict.fromkeys(self._found([choice]))
            if len(found) >= POOL:
                break
        return list(found)

    def _found(self, choices: Sequence[Choice]) -> list[str]:
        found = []
        for choice in choices:
            try:
                found.append(self.cell(choice))
            except InputError as error:  # too dear, or impossible
                self._why = error
        return list(dict.fromkeys(found))

    def _priced(self, cells: Sequence[str]) -> dict[str, Offered]:
        new = [cell for cell in cells if cell not in self._offered]
        if new:
            costs, chances = self.costs.of([self._basis(cell) for cell in new])
            for cell, prices, chance in zip(new, costs.tolist(), chances.tolist(), strict=True):
                had = self._had[cell]
                row = self._encoding.row(self._params(cell), prices)
                doubt = doubt_of(self._space, self.choices[cell])
                self._offered[cell] = Offered(cell, tuple(row), tuple(prices), *had[2:], chance=chance, doubt=doubt)
        return {cell: self._offered[cell] for cell in cells}

    def _basis(self, cell: str) -> Basis:
        had = self._had[cell]
        row = self._encoding.row(self._params(cell), (*had.costs, 1e9 * had.seconds))
        return Basis(cell, had.costs, tuple(row), had.seconds)

    def _params(self, cell: str) -> dict[str, Any]:
        return as_params(dict(self.choices[cell]), self._encoding.distributions)
