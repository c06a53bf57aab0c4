"""Budgets: that they bind, whatever the scheduler and however many workers, and what they leave to go on with."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher
from torch import nn

from ablate.cost.foretold import Images, Timed
from ablate.cost.machine import Machine
from ablate.data.settings import Phantom
from ablate.models.settings import UNet
from ablate.origin import origin_of
from ablate.runners.execution.bounded import Bounded
from ablate.runners.execution.budget import Budget
from ablate.runners.execution.queue import PlanQueue
from ablate.runners.execution.standing import epochs_had, missing_trials, place
from ablate.runners.execution.storage import PathStorage, StoredCheckpoint
from ablate.runners.execution.trainable import checkpoint_name
from ablate.runners.replay.curves import Curve
from ablate.runners.search.schedulers.base import make_scheduler
from ablate.runners.simulate import Keys, simulate
from ablate.search_spaces.plan import Planned
from ablate.search_spaces.schedule import Times
from ablate.study.records import Record
from ablate.study.study import Study
from ablate.study.trial_folder import pack
from ablate.training.checkpoint import Epoch, TrainingState
from ablate.training.pace import Pace
from ablate.training.schedules.base import Steps
from ablate.training.schedules.curves import Constant
from ablate.trial import Protocol, TrialConfig

CONTINUE, PAUSE, STOP = TrialScheduler.CONTINUE, TrialScheduler.PAUSE, TrialScheduler.STOP
EPOCHS = 9
WORKERS = (1, 8, 32)
"""In the simulator."""


def curves(number: int = 48) -> dict[str, Curve]:
    rng = np.random.default_rng(0)
    found = {}
    for at in range(number):
        cost, final = 10 ** (3 + 3 * rng.random()), 0.5 + 0.4 * rng.random()
        scores = tuple(final * (1 - 0.6**epoch) for epoch in range(1, EPOCHS + 1))
        found[f"k{at}"] = Curve((cost, cost), scores, (1.0,) * EPOCHS)
    return found


# In the simulator ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("name", ["none", "pareto", "pareto-promote", "asha", "median", "hyperband"])
def test_a_budget_of_epochs_is_exceeded_by_the_epochs_that_run_at_most(name, workers):
    every = curves()
    costs = {key: curve.costs for key, curve in every.items()}
    budget = Budget(60, spent={"k0": 0, "of an earlier run": 10})
    scheduler = Bounded(make_scheduler(name, costs=costs, max_epochs=EPOCHS), budget, EPOCHS)
    steps = simulate(every, Keys(list(every)), scheduler, workers)
    assert 50 <= len(steps) <= 50 + workers - 1
    assert budget.spent == len(steps) + 10
    assert budget.is_over
    whole = {step.key for step in steps if step.epoch == EPOCHS}
    assert not whole & budget.cut


class Ticking(FIFOScheduler):
    """As each epoch takes a second, and so many train at a time, the epochs that ended say the time."""

    def __init__(self, workers: int) -> None:
        super().__init__()
        self.workers, self.epochs = workers, 0

    def now(self) -> float:
        return self.epochs // self.workers

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        self.epochs += 1
        return CONTINUE


@pytest.mark.parametrize("workers", WORKERS)
def test_at_the_deadline_everything_stops_at_its_next_epoch(workers):
    clock = Ticking(workers)
    budget = Budget(hours=6 / 3600, clock=clock.now)
    every = curves()
    steps = simulate(every, Keys(list(every)), Bounded(clock, budget, EPOCHS), workers)
    assert 6 * workers <= len(steps) <= 7 * workers - 1
    assert budget.seconds_left == 0


def planned(width: int, epochs: int = 4) -> Planned:
    config = TrialConfig(model=UNet(width=width, stages=2), data=Phantom(), protocol=Protocol(epochs=epochs))
    return Planned(config, {}, 10, width, Images(10, 5))


PLAN = [planned(width) for width in range(2, 10)]


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize(("epochs", "whole"), [(10, 2), (3, 0), (12, 3), (100, 8)])
def test_where_nothing_stops_trials_one_starts_only_if_it_can_end(epochs, whole, workers, tmp_path):
    recorded = {trial.key: Curve((1.0, 1.0), (0.1,) * 4, (1.0,) * 4) for trial in PLAN}
    budget = Budget(epochs)
    with Study.open_or_new(tmp_path).writing() as study:
        queue = PlanQueue(study, PLAN, budget=budget)
        steps = simulate(recorded, queue, Bounded(FIFOScheduler(), budget, 4), workers)
        assert len(steps) == budget.spent == 4 * whole
        assert len(queue.left) == len(PLAN) - whole
        assert budget.ended_it == (whole < len(PLAN))


# What starts ---------------------------------------------------------------------------------------------------------


def test_a_trial_that_does_not_fit_waits_for_room_and_others_that_fit_start(tmp_path):
    long, short = planned(2, epochs=8), planned(2, epochs=3)
    budget = Budget(10)
    with Study.open_or_new(tmp_path).writing() as study:
        queue = PlanQueue(study, [long, planned(3, epochs=8), short], budget=budget)
        first = queue.suggest("1")["key"]
        assert queue.suggest("2") is None  # not now: one may fail, and leave room
        assert budget.ended_it
        budget.trained(first, 2)
        budget.ended(first)  # it failed
        assert queue.suggest("3")["key"] != first
        assert not budget.ended_it
        budget.ended(queue.given[-1].key)
        assert queue.suggest("4")["key"] == short.key


def test_what_was_foretold_to_end_too_late_is_not_started(tmp_path):
    times = Times(Machine("cpu", "x", 1, 1), Timed())
    slow, quick = planned(8), planned(2)
    now = [0.0]
    budget = Budget(hours=1, clock=lambda: now[0])
    with Study.open_or_new(tmp_path).writing() as study:
        queue = PlanQueue(study, [slow, quick], budget=budget, times=times)
        assert queue.fits(slow)  # no epoch was timed here: nobody knows
        times.known.see(times.foretold(slow), 600.0)  # four of them take 40 minutes
        times.known.see(times.foretold(quick), 60.0)
        assert queue.fits(slow)
        now[0] = 1500.0
        assert not queue.fits(slow)
        assert queue.suggest("1")["key"] == quick.key
        now[0] = 3600.0
        assert queue.suggest("2") == Searcher.FINISHED


def test_of_a_trial_that_goes_on_the_rest_must_fit():
    budget = Budget(20, spent={"a": 6, "b": 10})
    assert budget.allows("a", 10)
    assert not budget.allows("a", 11)
    assert not budget.allows("new", 5)
    budget.starts("b", 12)
    assert budget.allows("a", 8)
    assert not budget.allows("a", 9)


# What is stopped -----------------------------------------------------------------------------------------------------


class Always(FIFOScheduler):
    """Decides as it is told."""

    def __init__(self, decision: str) -> None:
        super().__init__()
        self.decision = decision

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        return self.decision

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
        pass


def of(key: str, status: str = Trial.RUNNING) -> Trial:
    trial = Trial("made", config={"key": key}, trial_id=key, stub=True)
    trial.set_status(status)
    return trial


@pytest.mark.parametrize(
    ("decision", "epoch", "spent", "expected", "cut"),
    [
        (CONTINUE, 3, 10, STOP, True),
        (PAUSE, 3, 10, STOP, True),
        (STOP, 3, 10, STOP, False),  # the scheduler's judgement
        (CONTINUE, 9, 10, CONTINUE, False),  # its last: its test images are left to do
        (CONTINUE, 3, 2, CONTINUE, False),
        (PAUSE, 3, 2, PAUSE, False),
    ],
)
def test_once_it_is_over_a_trial_stops_that_was_not_judged(decision, epoch, spent, expected, cut):
    budget = Budget(10, spent={"other": spent})
    bounded = Bounded(Always(decision), budget, 9)
    assert bounded.on_trial_result(None, of("a"), {"epoch": epoch, "val_dice": 0.5}) == expected
    assert ("a" in budget.cut) is cut


def test_epochs_that_are_restored_count_once_and_nothing_stops_among_them():
    budget = Budget(10, spent={"a": 7, "b": 3})
    bounded = Bounded(FIFOScheduler(), budget, 9)
    for epoch in range(1, 7):
        assert bounded.on_trial_result(None, of("a"), {"epoch": epoch, "val_dice": 0.5}) == CONTINUE
    assert bounded.on_trial_result(None, of("a"), {"epoch": 7, "val_dice": 0.5, "restored": True}) == CONTINUE
    assert budget.spent == 10
    assert bounded.on_trial_result(None, of("a"), {"epoch": 8, "val_dice": 0.5}) == STOP
    assert bounded.on_trial_result(None, of("b"), {"test_dice": 0.5}) == CONTINUE


def test_what_waits_is_stopped_at_once():
    budget = Budget(10)
    bounded = Bounded(Always(PAUSE), budget, 9)
    trials = [of(status, status) for status in (Trial.PENDING, Trial.PAUSED, Trial.RUNNING, Trial.TERMINATED)]
    stopped: list[str] = []
    controller: Any = SimpleNamespace(
        get_trials=lambda: trials, stop_trial=lambda trial: stopped.append(trial.config["key"])
    )
    assert bounded.choose_trial_to_run(controller) is trials[0]  # as the scheduler in it has it
    budget.trained("x", 10)
    assert bounded.choose_trial_to_run(controller) is None
    assert stopped == [Trial.PENDING, Trial.PAUSED]
    assert budget.cut == set(stopped)


def test_what_was_spent_is_said():
    now = [0.0]
    budget = Budget(1000, 2, spent={"a": 12}, clock=lambda: now[0])
    budget.trained("b", 988)
    now[0] = 1800.0
    assert budget.said() == (
        "Budget: 1,000 of 1,000 epochs, 12 of them before this run and 0.5 of 2 hours; it ended the run: with more it "
        "goes on"
    )
    assert Budget(9).said() == "Budget: 0 of 9 epochs"
    assert Budget().said() == ""


# What an earlier run spent -------------------------------------------------------------------------------------------


def ended(study: Study, trial: Planned, state: Any, epochs: int, **more: Any) -> None:
    config = trial.config
    record = Record(
        key=trial.key, cell=config.cell, model="unet", seed=0, state=state, params=10, macs=10, epochs=epochs, **more
    )  # fmt: skip
    study.accept(trial.key, pack(config, record, [], None))


def kept(study: Study, trial: Planned, epochs: int) -> None:
    """A checkpoint that a killed run left."""
    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    state = TrainingState(trial.key, model, optimizer, scaler, Pace(Constant(), optimizer, Steps(4, 1)))
    for epoch in range(1, epochs + 1):
        state.add(Epoch(epoch, 0.5, 0.5, 0.5, 0.5, 0.5, 0.1, 1.0))
    home = PathStorage(place(study, None))
    home.prepare()
    maker = "/".join(origin_of(trial.config).decides)
    StoredCheckpoint(home, checkpoint_name(trial.key), maker).write(state.saved())


def test_epochs_of_earlier_runs_are_those_that_ended_and_those_that_checkpoints_have(tmp_path):
    with Study.open_or_new(tmp_path).writing() as study:
        ended(study, PLAN[0], "complete", 4)
        ended(study, PLAN[1], "stopped", 2, out_of_budget=True)
        kept(study, PLAN[1], 3)
        kept(study, PLAN[2], 3)
        ended(study, PLAN[3], "failed", 1)
        had = epochs_had(study, PLAN[:5], None)
        assert [had[trial.key] for trial in PLAN[:5]] == [4, 3, 3, 1, 0]


def test_what_a_budget_stopped_is_missing_and_what_a_scheduler_stopped_only_to_a_run_that_stops_nothing(tmp_path):
    with Study.open_or_new(tmp_path).writing() as study:
        ended(study, PLAN[0], "stopped", 2, out_of_budget=True)
        ended(study, PLAN[1], "stopped", 2)
        assert missing_trials(study, PLAN[:2], finish_stopped=False) == PLAN[:1]
        assert missing_trials(study, PLAN[:2], finish_stopped=True) == PLAN[:2]
