"""The pyramidal convolution against its closed form and against convolutions built separately."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn

from ablate.errors import InputError
from ablate.models.channels import level_channels
from ablate.models.pyconv import PyConv2d

PYRAMIDS = [
    ((3,), (1,)),
    ((3, 5), (1, 4)),
    ((3, 5, 7), (1, 4, 8)),
    ((3, 5, 7, 9), (1, 4, 8, 16)),
    ((3, 3, 3, 3), (1, 1, 1, 1)),
    ((3, 5, 5, 7), (1, 2, 4, 8)),
    ((3, 5, 7, 9), (16, 16, 16, 16)),
]
SHARES = {
    "pyramid": {1: (1,), 2: (1 / 2, 1 / 2), 3: (1 / 4, 1 / 4, 1 / 2), 4: (1 / 8, 1 / 8, 1 / 4, 1 / 2)},
    "quarters": {1: (1,), 2: (1 / 2, 1 / 2), 3: (1 / 4, 1 / 4, 1 / 2), 4: (1 / 4, 1 / 4, 1 / 4, 1 / 4)},
    "equal": {levels: (1 / levels,) * levels for levels in (1, 2, 3, 4)},
}


@pytest.mark.parametrize("width", [32, 48, 64, 128, 256, 512])
@pytest.mark.parametrize("share", ["pyramid", "quarters", "equal", "explicit"])
@pytest.mark.parametrize(("kernels", "groups"), PYRAMIDS, ids=str)
def test_parameters_are_the_closed_form(kernels, groups, share, width):
    fractions = SHARES["pyramid" if share == "explicit" else share][len(kernels)]
    outputs = [width * fraction for fraction in fractions]
    buildable = all(c % g == 0 and width % g == 0 for c, g in zip(outputs, groups, strict=True))
    with torch.device("meta"):
        if not buildable:
            with pytest.raises(InputError):
                PyConv2d(width, width, kernels, groups, fractions if share == "explicit" else share)
            return
        layer = PyConv2d(width, width, kernels, groups, fractions if share == "explicit" else share)
    expected = sum(k**2 * width * c / g for k, c, g in zip(kernels, outputs, groups, strict=True))
    assert sum(parameter.numel() for parameter in layer.parameters()) == expected


@pytest.mark.parametrize(("share", "ratio"), [("pyramid", 0.663), ("quarters", 0.734)])
def test_what_four_levels_cost_of_a_3x3_convolution(share, ratio):
    pyramid = sum(parameter.numel() for parameter in PyConv2d(64, 64, share=share).parameters())
    assert pyramid / nn.Conv2d(64, 64, 3, bias=False).weight.numel() == pytest.approx(ratio, abs=5e-4)


def test_levels_of_equal_cost_cost_what_one_convolution_does():
    """Eqs. (7)-(8) of Li et al. hold where K²/G is the same for each level: one group of 3×3 and nine of 9×9."""
    pyramid = sum(p.numel() for p in PyConv2d(72, 72, (3, 9), (1, 9)).parameters())
    assert pyramid == nn.Conv2d(72, 72, 3, bias=False).weight.numel()


@pytest.mark.parametrize("share", ["pyramid", "equal", (0.25, 0.25, 0.25, 0.25), (0.5, 0.25, 0.125, 0.125)], ids=str)
def test_output_is_its_convolutions_concatenated_in_level_order(share):
    kernels, groups = (3, 5, 5, 7), (1, 2, 4, 4)
    layer = PyConv2d(16, 32, kernels, groups, share).double()  # of which none goes another way than the library's
    x = torch.randn(2, 16, 9, 11, dtype=torch.float64)
    expected = []
    for level, (kernel, group) in enumerate(zip(kernels, groups, strict=True)):
        weight = layer.state_dict()[f"levels.{level}.weight"]
        conv = nn.Conv2d(16, weight.shape[0], kernel, padding=(kernel - 1) // 2, groups=group, bias=False).double()
        conv.load_state_dict({"weight": weight})
        expected.append(conv(x))
    output = layer(x)
    assert output.shape == (2, 32, 9, 11)
    torch.testing.assert_close(output, torch.cat(expected, dim=1), rtol=0, atol=0)


def test_one_level_is_a_convolution():
    layer = PyConv2d(3, 8, (5,), (1,))
    x = torch.randn(1, 3, 8, 8)
    expected = nn.functional.conv2d(x, layer.levels[0].weight, padding=2)
    torch.testing.assert_close(layer(x), expected, rtol=0, atol=0)


@pytest.mark.parametrize("levels", range(1, 7))
def test_pyramid_share_halves_down_to_two_alike(levels):
    channels = level_channels(256, levels)
    assert sum(channels) == 256
    assert channels[-1] == (256 if levels == 1 else 128)
    assert channels[0] == channels[min(1, levels - 1)]
    assert all(larger == 2 * smaller for smaller, larger in pairwise(channels[1:]))


def test_quarters_need_64_channels_of_four_levels_where_the_published_shares_need_32():
    PyConv2d(32, 32, share="pyramid")
    PyConv2d(64, 64, share="quarters")
    with pytest.raises(InputError, match="use a width that is a multiple of 64"):
        PyConv2d(32, 32, share="quarters")


def test_shares_as_released():
    assert level_channels(64, 4, "quarters") == (16, 16, 16, 16)
    assert level_channels(64, 4) == (8, 8, 16, 32)
    assert level_channels(64, 3) == (16, 16, 32)
    assert level_channels(64, 2) == (32, 32)
    assert level_channels(64, 1) == (64,)
    assert level_channels(48, 3, "equal") == (16, 16, 16)
    assert level_channels(30, 3, (1 / 3, 0.5, 1 / 6)) == (10, 15, 5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            (32, 16, (3, 5, 7, 9), (1, 2, 8, 8)),
            "PyConv level 3 (kernel 7): groups 8 do not divide its 4 output channels (pyramid share of 16); "
            "use a width that is a multiple of 32, or fewer groups",
        ),
        (
            (3, 32, (3, 5, 7, 9), (1, 4, 8, 16)),
            "PyConv level 2 (kernel 5): groups 4 do not divide the 3 input channels; "
            "use a multiple of 16, or fewer groups",
        ),
        (
            (16, 20, (3, 5, 7, 9), (1, 1, 1, 1)),
            "PyConv level 1: its share 1/8 of 20 output channels (pyramid share over 4 levels) is 2.5, "
            "not a whole number; use a multiple of 8",
        ),
        (
            (16, 16, (3, 5), (1, 1), (0.3, 0.7)),
            "PyConv level 1: its share 3/10 of 16 output channels (share 0.3, 0.7 over 2 levels) is 4.8, "
            "not a whole number; use a multiple of 10",
        ),
        ((16, 16, (3, 4), (1, 1)), "PyConv level 2 (kernel 4): same padding needs an odd kernel of at least 1"),
        ((16, 16, (3, 5), (1, 0)), "PyConv level 2 (kernel 5): 0 groups; expected at least 1"),
        ((16, 16, (3, 5), (1,)), "PyConv: 2 kernels but 1 groups; give each level one of both"),
        ((16, 16, (), ()), "PyConv: no levels; give at least one kernel"),
        ((16, 16, (3, 5), (1, 1), (0.5, 0.6)), "PyConv: share 0.5, 0.6; expected 2 positive fractions that sum to 1"),
        ((16, 16, (3, 5), (1, 1), (1.0,)), "PyConv: share 1; expected 2 positive fractions that sum to 1"),
        (
            (16, 16, (3, 5), (1, 1), "half"),
            "PyConv: unknown share 'half'; choose pyramid, quarters, equal or one fraction for each level",
        ),
        (
            (16, 40, (3, 5, 7, 9, 11), (1, 1, 1, 1, 1), "quarters"),
            "PyConv: share quarters is of at most 4 levels, not 5; choose pyramid or equal",
        ),
    ],
)
def test_impossible_pyramids_are_refused_in_one_line(arguments, message):
    with pytest.raises(InputError) as error:
        PyConv2d(*arguments)
    assert str(error.value) == message


@pytest.mark.parametrize(("kernels", "groups"), [(k, g) for k, g in PYRAMIDS if len(k) > 1], ids=str)
@pytest.mark.parametrize("share", ["pyramid", "equal"])
def test_the_width_an_error_advises_can_be_built(kernels, groups, share):
    with pytest.raises(InputError) as error:
        PyConv2d(960, 1, kernels, groups, share)
    advised = int(str(error.value).split("multiple of ")[1].split(",")[0])
    if "whole number" in str(error.value):
        assert sum(level_channels(advised, len(kernels), share)) == advised
    else:
        with torch.device("meta"):
            PyConv2d(960, advised, kernels, groups, share)
