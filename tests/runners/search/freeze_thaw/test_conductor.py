"""A search as it runs, on made curves: what trains next, seeds together, budgets, failures, and a kill at any event."""

import math
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pytest

from ablate.runners.search.freeze_thaw.cells import Offered
from ablate.runners.search.freeze_thaw.conductor import Conductor
from ablate.runners.search.freeze_thaw.decider import Decider
from ablate.runners.search.freeze_thaw.gains import Prices, box_of
from ablate.runners.search.freeze_thaw.journal import (
    Ended,
    Event,
    Failed,
    Retried,
    Saw,
    Went,
    append_event,
    read_events,
)

EPOCHS = 9


class Grid:
    """Networks that cost more and more, of each price a good one and worse ones; as `Offers` gives them."""

    def __init__(self, prices: int = 8, kinds: int = 4, seeds: int = 1, failing: int | None = None) -> None:
        self.failing = failing
        """The kind whose trainings fail."""
        self.cells = {
            f"p{price}k{kind}": Offered(
                f"p{price}k{kind}",
                (price / (prices - 1), float(kind)),
                (1e4 * 2.0**price, 1e6 * 2.0**price),
                1.0 + price,
                EPOCHS,
                tuple(f"p{price}k{kind}s{seed}" for seed in range(seeds)),
            )
            for price in range(prices)
            for kind in range(kinds)
        }
        self.choices: dict[str, Mapping] = {cell: {"cell": cell} for cell in self.cells}
        self.cell_of = {key: offered for offered in self.cells.values() for key in offered.keys}

    def of(self, choice: Mapping) -> Offered:
        return self.cells[choice["cell"]]

    def fresh(self, started, front) -> dict[str, Offered]:
        return {cell: offered for cell, offered in self.cells.items() if cell not in started}

    def score(self, key: str, epoch: int) -> float:
        price, kind, seed = int(key[1]), int(key[3]), int(key[5])
        final = 0.6 + 0.04 * price - 0.06 * kind
        return final * (1 - math.exp(-epoch / 2.5)) + 0.005 * seed

    def conductor(self, **more) -> Conductor:
        low, high = box_of([offered.costs for offered in self.cells.values()])
        named = np.array([False, True])
        decider = Decider(named, Prices(low, high), bar=0.1, last=EPOCHS, restart=0.1)
        return Conductor(decider, self, **more)


class Run(NamedTuple):
    steps: list[tuple[str, int]]
    """The epochs that were trained: a trial, and which."""
    noted: list[Event]
    conductor: Conductor


class KilledError(Exception):
    pass


def run(grid: Grid, workers: int = 1, had: dict[str, int] | None = None, kill_at: int | None = None, limits=None,
        **more) -> Run:  # fmt: skip
    """As Ray Tune would, one epoch of each worker after another. `had`: epochs in each trial's checkpoint. It is killed
    as it is to note event number `kill_at`."""
    had = {} if had is None else had
    steps, noted = [], []

    def note(event: Event) -> None:
        if len(noted) == kill_at:
            raise KilledError
        noted.append(event)

    conductor = grid.conductor(note=note, workers=workers, limits=limits, **more)
    at_work: list[list] = []
    try:
        while True:
            while len(at_work) < workers and (key := conductor.next_key()):
                assert key not in [other for other, _ in at_work], "a trial is trained twice at a time"
                at_work.append([key, 0])
            if not at_work:
                return Run(steps, noted, conductor)
            work = at_work.pop(0)
            key, told = work
            if grid.failing is not None and int(key[3]) == grid.failing:
                steps.append((key, 1))
                conductor.ended(key, failed=True)
                continue
            if told >= had.get(key, 0):
                had[key] = told + 1
                steps.append((key, told + 1))
                if limits:
                    limits.trained()
            work[1] = told = told + 1
            best = max(grid.score(key, epoch) for epoch in range(1, told + 1))
            goes_on = conductor.reached(key, told, best, grid.cell_of[key].seconds)
            if told == EPOCHS or not goes_on:
                conductor.ended(key)
            else:
                at_work.append(work)
    except KilledError:
        return Run(steps, noted, conductor)


def test_it_finds_the_front_for_a_part_of_the_epochs_and_says_why_it_ends():
    grid = Grid(prices=6, kinds=10)
    found = run(grid)
    assert found.conductor.over == "little is left to gain"
    assert isinstance(found.noted[-1], Ended)
    assert len(found.steps) < 0.5 * EPOCHS * len(grid.cells)
    finished = {key for key, epoch in found.steps if epoch == EPOCHS}
    assert {f"p{price}k0s0" for price in range(6)} <= finished


def test_no_epoch_is_trained_twice_and_none_left_out():
    found = run(Grid(seeds=2), workers=3)
    for key in {key for key, _ in found.steps}:
        epochs = [epoch for other, epoch in found.steps if other == key]
        assert epochs == list(range(1, len(epochs) + 1))


@pytest.mark.parametrize("seeds", [2, 3])
def test_the_seeds_of_a_configuration_go_on_together(seeds):
    found = run(Grid(prices=4, seeds=seeds), workers=2)
    lengths: dict[str, set[int]] = {}
    for cell in {key[:4] for key, _ in found.steps}:
        lengths[cell] = {sum(key == f"{cell}s{seed}" for key, _ in found.steps) for seed in range(seeds)}
    assert all(len(found) == 1 for found in lengths.values()), lengths
    assert {EPOCHS} in lengths.values()


@pytest.mark.parametrize("workers", [1, 3])
def test_a_search_that_is_killed_at_any_event_goes_on_as_it_would_have(workers):
    grid = Grid(prices=3, kinds=2)
    whole = run(grid, workers)
    for kill_at in range(0, len(whole.noted), 3 if workers == 1 else 7):
        had: dict[str, int] = {}
        first = run(grid, workers, had, kill_at)
        then = run(grid, workers, had, past=first.noted)
        if workers == 1:  # with several, who reaches a rung first is another after a new start
            assert [*first.noted, *then.noted] == whole.noted
            assert [*first.steps, *then.steps] == whole.steps
        assert then.conductor.over
        again = run(grid, workers, had, past=[*first.noted, *then.noted])
        assert (again.steps, again.noted) == ([], [])


def test_what_is_remembered_is_what_was_noted(tmp_path):
    file = tmp_path / "searches" / "s.jsonl"
    noted = run(Grid(prices=3)).noted
    for event in noted:
        append_event(file, event)
    assert read_events(file) == noted
    assert {type(event) for event in noted} >= {Went, Saw, Ended}


def test_a_kind_that_fails_is_left_alone():
    grid = Grid(prices=8, kinds=2, failing=1)
    found = run(grid)
    failed = {event.key for event in found.noted if isinstance(event, Failed)}
    assert len(failed) < 8 / 2
    assert {f"p{price}k0s0" for price in range(8)} <= {key for key, epoch in found.steps if epoch == EPOCHS}


def test_what_failed_stays_failed_unless_it_is_to_be_tried_once_more():
    grid = Grid(prices=4, kinds=2, failing=1)
    first = run(grid)
    failed = {event.key for event in first.noted if isinstance(event, Failed)}
    assert failed
    had = {
        key: max(epoch for other, epoch in first.steps if other == key) for key, _ in first.steps if key not in failed
    }
    assert run(grid, had=dict(had), past=first.noted).steps == []

    once_more = run(grid, had=dict(had), past=first.noted, retry_failed=True)
    assert {event.cell for event in once_more.noted if isinstance(event, Retried)} == {key[:4] for key in failed}
    assert Counter(key for key, _ in once_more.steps if key in failed) == Counter(failed)  # and fails again

    grid.failing = None
    mended = run(grid, had=dict(had), past=first.noted, retry_failed=True)
    assert failed <= {key for key, _ in mended.steps}
    assert not any(isinstance(event, Failed) for event in mended.noted)
    # Without the flag it goes on by what was noted, as it would have.
    cut = len(mended.noted) // 2
    kept = dict(had)
    half = run(grid, had=kept, past=first.noted, retry_failed=True, kill_at=cut)
    rest = run(grid, had=kept, past=[*first.noted, *half.noted])
    assert [*half.noted, *rest.noted] == mended.noted


class Limits:
    def __init__(self, epochs: float) -> None:
        self.epochs_left, self.seconds_left = epochs, math.inf

    @property
    def is_over(self) -> bool:
        return self.epochs_left <= 0

    def trained(self) -> None:
        self.epochs_left -= 1


@pytest.mark.parametrize("workers", [1, 8, 32])
@pytest.mark.parametrize("epochs", [1, 7, 20, 60])
def test_no_more_is_trained_than_the_budget_has(workers, epochs):
    found = run(Grid(), workers, limits=Limits(epochs))
    assert len(found.steps) <= epochs
    assert found.conductor.over == "the budget is spent"


class Hours:
    """So many seconds, of a clock that stands where it is set."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.now, self.epochs_left = seconds, 0.0, math.inf

    @property
    def seconds_left(self) -> float:
        return max(0.0, self.seconds - self.now)

    @property
    def is_over(self) -> bool:
        return self.seconds_left <= 0


@pytest.mark.parametrize("workers", [1, 8, 32])
def test_a_budget_of_hours_is_overrun_by_the_running_epochs_at_most(workers):
    """Though epochs take three times what was foretold of them, and seeds wait for workers as it ends."""
    slower = 40.0
    grid, limits, had = Grid(prices=5, seeds=3), Hours(60.0), {}
    conductor = grid.conductor(workers=workers, limits=limits)
    at_work: list[tuple[float, str, int]] = []
    began: list[float] = []
    while True:
        while len(at_work) < workers and (key := conductor.next_key()):
            began.append(limits.now)
            at_work.append((limits.now + slower * grid.cell_of[key].seconds, key, had.get(key, 0) + 1))
        if not at_work:
            break
        at_work.sort()
        limits.now, key, epoch = at_work.pop(0)
        had[key] = epoch
        best = max(grid.score(key, other) for other in range(1, epoch + 1))
        if not conductor.reached(key, epoch, best, slower * grid.cell_of[key].seconds) or epoch == EPOCHS:
            conductor.ended(key)
        else:
            began.append(limits.now)
            at_work.append((limits.now + slower * grid.cell_of[key].seconds, key, epoch + 1))
    assert conductor.over == "the budget is spent"
    assert max(began) < 60.0
    assert limits.now < 60.0 + slower * max(offered.seconds for offered in grid.cells.values())


def test_what_is_on_the_front_when_the_budget_ends_is_trained_to_its_end():
    found = run(Grid(), limits=Limits(60))
    lengths = {key: max(epoch for other, epoch in found.steps if other == key) for key, _ in found.steps}
    front = found.conductor._decider.front()
    assert front
    assert all(lengths[f"{cell}s0"] == EPOCHS for cell in front)


def test_configurations_that_were_trained_before_are_observed_and_cost_nothing():
    grid = Grid(prices=4, kinds=3)
    known = {key: {epoch: grid.score(key, epoch) for epoch in range(1, EPOCHS + 1)} for key in grid.cell_of}
    found = run(grid, known=known.get)
    assert found.steps == []
    assert found.conductor.over


def test_at_most_so_many_configurations_are_begun():
    found = run(Grid(), most=5)
    assert len({key for key, _ in found.steps}) == 5


def test_a_machine_s_noise_changes_nothing_of_what_is_proposed():
    calm, noisy = Grid(prices=4), Grid(prices=4)
    rng = np.random.default_rng(0)
    noisy.cell_of = {
        key: offered._replace(seconds=offered.seconds * rng.uniform(0.8, 1.3)) for key, offered in noisy.cell_of.items()
    }
    assert run(calm).steps == run(noisy).steps
