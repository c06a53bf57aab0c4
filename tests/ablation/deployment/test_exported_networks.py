"""An exported file computes what the network does, and so does the script that goes with it."""

from __future__ import annotations

import ast
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load, save

from ablate.data.load import load_data
from ablate.data.settings import Folder, Phantom
from ablate.deployment import convert, export, segment_image
from ablate.deployment.export import export_network
from ablate.deployment.formats import FORMATS
from ablate.deployment.script import script_of, settings_of
from ablate.errors import InputError
from ablate.metrics.counts import confusion, scores
from ablate.models.build import build_model
from ablate.models.settings import PyConvUNet, UNet
from ablate.prediction import Ensemble, Predictor
from ablate.study.records import Record
from ablate.study.study import Study
from ablate.study.trial_folder import pack
from ablate.study.where_data_are import data_of
from ablate.training.loop import train
from ablate.trial import Protocol, TrialConfig

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Study, str]:
    """A study with one trained PyConvU-Net."""
    dataset = load_data(Phantom(size=(32, 32), count=20))
    network = PyConvUNet(width=8, stages=2, kernels=[[3, 5], [3]], groups=[[1, 2], [1]])
    config = TrialConfig(model=network, data=dataset.config, protocol=Protocol(epochs=3, augment=()), seed=0)
    result = train(config, dataset, device=torch.device("cpu"))
    best = result.epochs[result.best_epoch - 1]
    record = Record(
        key=config.key, cell=config.cell, model="pyconvunet", seed=0, state="complete", params=1, macs=1, epochs=3,
        best_epoch=result.best_epoch, val_dice=best.val_dice, val_iou=best.val_iou, val_miou=best.val_miou,
    )  # fmt: skip
    study = Study.open_or_new(tmp_path_factory.mktemp("exported") / "study")
    with study.writing():
        study.accept(config.key, pack(config, record, result.epochs, result))
    return study, config.key


@pytest.fixture(scope="module")
def onnx_file(trained) -> bytes:
    study, key = trained
    return export_network(study, key, FORMATS["onnx"], data_of(study)).content


def network_of(study: Study, key: str) -> torch.nn.Module:
    config = study.config(key)
    network = build_model(config.model, config.data.channels, config.data.classes)
    network.load_state_dict(load(study.read(key, "model.safetensors")))
    return network.eval()


def by_name(form: str, content: bytes, images: torch.Tensor) -> np.ndarray:
    """What a file computes, by its runtime alone."""
    if form == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        [logits] = session.run(["logits"], {"image": images.numpy()})
        return np.asarray(logits)
    with torch.no_grad():
        if form == "torchscript":
            return np.asarray(torch.jit.load(io.BytesIO(content))(images).numpy())
        return np.asarray(torch.export.load(io.BytesIO(content)).module()(images).numpy())


@pytest.mark.parametrize("form", ["onnx", "torchscript", "pt2"])
def test_a_file_computes_what_the_network_does_for_any_batch(form, trained, onnx_file):
    study, key = trained
    content = onnx_file if form == "onnx" else export_network(study, key, FORMATS[form], data_of(study)).content
    for batch in (1, 3):
        images = torch.tensor(RNG.standard_normal((batch, 1, 32, 32)), dtype=torch.float32)
        with torch.no_grad():
            expected = network_of(study, key)(images).numpy()
        np.testing.assert_allclose(by_name(form, content, images), expected, atol=1e-4)


def test_what_is_told_of_a_file_is_what_its_masks_are_worth(trained):
    study, key = trained
    made = export_network(study, key, FORMATS["torchscript"], data_of(study))
    dataset = data_of(study)(study.config(key).data)
    test = list(dataset.split(study.config(key).protocol.split).test)
    found = by_name("torchscript", made.content, torch.tensor(dataset.images[test]))[:, 0] >= 0
    assert made.held.dice == pytest.approx(scores(confusion(found.astype(np.uint8), dataset.masks[test], 2)).dice)
    assert made.held.images == len(test)
    assert made.held.pixels == dataset.masks[test].size


def test_another_size_than_it_was_trained_at(trained):
    study, key = trained
    made = export_network(study, key, FORMATS["pt2"], data_of(study), size=(48, 64))
    images = torch.zeros(2, 1, 48, 64)
    assert by_name("pt2", made.content, images).shape == (2, 1, 48, 64)
    with pytest.raises(InputError, match="multiples of 2"):
        export_network(study, key, FORMATS["pt2"], data_of(study), size=(33, 33))


def test_a_file_that_computes_something_else_is_not_made(trained, monkeypatch):
    study, key = trained

    def others(network, form, channels, size):
        torch.manual_seed(5)
        return convert.converted(build_model(study.config(key).model, channels, 1), form, channels, size)

    monkeypatch.setattr(export, "converted", others)
    with pytest.raises(InputError, match="computes something else: a logit is off by"):
        export_network(study, key, FORMATS["torchscript"], data_of(study))


def test_an_operation_that_a_format_does_not_have_is_named():
    class Decomposing(torch.nn.Conv2d):
        def forward(self, images):
            return super().forward(images) * torch.linalg.eigvals(images)[..., None].real

    with pytest.raises(InputError, match=r"cannot be exported as onnx: it has no form of the operation aten\.\w*eig"):
        convert.converted(Decomposing(1, 1, 3, padding=1), FORMATS["onnx"], 1, (8, 8))


def test_int8_is_smaller_and_its_loss_is_told(trained, onnx_file):
    study, key = trained
    made = export_network(study, key, FORMATS["onnx"], data_of(study), int8=True)
    assert made.whole is not None
    assert made.whole.is_equal
    assert len(made.content) < len(onnx_file)
    dataset = data_of(study)(study.config(key).data)
    test = list(dataset.split(study.config(key).protocol.split).test)
    images = torch.tensor(dataset.images[test])
    masks = {content: by_name("onnx", content, images)[:, 0] >= 0 for content in (made.content, onnx_file)}
    assert made.held.others == np.count_nonzero(masks[made.content] != masks[onnx_file]) > 0
    assert made.held.dice == pytest.approx(
        scores(confusion(masks[made.content].astype(np.uint8), dataset.masks[test], 2)).dice
    )
    with pytest.raises(InputError, match="--int8 with format pt2: only onnx is quantised"):
        export_network(study, key, FORMATS["pt2"], data_of(study), int8=True)


# The script ----------------------------------------------------------------------------------------------------------

GREY, COLOUR = (40, 53), (40, 53, 3)
WAYS = {
    "stretched": (GREY, {}, {}),
    "smaller than the network's": ((9, 12), {}, {}),
    "colour as grey": (COLOUR, {}, {}),
    "grey as colour": (GREY, {"channels": 3}, {}),
    "padded": (GREY, {"fit": "pad"}, {}),
    "windows": ((40, 21), {"fit": "patches"}, {"window_overlap": 0.3}),
    "z-scores of three": (COLOUR, {"channels": 3, "intensity": [{"name": "zscore"}]}, {}),
    "percentiles": (GREY, {"intensity": [{"name": "percentiles", "low": 5, "high": 90}]}, {}),
    "a window of values": (GREY, {"intensity": [{"name": "window", "low": 20, "high": 200}]}, {}),
    "flipped": (GREY, {}, {"test_flips": ["hflip", "vflip"]}),
    "one of three channels": (COLOUR, {"use_channels": [1]}, {}),
    "five classes": (GREY, {"n_classes": 5}, {}),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_the_script_prepares_images_as_predict_does(way, kind, tmp_path):
    shape, data, protocol = WAYS[way]
    image = RNG.integers(0, 256, shape).astype(kind) * (1 if kind is np.uint8 else 100)
    path = tmp_path / "image.npy"
    np.save(path, image)
    data = {"axes": "YX" if image.ndim == 2 else "YXC"} | data
    trial = TrialConfig(
        model=UNet(width=4, stages=2), data=Folder(size=(16, 16), **data), protocol=Protocol(batch_size=2, **protocol)
    )
    torch.manual_seed(1)
    network = build_model(trial.model, trial.data.channels, trial.data.classes).eval()
    expected = Ensemble([Predictor(trial, save(network.state_dict()))]).segment(path, probabilities=True).probabilities
    assert expected is not None

    def run(images):
        with torch.no_grad():
            return network(torch.from_numpy(images)).numpy()

    settings = settings_of(trial, FORMATS["onnx"], "net.onnx")
    np.testing.assert_allclose(segment_image.probabilities(image, run, settings), expected[0], atol=2e-6)


def test_the_script_runs_without_ablate(trained, onnx_file, tmp_path):
    study, key = trained
    trial = study.config(key)
    text = script_of(settings_of(trial, FORMATS["onnx"], "net.onnx"))
    imported = {
        name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names])
    }
    assert not {name for name in imported if name.split(".")[0] == "ablate"}
    (tmp_path / "net.onnx").write_bytes(onnx_file)
    (tmp_path / "segment.py").write_text(text)
    picture = tmp_path / "a.png"
    Image.fromarray(RNG.integers(0, 256, (50, 61), dtype=np.uint8)).save(picture)
    done = subprocess.run(
        [sys.executable, "segment.py", "a.png", "-o", "masks"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(Path("masks/a.png"))
    mask = np.asarray(Image.open(tmp_path / "masks" / "a.png"))
    expected = Ensemble.of_trials(study, [key]).segment(picture).classes[0]
    assert set(np.unique(mask)) <= {0, 255}
    assert np.count_nonzero((mask > 0) != expected) <= 0.001 * mask.size
    failed = subprocess.run([sys.executable, "segment.py", "none.png"], cwd=tmp_path, capture_output=True, text=True)
    assert failed.returncode == 1
    assert failed.stderr.startswith("segment.py: ")
    assert len(failed.stderr.splitlines()) == 1
