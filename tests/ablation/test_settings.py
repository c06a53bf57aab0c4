"""Settings at their edges: what may just be asked, what may just not, and what two ways of writing have in common."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any

import numpy as np
import pytest
from pydantic import Field, ValidationError

from ablate.data.settings import Folder, Liver, Mni152, Phantom, Split
from ablate.errors import InputError
from ablate.models.network import network
from ablate.models.settings import PyConvUNet, UNet
from ablate.settings import Config, Since, Whole
from ablate.trial import Protocol, TrialConfig

# Parts ---------------------------------------------------------------------------------------------------------------


def test_a_part_stays_as_it_was_made():
    part = UNet()
    with pytest.raises(ValidationError, match="frozen"):
        part.width = 8  # type: ignore[misc]
    assert part.width == 32


def test_a_default_that_is_out_of_bounds_is_no_way_around_them():
    class Wrong(Config):
        count: Whole = Field(0, ge=1)

    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        Wrong()


def test_a_later_field_with_a_made_default_is_left_out_at_it():
    class Later(Config):
        sizes: Annotated[tuple[int, ...], Since("9.0")] = Field(default_factory=lambda: (1, 2))

    assert Later().canonical() == {}
    assert Later(sizes=(1, 2)).canonical() == {}
    assert Later(sizes=(1,)).canonical() == {"sizes": [1]}


# Bounds --------------------------------------------------------------------------------------------------------------


def test_a_seed_is_any_whole_number_of_a_signed_64_bit_integer():
    most = int(np.iinfo(np.int64).max)
    for cls in (Phantom, Split):
        assert cls(seed=most).seed == most
        assert cls(seed=0).seed == 0
        for seed in (most + 1, -1):
            with pytest.raises(ValidationError):
                cls(seed=seed)
    assert TrialConfig(model=UNet(), data=Phantom(), seed=most).seed == most


@pytest.mark.parametrize("sides", [(8, 16384), (16384, 8), (8, 8)])
def test_images_have_8_to_16384_pixels_a_side(sides):
    assert Folder(size=sides).size == sides
    for place, side in enumerate(sides):
        wrong = list(sides)
        wrong[place] = 7 if side == 8 else 16385
        with pytest.raises(ValidationError, match=f"size {wrong[0]}x{wrong[1]}: expected at"):
            Folder(size=tuple(wrong))


def test_foreground_against_background_is_one_channel_of_output():
    assert {data.classes for data in (Liver(), Mni152(), Phantom(), Folder())} == {1}
    assert Folder(n_classes=4).classes == 4


@pytest.mark.parametrize(
    ("fields", "beyond"),
    [
        ({"kernels": [3] * 8, "groups": [1] * 8, "share": "equal"}, {"kernels": [3] * 9, "groups": [1] * 9}),
        ({"kernels": [1023], "groups": [1]}, {"kernels": [1025], "groups": [1]}),
        ({"kernels": [1], "groups": [65536]}, {"kernels": [1], "groups": [65537]}),
        ({"kernels": [1], "groups": [1]}, {"kernels": [1], "groups": [0]}),
        ({"kernels": [1], "groups": [1]}, {"kernels": [-1], "groups": [1]}),
        ({"share": [0.7, 0.1, 0.1, 0.1]}, {"share": [0.7, 0.1, 0.1, 0.1001]}),  # in floats their sum is not quite 1
        ({"share": [0.7, 0.1, 0.1, 0.1]}, {"share": [0.7, 0.1, 0.1, 0.0999]}),
        ({"share": [0.9, 0.05, 0.025, 0.025]}, {"share": [0.9, 0.05, 0.05, 0.0]}),
        ({"share": [0.9, 0.05, 0.025, 0.025]}, {"share": [0.9, 0.1, 0.1, -0.1]}),
    ],
)
def test_what_a_pyramid_may_just_be_and_just_not(fields: dict[str, Any], beyond: dict[str, Any]):
    assert sum([0.7, 0.1, 0.1, 0.1]) < 1
    network("pyconvunet", **fields)
    with pytest.raises(InputError):
        network("pyconvunet", **(fields | beyond))


def test_parts_of_a_split_may_leave_as_little_as_there_is_to_train_on():
    assert Split(val=0.5, test=0.49).test == 0.49
    assert Split(method="kfold", folds=5, fold=4).fold == 4
    for wrong in ({"val": 0.5, "test": 0.5}, {"val": 0.0}, {"test": 1.0}, {"method": "kfold", "folds": 2}):
        with pytest.raises(ValidationError):
            Split(**wrong)


# One configuration ---------------------------------------------------------------------------------------------------


def test_a_pyramid_of_one_level_is_one_list():
    one = PyConvUNet(kernels=(3,), groups=(1,), stages=2)
    assert one == PyConvUNet(kernels=((3,), (3,)), groups=((1,), (1,)), stages=2)
    assert (one.kernels, one.groups) == ((3,), (1,))


def test_stages_that_differ_at_one_end_only_stay_apart():
    for kernels in (((3,), (5,), (5,)), ((5,), (5,), (3,))):
        made = PyConvUNet(kernels=kernels, groups=(1,), stages=3)
        assert made.kernels == kernels
        assert [made.levels(stage)[0] for stage in range(3)] == list(kernels)


@pytest.mark.parametrize("block", ["plain", "bottleneck"])
def test_a_plain_block_alone_forgets_what_it_does_not_have(block):
    made = PyConvUNet(block=block, expansion=4, residual=True)
    assert (made.expansion, made.residual) == ((1, False) if block == "plain" else (4, True))


@pytest.mark.parametrize(
    ("method", "shuffle", "kept"),
    [
        ("fractions", True, {"seed", "val", "test"}),
        ("fractions", False, {"val", "test"}),
        ("kfold", True, {"seed", "folds", "fold"}),
        ("kfold", False, {"folds", "fold"}),
        ("paper", True, set()),
        ("paper", False, set()),
    ],
)
def test_a_split_forgets_what_its_method_does_not_use(method, shuffle, kept):
    given = {"seed": 3, "val": 0.3, "test": 0.1, "folds": 7, "fold": 2}
    made = Split(method=method, shuffle=shuffle, **given)
    default = Split(method=method)
    assert {name for name, value in given.items() if getattr(made, name) == value} == kept
    assert {name for name in given if getattr(made, name) == getattr(default, name)} == set(given) - kept
    assert made.shuffle is (shuffle or method == "paper")


def test_a_key_is_of_ascii_json_without_spaces_in_the_order_of_names():
    trial = TrialConfig(model=UNet(), data=Folder(fingerprint="é"), protocol=Protocol(epochs=3), seed=5)
    text = json.dumps(trial.canonical(), sort_keys=True, separators=(",", ":"))
    assert "\\u00e9" in text
    assert trial.key == hashlib.sha256(text.encode("ascii")).hexdigest()[:12]


def test_a_trial_s_file_is_its_canonical_form_indented_by_one():
    trial = TrialConfig(model=UNet(), data=Phantom(fingerprint="abc"))
    assert trial.to_file() == json.dumps(trial.canonical(), indent=1).encode()
