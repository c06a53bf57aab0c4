"""Patches drawn from whole images, and whole images predicted window by window."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from made_studies import Trained, made_study, trivial
from monai.inferers import sliding_window_inference
from PIL import Image

from ablate.data.dataset import Dataset, assemble
from ablate.data.ragged import Ragged
from ablate.data.settings import Folder
from ablate.data.source import IGNORED, Sample
from ablate.errors import InputError
from ablate.metrics.counts import confusion
from ablate.models.build import build_model
from ablate.models.settings import UNet
from ablate.prediction import Predictor
from ablate.study.pictures import keep_pictures, pictures_dir, read_pictures
from ablate.study.samples import make_samples_again
from ablate.study.verify import verify
from ablate.training import feed
from ablate.training.checkpoint import Epoch
from ablate.training.inference import classify, probabilities_of
from ablate.training.loop import Result, judge_trivial, train
from ablate.training.patches import draw_patches
from ablate.trial import Protocol, TrialConfig

CPU = torch.device("cpu")
SHAPES = [(24, 40), (33, 17), (16, 16), (40, 24), (20, 20), (9, 50), (31, 31), (28, 16), (17, 45), (26, 26)]


def samples(classes: int = 1) -> list[Sample]:
    """Bright squares on noise, of which each class has its own brightness."""
    found = []
    for i, (height, width) in enumerate(SHAPES):
        draw = np.random.default_rng(i)
        mask = np.zeros((height, width), np.uint8)
        for label in range(1, classes + 1):
            top, left = draw.integers(0, height - 6), draw.integers(0, width - 6)
            mask[top : top + 6, left : left + 6] = label
        image = np.clip(draw.normal(60, 15, mask.shape) + 90 * mask, 0, 255).astype(np.uint8)
        found.append(Sample(f"{i:02d}", f"{i:02d}", image, mask))
    return found


def dataset_of(classes: int = 1, **fields: object) -> Dataset:
    n_classes = 1 if classes == 1 else classes + 1
    return assemble(samples(classes), Folder(size=(16, 16), n_classes=n_classes, **fields))


def trial(dataset: Dataset, **protocol: object) -> TrialConfig:
    fields = {"epochs": 3, "batch_size": 4, "augment": ("hflip", "rot90")} | protocol
    return TrialConfig(model=UNet(width=4, stages=2), data=dataset.config, protocol=Protocol(**fields))


class Memory:
    data: bytes | None = None

    def read(self) -> bytes | None:
        return self.data

    def write(self, data: bytes) -> None:
        self.data = data


def assert_same(one: Result, other: Result) -> None:
    def plain(epochs: list[Epoch]) -> list[Epoch]:
        return [epoch._replace(seconds=0, images_per_second=0) for epoch in epochs]

    assert plain(one.epochs) == plain(other.epochs)
    np.testing.assert_array_equal(one.counts, other.counts)
    for left, right in zip(one.predictions, other.predictions, strict=True):
        np.testing.assert_array_equal(left, right)
    assert all(torch.equal(one.weights[name], tensor) for name, tensor in other.weights.items())


WAYS = [
    {"fit": "patches"},
    {"fit": "pad"},
    {"fit": "pad", "scored_at": "image"},
    {"scored_at": "image"},
]


@pytest.mark.parametrize("fields", WAYS, ids=str)
def test_interrupted_equals_uninterrupted(fields):
    dataset = dataset_of(**fields)
    more = {"patches_per_image": 2} if fields.get("fit") == "patches" else {}
    config = trial(dataset, **more)
    whole = train(config, dataset, device=CPU)
    checkpoint, seen = Memory(), []

    def kill_after_two(epoch: Epoch) -> None:
        seen.append(epoch)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, dataset, device=CPU, report=kill_after_two, checkpoint=checkpoint)
    assert_same(train(config, dataset, device=CPU, checkpoint=checkpoint), whole)


@pytest.mark.parametrize("classes", [1, 2])
@pytest.mark.parametrize("fields", WAYS, ids=str)
def test_test_images_are_scored_against_their_masks_as_drawn(fields, classes):
    dataset = dataset_of(classes, **fields)
    config = trial(dataset, test_flips=("hflip", "vflip"))
    result = train(config, dataset, device=CPU)
    own = dataset.config.text.find("scored_at") >= 0
    drawn = {sample.id: sample.mask for sample in samples(classes)}
    for name, prediction, counts in zip(result.ids, result.predictions, result.counts, strict=True):
        assert prediction.shape == (drawn[name].shape if own else (16, 16))
        if own:
            np.testing.assert_array_equal(counts, confusion(prediction[None], drawn[name][None], classes + 1)[0])
    for row in config.trivial():
        found = judge_trivial(row, dataset)
        assert [one.shape for one in found.predictions] == [one.shape for one in result.predictions]
        np.testing.assert_array_equal(found.counts.sum(axis=2), result.counts.sum(axis=2))


def test_an_epoch_has_so_many_patches_of_every_training_image(monkeypatch):
    dataset = dataset_of(fit="patches")
    config = trial(dataset, patches_per_image=3, epochs=2)
    batches: list[tuple[int, tuple[int, ...]]] = []
    draw = feed.draw_patches

    def spied(images, masks, batch, size, share, step):
        batches.append((step[1], tuple(batch)))
        return draw(images, masks, batch, size, share, step)

    monkeypatch.setattr(feed, "draw_patches", spied)
    result = train(config, dataset, device=CPU)
    train_images = dataset.split(config.protocol.split).train
    for epoch in (1, 2):
        drawn = Counter(image for at, batch in batches if at == epoch for image in batch)
        assert drawn == Counter(dict.fromkeys(train_images, 3))
    seconds = result.epochs[0].seconds
    assert result.epochs[0].images_per_second >= 3 * len(train_images) / seconds


def whole(shape: tuple[int, int], marked: dict[tuple[int, int], int]) -> tuple[Ragged, Ragged]:
    """An image that holds each pixel's place, and a mask of these pixels."""
    images, masks = Ragged.empty([(1, *shape)], np.float32), Ragged.empty([shape], np.uint8)
    images[0][0] = np.arange(shape[0] * shape[1]).reshape(shape)
    masks[0][...] = 0
    for place, label in marked.items():
        masks[0][place] = label
    return images, masks


def drawn_of(images: Ragged, masks: Ragged, share: float, count: int = 300) -> tuple[np.ndarray, np.ndarray]:
    return draw_patches(images, masks, [0] * count, (8, 8), share, (0, 1, 2))


def test_a_patch_about_the_foreground_has_it_in_the_middle_as_far_as_it_can():
    marked = {(20, 30): 1, (0, 0): 2, (39, 59): 2}
    images, masks = whole((40, 60), marked)
    patches, labels = drawn_of(images, masks, 1.0)
    starts = Counter(divmod(int(patch[0, 0, 0]), 60) for patch in patches)
    assert set(starts) == {(16, 26), (0, 0), (32, 52)}
    # First a class is drawn, then a pixel: half of them are of the class of one pixel.
    assert 110 < starts[16, 26] < 190
    assert all(label.any() for label in labels)


def test_other_patches_lie_anywhere_and_never_outside():
    images, masks = whole((10, 12), {(5, 5): 1})
    patches, _ = drawn_of(images, masks, 0.0, 2000)
    starts = Counter(divmod(int(patch[0, 0, 0]), 12) for patch in patches)
    assert set(starts) == {(top, left) for top in range(3) for left in range(5)}
    assert max(starts.values()) < 2 * min(starts.values())
    for patch in patches[:20]:
        top, left = divmod(int(patch[0, 0, 0]), 12)
        np.testing.assert_array_equal(patch[0], images[0][0, top : top + 8, left : left + 8])


def test_the_share_about_the_foreground_is_what_was_asked_for():
    images, masks = whole((400, 400), {(200, 200): 1})
    _, labels = drawn_of(images, masks, 1 / 3, 900)
    assert 0.28 < np.mean([label.any() for label in labels]) < 0.39


def test_without_foreground_and_where_it_is_ignored_a_patch_lies_anywhere():
    images, masks = whole((40, 40), {(3, 3): IGNORED})
    patches, _ = drawn_of(images, masks, 1.0)
    assert len({float(patch[0, 0, 0]) for patch in patches}) > 200


def test_an_image_smaller_than_a_patch_gets_a_border_that_is_ignored():
    images, masks = whole((4, 20), {(2, 10): 1})
    patches, labels = drawn_of(images, masks, 1.0, 5)
    for patch, label in zip(patches, labels, strict=True):
        assert (label[:2] == IGNORED).all()
        assert (label[6:] == IGNORED).all()
        assert label[4, 4] == 1
        assert (label[2:6] != IGNORED).all()
        assert (patch[0, :2] == 0).all()


def test_what_is_drawn_follows_from_seed_epoch_and_step_alone():
    images, masks = whole((40, 60), {(20, 30): 1})
    one, again, *others = (
        draw_patches(images, masks, [0] * 5, (8, 8), 0.3, step)[0].tobytes()
        for step in [(0, 1, 2), (0, 1, 2), (1, 1, 2), (0, 2, 2), (0, 1, 3)]
    )
    assert one == again
    assert len({one, *others}) == 4


def network(config: TrialConfig) -> torch.nn.Module:
    torch.manual_seed(0)
    return build_model(config.model, config.data.channels, config.data.classes).eval()


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5])
def test_whole_images_are_predicted_as_monai_s_windows_do(overlap):
    dataset = dataset_of(2, fit="patches")
    config = trial(dataset, window_overlap=overlap)
    model = network(config)
    large = [i for i, (height, width) in enumerate(SHAPES) if min(height, width) >= 16]
    images = [dataset.images[i] for i in large]
    found = list(probabilities_of(model, images, [SHAPES[i] for i in large], config, CPU))
    for image, probabilities in zip(images, found, strict=True):
        with torch.no_grad():
            expected = sliding_window_inference(
                torch.tensor(image)[None], (16, 16), 1, model, overlap=overlap, mode="gaussian"
            ).softmax(dim=1)[0]
        torch.testing.assert_close(probabilities, expected, rtol=1e-4, atol=1e-5)


def test_an_image_of_one_window_is_predicted_as_without_windows():
    dataset = dataset_of(fit="patches")
    config = trial(dataset)
    model = network(config)
    (found,) = probabilities_of(model, [dataset.images[2]], [(16, 16)], config, CPU)
    with torch.no_grad():
        expected = model(torch.tensor(dataset.images[2])[None]).sigmoid()[0]
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("fields", WAYS, ids=str)
def test_flips_of_a_flipped_image_are_flips_of_its_prediction(fields):
    """Whatever the way to and from the trial's size: the mean over flips does not know left from right."""
    dataset = dataset_of(**fields)
    config = trial(dataset, test_flips=("hflip", "vflip"))
    model = network(config)
    images = list(dataset.images)
    turned = [np.ascontiguousarray(image[:, :, ::-1]) for image in images]
    as_given = [images, turned] if fields.get("fit") == "patches" else [np.stack(images), np.stack(turned)]
    straight, mirrored = (list(probabilities_of(model, given, SHAPES, config, CPU)) for given in as_given)
    symmetric = [2] if fields.get("fit") == "pad" else range(len(SHAPES))  # what is padded may lie a pixel beside
    for i in symmetric:
        torch.testing.assert_close(mirrored[i].flip(-1), straight[i], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("fields", WAYS, ids=str)
def test_a_study_keeps_pictures_at_the_size_that_is_scored_and_makes_them_again(fields, tmp_path):
    dataset = dataset_of(2, **fields)
    config = trial(dataset)
    one = Trained(config, dataset, train(config, dataset, device=CPU))
    study = made_study(tmp_path / "study", one, *trivial(one))
    folder = pictures_dir(study.path, config)
    keep_pictures(folder, dataset, dataset.split(config.protocol.split).test)
    assert verify(study) == []
    predictor = Predictor.of_trial(study, config.key)
    for left, right in zip(predictor.of_dataset(dataset), one.result.predictions, strict=True):
        np.testing.assert_array_equal(left, right)
    for name, prediction in zip(one.result.ids, one.result.predictions, strict=True):
        kept = read_pictures(folder, name)
        assert kept is not None
        for content in (kept.image, kept.mask, study.sample(config.key, name)):
            assert Image.open(io.BytesIO(content)).size == prediction.shape[::-1]
    lost = study.trial_dir(config.key) / "samples" / f"{one.result.ids[0]}.png"
    content = lost.read_bytes()
    lost.unlink()
    _forget(lost)
    with study.writing():
        assert make_samples_again(study, [config], lambda data: dataset) == [config.key]
    assert lost.read_bytes() == content


def _forget(file: Path) -> None:
    sums = file.parent.parent / "SHA256SUMS"
    sums.write_text("".join(line for line in sums.read_text().splitlines(True) if file.name not in line))


def test_folders_of_pictures_are_told_apart():
    names = {pictures_dir(Path("s"), trial(dataset_of(**fields))).name for fields in ({}, *WAYS)}
    assert len(names) == 5
    assert pictures_dir(Path("s"), trial(dataset_of())).name.endswith("-16x16")


@pytest.mark.parametrize(
    "protocol", [{"patches_per_image": 2}, {"patch_foreground": 0.5}, {"window_overlap": 0.25}], ids=str
)
def test_settings_of_patches_need_patches(protocol):
    with pytest.raises(ValueError, match="no patches are drawn"):
        trial(dataset_of(), **protocol)
    assert trial(dataset_of(fit="patches"), **protocol).key != trial(dataset_of(fit="patches")).key


def test_patches_that_are_turned_are_squares():
    dataset = assemble(samples(), Folder(size=(16, 24), fit="patches"))
    with pytest.raises(ValueError, match="rot90 needs square"):
        trial(dataset, augment=("rot90",))


def test_it_learns_what_a_patch_shows():
    dataset = dataset_of(fit="patches")
    config = trial(dataset, epochs=12, patches_per_image=6, learning_rate=3e-3)
    result = train(config, dataset, device=CPU)
    bar = max(judge_trivial(row, dataset).test.dice for row in config.trivial())
    assert result.test.dice > bar + 0.2
    for image, prediction in zip(dataset.split(config.protocol.split).test, result.predictions, strict=True):
        (found,) = probabilities_of(_best(config, result), [dataset.images[image]], [SHAPES[image]], config, CPU)
        np.testing.assert_array_equal(classify(found[None])[0], prediction)


def _best(config: TrialConfig, result: Result) -> torch.nn.Module:
    model = network(config)
    model.load_state_dict(result.weights)
    return model


def test_no_image_at_all_is_a_line():
    with pytest.raises(InputError):
        train(trial(dataset_of()), assemble(samples()[:2], Folder(size=(16, 16))), device=CPU)
