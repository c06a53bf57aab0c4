"""Losses: those with short names against formulas by hand, and those of others in the form of masks that they take."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ablate.errors import InputError
from ablate.settings import parse
from ablate.training.heads import loss_of
from ablate.training.losses.adapt import adapt, data_names
from ablate.training.losses.base import Loss
from ablate.training.losses.cross_entropy import CrossEntropy
from ablate.training.losses.focal import Focal
from ablate.training.losses.overlap import Dice, DiceCE, GeneralisedDice, Tversky
from ablate.training.losses.shape import ClDice, Hausdorff

LOSSES = [CrossEntropy, Focal, Dice, DiceCE, Tversky, GeneralisedDice, ClDice, Hausdorff]
CHANGED = [
    CrossEntropy(class_weights=(1, 2, 3), label_smoothing=0.1),
    Focal(gamma=1, alpha=0.25),
    Focal(alpha=0.25, include_background=False),
    Dice(batch=True, squared=True, include_background=False),
    Dice(jaccard=True),
    DiceCE(dice_weight=0.5, ce_weight=2, include_background=False),
    Tversky(batch=True, include_background=False),
    GeneralisedDice(weighting="simple", batch=True),
    ClDice(iterations=5, alpha=1),
    Hausdorff(log=False, alpha=1),
]


def batch(classes: int, count: int = 2) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(classes)
    masks = torch.randint(0, max(classes, 2), (count, 16, 24), generator=generator)
    return torch.randn(count, classes, 16, 24, generator=generator), masks


def right(masks: Tensor, classes: int) -> Tensor:
    labels = masks[:, None] if classes == 1 else F.one_hot(masks, classes).movedim(-1, 1)
    return 12.0 * labels - 6


# With short names -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("loss", [*(cls() for cls in LOSSES), *CHANGED], ids=repr)
def test_every_loss_is_finite_with_a_gradient_on_any_mask_and_lowest_where_right(loss: Loss, classes: int):
    if isinstance(loss, CrossEntropy) and loss.class_weights and classes == 1:
        loss = CrossEntropy(class_weights=(1, 2), label_smoothing=0.1)
    function = loss.build(classes)
    logits, masks = batch(classes)
    for mask in (masks, torch.zeros_like(masks), torch.full_like(masks, max(classes - 1, 1))):
        for outputs in (logits, 50 * logits, right(mask, classes)):
            given = outputs.clone().requires_grad_()
            found = function(given, mask)
            assert found.shape == ()
            assert found.isfinite()
            found.backward()
            assert given.grad.isfinite().all()
    best = function(right(masks, classes), masks)
    assert best < function(logits, masks)
    assert best < function(-right(masks, classes), masks)


@pytest.mark.parametrize("loss", [loss for loss in LOSSES if loss is not Hausdorff])  # the logarithm of a mean
def test_every_loss_is_a_mean_over_images(loss: type[Loss]):
    """So that the processes of a group find what one would."""
    for classes in (1, 3):
        logits, masks = batch(classes, count=3)
        function = loss().build(classes)
        alone = torch.stack([function(logits[[i]], masks[[i]]) for i in range(3)])
        torch.testing.assert_close(function(logits, masks), alone.mean())


def test_cross_entropy_is_what_it_was_to_the_bit():
    logits, masks = batch(1)
    assert torch.equal(
        CrossEntropy().build(1)(logits, masks), F.binary_cross_entropy_with_logits(logits[:, 0], masks.float())
    )
    logits, masks = batch(3)
    assert torch.equal(CrossEntropy().build(3)(logits, masks), F.cross_entropy(logits, masks))


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weights", [None, (1.0, 3.0)])
def test_one_class_costs_what_two_logits_do(weights: tuple[float, float] | None, smoothing: float):
    logits, masks = batch(1)
    loss = CrossEntropy(class_weights=weights, label_smoothing=smoothing)
    of_two = loss.build(2)(torch.cat([torch.zeros_like(logits), logits], dim=1), masks)
    torch.testing.assert_close(loss.build(1)(logits, masks), of_two)


def test_class_weights_multiply_what_a_pixel_adds():
    logits, masks = batch(3)
    by_pixel = F.cross_entropy(logits, masks, reduction="none")
    expected = sum(w * by_pixel[masks == c].sum() for c, w in enumerate((1.0, 2.0, 5.0))) / masks.numel()
    torch.testing.assert_close(CrossEntropy(class_weights=(1, 2, 5)).build(3)(logits, masks), expected)
    for classes in (1, 2, 4):
        with pytest.raises(InputError, match=f"class_weights has 3 numbers: expected {max(classes, 2)}"):
            CrossEntropy(class_weights=(1, 2, 5)).build(classes)


def overlap(logits: Tensor, masks: Tensor, false_positives: float, false_negatives: float) -> Tensor:
    """One minus the Tversky index of each image and class, by its definition."""
    classes = logits.shape[1]
    p = logits.sigmoid() if classes == 1 else logits.softmax(dim=1)
    y = masks[:, None].float() if classes == 1 else F.one_hot(masks, classes).movedim(-1, 1).float()
    tp, fp, fn = ((a * b).sum(dim=(2, 3)) for a, b in ((p, y), (p, 1 - y), (1 - p, y)))
    return 1 - tp / (tp + false_positives * fp + false_negatives * fn)


@pytest.mark.parametrize("classes", [1, 3])
def test_dice_and_tversky_are_their_definitions(classes: int):
    logits, masks = batch(classes)
    dice, tversky = overlap(logits, masks, 0.5, 0.5), overlap(logits, masks, 0.3, 0.7)
    torch.testing.assert_close(Dice().build(classes)(logits, masks), dice.mean(), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(Tversky().build(classes)(logits, masks), tversky.mean(), atol=1e-5, rtol=1e-5)
    foreground = dice[:, 1:] if classes > 1 else dice
    without = Dice(include_background=False).build(classes)(logits, masks)
    torch.testing.assert_close(without, foreground.mean(), atol=1e-5, rtol=1e-5)
    both = DiceCE(dice_weight=0.5, ce_weight=2).build(classes)(logits, masks)
    expected = 0.5 * dice.mean() + 2 * CrossEntropy().build(classes)(logits, masks)
    torch.testing.assert_close(both, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("classes", [1, 3])
def test_focal_is_its_definition_and_at_gamma_0_cross_entropy(classes: int):
    logits, masks = batch(classes)
    by_pixel = (
        F.binary_cross_entropy_with_logits(logits[:, 0], masks.float(), reduction="none")
        if classes == 1
        else F.cross_entropy(logits, masks, reduction="none")
    )
    share = 1 if classes == 1 else classes  # MONAI's mean is over pixels and classes
    for gamma in (0.0, 2.0, 3.5):
        expected = ((1 - (-by_pixel).exp()) ** gamma * by_pixel).mean() / share
        torch.testing.assert_close(Focal(gamma=gamma).build(classes)(logits, masks), expected)


def test_focal_refuses_a_gamma_without_a_gradient():
    with pytest.raises(InputError, match=r"loss focal: gamma: gamma 0\.5: expected 0, or at least 1"):
        parse(Focal, {"gamma": 0.5}, "loss focal")


def test_generalised_dice_weighs_classes_by_their_rarity():
    logits, masks = batch(1)
    masks[:, :, 6:] = 0
    p, y = logits.sigmoid()[:, 0], masks.float()
    for weighting, power in (("square", 2), ("simple", 1), ("uniform", 0)):
        above = below = 0
        for prob, label in ((1 - p, 1 - y), (p, y)):
            weight = label.sum(dim=(1, 2)) ** -power
            above += weight * (prob * label).sum(dim=(1, 2))
            below += weight * (prob + label).sum(dim=(1, 2))
        found = GeneralisedDice(weighting=weighting, smooth=1e-12).build(1)(logits, masks)
        torch.testing.assert_close(found, (1 - 2 * above / below).mean())


def test_cldice_sees_a_gap_that_dice_hardly_does():
    mask = torch.zeros(1, 16, 24, dtype=torch.int64)
    mask[:, 7:10] = 1
    gap, thin = right(mask, 1), right(mask, 1)
    gap[..., 11:13] = -6
    thin[..., 7, 3:9] = -6  # as many pixels, from the edge
    loss = {alpha: ClDice(alpha=alpha, smooth=1e-5).build(1) for alpha in (0.0, 1.0)}
    assert loss[0.0](gap, mask) == pytest.approx(loss[0.0](thin, mask).item(), abs=1e-4)
    assert loss[1.0](gap, mask) > loss[1.0](thin, mask) + 0.01


def test_hausdorff_costs_more_the_farther_off():
    mask = torch.zeros(1, 16, 24, dtype=torch.int64)
    mask[:, 4:12, 4:12] = 1
    moved = [right(mask.roll(by, dims=2), 1) for by in (0, 2, 4, 8)]
    for loss in (Hausdorff(), Hausdorff(log=False)):
        costs = [loss.build(1)(logits, mask).item() for logits in moved]
        assert costs == sorted(costs)
        assert len(set(costs)) == 4


def test_heads_are_averaged_evenly_or_by_weights():
    loss = CrossEntropy().build(1)
    heads = tuple(torch.full((1, 1, 2, 2), value) for value in (0.0, 1.0, -2.0))
    masks = torch.tensor([[[0, 1], [1, 0]]], dtype=torch.uint8)
    losses = [loss(head, masks.long()) for head in heads]
    assert torch.equal(loss_of(loss, heads, masks), torch.stack(losses).mean())
    assert torch.equal(loss_of(loss, heads[0], masks), losses[0])
    weighted = loss_of(loss, heads, masks, (1, 1, 2))
    torch.testing.assert_close(weighted, (losses[0] + losses[1] + 2 * losses[2]) / 4)
    with pytest.raises(InputError, match="deep_supervision has 2 weights, but the network has 3 heads"):
        loss_of(loss, heads, masks, (1, 2))


def test_no_image_costs_nothing():
    logits = torch.zeros(0, 1, 4, 4, requires_grad=True)
    found = loss_of(Dice().build(1), (logits, logits), torch.zeros(0, 4, 4, dtype=torch.uint8))
    found.backward()
    assert found == 0


# Of others ------------------------------------------------------------------------------------------------------------


def with_channel(logits, masks, factor=1.0):
    return factor * F.binary_cross_entropy_with_logits(logits, masks)


def without_channel(logits, masks):
    return F.binary_cross_entropy_with_logits(logits[:, 0], masks)


def broadcasting(logits, masks):
    return ((logits.sigmoid()[:, 0] - masks) ** 2).mean()


def whole_numbers(logits, masks):
    assert not masks.is_floating_point()
    assert masks.shape[1] == 1
    return (logits * (1 - 2 * masks)).mean()


class SmpDice(torch.nn.Module):
    """As `segmentation_models_pytorch.losses.DiceLoss` takes its arguments."""

    def __init__(self, mode: str, classes: list[int] | None = None, smooth: float = 0.0):
        super().__init__()
        assert mode in ("binary", "multiclass")
        assert classes is None or mode != "binary"
        self.mode, self.smooth = mode, smooth

    def forward(self, y_pred: Tensor, y_true: Tensor) -> Tensor:
        bs, num_classes = y_true.size(0), y_pred.size(1)
        if self.mode == "binary":
            y_true, y_pred = y_true.view(bs, 1, -1), F.logsigmoid(y_pred).exp().view(bs, 1, -1)
        else:
            y_pred = y_pred.log_softmax(dim=1).exp().view(bs, num_classes, -1)
            y_true = F.one_hot(y_true.view(bs, -1), num_classes).permute(0, 2, 1)
        intersection, cardinality = (y_pred * y_true).sum(dim=(0, 2)), (y_pred + y_true).sum(dim=(0, 2))
        return (1 - (2 * intersection + self.smooth) / (cardinality + self.smooth)).mean()


def torch_loss(name: str):
    return getattr(torch.nn, name)


def monai_loss(name: str):
    import monai.losses

    return getattr(monai.losses, name)


SEVERAL = {"to_onehot_y": True, "softmax": True}
FITS = [
    (torch.nn.CrossEntropyLoss, {}, 3, "(N, H, W) int64"),
    (torch.nn.CrossEntropyLoss, {"weight": [1, 2, 3]}, 3, "(N, H, W) int64"),
    (torch.nn.CrossEntropyLoss, {}, 2, "(N, H, W) int64"),
    (torch.nn.BCEWithLogitsLoss, {}, 1, "(N, 1, H, W) float"),
    (torch.nn.BCEWithLogitsLoss, {"pos_weight": [3]}, 1, "(N, 1, H, W) float"),
    (torch.nn.BCEWithLogitsLoss, {}, 3, "one-hot (N, C, H, W) float"),
    ("DiceLoss", {"sigmoid": True}, 1, "(N, 1, H, W) float"),
    ("DiceLoss", SEVERAL, 3, "(N, 1, H, W) int64"),
    ("DiceLoss", {"softmax": True}, 3, "one-hot (N, C, H, W) float"),
    ("DiceLoss", SEVERAL | {"weight": [1, 2, 3]}, 3, "(N, 1, H, W) int64"),
    ("DiceCELoss", {"sigmoid": True}, 1, "(N, 1, H, W) float"),
    ("DiceCELoss", SEVERAL, 3, "(N, 1, H, W) int64"),
    ("FocalLoss", {}, 1, "(N, 1, H, W) float"),
    ("FocalLoss", {"to_onehot_y": True, "use_softmax": True}, 3, "(N, 1, H, W) int64"),
    ("TverskyLoss", {"sigmoid": True}, 1, "(N, 1, H, W) float"),
    ("TverskyLoss", SEVERAL, 16, "(N, 1, H, W) int64"),
    ("GeneralizedDiceLoss", {"sigmoid": True}, 1, "(N, 1, H, W) float"),
    ("GeneralizedDiceLoss", SEVERAL, 3, "(N, 1, H, W) int64"),
    ("SoftclDiceLoss", {"sigmoid": True}, 1, "(N, 1, H, W) float"),
    ("HausdorffDTLoss", {"sigmoid": True}, 1, "(N, 1, H, W) float"),
    (SmpDice, {"mode": "binary"}, 1, "(N, 1, H, W) float"),
    (SmpDice, {"mode": "multiclass"}, 3, "(N, H, W) int64"),
    (with_channel, {"factor": 2}, 1, "(N, 1, H, W) float"),
    (without_channel, {}, 1, "(N, H, W) float"),
    (broadcasting, {}, 1, "(N, H, W) float"),
    (whole_numbers, {}, 1, "(N, 1, H, W) int64"),
]


def form_of(name: str, masks: Tensor, classes: int) -> Tensor:
    if "one-hot" in name:
        return F.one_hot(masks, classes).movedim(-1, 1).float()
    masks = masks[:, None] if "1" in name.split(")")[0] else masks
    return masks.float() if "float" in name else masks


@pytest.mark.parametrize(("target", "settings", "classes", "form"), FITS)
def test_a_loss_of_others_gets_the_first_form_of_masks_that_fits(target, settings, classes, form):
    target = monai_loss(target) if isinstance(target, str) else target
    logits, masks = batch(classes)
    found = adapt(target, settings, "loss x:y").build(classes)(logits, masks)
    tensors = {k: torch.tensor(v).float() if isinstance(v, list) else v for k, v in settings.items()}
    given = form_of(form, masks, classes)
    expected = target(**tensors)(logits, given) if isinstance(target, type) else target(logits, given, **tensors)
    torch.testing.assert_close(found, expected)


def test_a_loss_that_fits_no_form_says_what_each_gave():
    with pytest.raises(InputError) as told:
        adapt(torch.nn.CrossEntropyLoss, {}, "loss torch.nn:CrossEntropyLoss").build(1)
    message = str(told.value)
    assert message.startswith("loss torch.nn:CrossEntropyLoss takes no form of masks for 1 output channels: ")
    for part in ("(N, 1, H, W) float: a right prediction cost ", "(N, H, W) float: RuntimeError"):
        assert part in message
    assert "\n" not in message
    for bad, reason in (
        (lambda logits, masks: (logits - 8 * masks) ** 2, "it gave (2, 1, 16, 24) and no single number"),
        (lambda logits, masks: 1.0, "it gave float and no single number"),
        (lambda logits, masks: logits.mean() * math.nan, "it gave nan and nan"),
        (lambda logits, masks: with_channel(logits.detach(), masks), "it has no gradient"),
    ):
        with pytest.raises(InputError) as told:
            adapt(bad, {}, "loss x").build(1)
        assert reason in str(told.value)


def test_settings_that_a_loss_does_not_take_are_named():
    assert data_names(with_channel) == ("logits", "masks")
    assert data_names(torch.nn.CrossEntropyLoss) == ()
    with pytest.raises(InputError, match="loss x: setting 'facto': did you mean 'factor'"):
        adapt(with_channel, {"facto": 2}, "loss x")
    with pytest.raises(InputError, match="setting 'masks'"):
        adapt(with_channel, {"masks": 2}, "loss x")
    with pytest.raises(InputError, match=r"loss x cannot be made: AssertionError"):
        adapt(SmpDice, {"mode": "other"}, "loss x").build(1)


def of_so_many(logits, masks, num_classes):
    assert num_classes == logits.shape[1]
    return F.cross_entropy(logits, masks)


def test_a_loss_is_told_the_number_of_classes_where_it_asks():
    logits, masks = batch(3)
    found = adapt(of_so_many, {}, "loss x").build(3)(logits, masks)
    assert torch.equal(found, F.cross_entropy(logits, masks))
