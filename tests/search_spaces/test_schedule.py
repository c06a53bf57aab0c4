"""List scheduling: when it ends, and how far from the best that there is."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablate.cost.foretold import Images, Timed, foretell
from ablate.cost.machine import Machine
from ablate.data.settings import Phantom
from ablate.models.settings import UNet
from ablate.search_spaces.plan import Planned
from ablate.search_spaces.schedule import Times, longest_first, makespan
from ablate.trial import Protocol, TrialConfig

DURATIONS = st.lists(st.integers(1, 50).map(float), min_size=1, max_size=7)


def best(seconds: list[float], slots: int) -> float:
    """Of every way to deal them out."""
    ways = itertools.product(range(slots), repeat=len(seconds))
    return min(
        max(sum(s for s, slot in zip(seconds, way, strict=True) if slot == k) for k in range(slots)) for way in ways
    )


def by_the_clock(seconds: list[float], slots: int, under_way: list[float]) -> float:
    """The same by a clock that ticks, one second at a time: whole seconds only."""
    waiting, running, now = list(seconds), [left for left in under_way if left], 0.0
    while waiting or running:
        while waiting and len(running) < slots:
            running.append(waiting.pop(0))
        running = [left - 1 for left in running if left > 1]
        now += 1
    return now


@given(DURATIONS, st.integers(1, 3), st.lists(st.integers(1, 60).map(float), max_size=3))
def test_trials_start_where_a_slot_is_free_first(seconds, slots, under_way):
    assert makespan(seconds, slots, under_way[:slots]) == by_the_clock(seconds, slots, under_way[:slots])


@given(DURATIONS, st.integers(1, 3))
def test_the_longest_first_ends_within_grahams_bound_of_the_best(seconds, slots):
    found = makespan(sorted(seconds, reverse=True), slots)
    assert best(seconds, slots) <= found <= (4 / 3 - 1 / (3 * slots)) * best(seconds, slots) + 1e-9


def test_nothing_takes_no_time():
    assert makespan([], 2) == 0
    assert makespan([], 2, [5.0]) == 5


def planned(width: int, epochs: int = 2, macs: int = 1) -> Planned:
    config = TrialConfig(model=UNet(width=width, stages=2), data=Phantom(), protocol=Protocol(epochs=epochs))
    return Planned(config, {}, 10, macs, Images(10, 5))


def test_the_longest_trial_is_first_whatever_its_macs_and_what_was_measured_decides():
    narrow, wide, patient = planned(4, macs=10**9), planned(8), planned(4, epochs=9)
    times = Times(Machine("cpu", "a core"))
    assert longest_first([narrow, wide, patient], times) == [patient, wide, narrow]
    seen = Timed()
    seen.see(times.foretold(narrow), 100.0)
    seen.see(times.foretold(wide), 1.0)
    learnt = Times(times.machine, seen)
    assert longest_first([wide, narrow], learnt) == [narrow, wide]
    assert learnt.trial(learnt.foretold(narrow)) == pytest.approx(200.0)
    assert (times.said, learnt.said) == (
        "cpu (a core, 1 thread), not measured yet",
        "cpu (a core, 1 thread), as measured",
    )


def test_a_plan_says_what_an_epoch_has():
    from ablate.data.load import load_data
    from ablate.search_spaces.plan import make_plan
    from ablate.search_spaces.profiles import PROFILES
    from ablate.search_spaces.space import Space

    space = Space(
        name="widths", question="?", design="grid", factors={"model.width": [2, 4]},
        base={"model": {"name": "unet", "stages": 2}, "data": {"name": "phantom", "count": 20, "size": [16, 16]}},
    )  # fmt: skip
    plan = make_plan(space, PROFILES["quick"], dataset_of=load_data, seeds=2, folds=4)
    for trial in plan.trials:
        dataset = load_data(trial.config.data)
        parts = dataset.split(trial.config.protocol.split)
        assert trial.images == Images(len(parts.train), len(parts.val))
    assert foretell(plan.trials[0].config, 1, 1, plan.trials[0].images, Machine("cpu", "")).seconds > 0
