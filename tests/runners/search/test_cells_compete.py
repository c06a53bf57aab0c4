"""Seeds and folds of one configuration: they stand together, never compete, and live or die together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from ablate.modules import code_from
from ablate.runners.replay.curves import Curve
from ablate.runners.search.schedulers.base import knows_cells, make_scheduler
from ablate.runners.search.stopping import Standings
from ablate.runners.simulate import Keys, simulate
from ablate.search_spaces.schedule import shuffled

CONTINUE, PAUSE, STOP = TrialScheduler.CONTINUE, TrialScheduler.PAUSE, TrialScheduler.STOP
EPOCHS = 16
CELLS = 24


def seeded(cells: int = CELLS, seeds: int = 3) -> tuple[dict[str, Curve], dict[str, str]]:
    """Curves of so many cells, whose seeds differ as much as cells of a price do."""
    rng = np.random.default_rng(1)
    curves, of = {}, {}
    for cell in range(cells):
        cost = 10 ** (4 + 2 * rng.random())
        final, pace = 0.5 + 0.05 * np.log10(cost) + rng.normal(0, 0.04), rng.uniform(1, 4)
        for seed in range(seeds):
            luck = rng.normal(0, 0.04)
            scores = tuple((final + luck) * (1 - np.exp(-epoch / pace)) for epoch in range(1, EPOCHS + 1))
            curves[f"c{cell}#{seed}"] = Curve((cost, 7 * cost), scores, (1.0,) * EPOCHS)
            of[f"c{cell}#{seed}"] = f"c{cell}"
    return curves, of


def complete(trained: dict[str, int], of: dict[str, str]) -> dict[str, int]:
    """How many seeds of each cell had all epochs, of those of which any had."""
    found: dict[str, int] = {}
    for key, epochs in trained.items():
        if epochs == EPOCHS:
            found[of[key]] = found.get(of[key], 0) + 1
    return found


def replayed(curves: dict[str, Curve], of: dict[str, str], name: str, workers: int, order: list[str]) -> dict[str, int]:
    costs = {key: curve.costs for key, curve in curves.items()}
    scheduler = make_scheduler(name, costs=costs, max_epochs=EPOCHS, cells=of)
    return {step.key: step.epoch for step in simulate(curves, Keys(order), scheduler, workers)}


@pytest.mark.parametrize("workers", [1, 8])
@pytest.mark.parametrize("name", ["pareto", "pareto-promote"])
def test_of_every_cell_that_has_a_complete_seed_all_are_complete(name, workers):
    curves, of = seeded()
    together = shuffled(curves, of.__getitem__)
    apart = [list(curves)[at] for at in np.random.default_rng(0).permutation(len(curves))]
    for order in (together, apart):
        trained = replayed(curves, of, name, workers, order)
        found = complete(trained, of)
        assert found == dict.fromkeys(found, 3)
        assert 2 <= len(found) < CELLS
        assert sum(trained.values()) < 0.75 * EPOCHS * len(curves)
    # As cells of their own, seeds kill their twins.
    lonely = complete(replayed(curves, {}, name, workers, together), of)
    assert min(lonely.values()) < 3


def test_a_cell_stands_where_the_mean_of_those_does_that_had_the_epoch():
    known = Standings(dict.fromkeys(("a", "b", "c"), (1.0,)), 3)
    known.cells = {"a": "one", "b": "one"}
    for key, epoch, score in (("a", 1, 0.2), ("a", 2, 0.6), ("b", 1, 0.4), ("c", 1, 0.9)):
        known.add(key, epoch, score)
    cells, points = known.after(1)
    assert cells == ["one", "c"]
    assert points[:, 0] == pytest.approx([0.3, 0.9])
    assert known.after(2)[1][:, 0] == pytest.approx([0.6])
    assert (known.reach("one"), known.reach("one", but="a"), known.length("b")) == (2, 1, 1)
    assert known.achieved(but="one")[:, 0] == pytest.approx([0.9])


def of_trial(key: str, status: str = Trial.RUNNING) -> Trial:
    trial = Trial("made", config={"key": key}, trial_id=key, stub=True)
    trial.set_status(status)
    return trial


def made(name: str, keys: str, **options: Any) -> Any:
    """Trials of two letters: the first is their cell; all cost the same."""
    names = keys.split()
    costs = dict.fromkeys(names, (10.0,))
    return make_scheduler(name, costs=costs, max_epochs=9, cells={key: key[0] for key in names}, **options)


def report(scheduler: Any, key: str, epoch: int, score: float) -> str:
    return scheduler.on_trial_result(None, of_trial(key), {"epoch": epoch, "val_dice": score})


def test_what_a_rung_decides_of_one_seed_holds_for_the_others():
    scheduler = made("pareto", "a0 a1 b0 b1 c0 c1")
    assert report(scheduler, "a0", 1, 0.5) == CONTINUE
    assert report(scheduler, "b0", 1, 0.4) == STOP
    assert report(scheduler, "c0", 1, 0.6) == CONTINUE
    assert report(scheduler, "a1", 1, 0.1) == CONTINUE  # though it is the worst of all
    assert report(scheduler, "b1", 1, 0.9) == STOP  # though it is the best


def test_a_cell_of_which_a_seed_is_about_to_end_is_not_given_up():
    scheduler = made("pareto", "a0 a1 b0 b1 " + " ".join(f"{letter}0" for letter in "fghijklmno"), grace=9)
    for letter in "fghijklmno":
        scheduler.observe(f"{letter}0", [0.9] * 9)
    scheduler.observe("a0", [0.1] * 8)
    assert report(scheduler, "a1", 1, 0.1) == CONTINUE
    assert report(scheduler, "b0", 1, 0.1) == STOP
    assert report(scheduler, "b1", 1, 0.95) == STOP


def test_what_an_earlier_run_gave_up_stays_so_and_what_it_let_go_on_does():
    scheduler = made("pareto", "a0 a1 b0 b1 c0 c1")
    scheduler.observe_stopped("a0", [0.9], goes_on=False)
    scheduler.observe("b0", [0.2] * 9)
    scheduler.observe_stopped("c0", [0.3, 0.3], goes_on=True)
    assert report(scheduler, "a1", 1, 0.9) == STOP
    assert [report(scheduler, "b1", epoch, 0.1) for epoch in (1, 2)] == [CONTINUE] * 2
    assert [report(scheduler, "c0", epoch, 0.3) for epoch in (1, 2, 3)] == [CONTINUE] * 3
    assert report(scheduler, "c1", 1, 0.1) == CONTINUE


class Controller:
    def __init__(self, *trials: Trial) -> None:
        self.trials = trials
        self.stopped: list[str] = []

    def get_trials(self) -> tuple[Trial, ...]:
        return self.trials

    def stop_trial(self, trial: Trial) -> None:
        self.stopped.append(trial.config["key"])
        trial.set_status(Trial.TERMINATED)


def test_promotion_takes_all_seeds_of_a_cell_along():
    scheduler = made("pareto-promote", "a0 a1 a2 b0 n0", reduction_factor=2)
    for key, score in (("a0", 0.6), ("a1", 0.4), ("b0", 0.1)):
        assert report(scheduler, key, 1, score) == PAUSE
    trials = [of_trial(key, Trial.PAUSED) for key in ("a0", "b0", "a1")]
    controller = Controller(of_trial("n0", Trial.PENDING), *trials)
    assert scheduler.choose_trial_to_run(controller).config["key"] == "a0"  # two cells came: one goes on
    trials[0].set_status(Trial.RUNNING)
    assert scheduler.choose_trial_to_run(controller).config["key"] == "a1"
    trials[2].set_status(Trial.RUNNING)
    assert scheduler.choose_trial_to_run(controller).config["key"] == "n0"
    assert report(scheduler, "a2", 1, 0.0) == CONTINUE  # it goes past the rung as they did


def test_one_that_a_budget_stopped_in_its_pause_pauses_there_again():
    scheduler = made("pareto-promote", "a0 b0")
    scheduler.observe_stopped("a0", [0.5] * 4, goes_on=True)
    assert [report(scheduler, "a0", epoch, 0.5) for epoch in (1, 2, 3, 4)] == [CONTINUE] * 3 + [PAUSE]
    scheduler.observe_stopped("b0", [0.5] * 3, goes_on=True)
    assert [report(scheduler, "b0", epoch, 0.5) for epoch in (1, 2, 3, 4)] == [CONTINUE] * 3 + [PAUSE]


def test_the_paused_seeds_of_a_cell_that_is_given_up_are_stopped():
    scheduler = made("pareto-promote", "a0 a1 b0")
    scheduler.observe_stopped("a0", [0.5], goes_on=False)
    controller = Controller(of_trial("a1", Trial.PAUSED), of_trial("b0", Trial.PENDING))
    assert scheduler.choose_trial_to_run(controller).config["key"] == "b0"
    assert controller.stopped == ["a1"]


MINE = """
from ray.tune.schedulers import FIFOScheduler
from ablate.runners.search.schedulers.base import Scheduler


class Knowing(Scheduler):
    def build(self, costs, max_epochs):
        return Told()


class Told(FIFOScheduler):
    def know_cells(self, cells):
        self.cells = cells
"""


def test_who_knows_cells_is_known(tmp_path):
    for name, knows in (("none", True), ("pareto", True), ("pareto-promote", True), ("asha", False), ("median", False)):
        assert knows_cells(make_scheduler(name, costs={}, max_epochs=9)) is knows
    (tmp_path / "knowing.py").write_text(MINE)
    with code_from(tmp_path):
        mine = make_scheduler("knowing:Knowing", costs={}, max_epochs=9, cells={"a": "one"})
    assert knows_cells(mine)
    assert mine.scheduler.cells == {"a": "one"}


# The order -----------------------------------------------------------------------------------------------------------


def test_the_order_follows_from_what_is_there_alone_and_keeps_cells_together():
    curves, of = seeded()
    order = shuffled(curves, of.__getitem__)
    backwards = list(dict.fromkeys(of[key] for key in shuffled(reversed(list(curves)), of.__getitem__)))
    cells = list(dict.fromkeys(of[key] for key in order))
    assert order == [f"{cell}#{seed}" for cell in cells for seed in range(3)]
    assert backwards == cells
    fewer = [key for key in curves if of[key] not in cells[:7]]
    assert list(dict.fromkeys(of[key] for key in shuffled(fewer, of.__getitem__))) == cells[7:]
    assert shuffled(curves, of.__getitem__, "1") != order


def test_dear_and_cheap_are_mixed():
    """Else nothing is compared with what costs no more: of a hundred, each quarter of the order has dear ones."""
    order = shuffled(range(100), str)
    dear = [sum(number >= 75 for number in order[at : at + 25]) for at in (0, 25, 50, 75)]
    assert min(dear) >= 2
    assert max(dear) <= 12
