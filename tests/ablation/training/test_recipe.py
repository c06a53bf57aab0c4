"""The recipe in the loop: interrupted equals uninterrupted whatever its parts, and what its numbers do."""

from __future__ import annotations

import copy
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from ablate.data.dataset import Dataset
from ablate.data.load import load_data
from ablate.data.settings import Phantom
from ablate.data.splits import split
from ablate.errors import InputError, TrialError
from ablate.metrics.boundary import SurfaceDice
from ablate.metrics.counts import dice
from ablate.models.build import build_model
from ablate.models.settings import ResNet34UNet, UNet, UNetPlusPlus
from ablate.part import Part
from ablate.training import loop
from ablate.training.augmentations.adapt import adapt as adapt_augmentation
from ablate.training.augmentations.intensity import BiasField, Noise
from ablate.training.augmentations.spatial import Elastic, Rotate
from ablate.training.average import Average
from ablate.training.checkpoint import Epoch
from ablate.training.heads import loss_of
from ablate.training.inference import predict_probabilities
from ablate.training.initialisation import initialise
from ablate.training.loop import Result, train
from ablate.training.losses.adapt import adapt as adapt_loss
from ablate.training.losses.overlap import DiceCE
from ablate.training.optimizers.adam import AdamW
from ablate.training.optimizers.adapt import adapt as adapt_optimizer
from ablate.training.optimizers.sgd import SGD
from ablate.training.recipe import Recipe
from ablate.training.schedules.adapt import adapt as adapt_schedule
from ablate.training.schedules.curves import Constant, OneCycle, Poly
from ablate.training.schedules.plateau import Plateau
from ablate.trial import Protocol, TrialConfig

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return load_data(Phantom(size=(32, 32), count=15, noise=0.1))


def trial(dataset: Dataset, model: Any = None, metrics: tuple[str, ...] = (), **protocol: Any) -> TrialConfig:
    """`metrics`: labels of those that a recipe is to bring."""
    settings = Protocol(**{"epochs": 4, "batch_size": 4, **protocol})
    own = tuple(Part({"name": f"mine:{label}"}) for label in metrics)
    return TrialConfig(model=model or UNet(width=4, stages=3), data=dataset.config, protocol=settings, metrics=own)


def with_recipe(monkeypatch: pytest.MonkeyPatch, **parts: Any) -> None:
    monkeypatch.setattr(loop, "recipe_of", lambda trial: Recipe(**parts))


class Memory:
    data: bytes | None = None

    def read(self) -> bytes | None:
        return self.data

    def write(self, data: bytes) -> None:
        self.data = data


class Killed(Exception):  # noqa: N818
    pass


def kill_after(last: int):
    def report(epoch: Epoch) -> None:
        if epoch.epoch == last:
            raise Killed

    return report


def rows(result: Result) -> list[Epoch]:
    return [epoch._replace(seconds=0, images_per_second=0) for epoch in result.epochs]


def assert_same(one: Result, other: Result) -> None:
    assert rows(one) == rows(other)
    assert (one.best_epoch, one.ids) == (other.best_epoch, other.ids)
    np.testing.assert_array_equal(one.counts, other.counts)
    np.testing.assert_array_equal(one.predictions, other.predictions)
    assert one.weights.keys() == other.weights.keys()
    for name, tensor in one.weights.items():
        assert torch.equal(tensor, other.weights[name]), name
    assert one.more.keys() == other.more.keys()
    for label, values in one.more.items():
        np.testing.assert_array_equal(values, other.more[label])


def jitter(image, rng):
    return image + rng.normal(0, 0.05) + 0.05 * torch.rand(())


def monai(name: str):
    import monai.transforms

    return getattr(monai.transforms, name)


def everything() -> dict[str, tuple[dict, dict]]:
    """Recipes and protocols, by name."""
    foreign = adapt_augmentation(monai("RandAffined"), {"prob": 0.8, "rotate_range": 0.3}, "augmentation x")
    return {
        "sgd, poly, monai": (
            {"optimizer": SGD(momentum=0.9, weight_decay=1e-3, decay_norms=False), "schedule": Poly(every="step"),
             "loss": DiceCE(), "augmentations": (Rotate(), Elastic(), Noise(), BiasField(), foreign)},
            {"learning_rate": 0.05, "clip_norm": 0.5},
        ),
        "adamw, onecycle, average": (
            {"optimizer": AdamW(decay_norms=False), "schedule": OneCycle(), "augmentations": (Rotate(), foreign),
             "metrics": (("surface", SurfaceDice()),)},
            {"learning_rate": 1e-2, "ema": 0.9, "select": "surface", "test_flips": ("hflip", "vflip")},
        ),
        "nadam, plateau, warm-up": (
            {"optimizer": adapt_optimizer(torch.optim.NAdam, {}, "optimizer x"), "schedule": Plateau(patience=0),
             "augmentations": (adapt_augmentation(jitter, {}, "augmentation x"),)},
            {"warmup_epochs": 1, "select": "loss", "initialisation": "kaiming"},
        ),
        "of others": (
            {"loss": adapt_loss(nn.BCEWithLogitsLoss, {"pos_weight": [2]}, "loss x"),
             "optimizer": adapt_optimizer(torch.optim.Adagrad, {}, "optimizer x"),
             "schedule": adapt_schedule(torch.optim.lr_scheduler.ExponentialLR, {"gamma": 0.7}, "schedule x")},
            {"ema": 0.5, "patience": 3},
        ),
    }  # fmt: skip


@pytest.mark.parametrize(
    "name", ["sgd, poly, monai", "adamw, onecycle, average", "nadam, plateau, warm-up", "of others"]
)
def test_interrupted_equals_uninterrupted_bit_for_bit(dataset, monkeypatch, name):
    parts, protocol = everything()[name]
    config = trial(dataset, metrics=tuple(label for label, _ in parts.get("metrics", ())), **protocol)
    with_recipe(monkeypatch, **parts)
    whole = train(config, dataset, device=CPU)
    checkpoint = Memory()
    for moment in (1, 2, 3):
        with pytest.raises(Killed):
            train(config, dataset, device=CPU, report=kill_after(moment), checkpoint=checkpoint)
        with_recipe(monkeypatch, **everything()[name][0])  # parts that have done nothing yet
    resumed = train(config, dataset, device=CPU, checkpoint=checkpoint)
    assert_same(resumed, whole)
    assert len({row.train_loss for row in whole.epochs}) == len(whole.epochs)


def test_a_part_changes_what_is_trained_and_the_defaults_do_not(dataset, monkeypatch):
    plain = train(trial(dataset), dataset, device=CPU)
    with_recipe(monkeypatch)
    assert_same(train(trial(dataset), dataset, device=CPU), plain)
    for parts in ({"loss": DiceCE()}, {"optimizer": SGD()}, {"schedule": Poly()}, {"augmentations": (Noise(p=1),)}):
        with_recipe(monkeypatch, **parts)
        assert rows(train(trial(dataset), dataset, device=CPU)) != rows(plain), parts


def test_the_recipe_s_own_augmentations_leave_the_flips_as_they_were(dataset, monkeypatch):
    seen: list[list[torch.Tensor]] = [[], []]
    for found, others in ((seen[0], ()), (seen[1], (Noise(p=1),))):

        def watch(images, masks, found=found):
            found.append(masks.clone())
            return images, masks

        with_recipe(monkeypatch, augmentations=(*others, adapt_augmentation(watch, {}, "augmentation x")))
        train(trial(dataset, epochs=1), dataset, device=CPU)
    assert all(torch.equal(a, b) for a, b in zip(*seen, strict=True))


def test_gradients_are_cut_to_a_norm(dataset, monkeypatch):
    """Under plain descent a step is the learning rate times the gradient."""
    moved = []
    real = torch.optim.SGD.step

    def step(self, *args):
        parameters = self.param_groups[0]["params"]
        before = torch.cat([p.detach().flatten() for p in parameters])
        real(self, *args)
        moved.append((torch.cat([p.detach().flatten() for p in parameters]) - before).norm().item())

    monkeypatch.setattr(torch.optim.SGD, "step", step)
    with_recipe(monkeypatch, optimizer=SGD(momentum=0))
    train(trial(dataset, epochs=1, learning_rate=1, clip_norm=1e-3), dataset, device=CPU)
    assert moved == pytest.approx([1e-3] * len(moved), rel=0.01)


def test_a_training_without_improvement_ends(dataset, monkeypatch):
    # At next to no learning rate nothing but the first epoch's batch norm changes for the better.
    config = trial(dataset, epochs=50, learning_rate=1e-12, patience=3)
    result = train(config, dataset, device=CPU)
    assert len(result.epochs) == result.best_epoch + 3 < 50
    checkpoint = Memory()
    with pytest.raises(Killed):
        train(config, dataset, device=CPU, report=kill_after(len(result.epochs)), checkpoint=checkpoint)
    seen: list[Epoch] = []
    assert_same(train(config, dataset, device=CPU, report=seen.append, checkpoint=checkpoint), result)
    assert len(seen) == len(result.epochs)


@pytest.mark.parametrize("select", ["dice", "iou", "miou", "loss"])
def test_the_best_epoch_is_the_best_by_what_was_asked(dataset, select):
    result = train(trial(dataset, epochs=6, learning_rate=1e-2, select=select), dataset, device=CPU)
    values = [-row.val_loss if select == "loss" else getattr(row, f"val_{select}") for row in result.epochs]
    assert values[result.best_epoch - 1] == max(values)


def test_a_metric_is_measured_on_test_images_and_can_select(dataset, monkeypatch):
    class Constant:
        def build(self):
            of_call = iter([0.1, 0.9, 0.4, 0.9, 0.7])
            return lambda predicted, masks, classes: np.full((len(masks), classes), next(of_call))

    class Dice:
        def build(self):
            from ablate.metrics.counts import confusion

            return lambda p, m, c: dice(*np.moveaxis(confusion(p, m, c), -1, 0)[:3])

    with_recipe(monkeypatch, metrics=(("own", Constant()),))
    batch = len(split(dataset.groups, Protocol().split).val)  # so that validation is one call
    result = train(trial(dataset, metrics=("own",), batch_size=batch, select="own"), dataset, device=CPU)
    assert result.best_epoch in (2, 4)  # of equal ones that of the lower loss
    assert (result.more["own"] == 0.7).all()
    with_recipe(monkeypatch, metrics=(("mine", Dice()), ("surface", SurfaceDice())))
    by_dice = train(trial(dataset, metrics=("mine",), select="mine"), dataset, device=CPU)
    assert_same(by_dice, train(trial(dataset, select="dice"), dataset, device=CPU))
    np.testing.assert_array_equal(by_dice.more["mine"], dice(*np.moveaxis(by_dice.counts, -1, 0)[:3]))
    assert by_dice.more["surface"].shape == (len(by_dice.ids), 2)


def test_what_selects_is_what_the_trial_has(dataset):
    with pytest.raises(ValidationError, match=r"unknown protocol\.select 'mime': did you mean 'mine'"):
        trial(dataset, metrics=("mine",), select="mime")
    with pytest.raises(ValidationError, match=r"unknown protocol\.select 'surface_dice': did you mean 'dice'"):
        trial(dataset, select="surface_dice")


def test_a_head_of_a_lower_resolution_is_resized_to_the_masks():
    torch.manual_seed(0)
    masks = torch.randint(0, 3, (2, 16, 12))
    full, half = torch.randn(2, 3, 16, 12), torch.randn(2, 3, 8, 6, requires_grad=True)
    resized = nn.functional.interpolate(half, scale_factor=2, mode="bilinear", align_corners=False)
    expected = (nn.functional.cross_entropy(full, masks) + 3 * nn.functional.cross_entropy(resized, masks)) / 4
    found = loss_of(nn.functional.cross_entropy, (full, half), masks, (1, 3))
    torch.testing.assert_close(found, expected)
    found.backward()
    assert half.grad is not None
    assert half.grad.abs().min() > 0


def test_the_average_is_what_is_judged_and_kept(dataset):
    averaged = train(trial(dataset, ema=0.99, learning_rate=1e-2), dataset, device=CPU)
    plain = train(trial(dataset, learning_rate=1e-2), dataset, device=CPU)
    assert [row.train_loss for row in averaged.epochs] == [row.train_loss for row in plain.epochs]
    assert [row.val_loss for row in averaged.epochs] != [row.val_loss for row in plain.epochs]
    assert averaged.weights.keys() == plain.weights.keys()


def test_an_average_is_its_formula():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    average, expected = Average(model, 0.5), copy.deepcopy(model.state_dict())
    for step in range(1, 30):
        with torch.no_grad():
            for tensor in model.state_dict().values():
                tensor.copy_(torch.randn(tensor.shape) if tensor.is_floating_point() else tensor + 1)
        average.follow(model)
        decay = min(0.5, (1 + step) / (10 + step))
        for name, now in model.state_dict().items():
            mixed = decay * expected[name] + (1 - decay) * now
            expected[name] = mixed if now.is_floating_point() else now.clone()
    for name, tensor in average.model.state_dict().items():
        torch.testing.assert_close(tensor, expected[name])
    assert not any(p.requires_grad for p in average.model.parameters())


def test_weights_of_heads(dataset):
    network = UNetPlusPlus(width=4, stages=3)
    plain, even, last = (
        train(trial(dataset, network, epochs=1, deep_supervision=weights), dataset, device=CPU)
        for weights in (None, (1, 1), (0, 1))
    )
    assert even.epochs[0].train_loss == pytest.approx(plain.epochs[0].train_loss, rel=1e-5)
    assert last.epochs[0].train_loss != pytest.approx(plain.epochs[0].train_loss, rel=1e-5)
    with pytest.raises(InputError, match="deep_supervision has 3 weights, but the network has 2 heads"):
        train(trial(dataset, network, epochs=1, deep_supervision=(1, 1, 1)), dataset, device=CPU)


def test_weights_begin_as_was_asked(dataset):
    torch.manual_seed(0)
    model = build_model(UNet(width=32, stages=3), 1, 1)
    norms = {n: t.clone() for n, t in model.state_dict().items() if "num_batches" in n or "running" in n}
    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d) and m.in_channels >= 32]
    for name, expected in (
        ("kaiming", lambda fan_in, fan_out: (2 / fan_in) ** 0.5),
        ("xavier", lambda fan_in, fan_out: (2 / (fan_in + fan_out)) ** 0.5),
        ("normal", lambda fan_in, fan_out: 0.02),
    ):
        torch.manual_seed(1)
        initialise(model, name)
        for layer in layers:
            count, pixels = layer.weight.shape[:2], layer.weight[0, 0].numel()
            found = layer.weight.std().item()
            if layer.weight.numel() > 2000:
                assert found == pytest.approx(expected(count[1] * pixels, count[0] * pixels), rel=0.1)
            if layer.bias is not None:
                assert (layer.bias == 0).all()
    initialise(model, "orthogonal")
    flat = layers[0].weight.detach().flatten(1)
    torch.testing.assert_close(flat @ flat.T, torch.eye(len(flat)), atol=1e-4, rtol=0)
    for name, tensor in norms.items():
        assert torch.equal(model.state_dict()[name], tensor)
    results = [
        train(trial(dataset, epochs=1, initialisation=name), dataset, device=CPU)
        for name in (None, "kaiming", "kaiming")
    ]
    assert_same(results[1], results[2])
    assert rows(results[0]) != rows(results[1])


def test_test_flips_are_the_mean_of_the_probabilities(dataset):
    torch.manual_seed(0)
    model = build_model(UNet(width=4, stages=3), 1, 1).eval()
    images = dataset.images[:3]

    def alone(given: np.ndarray) -> torch.Tensor:
        return torch.cat(list(predict_probabilities(model, np.ascontiguousarray(given), 2, CPU)))

    found = torch.cat(list(predict_probabilities(model, images, 2, CPU, ("hflip", "vflip"))))
    ways = [(), (-1,), (-2,), (-1, -2)]
    expected = torch.stack([alone(np.flip(images, way)).flip(way) for way in ways]).mean(dim=0)
    torch.testing.assert_close(found, expected)
    one = torch.cat(list(predict_probabilities(model, images, 2, CPU, ("vflip",))))
    torch.testing.assert_close(one, (alone(images) + alone(np.flip(images, -2)).flip(-2)) / 2)
    config = {"epochs": 8, "learning_rate": 1e-2}
    plain, flipped = (train(trial(dataset, test_flips=f, **config), dataset, device=CPU) for f in ((), ("hflip",)))
    assert rows(plain) == rows(flipped)  # validation is without
    assert (plain.predictions != flipped.predictions).any()


def test_an_optimiser_whose_state_cannot_be_kept_is_an_error_of_one_line(dataset, monkeypatch):
    class Odd(torch.optim.SGD):
        def step(self, closure=None):
            for p in self.param_groups[0]["params"]:
                self.state[p]["held"] = object()
            return super().step(closure)

    with_recipe(monkeypatch, optimizer=adapt_optimizer(Odd, {}, "optimizer x"))
    assert len(train(trial(dataset, epochs=1), dataset, device=CPU).epochs) == 1  # where nothing is to be kept
    with pytest.raises(TrialError, match=r"the state of Odd cannot be kept.*state\.0\.held"):
        train(trial(dataset, epochs=1), dataset, device=CPU, checkpoint=Memory())


def test_a_plateau_in_the_loop_sees_the_validation_loss(dataset, monkeypatch):
    seen, scheduler = [], torch.optim.lr_scheduler.ReduceLROnPlateau
    real = scheduler.step
    monkeypatch.setattr(scheduler, "step", lambda self, metrics: (seen.append(metrics), real(self, metrics)))
    with_recipe(monkeypatch, schedule=Plateau())
    result = train(trial(dataset), dataset, device=CPU)
    assert seen == [row.val_loss for row in result.epochs[:-1]]  # after the last there is nothing to set


def test_a_warm_up_in_the_loop(dataset, monkeypatch):
    seen = []
    real = torch.optim.SGD.step

    def step(self, *args):
        seen.append(self.param_groups[0]["lr"])
        return real(self, *args)

    monkeypatch.setattr(torch.optim.SGD, "step", step)
    with_recipe(monkeypatch, optimizer=SGD(), schedule=Constant())
    train(trial(dataset, learning_rate=0.1, warmup_epochs=2), dataset, device=CPU)
    steps = len(seen) // 4
    assert seen == pytest.approx([0.1 * (i + 1) / (2 * steps) for i in range(2 * steps)] + [0.1] * (2 * steps))


def test_the_settings_of_parts_import_neither_torch_nor_monai():
    """They are read where nothing is trained, by `ablate --help` say."""
    code = """
import importlib, pkgutil, sys
for kind in ("training.losses", "training.optimizers", "training.schedules", "training.augmentations", "metrics"):
    package = importlib.import_module(f"ablate.{kind}")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
print({"torch", "monai"} & {*sys.modules})
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "set()\n"


# The protocol ---------------------------------------------------------------------------------------------------------

NEW = {
    "clip_norm": 1.0, "warmup_epochs": 2, "patience": 5, "ema": 0.99, "deep_supervision": (1.0, 2.0), "select": "loss",
    "initialisation": "kaiming", "test_flips": ("hflip",),
}  # fmt: skip


def test_new_fields_are_in_the_key_where_they_change_something(dataset):
    before = trial(dataset)
    keys = {before.key} | {trial(dataset, **{name: value}).key for name, value in NEW.items()}
    assert len(keys) == len(NEW) + 1
    assert not {*NEW} & {*before.canonical()["protocol"]}
    changed = trial(dataset, **NEW)
    assert TrialConfig.model_validate_json(changed.to_file()) == changed
    assert Protocol(test_flips=("vflip", "hflip", "vflip")).test_flips == ("hflip", "vflip")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"epochs": 2, "warmup_epochs": 2}, "warmup_epochs 2: expected fewer than the 2 epochs"),
        ({"deep_supervision": (0, 0)}, "expected weights of at least 0, and one above it"),
        ({"deep_supervision": (-1, 2)}, "expected weights of at least 0"),
        ({"ema": 1}, "less than 1"),
        ({"clip_norm": 0}, "greater than 0"),
        ({"select": "a b"}, "match pattern"),
        ({"test_flips": ("rot90",)}, "'hflip' or 'vflip'"),
    ],
)
def test_what_cannot_be_is_refused(fields, reason):
    with pytest.raises(ValidationError, match=reason):
        Protocol(**fields)


def test_an_initialisation_does_not_overwrite_weights_that_were_given(dataset, tmp_path):
    (tmp_path / "weights.safetensors").write_bytes(b"weights")
    network = ResNet34UNet(encoder_weights=tmp_path / "weights.safetensors")
    with pytest.raises(InputError, match=r"initialisation would overwrite model\.encoder_weights"):
        train(trial(dataset, network, initialisation="kaiming"), dataset, device=CPU)
