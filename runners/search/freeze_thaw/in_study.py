"""A search put into a study: what it decides is written down, planned, and trained like any other trial."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ablate.errors import InputError
from ablate.runners.search.catalogue import kept_measured, measuring_device
from ablate.runners.search.freeze_thaw.cells import LEAST_SECONDS, Offered
from ablate.runners.search.freeze_thaw.conductor import Conductor
from ablate.runners.search.freeze_thaw.costs import KNOWN, Costs
from ablate.runners.search.freeze_thaw.decider import Decider
from ablate.runners.search.freeze_thaw.gains import Prices, box_of
from ablate.runners.search.freeze_thaw.in_tune import ThawQueue
from ablate.runners.search.freeze_thaw.journal import Event, Learnt, Took, Went, append_event, read_events
from ablate.runners.search.freeze_thaw.learning import learnt, memory_of
from ablate.runners.search.freeze_thaw.offers import Had, Offers
from ablate.search_spaces.designs import Variant
from ablate.search_spaces.plan import run_of

if TYPE_CHECKING:
    from ablate.cost.measured import Measured
    from ablate.runners.execution.budget import Budget
    from ablate.search_spaces.plan import Planned, Planner
    from ablate.search_spaces.schedule import Times
    from ablate.search_spaces.space import Space
    from ablate.study.study import Study

RESTART_SECONDS = 1.0
"""That a trial takes to start, or to go on, in a process that trained another before."""


class Asked(NamedTuple):
    """What a search is asked for. `most`: configurations; `workers`: trials at a time; `costs`: by which it searches,
    in the order of `costs.KNOWN` and `MEASURED`; `retry_failed`: what failed is trained once more;
    `learn_from`: earlier studies."""

    seed: int
    most: int | None
    workers: int
    costs: Sequence[str] = KNOWN
    retry_failed: bool = False
    learn_from: Sequence[Path] = ()


class Place(NamedTuple):
    """What is written into the study beside trials; as of `Study.plan`."""

    profile: str
    threads: int
    data_dir: Path | None
    storage: str | None

    def told(self) -> dict[str, Any]:
        """As `Study.plan` takes it."""
        return {"threads": self.threads, "data_dir": self.data_dir, "storage": self.storage}


def journal_file(
    study: Study, space: str, profile: str, seed: int, costs: Costs, learn_from: Sequence[Path] = ()
) -> Path:
    """Where a search remembers: by its costs too, but for parameters and MACs, by what is measured for a bound, and by
    what it learns from."""
    by = "" if costs.names == KNOWN else f"-{'+'.join(costs.names)}"
    within = "+".join(name for name in costs.measured if name not in costs.names)
    within = f"-within_{within}" if within else ""
    return study.path / "searches" / f"{space}-{profile}-freeze_thaw{by}{within}{memory_of(learn_from)}-{seed}.jsonl"


def make_thaw_queue(
    study: Study,
    planner: Planner,
    asked: Asked,
    place: Place,
    *,
    times: Times,
    bar_of: Callable[[list[Planned]], float],
    budget_of: Callable[[list[Planned]], Budget],
    proposed: Callable[[list[Planned]], None],
) -> ThawQueue:
    """The search's trials as Ray Tune asks for them, with the memory that `study` has of it. Within `study.writing()`.

    Args:
        times: how long trials take.
        bar_of: the score above which hypervolume counts, where these trials are among those that it may have.
        budget_of: what may be spent, where these trials' epochs so far count.
        proposed: is told of each configuration's trials before they start.

    Raises `InputError` where what is remembered is damaged, nothing of the space can be had, and as `learnt` does.
    """
    space, trials = planner.space, _Trials(study, planner, place, times, proposed)
    offers = Offers(space, trials.have, asked.costs, asked.seed, measure=trials.measured)
    file = journal_file(study, space.name, place.profile, asked.seed, offers.costs, asked.learn_from)
    past = read_events(file)
    known = _learnt(asked, space, past, file)
    _check_device(past, file)
    begun = [offers.cell(event.choice) for event in past if isinstance(event, Went) and event.choice is not None]
    budget = budget_of([planned for cell in begun for planned in trials.of[cell]])
    first = _first(offers, past, file)
    decider = Decider(
        offers.named,
        _prices(offers.costs, first.values()),
        bar=bar_of(trials.of[next(iter(first))]),
        last=max(offered.epochs for offered in first.values()),
        restart=RESTART_SECONDS,
        seed=asked.seed,
        earlier=None if known is None else offers.earlier(list(known.studies.values())),
    )
    if begun:
        trials.plan(*begun)

    def note(event: Event) -> None:
        append_event(file, event)
        if isinstance(event, Went) and event.choice is not None:
            trials.plan(event.cell)

    conductor = Conductor(
        decider,
        offers,
        past=past,
        note=note,
        limits=budget,
        workers=asked.workers,
        most=asked.most,
        known=trials.known,
        measuring=offers,
        retry_failed=asked.retry_failed,
    )
    return ThawQueue(conductor, trials.planned.get, budget)


def _learnt(asked: Asked, space: Space, past: list[Event], file: Path) -> Learnt | None:
    """What is known of earlier studies. As a search begins, that is added to `past` and `file`, before anything else.

    Raises `InputError` as `learning.learnt` does.
    """
    known = learnt(past, asked.learn_from, space.factors)
    if known is not None and not past:
        append_event(file, known)
        past.append(known)
    return known


def _first(offers: Offers, past: list[Event], file: Path) -> dict[str, Offered]:
    """What may be started, once as much is measured as it takes to foretell the rest: that is added to `past` and
    `file`. Raises `InputError` where there is nothing."""
    for event in offers.spread([event for event in past if isinstance(event, Took)]):
        append_event(file, event)
        past.append(event)
    first = offers.fresh((), ())
    if not first:
        raise offers.impossible()
    return first


def _prices(costs: Costs, first: Iterable[Offered]) -> Prices:
    """From the lowest to the highest that may be started, as far as bounds allow."""
    within = np.minimum([offered.costs for offered in first], costs.most)
    return Prices(*box_of(within, costs.margins))


def _check_device(past: Sequence[Event], file: Path) -> None:
    """Raises `InputError` where what was measured elsewhere cannot be compared with what would be measured here."""
    measured_on = next((event.on for event in past if isinstance(event, Took) and event.on), None)
    if measured_on is not None and measured_on != (here := measuring_device()):
        raise InputError(
            f"this search measured its networks on {measured_on}, and here is {here}: go on with it there, or delete "
            f"'{file}' to search anew; trained trials are kept"
        )


class _Trials:
    """The trials of a planner's configurations, as they are asked for, in a study."""

    def __init__(
        self, study: Study, planner: Planner, place: Place, times: Times, proposed: Callable[[list[Planned]], None]
    ) -> None:
        self.of: dict[str, list[Planned]] = {}
        """By cell."""
        self.planned: dict[str, Planned] = {}
        """By key."""
        self._study, self._planner, self._place = study, planner, place
        self._times, self._proposed = times, proposed
        self._measured = kept_measured(study)

    def have(self, made: Variant) -> Had:
        """A configuration, priced. Raises `InputError` for what cannot be had."""
        found = self._planner.trials(made)
        first = found[0]
        cell = first.config.cell
        self.of[cell] = found
        self.planned.update({one.key: one for one in found})
        foretold = self._times.foretold(first)
        return Had(
            cell,
            (first.params, first.macs),
            max(foretold.seconds, LEAST_SECONDS),
            first.config.protocol.epochs,
            tuple(one.key for one in found),
            foretold.by_layers,
        )

    def measured(self, cell: str) -> Measured:
        """What a configuration's network takes here. Of several configurations of one network it is measured once.

        Raises `TrialError` where it cannot be measured.
        """
        network, data = self.of[cell][0].config.model.text, self.of[cell][0].config.data
        alike = [
            other
            for other, (first, *_) in self.of.items()
            if (first.config.model.text, first.config.data) == (network, data)
        ]
        return self._measured(self.of[cell][0], alike)

    def plan(self, *cells: str) -> None:
        """Have the study know of these cells' trials before they start."""
        found = [planned for cell in cells for planned in self.of[cell]]
        run = run_of(self._planner.space, self._place.profile, found, "search", self._planner.looks)
        self._study.plan(run, **self._place.told())
        self._proposed(found)

    def known(self, key: str) -> Mapping[int, float] | None:
        """The best scores so far by epoch of a trial that is complete; of others none."""
        record = self._study.record(key)
        if record is None or record.state != "complete":
            return None
        scores = np.maximum.accumulate(self._study.table(key, "epochs")["val_dice"].to_numpy())
        return dict(enumerate(map(float, scores), start=1))
