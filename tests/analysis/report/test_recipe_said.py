"""A recipe in words: what a study's report, and its tables' captions, say of how numbers were made."""

from __future__ import annotations

from typing import Any

import pytest

from ablate.analysis.format import level_label
from ablate.analysis.frames import describe
from ablate.analysis.report.recipe import own_metrics, selection, trainings
from ablate.data.settings import Mni152
from ablate.models.settings import UNet
from ablate.part import Part
from ablate.trial import Protocol, TrialConfig


def trial(protocol: dict[str, Any] | None = None, **parts: Any) -> TrialConfig:
    data = Mni152(fingerprint="abc")
    return TrialConfig(model=UNet(width=8), data=data, protocol=Protocol(**(protocol or {})), **parts)


def training(config: TrialConfig) -> str:
    return trainings([config])


def test_of_several_recipes_what_they_share_is_said_once():
    configs = [trial({"augment": ()}, loss=loss) for loss in ("dice", "cross_entropy", "dice")]
    assert trainings(configs) == (
        "50 epochs, batch 5, Adam at 0.001, not augmented; varied: dice / binary cross-entropy"
    )
    assert trainings([trial(), trial({"ema": 0.5})]).endswith("; varied: none of these / averaged weights (decay 0.5)")
    assert trainings([]) == ""


def test_the_paper_s_recipe_is_said_as_it_was():
    assert training(trial()) == (
        "50 epochs, batch 5, Adam at 0.001, binary cross-entropy, augmented by hflip, vflip, rot90, rot180"
    )
    assert training(trial({"augment": ()})).endswith("binary cross-entropy, not augmented")
    assert selection(trial()) == "epoch with the best Dice on the validation images; scores are of the test images"
    paper = trial({"split": {"method": "paper"}})
    assert selection(paper) == "epoch with the best Dice on the test images themselves"
    assert own_metrics(trial()) == ""


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"loss": "dice_ce"}, ", dice_ce (ce_weight=1, dice_weight=1), augmented"),
        ({"loss": {"name": "focal", "gamma": 1.5}}, ", focal (gamma=1.5), augmented"),
        ({"loss": {"name": "cross_entropy", "label_smoothing": 0.1}}, "binary cross-entropy (label_smoothing=0.1)"),
        ({"optimizer": "sgd"}, "SGD at 0.001 (momentum=0.9), "),
        ({"optimizer": {"name": "sgd", "momentum": 0.99, "nesterov": True, "weight_decay": 3e-5}},
         "SGD at 0.001 (momentum=0.99, nesterov=True, weight_decay=3e-05), "),
        ({"optimizer": "adamw"}, "AdamW at 0.001 (weight_decay=0.01), "),
        ({"schedule": "poly"}, ", poly (power=0.9) schedule, "),
        ({"augmentation": ("rotate", {"name": "noise", "std": 0.3})}, "rot180, rotate (degrees=15, p=0.5), noise (p="),
        ({"protocol": {"warmup_epochs": 3, "clip_norm": 1}}, "warm-up over 3 epochs, gradients clipped to 1, "),
        ({"protocol": {"patience": 7}}, "ended after 7 epochs without a better one"),
        ({"protocol": {"ema": 0.99}}, "averaged weights (decay 0.99)"),
        ({"protocol": {"compile": True}}, "compiled"),
        ({"protocol": {"deep_supervision": (1, 0.5)}}, "heads weighted 1,0.5"),
        ({"protocol": {"initialisation": "kaiming"}}, "kaiming initialisation"),
    ],
)  # fmt: skip
def test_what_a_recipe_has_is_said(parts, said):
    assert said in training(trial(**parts))


def test_code_of_others_is_said_by_name_and_not_imported():
    loss = Part({"name": "nowhere_at_all:Loss", "@": "mine", "alpha": [0.5, 2]})
    assert "nowhere_at_all:Loss (alpha=0.5,2)" in training(trial(loss=loss))
    borrowed = Part({"name": "sgd", "@": "someone's 1.0"})  # another's of the same name: its defaults are not known
    assert "SGD at 0.001, " in training(trial(optimizer=borrowed))


def test_what_selects_and_how_test_images_are_predicted_is_said():
    assert "the lowest loss" in selection(trial({"select": "loss"}))
    assert "the best MIoU" in selection(trial({"select": "miou"}))
    own = trial({"select": "surface_dice", "test_flips": ("hflip", "vflip")}, metrics=("surface_dice",))
    assert selection(own) == (
        "epoch with the best surface_dice on the validation images; scores are of the test images, each the mean over "
        "its flips (hflip, vflip)"
    )
    several = trial(metrics=({"name": "surface_dice", "tolerance": 2}, Part({"name": "mine:surface_dice"})))
    assert own_metrics(several) == (
        " Of the foreground too: surface_dice_1, which is surface_dice (tolerance=2) and surface_dice_2, which is "
        "mine:surface_dice."
    )


def test_a_configuration_names_the_parts_that_are_not_as_they_always_were():
    plain = describe(trial())
    assert "loss" not in plain
    varied = trial(loss="dice", optimizer={"name": "sgd", "momentum": 0.5}, augmentation=("rotate", "noise"))
    assert describe(varied) == (
        f"{plain} loss=dice optimizer=sgd optimizer.momentum=0.5 augmentation.1=rotate augmentation.2=noise"
    )
    assert describe(trial(loss={"name": "cross_entropy", "label_smoothing": 0.1})) == (
        f"{plain} loss=cross_entropy loss.label_smoothing=0.1"
    )


@pytest.mark.parametrize(
    ("levels", "label"),
    [
        ({"flips": "with", "model.rotate": "with"}, "full"),
        ({"flips": "with", "model.rotate": "without"}, "without rotate"),
        ({"flips": "without"}, "without flips"),
        ({"network": "unet", "model.width": "8"}, "unet, width=8"),
        ({"flips": "with", "model.width": "8"}, "flips=with, width=8"),
        ({}, ""),
    ],
)
def test_a_design_s_levels_are_a_short_name(levels, label):
    assert level_label(levels) == label
