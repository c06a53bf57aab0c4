"""What early stopping knows of a run's trials, and what it decides: by hand, a report at a time."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from ablate.foreign import LARGEST
from ablate.runners.search.schedulers.base import make_scheduler
from ablate.runners.search.stopping import ParetoStopping, Standings, gain, places

CONTINUE, PAUSE, STOP = TrialScheduler.CONTINUE, TrialScheduler.PAUSE, TrialScheduler.STOP


def standings(trials: dict[str, tuple[float, list[float]]], epochs: int = 4) -> Standings:
    """Of trials by name, each with its cost and its scores."""
    known = Standings({key: (cost,) for key, (cost, _) in trials.items()}, epochs)
    tell(known, trials)
    return known


def tell(known: Standings, trials: dict[str, tuple[float, list[float]]]) -> None:
    for key, (_, scores) in trials.items():
        for epoch, score in enumerate(scores, 1):
            known.add(key, epoch, score)


def of(key: str, status: str = Trial.RUNNING) -> Trial:
    trial = Trial("made", config={"key": key}, trial_id=key, stub=True)
    trial.set_status(status)
    return trial


def report(scheduler: Any, trial: Trial, epoch: int, score: float) -> str:
    return scheduler.on_trial_result(None, trial, {"epoch": epoch, "val_dice": score})


# Standings -----------------------------------------------------------------------------------------------------------


def test_a_standing_is_the_best_so_far_and_what_is_no_score_counts_as_0():
    known = standings({"a": (10, [math.nan, 0.3, 0.2, 1.0]), "b": (10, [1.5, -0.1, 0.0, 0.4])})
    found = [known.after(epochs)[1][:, 0].tolist() for epochs in (1, 2, 3, 4)]
    assert found == [[0, 0], [0.3, 0], [0.3, 0], [1, 0.4]]


def test_epochs_that_were_not_reported_are_as_the_last_before_them():
    known = standings({"a": (10, [])}, epochs=6)
    for epoch, score in ((2, 0.3), (5, 0.7), (6, 0.1)):
        known.add("a", epoch, score)
        assert known.length("a") == epoch
    assert [known.after(epochs)[1][0, 0] for epochs in range(1, 7)] == [0, 0.3, 0.3, 0.3, 0.7, 0.7]


def test_prices_are_logarithms_of_costs_from_one_to_the_largest_number():
    known = Standings({"a": (math.e, 0.5), "b": (1.0, math.inf)}, 2)
    known.add("a", 1, 0.5)
    known.add("b", 1, 0.6)
    assert known.prices("a").tolist() == [1.0, 0.0]
    assert known.prices("b").tolist() == [0.0, math.log(LARGEST)]


def test_only_who_has_had_as_many_epochs_is_compared_after_them():
    known = standings({"a": (1, [0.1, 0.2]), "b": (math.e, [0.5]), "c": (math.e**2, [0.3, 0.4, 0.6])})
    assert known.length("nobody") == 0
    assert known.after(1)[0] == ["a", "b", "c"]
    keys, points = known.after(2)
    assert keys == ["a", "c"]
    assert points == pytest.approx(np.array([[0.2, 0], [0.4, 2]]))
    assert known.after(4)[0] == []


def test_all_that_was_achieved_is_each_trial_s_best_but_one_s():
    known = standings({"a": (1, [0.1, 0.2]), "b": (math.e, [0.5, 0.4])})
    assert known.achieved().tolist() == [[0.2, 0], [0.5, 1]]
    assert known.achieved(but="a").tolist() == [[0.5, 1]]
    assert known.achieved(but="b").tolist() == [[0.2, 0]]
    assert known.achieved(but="nobody").tolist() == known.achieved().tolist()


def test_a_trial_may_improve_as_the_best_of_its_neighbours_in_cost_did():
    """An improvement is a factor on the error, from the epoch that the trial is at to the last."""
    finished = {"near": (10, [0.2, 0.4, 0.6, 0.7]), "far": (1000, [0.2, 0.6, 0.8, 0.9])}
    known = standings({**finished, "now": (11, [0.1, 0.5])})
    assert known.optimistic("now", 1) == pytest.approx(1 - 0.5 * (0.3 / 0.6))
    assert known.optimistic("now", 2) == known.optimistic("now") == pytest.approx(1 - 0.5 * (0.1 / 0.4))
    assert known.optimistic("now", 3) == 1.0  # there are no three
    one = standings({"near": finished["near"], "now": (11, [0.1, 0.5])})
    assert one.optimistic("now") == one.optimistic("now", 1) == known.optimistic("now", 1)
    assert standings({"now": (11, [0.1])}).optimistic("now") == 1.0
    unfinished = {"near": (10, [0.2, 0.4, 0.6])}  # all but the last
    assert standings({**unfinished, "now": (11, [0.1])}).optimistic("now") == 1.0


def test_of_neighbours_as_near_the_first_counts_and_nearness_is_over_all_costs():
    known = Standings({"cheap": (1, 1), "dear": (math.e**2, 1), "both": (math.e**2, math.e**2), "now": (math.e, 1)}, 2)
    for key, last in (("both", 0.9), ("dear", 0.6), ("cheap", 0.4), ("now", None)):
        known.add(key, 1, 0.2)
        if last is not None:
            known.add(key, 2, last)
    assert known.optimistic("now", 1) == pytest.approx(0.6)
    assert known.optimistic("now", 2) == pytest.approx(0.6)
    assert known.optimistic("now", 3) == pytest.approx(0.9)


def test_a_neighbour_that_was_perfect_already_promises_everything():
    known = standings({"perfect": (10, [1.0] * 4), "now": (10, [0.5])})
    assert known.optimistic("now", 1) == 1.0


@pytest.mark.parametrize(("finished", "price", "expected"), [(9, 10, False), (10, 10, True), (10, 10.01, False)])
def test_ten_must_have_finished_and_one_of_them_cost_as_much(finished, price, expected):
    known = standings({**{f"f{at}": (10, [0.9] * 4) for at in range(finished)}, "now": (price, [0.5])})
    assert known.hopeless("now") is expected


def test_one_must_have_cost_as_much_in_everything():
    costs = {f"f{at}": (10.0, 1.0) for at in range(10)} | {"now": (10.0, 2.0), "dear": (10.0, 2.0)}
    known = Standings(costs, 2)
    for key in [f"f{at}" for at in range(10)]:
        known.add(key, 1, 0.9)
        known.add(key, 2, 0.9)
    known.add("now", 1, 0.5)
    assert not known.hopeless("now")
    known.add("dear", 1, 0.9)
    assert not known.hopeless("now")  # it has not finished
    known.add("dear", 2, 0.9)
    assert known.hopeless("now")


def test_the_lowest_of_a_front_adds_something_where_a_double_adds_nothing():
    found, fronts = places(np.array([[0.9, 2.0], [0.9, 2.0], [0.5, 1.0]]))
    assert fronts.tolist() == [0, 0, 0]
    assert found[2] == 0


def test_the_reference_lies_a_tenth_beyond_the_largest_cost():
    assert gain(1.0, np.array([4.0]), np.array([[0.9, 3.0]])) == pytest.approx(0.1 * math.log(1.1))
    two = gain(0.9, np.array([1.0, 2.0]), np.array([[0.5, 2.0, 1.0]]))
    margin = math.log(1.1)
    assert two == pytest.approx(0.9 * (1 + margin) * margin - 0.5 * margin**2)


# Stopping ------------------------------------------------------------------------------------------------------------


def stopping(costs: dict[str, float], epochs: int = 9, **options: Any) -> Any:
    return make_scheduler("pareto", costs={key: (cost,) for key, cost in costs.items()}, max_epochs=epochs, **options)


def test_at_a_rung_the_first_front_and_the_better_half_go_on():
    scheduler = stopping(dict.fromkeys("abcd", 10) | {"cheap": 1})
    decided = [report(scheduler, of(key), 1, score) for key, score in zip("abcd", (0.9, 0.5, 0.7, 0.6), strict=True)]
    # Of three, two are the better half; of four, too.
    assert decided == [CONTINUE, STOP, CONTINUE, STOP]
    assert report(scheduler, of("cheap"), 1, 0.01) == CONTINUE


def test_between_rungs_nothing_is_compared():
    scheduler = stopping({"a": 10, "b": 10, "c": 10}, grace=2)
    assert [report(scheduler, of("a"), epoch, 0.9) for epoch in range(1, 10)] == [CONTINUE] * 9
    assert report(scheduler, of("b"), 1, 0.5) == CONTINUE
    assert report(scheduler, of("b"), 2, 0.5) == STOP
    scheduler.observe("c", [0.9] * 2)
    assert [report(scheduler, of("c"), epoch, 0.1) for epoch in (3, 4)] == [CONTINUE] * 2


@pytest.mark.parametrize("make", [stopping, lambda costs: ParetoStopping(dict.fromkeys(costs, (1,)), 9)])
def test_the_first_rung_is_after_one_epoch_unless_asked_otherwise(make):
    scheduler = make({"a": 1, "b": 1})
    assert report(scheduler, of("a"), 1, 0.9) == CONTINUE
    assert report(scheduler, of("b"), 1, 0.5) == STOP


def test_an_epoch_that_is_reported_again_decides_nothing_again():
    scheduler = stopping({"a": 10, "b": 10})
    report(scheduler, of("a"), 1, 0.9)
    assert [report(scheduler, of("b"), 1, 0.5) for _ in range(2)] == [STOP, CONTINUE]


def test_a_report_of_no_epoch_is_passed_over():
    scheduler = stopping({"a": 10})
    assert scheduler.on_trial_result(None, of("a"), {}) == CONTINUE
    assert scheduler.standings.length("a") == 0


def test_what_an_earlier_run_scored_is_of_its_epochs_from_the_first():
    scheduler = stopping({"a": 10})
    scheduler.observe("a", [0.1, 0.2, 0.3])
    assert scheduler.standings.length("a") == 3
    assert [scheduler.standings.after(epochs)[1][0, 0] for epochs in (1, 2, 3)] == [0.1, 0.2, 0.3]


def test_the_hopeless_are_stopped_but_not_at_their_last_epoch():
    scheduler = stopping({f"f{at}": 10 for at in range(10)} | {"late": 10}, grace=8)
    for at in range(10):
        scheduler.observe(f"f{at}", [0.9] * 9)
    assert [report(scheduler, of("late"), epoch, 0.5) for epoch in range(1, 10)] == [STOP] * 8 + [CONTINUE]


@pytest.mark.parametrize("name", ["asha", "pareto", "pareto-promote", "median"])
def test_more_grace_than_there_are_epochs_stops_nothing(name):
    scheduler = make_scheduler(name, costs=dict.fromkeys("abcde", (1.0,)), max_epochs=2, grace=3)
    controller = SimpleNamespace(get_live_trials=list)
    for key, score in zip("abcde", (0.9, 0.8, 0.7, 0.6, 0.1), strict=True):
        trial = of(key)
        scheduler.on_trial_add(controller, trial)
        for epoch in (1, 2):
            decided = scheduler.on_trial_result(controller, trial, {"epoch": epoch, "val_dice": score})
            assert decided == CONTINUE


def test_ray_s_median_rule_spares_the_last_epoch_and_reports_of_none():
    scheduler = make_scheduler("median", costs={}, max_epochs=3)
    controller = SimpleNamespace(get_live_trials=list)
    for key in "abc":
        good = of(key)
        for epoch in (1, 2, 3):
            scheduler.on_trial_result(controller, good, {"epoch": epoch, "val_dice": 0.9})
        scheduler.on_trial_result(controller, good, {"test_dice": 0.9})
        scheduler.on_trial_complete(controller, good, {"test_dice": 0.9})
    for epoch, expected in ((2, STOP), (3, CONTINUE)):
        decided = scheduler.on_trial_result(controller, of(f"d{epoch}"), {"epoch": epoch, "val_dice": 0.1})
        assert decided == expected


# Promotion -----------------------------------------------------------------------------------------------------------


class Controller:
    """What a scheduler asks of Ray: trials with their states, and whether new ones may come."""

    def __init__(self, *trials: Trial, finished: bool = False) -> None:
        self.trials = list(trials)
        self.stopped: list[str] = []
        self.search_alg = SimpleNamespace(is_finished=lambda: finished)

    def get_trials(self) -> list[Trial]:
        return self.trials

    def stop_trial(self, trial: Trial) -> None:
        self.stopped.append(trial.config["key"])
        trial.set_status(Trial.TERMINATED)


def promotion(trials: dict[str, tuple[float, list[float]]], factor: float = 2, epochs: int = 9) -> Any:
    costs = {key: (cost,) for key, (cost, _) in trials.items()} | {"new": (10,)}
    scheduler: Any = make_scheduler("pareto-promote", costs=costs, max_epochs=epochs, reduction_factor=factor)
    tell(scheduler.standings, trials)
    return scheduler


def chosen(scheduler: Any, *trials: Trial, finished: bool = False) -> str | None:
    found = scheduler.choose_trial_to_run(Controller(*trials, finished=finished))
    return None if found is None else found.config["key"]


ONE, TWO = (10, [0.5]), (10, [0.5, 0.5])


def test_a_promoted_trial_that_waits_for_a_worker_goes_first():
    scheduler = promotion({"a": ONE, "b": ONE, "c": ONE})
    paused = [of(key, Trial.PAUSED) for key in "bc"]
    assert chosen(scheduler, of("new", Trial.PENDING), *paused, of("a", Trial.PENDING)) == "a"


def test_while_a_trial_is_about_to_pause_nothing_is_chosen():
    scheduler = promotion({"a": ONE, "b": ONE, "c": TWO})
    assert report(scheduler, of("c"), 4, 0.5) == PAUSE
    paused = [of(key, Trial.PAUSED) for key in "ab"]
    running = of("c")
    assert chosen(scheduler, running, *paused, of("new", Trial.PENDING)) is None
    assert chosen(scheduler, of("new"), running, *paused) is None  # though another just trains
    running.set_status(Trial.PAUSED)
    assert chosen(scheduler, running, *paused) is not None


def test_a_trial_that_was_chosen_is_about_to_pause_no_more():
    scheduler = promotion({"a": (10, []), "b": ONE})
    first, second = of("a"), of("b", Trial.PAUSED)
    assert report(scheduler, first, 1, 0.6) == PAUSE
    first.set_status(Trial.PAUSED)
    assert chosen(scheduler, first, finished=True) == "a"
    first.set_status(Trial.RUNNING)
    assert chosen(scheduler, first, second, finished=True) == "b"


def test_a_rung_has_room_for_one_in_two_whole_ones():
    three = {"a": TWO, "b": ONE, "c": ONE}
    new = of("new", Trial.PENDING)
    paused = {key: of(key, Trial.PAUSED) for key in "abcd"}
    assert chosen(promotion(three), new, *(paused[key] for key in "abc")) == "new"  # of three, one went on
    four = {**three, "d": ONE}
    assert chosen(promotion(four), new, *(paused[key] for key in "abcd")) == "b"
    assert chosen(promotion({**four, "b": TWO}), new, *(paused[key] for key in "abcd")) == "a"  # the higher rung first
    assert chosen(promotion({"b": ONE}), new, paused["b"]) == "new"


def test_a_trial_on_its_way_from_a_rung_has_taken_its_room():
    scheduler = promotion({"a": ONE, "b": ONE})
    waiting, new = of("b", Trial.PAUSED), of("new", Trial.PENDING)
    assert chosen(scheduler, of("a"), waiting, new) == "new"
    assert chosen(scheduler, of("a", Trial.PAUSED), waiting, new) == "a"


def test_trials_that_ended_are_not_chosen():
    scheduler = promotion({"a": ONE, "b": ONE})
    assert chosen(scheduler, of("a", Trial.TERMINATED), of("b", Trial.PAUSED), finished=True) == "b"
    assert chosen(scheduler, of("a", Trial.TERMINATED), of("b", Trial.ERROR), finished=True) is None


def test_paused_trials_wait_for_new_ones_only_while_some_train():
    scheduler = promotion({"a": (10, [0.5] * 3), "b": ONE})
    waiting = of("b", Trial.PAUSED)
    assert chosen(scheduler, of("a"), waiting) is None
    assert chosen(scheduler, of("a"), waiting, finished=True) == "b"
    assert chosen(scheduler, waiting) == "b"
    assert chosen(scheduler) is None


def test_of_those_that_promise_nothing_the_dearest_goes_on():
    """Three finished trials did not improve, so no other is expected to; the fourth, which did, is no neighbour."""
    flat = {f"f{at}": (10 + at / 10, [0.9] * 9) for at in range(3)} | {"f3": (1e6, [0.1] + [0.95] * 8)}
    paused = {"p": (20, [0.5]), "q": (30, [0.5]), "r": (25, [0.5])}
    scheduler = promotion({**flat, **paused})
    trials = [of(key, Trial.PAUSED) for key in paused]
    assert chosen(scheduler, *trials, finished=True) == "q"
    rising = {**flat, "f2": (10.2, [0.1] + [0.95] * 8)}
    assert chosen(promotion({**rising, **paused}), *trials, finished=True) == "p"  # the cheapest promises most


def test_the_hopeless_are_stopped_when_nothing_else_is_left():
    finished = {f"f{at}": (10, [0.9] * 9) for at in range(10)}
    scheduler = promotion({**finished, "hopeless": (10, [0.5]), "dearer": (20, [0.5]), "dear": (15, [0.5])})
    controller = Controller(*(of(key, Trial.PAUSED) for key in ("hopeless", "dear", "dearer")), finished=True)
    assert scheduler.choose_trial_to_run(controller).config["key"] == "dearer"
    assert controller.stopped == ["hopeless"]
    controller = Controller(of("hopeless", Trial.PAUSED), finished=True)
    assert scheduler.choose_trial_to_run(controller) is None
    assert controller.stopped == ["hopeless"]
