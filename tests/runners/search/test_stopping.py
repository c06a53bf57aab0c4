"""Early stopping that knows costs, on curves made for the purpose."""

import math

import numpy as np
import pytest
from ray.tune.search import ConcurrencyLimiter

from ablate.errors import InputError
from ablate.kinds import KINDS, own_parts
from ablate.runners.search.schedulers.base import make_scheduler
from ablate.runners.search.stopping import FEWEST, MARGIN, dominated, gain, places, rungs
from ablate.runners.simulate import Curve, Keys, simulate

EPOCHS = 27
NAMES = tuple(own_parts(KINDS["scheduler"]))


def curve(cost, final, pace, epochs=EPOCHS):
    """Exact: the error falls from 1 towards 1 - final by the same factor each epoch; at `pace` epochs it is 1/e."""
    scores = tuple(final * (1 - math.exp(-epoch / pace)) for epoch in range(1, epochs + 1))
    return Curve((cost, 100 * cost), scores, (1.0,) * epochs)


def slow_small_networks(prices=12, each=4):
    """Of each price one network that is as good as the price allows, and others worse: costs from 1e4 to 1e6.

    The smallest take 12 epochs for what the largest do in one; the front is `p0-0`, `p1-0` and so on.
    """
    return {
        f"p{price}-{worse}": curve(1e4 * 100**x * (1 + worse / 100), 0.80 + 0.15 * x - 0.04 * worse, 12 - 11 * x)
        for price, x in enumerate(np.linspace(0, 1, prices))
        for worse in range(each)
    }


def replayed(curves, name, order=None, workers=1, **options):
    scheduler = make_scheduler(
        name, costs={key: curve.costs for key, curve in curves.items()}, max_epochs=EPOCHS, **options
    )
    steps = simulate(curves, Keys(order or list(curves)), scheduler, workers)
    trained = {}
    for step in steps:
        assert step.epoch == trained.get(step.key, 0) + 1  # an epoch after another, none twice
        trained[step.key] = step.epoch
    return trained


def shuffled(curves, seed):
    return [list(curves)[at] for at in np.random.default_rng(seed).permutation(len(curves))]


@pytest.mark.parametrize("seed", range(5))
def test_the_cheap_half_of_the_front_survives_where_asha_on_dice_loses_it(seed):
    curves = slow_small_networks()
    cheap_front = [f"p{price}-0" for price in range(6)]
    order = shuffled(curves, seed)

    def whole(trained):
        return [key for key in cheap_front if trained.get(key) == EPOCHS]

    asha = replayed(curves, "asha", order)
    assert len(whole(asha)) <= 1 + (order[0] in cheap_front)  # who comes first is never stopped
    for name in ("pareto", "pareto-promote"):
        trained = replayed(curves, name, order)
        assert whole(trained) == cheap_front, name
        assert sum(trained.values()) < 0.7 * EPOCHS * len(curves), name


def test_fronts_come_first_and_within_one_what_adds_most():
    points = np.array([[0.9, 2.0], [0.5, 1.0], [0.4, 1.5], [0.51, 1.01]])
    found, fronts = places(points)
    assert fronts.tolist() == [0, 0, 1, 0]
    # What only they dominate: (0.9 - 0.51) x log 1.1 + …, (0.5 - 0.4) x (1.01 - 1), (0.51 - 0.5) x (2 - 1.01).
    assert found.tolist() == [0, 2, 3, 1]


def test_a_trial_is_stopped_once_a_cheaper_one_has_what_it_may_still_become():
    finished = {f"f{at}": curve(100 + at / 10, 0.9, 3) for at in range(FEWEST)}
    alike = curve(50, 0.7, 3)  # cheaper than all: nothing dominates it
    late = curve(100.5, 0.7, 3)  # improves as the others did, so it ends at 0.7: the others' 0.9 cost less
    better = curve(100.6, 0.95, 3)
    curves = {**finished, "alike": alike, "late": late, "better": better}
    trained = replayed(curves, "pareto", reduction_factor=1.01)
    assert trained["late"] < EPOCHS
    assert trained["alike"] == trained["better"] == EPOCHS


def test_nothing_is_called_hopeless_before_a_trial_as_expensive_has_finished():
    finished = {f"f{at}": curve(100 + at, 0.9, 1) for at in range(FEWEST)}
    slow = curve(1000, 0.95, 10)  # by the small ones' pace it would end below them
    assert replayed({**finished, "slow": slow}, "pareto", reduction_factor=1.01)["slow"] == EPOCHS
    as_expensive = curve(1001, 0.9, 1)
    curves = {**finished, "as expensive": as_expensive, "slow": slow}
    assert replayed(curves, "pareto", reduction_factor=1.01)["slow"] < EPOCHS


def test_promotion_pauses_and_goes_on_where_a_rung_has_room():
    curves = {f"k{at}": curve(10 + at, 0.5 + at / 100, 3) for at in range(8)}
    costs = {key: one.costs for key, one in curves.items()}
    scheduler = make_scheduler("pareto-promote", costs=costs, max_epochs=EPOCHS, reduction_factor=2)
    order = [(step.key, step.epoch) for step in simulate(curves, Keys(list(curves)), scheduler)]
    # Each pauses after an epoch. Two make room for one; all may still become perfect, so the cheapest promises most.
    assert order[:3] == [("k0", 1), ("k1", 1), ("k0", 2)]
    assert order[3:6] == [("k2", 1), ("k3", 1), ("k1", 2)]
    # Two came to the second rung: one goes on to the third before a new trial starts.
    assert order[6:8] == [("k0", 3), ("k0", 4)]


def test_an_interrupted_search_judges_by_what_the_study_has():
    finished = {f"f{at}": curve(100 + at / 10, 0.9, 3) for at in range(FEWEST)}
    late = curve(100.5, 0.7, 3)
    scheduler = make_scheduler(
        "pareto", costs={key: one.costs for key, one in {**finished, "late": late}.items()}, max_epochs=EPOCHS
    )
    for key, one in finished.items():
        scheduler.observe(key, one.scores)
    assert len(simulate({"late": late}, Keys(["late"]), scheduler)) == 1
    fresh = make_scheduler("pareto", costs={"late": late.costs}, max_epochs=EPOCHS)
    assert len(simulate({"late": late}, Keys(["late"]), fresh)) == EPOCHS


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("workers", [1, 8])
def test_every_scheduler_brings_a_run_to_its_end(name, workers):
    curves = slow_small_networks(5)
    trained = replayed(curves, name, workers=workers)
    assert trained.keys() == curves.keys()
    assert EPOCHS in trained.values()
    # A trial that was trained to its last epoch but one is not given up at the last.
    if name in ("none", "hyperband"):
        assert max(trained.values()) == EPOCHS
    else:
        assert sum(trained.values()) < EPOCHS * len(curves)


@pytest.mark.parametrize("name", ["pareto-promote", "hyperband"])
def test_paused_trials_do_not_block_a_run_whose_live_trials_are_limited(name):
    curves = slow_small_networks(5)
    costs = {key: one.costs for key, one in curves.items()}
    searcher = ConcurrencyLimiter(Keys(curves), max_concurrent=3)
    steps = simulate(curves, searcher, make_scheduler(name, costs=costs, max_epochs=EPOCHS), workers=2)
    assert {step.key for step in steps} == curves.keys()


def test_scores_that_are_missing_do_not_break_a_rung():
    curves = slow_small_networks(2)
    broken = curves["p0-3"]._replace(scores=(math.nan,) * EPOCHS)
    for name in ("pareto", "pareto-promote"):
        assert replayed({**curves, "p0-3": broken}, name)["p0-0"] == EPOCHS


def test_rungs_grow_by_the_factor_and_end_before_the_last_epoch():
    assert rungs(27, 1, 3) == (1, 3, 9)
    assert rungs(28, 2, 2) == (2, 4, 8, 16)
    assert rungs(4, 1, 1.3) == (1, 2, 3)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("pbt", {}, "changes a trial's configuration"),
        ("pareta", {}, "did you mean 'pareto'"),
        ("pareto", {"grace": 0}, "grace: Input should be greater than or equal to 1"),
        ("asha", {"reduction_factor": 1.0}, "reduction_factor: Input should be greater than 1"),
    ],
)
def test_what_cannot_be_scheduled_is_said_in_one_line(name, options, message):
    with pytest.raises(InputError, match=message) as error:
        make_scheduler(name, costs={}, max_epochs=9, **options)
    assert "\n" not in str(error.value)


def test_what_a_trial_would_add_is_the_area_that_it_alone_dominates():
    points = np.array([[0.9, 3.0], [0.5, 1.0]])
    # From price 2, where it begins, to 3, where 0.9 is had: 0.8 - 0.5 more.
    assert gain(0.8, np.array([2.0]), points) == pytest.approx(0.3)
    assert gain(0.9, np.array([3.0]), points) == 0.0
    assert gain(0.8, np.array([3.5]), points) == 0.0
    # Dearer than all: from its price to the reference, which is MARGIN beyond it.
    assert gain(1.0, np.array([4.0]), points) == pytest.approx(0.1 * MARGIN)
    assert gain(0.3, np.array([0.5]), points) == pytest.approx(0.3 * 0.5)


def test_one_in_four_goes_on_by_default_and_one_in_two_is_stopped():
    assert make_scheduler("pareto-promote", costs={}, max_epochs=EPOCHS).reduction_factor == 4
    assert make_scheduler("pareto", costs={}, max_epochs=EPOCHS).reduction_factor == 2


def test_what_dominates_costs_no_more_in_anything():
    prices = np.array([2.0, 2.0])
    for point, expected in (([0.6, 1, 3], False), ([0.5, 2, 2], True), ([0.49, 1, 1], False), ([0.9, 2, 1], True)):
        assert dominated(0.5, prices, np.array([point])) is expected
    assert dominated(0.5, prices, np.array([[0.9, 1, 3], [0.9, 1, 1]]))


def test_within_a_later_front_what_adds_most_comes_first_too():
    points = np.array([[0.9, 2.0], [0.5, 1.0], [0.45, 1.1], [0.85, 2.2]])
    found, fronts = places(points)
    assert fronts.tolist() == [0, 0, 1, 1]
    assert found.tolist() == [0, 1, 3, 2]
