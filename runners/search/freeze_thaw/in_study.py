"""A search put into a study: what it decides is written down, planned, and trained like any other trial."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ablate.runners.search.freeze_thaw.cells import LEAST_SECONDS
from ablate.runners.search.freeze_thaw.conductor import Conductor
from ablate.runners.search.freeze_thaw.decider import Decider
from ablate.runners.search.freeze_thaw.gains import Prices, box_of
from ablate.runners.search.freeze_thaw.in_tune import ThawQueue
from ablate.runners.search.freeze_thaw.journal import Event, Went, append_event, read_events
from ablate.runners.search.freeze_thaw.offers import Had, Offers
from ablate.search_spaces.designs import Variant
from ablate.search_spaces.plan import run_of

if TYPE_CHECKING:
    from ablate.runners.execution.budget import Budget
    from ablate.search_spaces.plan import Planned, Planner
    from ablate.search_spaces.schedule import Times
    from ablate.study.study import Study

COSTS = ("params", "macs")
RESTART_SECONDS = 1.0
"""That a trial takes to start, or to go on, in a process that trained another before."""


class Asked(NamedTuple):
    """What a search is asked for. `most`: configurations; `workers`: trials at a time."""

    seed: int
    most: int | None
    workers: int


class Place(NamedTuple):
    """What is written into the study beside trials; as of `Study.plan`."""

    profile: str
    threads: int
    data_dir: Path | None
    storage: str | None

    def told(self) -> dict[str, Any]:
        """As `Study.plan` takes it."""
        return {"threads": self.threads, "data_dir": self.data_dir, "storage": self.storage}


def journal_file(study: Study, space: str, profile: str, seed: int) -> Path:
    return study.path / "searches" / f"{space}-{profile}-freeze_thaw-{seed}.jsonl"


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

    Raises `InputError` where what is remembered is damaged, and where nothing of the space can be had.
    """
    space, trials = planner.space, _Trials(study, planner, place, times, proposed)
    offers = Offers(space, trials.have, len(COSTS), asked.seed)
    first = offers.fresh((), ())
    if not first:
        raise offers.impossible()
    decider = Decider(
        offers.named,
        Prices(*box_of([offered.costs for offered in first.values()])),
        bar=bar_of(trials.of[next(iter(first))]),
        last=max(offered.epochs for offered in first.values()),
        restart=RESTART_SECONDS,
        seed=asked.seed,
    )
    file = journal_file(study, space.name, place.profile, asked.seed)
    past = read_events(file)
    begun = [offers.of(event.choice).cell for event in past if isinstance(event, Went) and event.choice is not None]
    if begun:
        trials.plan(*begun)
    budget = budget_of([planned for cell in begun for planned in trials.of[cell]])

    def note(event: Event) -> None:
        append_event(file, event)
        if isinstance(event, Went) and event.choice is not None:
            trials.plan(event.cell)

    conductor = Conductor(
        decider, offers, past=past, note=note, limits=budget, workers=asked.workers, most=asked.most, known=trials.known
    )
    return ThawQueue(conductor, trials.planned.get, budget)


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
