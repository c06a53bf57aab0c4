"""When a checkpoint is written, that training does not wait for it, and that nothing of it is lost or late."""

from __future__ import annotations

import contextlib
import threading
from itertools import pairwise
from typing import Any

import pytest
import torch

from ablate.data.load import load_data
from ablate.data.settings import Phantom
from ablate.models.settings import UNet
from ablate.training import keeping
from ablate.training.checkpoint import Epoch, TrainingState
from ablate.training.keeping import MOST_SECONDS, SMALL, Keeper
from ablate.training.loop import train
from ablate.training.pace import Pace
from ablate.training.schedules.base import Steps
from ablate.training.schedules.curves import Constant
from ablate.trial import Protocol, TrialConfig

LARGE = 800  # a layer of this width has 2.6 MB of weights


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Kept:
    """A checkpoint in memory; `gate`: what a write waits for."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.gate = threading.Event()
        self.gate.set()
        self.broken: Exception | None = None

    def read(self) -> bytes | None:
        return self.written[-1] if self.written else None

    def write(self, data: bytes) -> None:
        assert self.gate.wait(30)
        if self.broken:
            raise self.broken
        self.written.append(data)


def progress(width: int) -> TrainingState:
    model = torch.nn.Linear(width, width)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    return TrainingState("k", model, optimizer, scaler, Pace(Constant(), optimizer, Steps(4, 1)))


def row(number: int) -> Epoch:
    return Epoch(number, 1.0, 1.0, 0.5 + number / 1000, 0.5, 0.5, 1.0, 1.0)  # each is the best so far


def epochs_in(data: bytes, width: int) -> int:
    again = progress(width)
    again.restore(data)
    return len(again.epochs)


def kept_epochs(seconds: float, count: int, width: int) -> list[int]:
    """The epochs, of so many seconds each, of which a checkpoint is begun."""
    clock, kept, state = Clock(), Kept(), progress(width)
    with Keeper(kept, clock=clock) as keeper:
        for number in range(1, count + 1):
            clock.now += seconds
            state.add(row(number))
            keeper.after_epoch(state)
    return [epochs_in(data, width) for data in kept.written]


def test_a_small_one_is_written_after_each_epoch_before_it_is_reported():
    kept, state = Kept(), progress(2)
    with Keeper(kept) as keeper:
        for number in (1, 2, 3):
            state.add(row(number))
            keeper.after_epoch(state)
            assert epochs_in(kept.written[-1], 2) == number == len(kept.written)


def test_a_large_one_is_written_by_time(monkeypatch):
    monkeypatch.setattr(keeping, "_BYTES_A_SECOND", 1.0)
    assert 4 * LARGE * LARGE > SMALL
    assert kept_epochs(60, 3, LARGE) == [1, 2, 3]
    assert kept_epochs(8, 4, LARGE) == [1, 2, 3, 4]  # after two it would be 16 s
    assert kept_epochs(5, 7, LARGE) == [3, 6]
    assert kept_epochs(0.5, 64, LARGE) == [30, 60]


@pytest.mark.parametrize("seconds", [1.4, 4.9, 7.5, 7.6, 14.9, 15.0, 15.1, 100.0])
def test_an_end_at_any_moment_costs_an_epoch_or_a_quarter_of_a_minute(monkeypatch, seconds):
    monkeypatch.setattr(keeping, "_BYTES_A_SECOND", 1.0)
    count = int(40 / seconds) + 4
    began = [0, *kept_epochs(seconds, count, LARGE), count]
    assert all((after - before) * seconds <= max(seconds, MOST_SECONDS) + 1e-6 for before, after in pairwise(began))


def test_the_smaller_the_more_often():
    assert kept_epochs(0.1, 12, LARGE) == [6, 12]  # 2.6 MB at 4 MB a second


def test_each_epoch_is_there_before_it_is_reported_where_that_is_asked():
    kept, state = Kept(), progress(LARGE)
    with Keeper(kept, each_epoch=True, clock=Clock()) as keeper:
        for number in (1, 2):
            state.add(row(number))
            keeper.after_epoch(state)
            assert epochs_in(kept.written[-1], LARGE) == number


class Slow:
    """A training whose epochs take a minute each, so that each is to be written, to a storage that waits."""

    def __init__(self) -> None:
        self.clock, self.kept, self.state = Clock(), Kept(), progress(LARGE)

    def epoch(self, keeper: Keeper) -> None:
        self.clock.now += 60
        self.state.add(row(len(self.state.epochs) + 1))
        keeper.after_epoch(self.state)

    def keeper(self) -> Keeper:
        return Keeper(self.kept, clock=self.clock)


def test_training_goes_on_beside_and_what_is_written_is_of_the_moment():
    slow = Slow()
    weights = slow.state.model.state_dict()["weight"].clone()
    slow.kept.gate.clear()
    with slow.keeper() as keeper:
        slow.epoch(keeper)
        assert slow.kept.written == []
        with torch.no_grad():
            slow.state.model.weight.zero_()  # the next epoch
        slow.kept.gate.set()
    again = progress(LARGE)
    again.restore(slow.kept.written[0])
    assert torch.equal(again.model.state_dict()["weight"], weights)


def test_one_that_is_due_waits_for_the_one_before():
    slow = Slow()
    slow.kept.gate.clear()
    with slow.keeper() as keeper:
        slow.epoch(keeper)
        threading.Timer(0.05, slow.kept.gate.set).start()
        slow.epoch(keeper)
        assert len(slow.kept.written) >= 1
    assert [epochs_in(data, LARGE) for data in slow.kept.written] == [1, 2]


@pytest.mark.parametrize("error", [None, SystemExit, ValueError])
def test_when_training_is_over_nothing_is_being_written_any_more(error):
    slow = Slow()
    slow.kept.gate.clear()
    with contextlib.suppress(SystemExit, ValueError), slow.keeper() as keeper:
        slow.epoch(keeper)
        threading.Timer(0.05, slow.kept.gate.set).start()
        if error:
            raise error
    assert len(slow.kept.written) == 1
    assert not any(thread.name.startswith("checkpoint") for thread in threading.enumerate())


class FullError(Exception):
    pass


def test_a_storage_that_fails_is_told_at_the_next_epoch():
    slow = Slow()
    slow.kept.broken = FullError("no room")
    with slow.keeper() as keeper:
        slow.epoch(keeper)
        with pytest.raises(FullError, match="no room"):
            slow.epoch(keeper)


def test_a_training_that_is_done_does_not_fail_for_its_checkpoint():
    slow = Slow()
    slow.kept.broken = FullError("no room")
    with slow.keeper() as keeper:
        slow.epoch(keeper)
    assert slow.kept.written == []


# Through a training --------------------------------------------------------------------------------------------------


def trained(checkpoint: Any = None, last: int = 0, **how: Any) -> Any:
    """A training of six epochs; with `last`, killed after that."""

    def report(epoch: Epoch) -> None:
        if epoch.epoch == last:
            raise KeyboardInterrupt

    dataset = load_data(Phantom(size=(16, 16), count=10))
    config = TrialConfig(
        model=UNet(width=4, stages=2), data=dataset.config, protocol=Protocol(epochs=6, batch_size=3, ema=0.9)
    )
    return train(config, dataset, device=torch.device("cpu"), checkpoint=checkpoint, report=report, **how)


def test_what_was_written_beside_training_is_gone_on_from_to_the_bit(monkeypatch):
    whole, kept = trained(), Kept()
    monkeypatch.setattr(keeping, "SMALL", 0)
    monkeypatch.setattr(keeping, "MOST_SECONDS", 0.0)
    for last in (2, 5):
        with pytest.raises(KeyboardInterrupt):
            trained(kept, last)
    resumed = trained(kept)
    assert [row._replace(seconds=0, images_per_second=0) for row in resumed.epochs] == [
        row._replace(seconds=0, images_per_second=0) for row in whole.epochs
    ]
    assert resumed.best_epoch == whole.best_epoch
    assert all(torch.equal(resumed.weights[name], tensor) for name, tensor in whole.weights.items())


def test_a_training_that_is_stopped_elsewhere_keeps_each_epoch_before_it_says_so(monkeypatch):
    monkeypatch.setattr(keeping, "SMALL", 0)
    monkeypatch.setattr(keeping, "_BYTES_A_SECOND", 1.0)
    by_time, each = Kept(), Kept()
    with pytest.raises(KeyboardInterrupt):
        trained(by_time, 4)
    with pytest.raises(KeyboardInterrupt):
        trained(each, 4, each_epoch=True)
    assert len(each.written) == 4 > len(by_time.written)
