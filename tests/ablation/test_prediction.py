"""Segmenting new images: prepared as training images are, and decided on at their own size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from made_studies import made_study, trained, trivial
from PIL import Image
from safetensors.torch import save

from ablate.data.settings import Folder
from ablate.errors import InputError
from ablate.models.build import build_model
from ablate.models.settings import UNet
from ablate.prediction import Ensemble, Predictor
from ablate.trial import Protocol, TrialConfig

RNG = np.random.default_rng(0)


def made(image: np.ndarray, channels: int = 1, classes: int = 1) -> tuple[Predictor, torch.nn.Module]:
    """A predictor of drawn weights, and its network, which finds something of each class in `image`."""
    data = Folder(size=(16, 16), channels=channels, n_classes=classes)  # type: ignore[arg-type]
    trial = TrialConfig(model=UNet(width=4, stages=2), data=data, protocol=Protocol(batch_size=2))
    torch.manual_seed(1)
    network: torch.nn.Module = build_model(trial.model, channels, classes).eval()  # type: ignore[arg-type]
    *_, weight, bias = network.parameters()
    with torch.no_grad():
        weight *= 300  # else all is undecided
        bias -= logits(network, image, channels).flatten(2).median(dim=2).values[0]
    return Predictor(trial, save(network.state_dict())), network


def segmented(predictor: Predictor, path: Path) -> np.ndarray:
    """Class indices (H, W) of an image of its own."""
    (mask,) = Ensemble([predictor]).segment(path).classes
    return mask


def logits(network: torch.nn.Module, image: np.ndarray, channels: int = 1) -> torch.Tensor:
    """Of an 8-bit image (H, W) or (H, W, 3), at 16x16: Pillow resizes it, plane by plane."""
    planes = np.moveaxis(image.reshape(*image.shape[:2], -1) / 255, -1, 0).astype(np.float32)
    planes = planes.mean(axis=0, keepdims=True) if channels == 1 else planes
    small = [np.asarray(Image.fromarray(plane).resize((16, 16), Image.Resampling.BILINEAR)) for plane in planes]
    with torch.no_grad():
        found: torch.Tensor = network(torch.tensor(np.stack(small))[None] * 2 - 1)
    return found


def probabilities(network: torch.nn.Module, image: np.ndarray, channels: int = 1) -> torch.Tensor:
    found = logits(network, image, channels)
    return found.sigmoid() if found.shape[1] == 1 else found.softmax(dim=1)


def enlarged(found: torch.Tensor, height: int, width: int) -> np.ndarray:
    """Bilinear between the centres of pixels, by Pillow: (C, H, W)."""
    return np.stack([
        np.asarray(Image.fromarray(plane.numpy()).resize((width, height), Image.Resampling.BILINEAR))
        for plane in found[0]
    ])  # fmt: skip


def assert_is(mask: np.ndarray, large: np.ndarray) -> None:
    """As decided at each pixel's probability, but where that is as good as undecided."""
    margin = np.abs(large[0] - 0.5) if len(large) == 1 else np.diff(np.sort(large, axis=0)[-2:], axis=0)[0]
    expected = large[0] >= 0.5 if len(large) == 1 else large.argmax(axis=0)
    sure = margin > 0.001
    assert sure.mean() > 0.95
    assert len(np.unique(expected)) == max(len(large), 2)
    np.testing.assert_array_equal(mask[sure], expected[sure])


@pytest.mark.parametrize(("channels", "shape"), [(1, (40, 52)), (1, (40, 52, 3)), (3, (40, 52, 3))])
def test_an_image_is_decided_on_at_its_own_size(channels, shape, tmp_path):
    image = RNG.integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(image).save(tmp_path / "a.png")
    predictor, network = made(image, channels)
    mask = segmented(predictor, tmp_path / "a.png")
    assert (mask.shape, mask.dtype) == (shape[:2], np.uint8)
    assert_is(mask, enlarged(probabilities(network, image, channels), *shape[:2]))


def test_an_image_one_pixel_wide_may_be_in_colour(tmp_path):
    grey, other = RNG.integers(95, 160, (40, 1)), RNG.integers(-95, 96, (40, 1))
    colour = np.stack([grey - other, grey, grey + other], axis=2).astype(np.uint8)  # the same once it is made grey
    grey = grey.astype(np.uint8)
    for name, image in (("grey", grey), ("colour", colour)):
        Image.fromarray(image).save(tmp_path / f"{name}.png")
    predictor, _ = made(grey)
    found = [segmented(predictor, tmp_path / f"{name}.png") for name in ("grey", "colour")]
    np.testing.assert_array_equal(*found)
    assert 0 < found[0].mean() < 1


def test_of_several_classes_the_most_probable_is_taken(tmp_path):
    image = RNG.integers(0, 256, (40, 52), dtype=np.uint8)
    Image.fromarray(image).save(tmp_path / "a.png")
    predictor, network = made(image, classes=3)
    assert_is(segmented(predictor, tmp_path / "a.png"), enlarged(probabilities(network, image), 40, 52))


@pytest.mark.parametrize("slices", [1, 2, 5])
def test_a_volume_is_its_slices_whatever_the_batches(slices, tmp_path):
    volume = RNG.integers(0, 256, (slices, 20, 24), dtype=np.uint8)
    np.save(tmp_path / "volume.npy", volume)
    predictor, network = made(volume[0])
    found = Ensemble([predictor]).segment(tmp_path / "volume.npy").classes
    assert found.shape == (slices, 20, 24)
    for mask, image in zip(found, volume, strict=True):
        assert_is(mask, enlarged(probabilities(network, image), 20, 24))


def test_a_trial_s_own_test_images_are_segmented_as_they_were_judged(tmp_path):
    one = trained()
    bar = trivial(one)[0]
    study = made_study(tmp_path / "study", one, bar)
    found = Predictor.of_trial(study, one.trial.key).of_dataset(one.dataset)
    np.testing.assert_array_equal(found, one.result.predictions)
    with pytest.raises(InputError, match=rf"trial {bar.trial.key} \(all_foreground\) has no weights: give the key"):
        Predictor.of_trial(study, bar.trial.key)


def test_weights_that_do_not_fit_are_one_line():
    predictor, network = made(np.zeros((16, 16), np.uint8))
    few = network.state_dict()
    gone = sorted(few)[0]
    del few[gone]
    whole = save(network.state_dict())
    for wrong, reason in ((save(few), f".*{gone}"), (b"", "."), (whole[:-1], ".")):
        with pytest.raises(InputError, match=rf"the weights of trial \w+ do not fit its network: {reason}") as error:
            Predictor(predictor.trial, wrong)
        assert "\n" not in str(error.value)
