"""The paper's Table 3: columns counted again, readings of the published code, and what a PyConv costs."""

from __future__ import annotations

from itertools import pairwise

import pytest

from ablate.analysis.paper import lightness
from ablate.analysis.paper.costs import cost_ratio, costs, needed_groups
from ablate.analysis.paper.published import PYRAMIDS, SHARES
from ablate.models.channels import level_channels
from ablate.models.pyconv import PyConv2d


@pytest.fixture(scope="module")
def rows():
    return costs()


@pytest.fixture(scope="module")
def readings(rows):
    return [row for row in rows if row.model == "pyconvunet"]


def test_five_columns_of_table_3_are_reproduced_and_the_sixth_is_not(rows):
    found = lightness.cost_columns(rows)
    assert [check.outcome for check in found] == ["holds"] * 5 + ["fails"]
    assert found[-1].subject == "PyConvU-Net"
    assert "4.10 to 121.07 M, 22.12 to 658.04 GMac in 6 readings" in found[-1].found
    assert "875" not in found[-1].reason  # a search of layouts that no script here makes
    assert all(abs(row.gmacs_difference) < 0.005 for row in rows if row.model != "pyconvunet")


def test_pyconvunets_readings_are_those_of_the_facts(readings):
    """FACTS.md counted them on other code; of its literal repair the convolutions alone, 103.0 GMac."""
    assert [(round(row.params_m, 2), round(row.gmacs, 2)) for row in readings] == [
        (5.39, 33.05),
        (4.10, 22.12),
        (7.58, 41.75),
        (16.91, 70.33),
        (23.04, 105.03),
        (121.07, 658.04),
    ]
    repair = readings[4]
    assert "literal repair" in repair.reading
    assert round(repair.convolution_gmacs, 1) == 103.0
    assert repair.params_difference == pytest.approx(19.34, abs=0.005)
    assert repair.gmacs_difference == pytest.approx(94.38, abs=0.005)


def _stage(inputs: int, outputs: int, blocks: int) -> float:
    """Parameters of the code's blocks: 1×1 → PyConv → 1×1, a quarter as wide inside, norms after each and all."""
    inner = outputs / 4
    pyconv = inner**2 * (9 / 8 + 25 / 4 / 8 + 49 / 8 / 4 + 81 / 16 / 2)
    return sum(
        channels * inner + pyconv + inner * outputs + 2 * inner + 2 * inner + 2 * outputs + 2 * outputs
        for channels in (inputs, *[outputs] * (blocks - 1))
    )


@pytest.mark.parametrize(("reading", "blocks"), [(3, 1), (4, 2)])
def test_the_literal_repairs_parameters_are_the_closed_form(readings, reading, blocks):
    widths = [128, 256, 512, 1024, 2048]
    expected = _stage(3, 128, blocks)
    for narrow, wide in pairwise(widths):
        expected += _stage(narrow, wide, blocks) + _stage(wide, narrow, blocks) + 4 * wide * narrow + narrow
    assert readings[reading].params_m * 1e6 == expected + 128 + 1


def test_it_has_not_the_fewest_of_both_in_every_reading(rows):
    found = lightness.lightest(rows)
    assert [check.outcome for check in found] == ["holds", "fails", "holds", "fails", "fails", "fails", "fails"]
    assert found[1].reason == "no fewer MACs than Resnet34_UNet"
    repair = found[5]
    assert repair.reason.startswith("no fewer parameters than U-Net, UNet++, Resnet34_UNet, FCN8s; no fewer MACs than")


def test_convolutions_are_less_than_all(rows):
    assert all(0.95 * row.gmacs < row.convolution_gmacs < row.gmacs for row in rows)


# Pyramids ------------------------------------------------------------------------------------------------------------


def test_eqs_7_and_8_need_other_groups():
    assert needed_groups((3, 5, 7, 9)) == pytest.approx((1, 2.78, 5.44, 9), abs=0.005)
    four = lightness.pyramid_costs()[0]
    assert four.outcome == "fails"
    assert "0.663 of its parameters and MACs with the published code's shares, 0.734 with PyConv's" in four.found
    assert "1, 2.78, 5.44, 9" in four.reason


@pytest.mark.parametrize("share", ["pyramid", "quarters"])
@pytest.mark.parametrize("levels", PYRAMIDS)
def test_a_pyramids_cost_ratio_is_that_of_the_built_layer(levels, share):
    layer = PyConv2d(64, 128, *PYRAMIDS[levels], share)
    built = sum(weight.numel() for weight in layer.parameters()) / (64 * 128 * 9)
    assert cost_ratio(levels, share) == pytest.approx(built)


def test_the_two_codes_share_channels_differently():
    found = lightness.shares()
    assert {check.subject: check.outcome for check in found} == {
        "4 levels": "fails", "3 levels": "fails", "2 levels": "holds"
    }  # fmt: skip
    assert found[0].found == "published 1/8, 1/8, 1/4, 1/2; PyConv's 1/4, 1/4, 1/4, 1/4"
    assert "add up to 5/4" in found[1].reason


@pytest.mark.parametrize("levels", SHARES)
def test_quarters_are_the_shares_of_pyconvs_code(levels):
    assert level_channels(64, levels, "quarters") == tuple(64 * share for share in SHARES[levels][1])


def test_pyramid_is_the_published_codes_share_of_four_levels():
    assert level_channels(64, 4, "pyramid") == tuple(64 * share for share in SHARES[4][0])
