"""Images kept on the device and losses fetched together: the numbers, the errors and the draws are the same.

There is no card here: the device is the CPU, told to be treated as one.
"""

from __future__ import annotations

import math

import pytest
import torch

from ablate.data.load import load_data
from ablate.data.settings import Phantom
from ablate.errors import TrialError
from ablate.models.settings import UNet
from ablate.part import Part
from ablate.training import feed as feeding
from ablate.training import loop
from ablate.training.devices import ON_CARD, sent, stays_on_card
from ablate.training.loop import train
from ablate.training.step_losses import StepLosses
from ablate.trial import Protocol, TrialConfig

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def dataset():
    return load_data(Phantom(size=(16, 16), count=12))


@pytest.fixture
def on_card(monkeypatch):
    """From here on the CPU is treated as a card with this much room."""

    def treat(room: int = 2**40) -> None:
        monkeypatch.setattr(feeding, "stays_on_card", lambda device: True)
        monkeypatch.setattr(feeding, "room", lambda device: room)
        monkeypatch.setattr(loop, "stays_on_card", lambda device: True)

    return treat


def trial_of(dataset, **changes) -> TrialConfig:
    protocol = {"epochs": 2, "batch_size": 3} | changes.pop("protocol", {})
    return TrialConfig(model=UNet(width=2, stages=2), data=dataset.config, protocol=Protocol(**protocol), **changes)


def told(result) -> list[tuple[float, ...]]:
    return [(e.train_loss, e.val_loss, e.val_dice, e.val_iou, e.val_miou) for e in result.epochs]


def same(one, other) -> bool:
    weights = all(torch.equal(tensor, other.weights[name]) for name, tensor in one.weights.items())
    return weights and told(one) == told(other) and (one.counts == other.counts).all()


def gathered_by_the_host(monkeypatch) -> list[int]:
    """The batches that are, as they come."""
    found = []
    chosen = feeding.chosen
    monkeypatch.setattr(feeding, "chosen", lambda arrays, batch: (found.append(len(batch)), chosen(arrays, batch))[1])
    return found


def test_a_training_with_images_on_the_device_gives_the_same_bits(dataset, on_card, monkeypatch):
    trial = trial_of(dataset)
    before = train(trial, dataset, device=CPU)
    on_card()
    by_host = gathered_by_the_host(monkeypatch)
    assert same(train(trial, dataset, device=CPU), before)
    assert by_host == []


def test_what_does_not_fit_is_sent_batch_by_batch(dataset, on_card, monkeypatch):
    trial = trial_of(dataset)
    before = train(trial, dataset, device=CPU)
    kept = len(dataset.split(trial.protocol.split).train) * (dataset.images[0].nbytes + dataset.masks[0].nbytes)
    by_host = gathered_by_the_host(monkeypatch)
    on_card(room=4 * kept - 1)
    assert same(train(trial, dataset, device=CPU), before)
    assert by_host
    by_host.clear()
    on_card(room=4 * kept)
    assert same(train(trial, dataset, device=CPU), before)
    assert by_host == []


def test_a_recipes_own_augmentation_stays_with_the_host(dataset, on_card, monkeypatch):
    trial = trial_of(dataset, augmentation=(Part({"name": "noise"}),))
    before = train(trial, dataset, device=CPU)
    by_host = gathered_by_the_host(monkeypatch)
    on_card()
    assert same(train(trial, dataset, device=CPU), before)
    assert by_host


def test_a_divergence_is_told_by_the_same_words(dataset, on_card):
    trial = trial_of(dataset, protocol={"epochs": 20, "learning_rate": 1e30})
    with pytest.raises(TrialError, match=r"^diverged: the training loss was \S+ in epoch \d+, step \d+$") as before:
        train(trial, dataset, device=CPU)
    on_card()
    with pytest.raises(TrialError) as after:
        train(trial, dataset, device=CPU)
    assert str(after.value) == str(before.value)


@pytest.mark.parametrize("together", [False, True])
def test_losses_are_summed_in_their_order(together):
    values, sizes = torch.rand(250, generator=torch.Generator().manual_seed(0)), [5, 4, 3, 2, 1] * 50
    losses, expected = StepLosses(1, together=together), 0.0
    for value, images in zip(values, sizes, strict=True):
        losses.add(value, images)
        expected += value.item() * images
    assert losses.total() == expected


@pytest.mark.parametrize(("together", "after"), [(False, 137), (True, 200)])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_the_first_loss_that_is_not_finite_is_named(together, after, bad):
    losses, values = StepLosses(7, together=together), [bad if step in (137, 150) else 1.0 for step in range(1, 251)]
    for value in values[: after - 1]:
        losses.add(torch.tensor(value), 5)
    with pytest.raises(TrialError, match=f"^diverged: the training loss was {bad} in epoch 7, step 137$"):
        losses.add(torch.tensor(values[after - 1]), 5)


def test_the_last_steps_of_an_epoch_are_looked_at_too():
    losses = StepLosses(2, together=True)
    losses.add(torch.tensor([math.nan]), 5)
    with pytest.raises(TrialError, match=r"in epoch 2, step 1$"):
        losses.total()


def test_it_is_asked_for_and_of_cards_alone(monkeypatch):
    card = torch.device("cuda")
    monkeypatch.delenv(ON_CARD, raising=False)
    assert [stays_on_card(card), stays_on_card(CPU)] == [False, False]
    monkeypatch.setenv(ON_CARD, "1")
    assert [stays_on_card(card), stays_on_card(CPU)] == [True, False]


def test_what_is_sent_to_the_same_device_is_not_copied():
    images = torch.zeros(1, 2, 3, 3)
    assert sent(images, CPU) is images
    assert sent(images, CPU, torch.channels_last).is_contiguous(memory_format=torch.channels_last)
