"""One trial: resumed equals uninterrupted, randomness comes from the seed, and a diverging loss is a reason."""

import os
import warnings
from collections import Counter
from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ablate.data.dataset import Dataset
from ablate.data.load import load_data
from ablate.data.settings import Folder, Phantom
from ablate.data.splits import split
from ablate.errors import InputError, TrialError
from ablate.metrics.counts import confusion, scores
from ablate.models.build import build_model
from ablate.models.settings import PyConvUNet, ResNet34UNet, UNet, UNetPlusPlus
from ablate.training.augmentation import augment
from ablate.training.checkpoint import Epoch, TrainingState
from ablate.training.devices import make_deterministic, precision
from ablate.training.inference import classify, predict, predict_probabilities
from ablate.training.loop import _batches, _generator, _Run, _validate, judge_trivial, train
from ablate.training.losses.cross_entropy import CrossEntropy
from ablate.training.pace import Pace
from ablate.training.schedules.base import Steps
from ablate.training.schedules.curves import Constant
from ablate.trial import Protocol, TrialConfig

CPU = torch.device("cpu")


class Memory:
    """A checkpoint that lives as long as the test."""

    data: bytes | None = None

    def read(self) -> bytes | None:
        return self.data

    def write(self, data: bytes) -> None:
        self.data = data


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return load_data(Phantom(size=(32, 32), count=15, noise=0.1))


def trial(dataset: Dataset, **changes: object) -> TrialConfig:
    protocol = {"epochs": 4, "batch_size": 4} | changes.pop("protocol", {})
    model = changes.pop("model", UNet(width=8, stages=3))
    return TrialConfig(model=model, data=dataset.config, protocol=Protocol(**protocol), **changes)


def without_durations(epochs: list[Epoch]) -> list[Epoch]:
    return [epoch._replace(seconds=0, images_per_second=0) for epoch in epochs]


def assert_same(one, other):
    assert without_durations(one.epochs) == without_durations(other.epochs)
    assert one.best_epoch == other.best_epoch
    assert one.ids == other.ids
    np.testing.assert_array_equal(one.counts, other.counts)
    np.testing.assert_array_equal(one.predictions, other.predictions)
    assert one.weights.keys() == other.weights.keys()
    for name, tensor in one.weights.items():
        assert torch.equal(tensor, other.weights[name]), name


DROPOUT = UNet(width=8, stages=3, norm="group", dropout=0.3)


@pytest.mark.parametrize(
    "model", [UNet(width=8, stages=3), PyConvUNet(width=32, stages=2), UNetPlusPlus(width=4, stages=3), DROPOUT]
)
def test_interrupted_equals_uninterrupted_bit_for_bit(dataset, model):
    config = trial(dataset, model=model)
    whole = train(config, dataset, device=CPU)

    class Killed(Exception):  # noqa: N818
        pass

    def kill_after(last: int):
        def report(epoch: Epoch) -> None:
            if epoch.epoch == last:
                raise Killed

        return report

    checkpoint = Memory()
    for moment in (1, 3):
        with pytest.raises(Killed):
            train(config, dataset, device=CPU, report=kill_after(moment), checkpoint=checkpoint)
    seen: list[Epoch] = []
    resumed = train(config, dataset, device=CPU, report=seen.append, checkpoint=checkpoint)
    assert_same(resumed, whole)
    assert [epoch.epoch for epoch in seen] == [1, 2, 3, 4]


def test_a_damaged_or_foreign_checkpoint_is_as_good_as_none(dataset):
    config, checkpoint = trial(dataset), Memory()
    whole = train(config, dataset, device=CPU)
    train(trial(dataset, seed=1), dataset, device=CPU, checkpoint=checkpoint)
    assert_same(train(config, dataset, device=CPU, checkpoint=checkpoint), whole)
    checkpoint.write((checkpoint.read() or b"")[:1000])
    assert_same(train(config, dataset, device=CPU, checkpoint=checkpoint), whole)


@pytest.mark.parametrize("model", [UNet(width=8, stages=3), DROPOUT])
def test_training_ignores_and_leaves_the_global_random_state(dataset, model):
    torch.manual_seed(1)
    first = train(trial(dataset, model=model), dataset, device=CPU)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    second = train(trial(dataset, model=model), dataset, device=CPU)
    assert torch.equal(torch.get_rng_state(), before)
    assert_same(first, second)


def test_seeds_differ(dataset):
    one, other = (train(trial(dataset, seed=seed), dataset, device=CPU) for seed in (0, 1))
    assert one.epochs[0].train_loss != other.epochs[0].train_loss


def test_it_learns(dataset):
    config = trial(dataset, protocol={"epochs": 25, "augment": (), "learning_rate": 3e-3})
    result = train(config, dataset, device=CPU)
    bar = max(judge_trivial(row, dataset).test.dice for row in config.trivial())
    assert result.epochs[-1].train_loss < result.epochs[0].train_loss / 2
    assert result.test.dice > bar + 0.1


def test_the_best_epoch_is_the_one_of_the_highest_validation_dice(dataset):
    result = train(trial(dataset, protocol={"epochs": 8, "learning_rate": 1e-2}), dataset, device=CPU)
    dices = [epoch.val_dice for epoch in result.epochs]
    assert dices[result.best_epoch - 1] == max(dices)
    assert scores(result.counts) == result.test


def test_divergence_ends_the_trial_with_its_reason(dataset):
    with pytest.raises(TrialError, match=r"diverged: the .* loss was (nan|inf)"):
        train(trial(dataset, protocol={"learning_rate": 1e30}), dataset, device=CPU)


def test_several_classes_train_with_softmax(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    for i in range(10):
        mask = np.zeros((32, 32), dtype=np.uint8)
        mask[4:12, 4:28], mask[20:28, 4:16] = 1, 2
        np.save(tmp_path / "masks" / f"{i}.npy", mask)
        np.save(tmp_path / "images" / f"{i}.npy", (mask * 100 + rng.integers(0, 30, mask.shape)).astype(np.uint8))
    dataset = load_data(Folder(root=tmp_path, size=(32, 32), n_classes=3))
    config = trial(dataset, protocol={"epochs": 25, "augment": (), "learning_rate": 1e-2})
    result = train(config, dataset, device=CPU)
    assert result.counts.shape == (2, 3, 4)
    assert result.test.miou > 0.9
    rows = {row.model.name: judge_trivial(row, dataset) for row in config.trivial()}
    assert (rows["all_foreground"].predictions == 1).all()  # the larger of the two foreground classes
    assert rows["mean_mask"].test.miou == 1  # every mask is the same


def test_a_last_batch_of_one_joins_the_one_before():
    # 16×16 through five stages is 1×1 at the bottom, where batch norm cannot normalise a single image.
    dataset = load_data(Phantom(size=(16, 16), count=10))
    config = trial(dataset, model=UNet(width=4, stages=5), protocol={"epochs": 1, "batch_size": 5})
    assert len(train(config, dataset, device=CPU).epochs) == 1


def test_trivial_rows_follow_from_the_masks(dataset):
    config = trial(dataset)
    rows = {row.model.name: judge_trivial(row, dataset) for row in config.trivial()}
    ids = list(rows["mean_mask"].ids)
    masks = dataset.masks[[dataset.ids.index(i) for i in ids]]
    fractions = (masks == 1).mean(axis=(1, 2))
    assert rows["all_foreground"].test.iou == pytest.approx(fractions.mean())
    assert rows["all_background"].test.dice == 0
    assert rows["all_background"].test.miou == pytest.approx(((1 - fractions) / 2).mean())
    trained_on = list(split(dataset.groups, config.protocol.split).train)
    expected = dataset.masks[trained_on].mean(axis=0) >= 0.5
    for prediction in rows["mean_mask"].predictions:
        np.testing.assert_array_equal(prediction, expected)


# Parts ---------------------------------------------------------------------------------------------------------------


def test_an_epochs_batches_hold_every_image_once_in_an_order_of_their_own():
    indices = (4, 8, 15, 16, 23, 42, 7)
    epochs = [_batches(indices, 3, seed=0, epoch=epoch) for epoch in (1, 2)]
    for batches in epochs:
        assert sorted(index for batch in batches for index in batch) == sorted(indices)
        assert [len(batch) for batch in batches] == [3, 4]  # a last one of one image joins the one before
    assert epochs[0] != epochs[1]
    assert epochs[0] != _batches(indices, 3, seed=1, epoch=1)
    assert _batches(indices, 3, seed=0, epoch=1) == epochs[0]
    assert [len(batch) for batch in _batches(indices, 1, seed=0, epoch=1)] == [1] * 7
    assert [len(batch) for batch in _batches(indices, 5, seed=0, epoch=1)] == [5, 2]


@pytest.mark.parametrize("batch_size", [1, 2, 4, 100])
def test_validation_is_the_mean_over_images_whatever_the_batches(dataset, batch_size):
    torch.manual_seed(0)
    model = build_model(UNet(width=8, stages=3), 1, 1)
    indices = (3, 0, 7, 9, 11)
    run = _Run(trial(dataset, protocol={"batch_size": batch_size}), dataset, CPU)
    loss, found, selects = _validate(run, model, indices)
    losses, counts = [], []
    model.eval()
    with torch.no_grad():
        for index in indices:
            logits = model(torch.tensor(dataset.images[[index]]))
            mask = dataset.masks[[index]]
            losses.append(F.binary_cross_entropy_with_logits(logits[:, 0], torch.tensor(mask).float()).item())
            counts.append(confusion((logits[:, 0] >= 0).numpy().astype(np.uint8), mask, 2))
    assert loss == pytest.approx(np.mean(losses), rel=1e-5)
    assert found == scores(np.concatenate(counts))
    assert selects == found.dice


def test_the_training_loss_is_the_mean_over_images_of_unequal_batches(dataset):
    """At a learning rate of next to nothing the weights stay, so the epoch can be gone through again."""
    config = trial(dataset, protocol={"epochs": 1, "batch_size": 4, "learning_rate": 1e-12})
    [epoch] = train(config, dataset, device=CPU).epochs
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = build_model(config.model, 1, 1).train()
    total, sizes, loss = 0.0, [], CrossEntropy().build(1)
    for step, indices in enumerate(_batches(split(dataset.groups, config.protocol.split).train, 4, config.seed, 1)):
        images, masks = torch.tensor(dataset.images[indices]), torch.tensor(dataset.masks[indices])
        images, masks = augment(images, masks, config.protocol.augment, _generator(config.seed, 1, step))
        with torch.no_grad():
            total += loss(model(images), masks.long()).item() * len(indices)
        sizes.append(len(indices))
    assert len(set(sizes)) > 1
    assert epoch.train_loss == pytest.approx(total / sum(sizes), rel=1e-4)


def test_a_foreground_probability_of_exactly_one_half_is_foreground():
    assert classify(torch.tensor([[[[0.5, 0.49999997, 0.50000006]]]])).tolist() == [[[1, 0, 1]]]
    assert classify(torch.tensor([[[[0.2]], [[0.4]], [[0.4]]]])).tolist() == [[[1]]]  # the first of the most probable


def progress(model: torch.nn.Module, key: str = "k") -> TrainingState:
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    return TrainingState(key, model, optimizer, scaler, Pace(Constant(), optimizer, Steps(4, 1)))


def epoch_of(number: int, val_dice: float, val_loss: float) -> Epoch:
    return Epoch(number, 1.0, val_loss, val_dice, val_dice, val_dice, 1.0, 1.0)


def test_of_equal_epochs_the_first_is_the_best_and_a_lower_loss_decides_before():
    known = progress(torch.nn.Linear(1, 1))
    best = []
    for number, (dice, loss) in enumerate([(0.5, 0.4), (0.5, 0.4), (0.5, 0.3), (0.4, 0.1), (0.6, 0.9), (0.6, 0.9)], 1):
        known.add(epoch_of(number, dice, loss))
        best.append(known.best_epoch)
    assert best == [1, 1, 3, 3, 5, 5]


@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_checkpoint_has_the_best_weights_and_the_last(after):
    model = torch.nn.Linear(2, 1)
    known = progress(model)
    known.add(epoch_of(1, 0.9, 0.1))
    best = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for number in range(2, 2 + after):
        model(torch.ones(1, 2)).sum().backward()
        known.optimizer.step()
        known.add(epoch_of(number, 0.1, 0.9))
    saved, again = known.saved(), progress(torch.nn.Linear(2, 1))
    again.restore(saved)
    assert again.epochs == known.epochs
    assert again.best_epoch == 1
    for name, tensor in model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], tensor)
        assert torch.equal(again.best[name], best[name])
        assert torch.equal(best[name], tensor) == (after == 0)
    state = again.optimizer.state_dict()["state"]
    assert [float(row["step"]) for row in state.values()] == [after] * (2 if after else 0)
    other = progress(torch.nn.Linear(2, 1), key="another")
    other.restore(saved)
    assert other.epochs == []


def test_the_mean_mask_is_the_majority_of_the_training_masks_and_a_tie_is_foreground(dataset):
    config = trial(dataset)
    [row] = [row for row in config.trivial() if row.model.name == "mean_mask"]
    masks = dataset.masks[list(split(dataset.groups, config.protocol.split).train)]
    twice = 2 * (masks == 1).sum(axis=0)
    assert (judge_trivial(row, dataset).predictions == (twice >= len(masks))).all()


def test_a_recorded_configuration_does_not_train_from_weights_that_it_does_not_name(dataset, tmp_path):
    (tmp_path / "weights.safetensors").write_bytes(b"weights")
    config = trial(dataset, model=ResNet34UNet(encoder_weights=tmp_path / "weights.safetensors"))
    recorded = TrialConfig.model_validate_json(config.model_dump_json())
    assert recorded.key == config.key
    with pytest.raises(TrialError, match="weights whose file is not named any more"):
        train(recorded, dataset, device=CPU)
    with pytest.raises(InputError, match=r"weights\.safetensors"):
        train(config, dataset, device=CPU)  # that file is no weights, which is another matter


# Several classes -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def of_three() -> Dataset:
    """Twelve random masks of three classes, of which the last is the most frequent foreground."""
    rng = np.random.default_rng(0)
    masks = rng.choice(3, (12, 16, 16), p=[0.4, 0.25, 0.35]).astype(np.uint8)
    masks[:, 0, 0] = np.arange(12) % 3  # a tie, or next to one
    images = (masks[:, None] - 1 + rng.normal(0, 0.1, (12, 1, 16, 16))).astype(np.float32)
    ids = tuple(f"{at:02d}" for at in range(12))
    return Dataset(Folder(size=(16, 16), n_classes=3), ids, ids, images, masks)


def test_trivial_rows_of_several_classes_are_counted_pixel_by_pixel(of_three):
    config = trial(of_three, protocol={"split": {"shuffle": False, "val": 0.25, "test": 0.25}})
    rows = {row.model.name: judge_trivial(row, of_three) for row in config.trivial()}
    trained_on = of_three.masks[:6]
    for row in rows.values():
        assert (row.best_epoch, row.epochs, row.weights) == (0, [], {})
        assert row.ids == ("09", "10", "11")
        assert row.predictions.shape == (3, 16, 16)
        np.testing.assert_array_equal(row.counts, confusion(row.predictions, of_three.masks[9:], 3))
    assert (rows["all_background"].predictions == 0).all()
    assert Counter(trained_on[trained_on > 0].tolist()).most_common(1)[0][0] == 2
    assert (rows["all_foreground"].predictions == 2).all()
    for y, x in np.ndindex(16, 16):
        seen = Counter(trained_on[:, y, x].tolist())
        most = max(seen.values())
        expected = max(value for value, times in seen.items() if times == most)  # of a tie the higher, as resizing
        assert (rows["mean_mask"].predictions[:, y, x] == expected).all()


@pytest.mark.parametrize("batch_size", [1, 3])
def test_validation_of_several_classes_is_the_mean_over_images(of_three, batch_size):
    torch.manual_seed(0)
    model = build_model(UNet(width=8, stages=2), 1, 3).eval()
    indices = (3, 0, 7, 9)
    run = _Run(trial(of_three, protocol={"batch_size": batch_size}), of_three, CPU)
    loss, found, selects = _validate(run, model, indices)
    losses, counts = [], []
    with torch.no_grad():
        for index in indices:
            logits, mask = model(torch.tensor(of_three.images[[index]])), of_three.masks[[index]]
            losses.append(F.cross_entropy(logits, torch.tensor(mask).long()).item())
            counts.append(confusion(logits.argmax(dim=1).numpy(), mask, 3))
    assert loss == pytest.approx(np.mean(losses), rel=1e-5)
    assert found == scores(np.concatenate(counts))
    assert selects == found.dice


def test_probabilities_are_the_softmax_over_classes_or_the_sigmoid(of_three):
    images = of_three.images[:5]
    for classes in (1, 3):
        torch.manual_seed(0)
        model = build_model(UNet(width=8, stages=2), 1, classes).eval()
        found = torch.cat(list(predict_probabilities(model, images, 2, CPU))).numpy()
        with torch.no_grad():
            logits = model(torch.tensor(images)).double().numpy()
        powers = np.exp(logits)
        expected = powers / powers.sum(axis=1, keepdims=True) if classes == 3 else 1 / (1 + np.exp(-logits))
        np.testing.assert_allclose(found, expected, atol=1e-5)
        chosen = expected.argmax(axis=1) if classes == 3 else expected[:, 0] >= 0.5
        np.testing.assert_array_equal(predict(model, images, 2, CPU), chosen)
        assert predict(model, images[:0], 2, CPU).shape == (0, 16, 16)


# At their edges ------------------------------------------------------------------------------------------------------


def test_one_image_alone_stays_a_batch():
    assert _batches((4,), 3, seed=0, epoch=1) == [[4]]
    assert [len(batch) for batch in _batches((4, 5, 6, 7), 3, seed=0, epoch=1)] == [4]
    assert [len(batch) for batch in _batches((4, 5), 1, seed=0, epoch=1)] == [1, 1]
    assert [len(batch) for batch in _batches(tuple(range(5)), 3, seed=0, epoch=1)] == [3, 2]


def test_augmentation_is_drawn_from_all_seeds_that_there_are():
    seeds = {_generator(seed, epoch, step).initial_seed() for seed in range(4) for epoch in (1, 2) for step in range(8)}
    assert len(seeds) == 64
    assert 2**62 < max(seeds) < 2**63


def test_an_epoch_s_time_is_told_in_seconds_and_in_images_a_second(dataset, monkeypatch):
    ticks = count(100, 0.5)
    monkeypatch.setattr("ablate.training.loop.time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    config = trial(dataset, protocol={"epochs": 2})
    images = len(split(dataset.groups, config.protocol.split).train)
    for epoch in train(config, dataset, device=CPU).epochs:
        assert (epoch.seconds, epoch.images_per_second) == (1.0, images / 0.5)


def test_16_bits_are_for_cuda_alone_and_bfloat16_where_the_card_has_it(monkeypatch):
    assert precision(CPU) == precision(torch.device("mps")) == torch.float32
    for has, expected in ((True, torch.bfloat16), (False, torch.float16)):
        monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation=True, has=has: has)
        assert precision(torch.device("cuda")) == expected
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation=True: including_emulation)
    assert precision(torch.device("cuda")) == torch.float16  # an emulated one is slow


def test_no_number_comes_from_memory_that_nothing_was_written_to(dataset, monkeypatch):
    """With NaN in every new tensor the numbers are the same."""
    config = trial(dataset, model=PyConvUNet(width=32, stages=2), protocol={"epochs": 2})
    quick = train(config, dataset, device=CPU)

    def filling(device: torch.device) -> None:
        make_deterministic(device)
        monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)

    monkeypatch.setattr("ablate.training.loop.make_deterministic", filling)
    assert_same(train(config, dataset, device=CPU), quick)
    assert torch.utils.deterministic.fill_uninitialized_memory


def test_training_on_the_cpu_is_deterministic_in_32_bits_and_warns_of_nothing(dataset, monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    torch.use_deterministic_algorithms(False)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    checkpoint = Memory()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(trial(dataset, protocol={"epochs": 1}), dataset, device=CPU, checkpoint=checkpoint)
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.is_deterministic_algorithms_warn_only_enabled()
    assert not torch.utils.deterministic.fill_uninitialized_memory
    assert not torch.backends.cudnn.benchmark
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ  # which is CUDA's
    assert b'"scaler":"{}"' in (checkpoint.data or b"").replace(b" ", b"")  # gradients are scaled for 16 bits alone
