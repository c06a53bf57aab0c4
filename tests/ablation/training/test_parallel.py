"""Several processes that train one trial act as one: same numbers, same failures, and nobody waits for the dead."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import torch.distributed as dist
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ablate.data.dataset import Dataset, assemble
from ablate.data.load import load_data
from ablate.data.ragged import Ragged
from ablate.data.settings import Folder, Phantom
from ablate.data.source import IGNORED, Sample
from ablate.errors import TrialError
from ablate.models.settings import PyConvUNet, UNet, UNetPlusPlus
from ablate.training.checkpoint import Epoch
from ablate.training.loop import Result, train
from ablate.training.parallel import ALONE, Group, PeerLostError
from ablate.trial import Protocol, TrialConfig

CPU = torch.device("cpu")
PHANTOM = Phantom(size=(32, 32), count=15, noise=0.1)
PATIENCE = 120
"""Seconds after which a rank hangs."""


class Ranks:
    """Processes that run one function together, each as a rank of a gloo group over the loopback interface."""

    def __init__(self, count: int, folder: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self._folder, self._calls = folder, 0
        pairs = [context.Pipe() for _ in range(count)]
        self._processes = [context.Process(target=_serve, args=(child,), daemon=True) for _, child in pairs]
        self._pipes = [parent for parent, _ in pairs]
        for process, (_, child) in zip(self._processes, pairs, strict=True):
            process.start()
            child.close()

    def __call__(self, size: int, function: Callable[..., Any], *arguments: Any) -> list[Any]:
        """What `function(group, *arguments)` returned, or raised, on each of `size` ranks; None where a rank died."""
        self._calls += 1
        for rank in range(size):
            self._pipes[rank].send((f"{self._folder}/store{self._calls}", rank, size, function, arguments))
        answers: list[Any] = []
        for rank in range(size):
            assert self._pipes[rank].poll(PATIENCE), f"rank {rank} hangs"
            try:
                answers.append(self._pipes[rank].recv())
            except EOFError:
                answers.append(None)
        return answers

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.join()


def _serve(pipe: Any) -> None:
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    while True:
        store, rank, size, function, arguments = pipe.recv()
        dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=size)
        try:
            answer = function(Group(rank, size), *arguments)
        except Exception as error:
            answer = error
        dist.destroy_process_group()
        pipe.send(answer)


@pytest.fixture(scope="module")
def ranks(tmp_path_factory) -> Iterator[Ranks]:
    started = Ranks(3, tmp_path_factory.mktemp("stores"))
    yield started
    started.close()


def trial(model: Any = None, **protocol: Any) -> TrialConfig:
    return TrialConfig(
        model=model or UNet(width=4, stages=3),
        data=load_data(PHANTOM).config,
        protocol=Protocol(**{"epochs": 3, "batch_size": 5} | protocol),
    )


def train_it(group: Group, config: TrialConfig) -> Result:
    return train(config, load_data(config.data), device=CPU, group=group)


def train_in_float64(group: Group, config: TrialConfig) -> Result:
    torch.set_default_dtype(torch.float64)
    try:
        dataset = load_data(config.data)
        dataset = replace(dataset, images=dataset.images.astype(np.float64))
        return train(config, dataset, device=CPU, group=group)
    finally:
        torch.set_default_dtype(torch.float32)


def rows(result: Result) -> np.ndarray:
    """Both losses and the three scores, (epochs, 5)."""
    return np.array([epoch[1:6] for epoch in result.epochs])


def assert_same(one: Result, other: Result) -> None:
    np.testing.assert_array_equal(rows(one), rows(other))
    assert one.best_epoch == other.best_epoch
    assert one.ids == other.ids
    np.testing.assert_array_equal(one.predictions, other.predictions)
    np.testing.assert_array_equal(one.counts, other.counts)
    assert one.weights.keys() == other.weights.keys()
    for name, tensor in one.weights.items():
        assert torch.equal(tensor, other.weights[name]), name


MODELS = [UNet(width=8, stages=3), PyConvUNet(width=32, stages=2), UNetPlusPlus(width=8, stages=3)]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_two_ranks_follow_one_process(ranks, model):
    config = trial(model)
    alone = train_it(ALONE, config)
    first, second = ranks(2, train_it, config)
    np.testing.assert_allclose(rows(first)[:, 0], rows(alone)[:, 0], rtol=0, atol=1e-4)
    # A convolution's bias before a batch norm has no gradient but rounding, of which Adam makes steps. Training does
    # not feel them, but validation, by its running means, does: another number of threads moves its loss as much.
    # PyConvU-Net has no such biases.
    np.testing.assert_allclose(
        rows(first)[:, 1], rows(alone)[:, 1], rtol=0, atol=1e-4 if model.name == "pyconvunet" else 2e-3
    )
    assert_same(first, second)


@pytest.mark.parametrize("model", [MODELS[0], MODELS[2]], ids=lambda model: model.name)  # PyConv is slow in float64
def test_without_rounding_they_do_the_same(ranks, model):
    config = trial(model)
    alone = train_in_float64(ALONE, config)
    first, _ = ranks(2, train_in_float64, config)
    np.testing.assert_allclose(rows(first), rows(alone), rtol=0, atol=1e-6)
    np.testing.assert_array_equal(first.predictions, alone.predictions)
    for name, tensor in alone.weights.items():
        torch.testing.assert_close(first.weights[name], tensor, rtol=0, atol=1e-6)


@pytest.mark.parametrize("norm", ["batch", "instance", "group"])
def test_ranks_without_an_image_change_nothing(ranks, norm):
    # Batches of 2 leave one of three ranks without any; so do the 2 images to validate on, and the 3 to test on do not.
    config = trial(UNet(width=4, stages=3, norm=norm), batch_size=2, epochs=2)
    alone = train_in_float64(ALONE, config)
    results = ranks(3, train_in_float64, config)
    for result in results:
        np.testing.assert_allclose(rows(result), rows(alone), rtol=0, atol=1e-6)
        np.testing.assert_array_equal(result.predictions, alone.predictions)


def uneven(fit: str) -> Dataset:
    """Images of different sizes, of which some pixels are ignored, in float64."""
    found = []
    for i in range(15):
        draw = np.random.default_rng(i)
        image = draw.integers(0, 256, (32 + 3 * i, 70 - 2 * i)).astype(np.uint8)
        mask = (image > 128).astype(np.uint8)
        mask[:, : 2 * i] = IGNORED
        found.append(Sample(f"{i:02d}", f"{i:02d}", image, mask))
    dataset = assemble(found, Folder(size=(32, 32), fit=fit, scored_at="image"))  # type: ignore[arg-type]
    if isinstance(dataset.images, Ragged):
        return replace(dataset, images=replace(dataset.images, values=dataset.images.values.astype(np.float64)))
    return replace(dataset, images=dataset.images.astype(np.float64))


def train_uneven(group: Group, fit: str) -> Result:
    torch.set_default_dtype(torch.float64)
    try:
        dataset, more = uneven(fit), {"patches_per_image": 2} if fit == "patches" else {}
        protocol = Protocol(epochs=2, batch_size=5, **more)  # type: ignore[arg-type]
        config = TrialConfig(model=UNet(width=4, stages=3), data=dataset.config, protocol=protocol)
        return train(config, dataset, device=CPU, group=group)
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("fit", ["patches", "pad"])
def test_images_of_different_sizes_are_shared_out_and_come_together_again(ranks, fit):
    alone = train_uneven(ALONE, fit)
    assert len({prediction.shape for prediction in alone.predictions}) > 1
    for size in (2, 3):
        for result in ranks(size, train_uneven, fit):
            np.testing.assert_allclose(rows(result), rows(alone), rtol=0, atol=1e-6)
            np.testing.assert_array_equal(result.counts, alone.counts)
            for one, other in zip(result.predictions, alone.predictions, strict=True):
                np.testing.assert_array_equal(one, other)


def test_a_cut_gradient_an_average_and_flips_are_those_of_the_whole(ranks):
    config = trial(batch_size=3, epochs=2, clip_norm=0.1, ema=0.9, test_flips=("hflip",), warmup_epochs=1)
    alone = train_in_float64(ALONE, config)
    for result in ranks(2, train_in_float64, config):
        np.testing.assert_allclose(rows(result), rows(alone), rtol=0, atol=1e-6)
        np.testing.assert_array_equal(result.predictions, alone.predictions)
        for name, tensor in alone.weights.items():
            torch.testing.assert_close(result.weights[name], tensor, rtol=0, atol=1e-6)


class FileCheckpoint(NamedTuple):
    path: Path

    def read(self) -> bytes | None:
        return self.path.read_bytes() if self.path.exists() else None

    def write(self, data: bytes) -> None:
        assert dist.get_rank() == 0
        self.path.write_bytes(data)


class KilledError(Exception):
    pass


def train_until(group: Group, config: TrialConfig, path: Path, last: int) -> Result | None:
    def report(epoch: Epoch) -> None:
        if epoch.epoch == last:
            raise KilledError

    dataset = load_data(config.data)
    try:
        return train(config, dataset, device=CPU, report=report, checkpoint=FileCheckpoint(path), group=group)
    except KilledError:
        return None


def test_interrupted_equals_uninterrupted_bit_for_bit(ranks, tmp_path):
    config = trial(UNet(width=4, stages=3, dropout=0.2), epochs=4)
    whole = ranks(3, train_it, config)[0]
    for moment in (1, 3):
        assert ranks(3, train_until, config, tmp_path / "checkpoint", moment) == [None] * 3
    for resumed in ranks(3, train_until, config, tmp_path / "checkpoint", 0):
        assert_same(resumed, whole)


def test_all_ranks_see_a_loss_diverge(ranks):
    errors = ranks(2, train_it, trial(learning_rate=1e30))
    assert [type(error) for error in errors] == [TrialError, TrialError]
    assert str(errors[0]) == str(errors[1])
    assert str(errors[0]).startswith("diverged: ")


@pytest.mark.parametrize(("size", "images"), [(2, 5), (3, 5), (3, 2)])
def test_batch_norm_over_ranks_is_batch_norm_over_the_whole(ranks, size, images):
    x = torch.randn(images, 3, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3 + 100
    expected, parts = normalise(ALONE, x), ranks(size, normalise, x)
    for i in range(2):
        torch.testing.assert_close(torch.cat([part[i] for part in parts]), expected[i])
    for part in parts:
        torch.testing.assert_close(part[2:], expected[2:])


def normalise(group: Group, x: torch.Tensor) -> list[torch.Tensor]:
    """Output, gradients of x, weight and bias, and the running statistics of one step with some loss."""
    norm = nn.BatchNorm2d(3, dtype=torch.float64)
    group.synchronise(norm)
    own = x[group.share(len(x))].requires_grad_()
    output = norm(own)
    (output.sin() * own).sum().backward()
    group.sum_gradients(norm.parameters())
    of_parameters = [parameter.grad for parameter in norm.parameters()]
    return [t.detach() for t in (output, own.grad, *of_parameters, *norm.buffers())]


def die_after_an_epoch(group: Group, config: TrialConfig) -> Result:
    def report(epoch: Epoch) -> None:
        if group.rank == 1:
            os._exit(1)

    return train(config, load_data(config.data), device=CPU, report=report, group=group)


def test_a_rank_that_dies_does_not_leave_the_other_waiting(tmp_path):
    mortal = Ranks(2, tmp_path)
    answer, nothing = mortal(2, die_after_an_epoch, trial())
    mortal.close()
    assert nothing is None
    assert isinstance(answer, PeerLostError)


@given(st.integers(0, 50), st.integers(1, 9))
def test_shares_are_disjoint_whole_and_even(count, size):
    shares = [range(count)[Group(rank, size).share(count)] for rank in range(size)]
    assert [i for share in shares for i in share] == list(range(count))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
