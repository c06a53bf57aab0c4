"""The time left of a run, from what epochs take."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from ablate.cost.foretold import Images, Timed
from ablate.cost.machine import Machine
from ablate.data.settings import Phantom
from ablate.models.settings import UNet
from ablate.runners.watch.live import listen
from ablate.runners.watch.progress import Progress
from ablate.search_spaces.plan import Planned
from ablate.search_spaces.schedule import Times
from ablate.study.manifest import Manifest
from ablate.study.plans import Plans
from ablate.study.records import Record
from ablate.study.study import Study
from ablate.training.checkpoint import Epoch
from ablate.trial import Protocol, TrialConfig

EPOCHS = 4


def planned(seed: int, width: int = 4) -> Planned:
    config = TrialConfig(model=UNet(width=width, stages=2), data=Phantom(), protocol=Protocol(epochs=EPOCHS), seed=seed)
    return Planned(config, {"seed": str(seed)}, 10, 20, Images(10, 5))


def row(epoch: int, seconds: float) -> Epoch:
    return Epoch(epoch, 0.5, 0.5, 0.5, 0.5, 0.5, seconds, 10.0)


def ended(trial: Planned) -> Record:
    fields = {"key": trial.key, "cell": trial.config.cell, "model": "unet", "seed": trial.config.seed, "params": 1}
    return Record(**fields, macs=1, state="complete", epochs=EPOCHS, best_epoch=1, val_dice=0.5, train_seconds=400.0)


class Clock:
    def __init__(self, monkeypatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch) -> Clock:
    return Clock(monkeypatch)


def watched(tmp_path, trials: list[Planned], expected: int = 0, known: Timed | None = None) -> Progress:
    study = Study(tmp_path, Manifest(id="a" * 32), Plans())
    times = Times(Machine("cpu", "a core"), known)
    return Progress(Console(file=io.StringIO()), study, trials, {}, expected, times)


def left(progress: Progress, clock: Clock, tmp_path) -> float | None:
    clock.now += 2
    progress.tick()
    (heard,) = listen(Study(tmp_path, Manifest(id="a" * 32), Plans()))
    return heard.seconds_left


def test_it_is_when_the_last_trial_ends_and_not_the_work_by_the_slots(tmp_path, clock):
    """Three trials of four epochs of 100 s on two slots: the third has the machine for itself."""
    trials = [planned(seed) for seed in range(3)]
    with watched(tmp_path, trials) as progress:
        for trial in trials[:2]:
            progress.started(trial)
        assert left(progress, clock, tmp_path) is None
        for trial in trials[:2]:
            progress.epoch(trial.key, row(1, 100.0), "here", restored=False)
        assert left(progress, clock, tmp_path) == pytest.approx(300 - 2 + 400)
        clock.now += 48
        assert left(progress, clock, tmp_path) == pytest.approx(300 - 52 + 400)
        clock.now += 1000  # it is late: of its next epoch nothing is left, of the others all
        assert left(progress, clock, tmp_path) == pytest.approx(200 + 400)
        progress.ended(ended(trials[0]), trials[0])
        progress.started(trials[2])
        assert left(progress, clock, tmp_path) == pytest.approx(400)


def test_restored_epochs_are_done_and_teach_nothing(tmp_path, clock):
    trial = planned(0)
    with watched(tmp_path, [trial]) as progress:
        progress.started(trial)
        progress.epoch(trial.key, row(1, 100.0), "here", restored=True)
        assert left(progress, clock, tmp_path) is None
        progress.epoch(trial.key, row(2, 10.0), "here", restored=False)
        assert left(progress, clock, tmp_path) == pytest.approx(20 - 2)


def test_a_machine_that_the_study_knows_is_told_of_from_the_start(tmp_path, clock):
    trial, known = planned(0), Timed()
    known.see(Times(Machine("cpu", "a core")).foretold(trial), 7.0)
    with watched(tmp_path, [planned(1), planned(2)], known=known) as progress:
        assert left(progress, clock, tmp_path) == pytest.approx(2 * EPOCHS * 7.0)


def test_trials_of_a_search_that_are_to_come_are_as_long_as_those_that_came(tmp_path, clock):
    trial = planned(0)
    with watched(tmp_path, [], expected=5) as progress:
        progress.started(trial)
        progress.epoch(trial.key, row(1, 10.0), "here", restored=False)
        assert left(progress, clock, tmp_path) == pytest.approx(30 - 2 + 4 * 40)


def test_piped_no_line_is_printed_twice(tmp_path, clock):
    """A slow trial beside a quick one: of an epoch that has been told of, nothing is to be told."""
    slow, quick = planned(0), planned(1)
    printed = io.StringIO()
    study = Study(tmp_path, Manifest(id="a" * 32), Plans())
    with Progress(Console(file=printed), study, [slow, quick], {}, 2, Times(Machine("cpu", "a core"))) as progress:
        for trial in (slow, quick):
            progress.started(trial)
        progress.epoch(slow.key, row(1, 10.0), "here", restored=False)
        for epoch in range(1, EPOCHS + 1):
            clock.now += 20
            progress.epoch(quick.key, row(epoch, 20.0), "here", restored=False)
    lines = printed.getvalue().splitlines()
    assert len(lines) == len(set(lines)) == 1 + EPOCHS
    assert sum("epoch 1/4" in line for line in lines) == 2
