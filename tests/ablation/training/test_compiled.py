"""A trial whose training steps are compiled: another trial, of which nothing else is."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from ablate.data.load import load_data
from ablate.data.settings import Phantom
from ablate.errors import InputError
from ablate.models.settings import UNet
from ablate.training.loop import train
from ablate.training.parallel import Group
from ablate.trial import Protocol, TrialConfig

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def dataset():
    return load_data(Phantom(size=(16, 16), count=12))


def trial_of(dataset, **protocol) -> TrialConfig:
    protocol = {"epochs": 2, "batch_size": 3} | protocol
    return TrialConfig(model=UNet(width=2, stages=2), data=dataset.config, protocol=Protocol(**protocol))


def test_a_compiled_trial_is_another_and_one_that_is_not_keeps_its_key(dataset):
    plain, compiled = trial_of(dataset), trial_of(dataset, compile=True)
    assert "compile" not in plain.canonical()["protocol"]
    assert compiled.key != plain.key
    assert trial_of(dataset, compile=False).key == plain.key
    assert TrialConfig.model_validate_json(compiled.to_file()) == compiled


def test_training_steps_are_compiled_and_predictions_are_not(dataset, monkeypatch):
    """By a compiler that counts and changes nothing: the same numbers, as many steps, and the network's own names."""
    steps = []

    def compiler(model, dynamic):
        assert dynamic is False
        return lambda images: (steps.append(model.training), model(images))[1]

    plain = train(trial_of(dataset), dataset, device=CPU)
    monkeypatch.setattr(torch, "compile", compiler)
    found = train(trial_of(dataset, compile=True), dataset, device=CPU)
    drawn = len(dataset.split(Protocol().split).train)
    assert steps == [True] * 2 * round(drawn / 3 + 0.34)
    assert list(found.weights) == list(plain.weights)
    assert all(torch.equal(tensor, plain.weights[name]) for name, tensor in found.weights.items())
    assert (found.predictions == plain.predictions).all()


def test_torchs_own_compiler_takes_the_network(dataset, monkeypatch):
    """By its tracer without its code generator, which takes minutes: what it makes of the network is the network."""
    plain = train(trial_of(dataset), dataset, device=CPU)
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager", fullgraph=True))
    found = train(trial_of(dataset, compile=True), dataset, device=CPU)
    assert [epoch.train_loss for epoch in found.epochs] == [epoch.train_loss for epoch in plain.epochs]


def test_several_processes_do_not_compile(dataset):
    with pytest.raises(InputError, match=r"^protocol\.compile: a trial that several processes share is not compiled"):
        train(trial_of(dataset, compile=True), dataset, device=CPU, group=Group(0, 2))
