"""What a search can have: a space as Optuna knows it, with a price for each of its configurations."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from pydantic import ValidationError

from ablate.errors import InputError
from ablate.foreign import keys, missing, whole
from ablate.runners.replay.curves import COSTS, taking_part
from ablate.search_spaces.designs import Choice, Variant, choose
from ablate.search_spaces.space import Range, Space
from ablate.settings import explain

if TYPE_CHECKING:
    import pandas as pd

    from ablate.cost.measured import Measured
    from ablate.search_spaces.plan import Planned, Planner
    from ablate.study.study import Study

_FINITE = 100_000


class Priced(NamedTuple):
    """A configuration that can be trained: `cell` identifies it."""

    cell: str
    params: int
    macs: int


class Catalogue(NamedTuple):
    """What can be had, and at what price. `price` raises `InputError` for what cannot be had, in milliseconds.

    `latency_ms` measures a configuration, in seconds; a space that bounds the latency needs it.
    """

    space: Space
    price: Callable[[Variant], Priced]
    latency_ms: Callable[[Variant], float] | None = None

    @property
    def free(self) -> frozenset[str]:
        """The factors that make no difference to the price: those of the protocol alone."""
        fields = {
            name: [{name: None}] if isinstance(factor, Range) else list(factor.values())
            for name, factor in self.space.factors.items()
        }
        return frozenset(
            name for name, sets in fields.items() if all(path.startswith("protocol.") for one in sets for path in one)
        )


def space_catalogue(planner: Planner, latency_ms: Callable[[Planned], float] | None = None) -> Catalogue:
    """A space's configurations, priced by building their networks without memory; `latency_ms` times a trial's."""

    def price(made: Variant) -> Priced:
        first = planner.trials(made)[0]
        return Priced(first.config.cell, first.params, first.macs)

    def measure(made: Variant) -> float:
        assert latency_ms is not None
        return latency_ms(planner.trials(made)[0])

    return Catalogue(planner.space, price, measure if latency_ms else None)


def kept_measured(study: Study) -> Callable[[Planned, Iterable[str]], Measured]:
    """Measures a trial's network on this machine, with one thread, once: the study keeps it. Within `study.writing()`.

    It is measured while other trials train, unless none does; what they take of the machine, it is slower by. There the
    interval hardly becomes narrow, so no more than ten seconds are spent on it. What is returned is called with a
    trial, and cells of the same network, of which one may have been measured; it raises as `measure` does. What the
    study has of another device or input is measured again, and left as it is.
    """

    here: dict[str, Measured] = {}

    def measured(planned: Planned, alike: Iterable[str] = ()) -> Measured:
        from ablate.cost.measured import choose_device, measure

        config = planned.config
        data, own = config.data, (config.cell, config.cell_by_fold)
        kept = study.measurements()
        for cell in (*own, *alike):
            found = here.get(cell) or kept.get(cell)
            if found and (found.device, found.channels, found.size) == (measuring_device(), data.channels, data.size):
                break
        else:
            found = measure(config.model, data.channels, data.classes, data.size, choose_device(None), seconds=10)
        here[config.cell] = found
        if not kept.keys() & set(own):
            study.keep_measurements({config.cell: found})
        return found

    return measured


def measuring_device() -> str:
    """Where networks are measured for a search, as `Measured.device` has it: on one thread of this machine."""
    from ablate.cost.machine import Machine, processor_of
    from ablate.cost.measured import choose_device

    device = choose_device(None)
    return str(Machine(device, processor_of(device), 1))


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """Each factor's distribution. A list of evenly spaced whole numbers is a range of them, so that order counts."""
    return {name: _distribution(space, name) for name in space.factors}


def _distribution(space: Space, name: str) -> BaseDistribution:
    options = space.options(name)
    if isinstance(options, list):
        numbers = _whole_numbers(options)
        steps = {b - a for a, b in itertools.pairwise(numbers)}
        if len(steps) == 1 and min(steps) > 0:
            return IntDistribution(numbers[0], numbers[-1], step=steps.pop())
        return CategoricalDistribution(options)
    if options.whole:
        return IntDistribution(int(options.low), int(options.high), log=options.log, step=int(options.step or 1))
    return FloatDistribution(options.low, options.high, log=options.log, step=options.step)


def _whole_numbers(levels: Sequence[str]) -> list[int]:
    return [int(level) for level in levels] if all(level.isdecimal() for level in levels) else []


def chosen(space: Space, params: Mapping[str, Any]) -> Choice:
    """The configuration that Optuna's parameters stand for."""
    return choose(space, lambda name, options: params[name] if isinstance(options, Range) else str(params[name]))


def as_params(choice: Choice, found: Mapping[str, BaseDistribution]) -> dict[str, Any]:
    """Optuna's parameters of a configuration."""
    return {name: int(value) if isinstance(found[name], IntDistribution) else value for name, value in choice.items()}


def combinations(space: Space) -> Iterator[Choice]:
    """Every configuration of a space without ranges, in order; none of one with ranges, or of too many."""
    options = [space.options(name) for name in space.factors]
    levels = [found for found in options if isinstance(found, list)]
    if len(levels) < len(options) or math.prod(map(len, levels)) > _FINITE:
        return
    for combination in itertools.product(*levels):
        picked = dict(zip(space.factors, combination, strict=True))
        yield choose(space, lambda name, _, picked=picked: picked[name])  # type: ignore[misc]


# Recorded curves -----------------------------------------------------------------------------------------------------


class Recorded(NamedTuple):
    """What a finished study can offer again: `keys` are the trials of each cell."""

    catalogue: Catalogue
    keys: dict[str, list[str]]


def recorded_catalogue(trials: pd.DataFrame, costs: Sequence[str] = COSTS) -> Recorded:
    """A catalogue of a study's trials that were trained, from table `trials` as `ablate.analysis.frames` has it.

    Its factors are those whose levels differ among them; what was not trained cannot be had. `costs`: the columns of
    the two prices.
    Raises `InputError` where two cells have the same levels, where there are fewer than two, for levels that are no
    names, and for other than two costs in whole numbers.
    """
    if len(costs) != 2:
        raise InputError(f"samplers search by two costs: give --cost twice, not {', '.join(costs)[:100]}")
    trained = taking_part(trials)
    columns = [name for name in trained.columns if str(name).startswith("factor.")]
    texts = {name: ["" if missing(level) else str(level) for level in trained[name]] for name in columns}
    texts = {name: levels for name, levels in texts.items() if len(set(levels)) > 1}
    names = keys("trials", trained)
    cells = keys("trials", trained, "cell") if "cell" in trained else names
    prices = [_whole_prices(trained, cost) for cost in costs]
    if len(set(cells)) < 2 or not texts:
        raise InputError("fewer than two trained configurations with levels: there is nothing to sample from")
    offered: dict[tuple[str, ...], Priced] = {}
    of_cell: dict[str, list[str]] = {}
    for place, key, cell, params, macs in zip(zip(*texts.values(), strict=True), names, cells, *prices, strict=True):
        if offered.setdefault(place, Priced(cell, params, macs)).cell != cell:
            raise InputError(f"two configurations are at {', '.join(place)[:200]}: the factors do not tell them apart")
        of_cell.setdefault(cell, []).append(key)
    factors = {}
    for name, levels in texts.items():
        # A factor need not be named after the field that it set; what is recorded is not built, so any field does.
        field = "protocol.epochs" if name.startswith("factor.protocol.") else "model.name"
        factors[name] = {level: {field: level} for level in sorted(set(levels), key=_order)}
    try:
        space = Space(name="recorded", question="What was trained?", design="grid", factors=factors)
    except ValidationError as error:
        raise InputError(f"the levels of {', '.join(texts)[:200]} cannot be sampled: {explain(error)}") from None

    def price(made: Variant) -> Priced:
        try:
            return offered[tuple(made.levels.values())]
        except KeyError:
            raise InputError(f"{', '.join(made.levels.values())} was not trained") from None

    return Recorded(Catalogue(space, price), of_cell)


def _whole_prices(trials: pd.DataFrame, cost: str) -> list[int]:
    try:
        found: list[int] = whole("trials", trials, cost).astype(int).tolist()
    except InputError as error:
        raise InputError(f"{error}, as samplers have their costs") from None
    return found


def _order(level: str) -> tuple[float, str]:
    """Numbers by their value, then names."""
    try:
        return float(level), ""
    except ValueError:
        return math.inf, level
