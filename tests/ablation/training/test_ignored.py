"""What nobody decided on in a mask is neither learnt from nor scored."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from made_studies import Trained, made_study, trivial
from PIL import Image
from torch.nn import functional

from ablate.analysis.report.sections.segmentations import overlay
from ablate.data.load import load_data
from ablate.data.settings import Phantom
from ablate.data.source import IGNORED
from ablate.kinds import KINDS, make, parse
from ablate.metrics.counts import confusion
from ablate.models.build import build_model
from ablate.models.settings import UNet
from ablate.study.trial_folder import grey_levels, ignored_level
from ablate.study.verify import verify
from ablate.training.heads import loss_of
from ablate.training.judging import counts_of, measured
from ablate.training.loop import judge_trivial, train
from ablate.training.losses.base import build_loss
from ablate.trial import Protocol, TrialConfig

CPU = torch.device("cpu")
LOSSES = [
    "cross_entropy",
    {"name": "cross_entropy", "class_weights": [0.3, 2.0], "label_smoothing": 0.1},
    "focal",
    {"name": "focal", "alpha": 0.7, "gamma": 1},
    "dice",
    {"name": "dice", "batch": True, "include_background": False},
    "dice_ce",
    {"name": "dice_ce", "dice_weight": 2, "ce_weight": 0.5},
    "tversky",
    "generalised_dice",
    "cldice",
    "hausdorff",
    {"name": "sum", "losses": ["cross_entropy", "dice"], "weights": [1, 2]},
    "monai.losses:DiceFocalLoss",
    "monai.losses:TverskyLoss",
]


def case(classes: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (3, classes, 8, 8) and masks of which a good part is ignored: in the last image all of it."""
    draw = torch.Generator().manual_seed(seed)
    logits = torch.randn(3, classes, 8, 8, generator=draw).requires_grad_()
    masks = torch.randint(0, max(classes, 2), (3, 8, 8), generator=draw)
    masks[torch.rand(3, 8, 8, generator=draw) < 0.3] = IGNORED
    masks[2] = IGNORED
    return logits, masks.to(torch.uint8)


def built(given: object, classes: int, ignoring: bool = True):
    part = given if isinstance(given, dict) else {"name": given}
    if classes > 2 and "class_weights" in part:
        part = part | {"class_weights": [0.3, 2.0, 1.0]}
    if ":" in part["name"]:
        part = part | ({"sigmoid": True} if classes == 1 else {"softmax": True, "to_onehot_y": True})
    return build_loss(make(KINDS["loss"], parse(KINDS["loss"], part)), classes, ignoring)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_ignored_pixels_get_no_gradient_and_what_is_said_there_makes_no_difference(loss, classes):
    logits, masks = case(classes)
    found = loss_of(built(loss, classes), logits, masks)
    assert found.isfinite()
    found.backward()
    ignored = (masks == IGNORED)[:, None].expand_as(logits)
    assert (logits.grad[ignored] == 0).all()
    assert (logits.grad[~ignored] != 0).any()
    for wild in (1e4, -1e4, float("inf")):
        other = torch.where(ignored, wild, logits.detach())
        assert torch.equal(loss_of(built(loss, classes), other, masks), found.detach())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_where_nothing_is_ignored_a_loss_is_what_it_was(loss, classes):
    logits, masks = case(classes)
    masks = masks % 3 % max(classes, 2)
    plain, ignoring = (loss_of(built(loss, classes, way), logits.detach(), masks) for way in (False, True))
    torch.testing.assert_close(ignoring, plain)


@pytest.mark.parametrize("classes", [1, 3])
def test_cross_entropy_is_the_mean_over_images_of_the_pixels_that_count(classes):
    logits, masks = case(classes)
    of_image = []
    for logit, mask in zip(logits.detach(), masks, strict=True):
        known = mask != IGNORED
        if known.any():
            if classes == 1:
                labels = mask[known].float()
                of_image.append(functional.binary_cross_entropy_with_logits(logit[0][known], labels))
            else:
                of_image.append(functional.cross_entropy(logit[:, known].T, mask[known].long()))
    expected = sum(of_image) / len(masks)
    torch.testing.assert_close(loss_of(built("cross_entropy", classes), logits.detach(), masks), expected)
    if classes > 1:  # torch's own, which is the mean over the pixels of all images
        one = masks[:1].long()
        torch.testing.assert_close(
            loss_of(built("cross_entropy", classes), logits[:1].detach(), masks[:1]),
            functional.cross_entropy(logits[:1].detach(), one, ignore_index=IGNORED),
        )


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("name", ["focal", "dice_ce"])
def test_of_one_image_what_is_cut_off_is_as_good_as_ignored(name, classes):
    """An image whose lower half is ignored costs what its upper half alone does."""
    logits, masks = case(classes)
    logits, masks = logits[:1].detach(), masks[:1] % max(classes, 2)
    half = masks.clone()
    half[:, 4:] = IGNORED
    given = {"name": name, "include_background": classes == 1}  # the background's Dice finds what is ignored
    found = loss_of(built(given, classes), logits, half)
    alone = loss_of(built(given, classes, ignoring=False), logits[:, :, :4], masks[:, :4])
    torch.testing.assert_close(found, alone, rtol=1e-4, atol=1e-5)


def test_counts_and_metrics_leave_ignored_pixels_out():
    draw = np.random.default_rng(0)
    for classes in (2, 4):
        predicted, masks = (draw.integers(0, classes, (5, 6, 7)).astype(np.uint8) for _ in range(2))
        masks[draw.random(masks.shape) < 0.3] = IGNORED
        masks[4] = IGNORED
        found = confusion(predicted, masks, classes)
        for i, j in np.ndindex(5, classes):
            pairs = [(p, m) for p, m in zip(predicted[i].flat, masks[i].flat, strict=True) if m != IGNORED]
            expected = [
                sum(p == j and m == j for p, m in pairs),
                sum(p == j and m != j for p, m in pairs),
                sum(p != j and m == j for p, m in pairs),
                sum(p != j and m != j for p, m in pairs),
            ]
            assert found[i, j].tolist() == expected
        ragged = counts_of(list(predicted), list(masks), classes)
        np.testing.assert_array_equal(ragged, found)


def test_a_metric_of_ones_own_gets_background_in_both():
    seen = []

    def metric(predicted, masks, classes):
        seen.append((predicted, masks))
        return np.zeros((len(masks), classes))

    predicted, masks = np.ones((2, 3, 3), np.uint8), np.ones((2, 3, 3), np.uint8)
    masks[0, 0] = IGNORED
    assert measured("own", metric, predicted, masks, 2).shape == (2, 2)
    for given in seen[0]:
        assert given[0].tolist() == [[0, 0, 0], [1, 1, 1], [1, 1, 1]]
        assert given[1].all()


def ignoring_dataset():
    dataset = load_data(Phantom(size=(16, 16), count=10))
    masks = dataset.masks.copy()
    masks[:, :4] = IGNORED
    return replace(dataset, masks=masks)


def trial(dataset, **protocol):
    return TrialConfig(
        model=UNet(width=4, stages=2), data=dataset.config, protocol=Protocol(epochs=2, batch_size=4, **protocol)
    )


def test_a_training_validates_and_scores_what_is_known_alone():
    one = ignoring_dataset()
    config = trial(one)
    result = train(config, one, device=CPU)
    assert (result.counts.sum(axis=2) == 12 * 16).all()
    assert all(np.isfinite(row.train_loss) and np.isfinite(row.val_loss) for row in result.epochs)
    model = build_model(config.model, 1, 1)
    model.load_state_dict(result.weights)
    model.eval()
    val, test = (list(part) for part in one.split(config.protocol.split)[1:])
    with torch.no_grad():
        logits = model(torch.tensor(one.images[val]))[:, 0, 4:]
    expected = functional.binary_cross_entropy_with_logits(logits, torch.tensor(one.masks[val][:, 4:]).float())
    assert result.epochs[result.best_epoch - 1].val_loss == pytest.approx(expected.item(), rel=1e-4)
    of_known = confusion(result.predictions[:, 4:], one.masks[test][:, 4:], 2)
    np.testing.assert_array_equal(result.counts, of_known)


def test_trivial_predictors_go_by_what_is_known():
    dataset = ignoring_dataset()
    train_images = list(dataset.split(trial(dataset).protocol.split).train)
    masks = dataset.masks.copy()
    masks[train_images[0]] = IGNORED
    dataset = replace(dataset, masks=masks)
    rows = {row.model.name: judge_trivial(row, dataset) for row in trial(dataset).trivial()}
    mean = rows["mean_mask"].predictions[0]
    assert not mean[:4].any()  # nobody knows these
    known = masks[train_images[1:]][:, 4:]
    np.testing.assert_array_equal(mean[4:], known.mean(axis=0) >= 0.5)
    assert all((row.counts.sum(axis=2) == 12 * 16).all() for row in rows.values())


@pytest.mark.parametrize("classes", [1, 2, 3, 5, 100, 129, 200, 255])
def test_ignored_pixels_have_a_grey_level_that_no_class_has(classes):
    held = np.arange(max(classes, 2), dtype=np.uint8)
    levels = grey_levels(np.append(held, IGNORED).astype(np.uint8), classes)
    assert len(set(levels.tolist())) == len(held) + 1
    assert levels[-1] == ignored_level(classes)
    np.testing.assert_array_equal(levels[:-1], held * (255 // max(classes - 1, 1)))


def test_a_report_marks_no_error_where_nothing_is_known():
    mask = np.array([[0, 255, 127, 127]], np.uint8)
    prediction = np.array([[255, 0, 255, 0]], np.uint8)
    source = np.full((1, 4), 200, np.uint8)
    shown = np.asarray(Image.open(io.BytesIO(overlay(source, mask, prediction, 127))))[0]
    dim = int(200 * 0.22)
    assert shown.tolist() == [[230, 159, 0], [0, 114, 178], [dim] * 3, [dim] * 3]


def test_a_study_with_ignored_pixels_is_sound_and_a_wrong_count_is_not(tmp_path):
    dataset = ignoring_dataset()
    config = trial(dataset)
    one = Trained(config, dataset, train(config, dataset, device=CPU))
    assert verify(made_study(tmp_path / "sound", one, *trivial(one))) == []
    for at, what in (((0, 1, 3), "in each class of an image"), ((0, slice(None), 3), "do not sum to 16x16 pixels")):
        counts = one.result.counts.copy()
        counts[at] += 1000
        wrong = one._replace(result=one.result._replace(counts=counts))
        study = made_study(tmp_path / what.replace(" ", "_"), wrong, *trivial(one))
        assert any(what in problem.what for problem in verify(study))
