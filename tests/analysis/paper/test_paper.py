"""The paper's numbers: what is recomputed agrees with closed forms, and the checks find what is wrong."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ablate.analysis.paper import checks as paper
from ablate.analysis.paper.published import PublishedScores
from ablate.analysis.paper.recomputed import all_foreground
from ablate.errors import InputError
from ablate.metrics.counts import confusion, scores
from ablate.models.pyconv import PyConv2d


def named(checks, name):
    return {check.subject: check for check in checks if name in check.name}


@pytest.fixture(scope="module")
def quoted():
    return paper.examine()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_every_set_of_masks_is_possible(ious):
    """Mean IoU and Dice of any images, rounded as Table 2 is, are between the bounds."""
    dices = [2 * iou / (1 + iou) for iou in ious]
    assert paper.possible(PublishedScores(round(float(np.mean(ious)), 4), round(float(np.mean(dices)), 4)))


def test_the_bounds_are_sharp():
    assert paper.possible(PublishedScores(0.5, 0.5))  # half the images perfect, half missed
    assert paper.possible(PublishedScores(0.5, 0.6667))  # all alike
    assert not paper.possible(PublishedScores(0.5, 0.4998))
    assert not paper.possible(PublishedScores(0.5, 0.6669))


def test_one_row_of_table_2_is_impossible_and_its_cells_look_swapped(quoted):
    found = named(quoted.checks, "between MIoU")
    assert len(found) == 18
    assert [subject for subject, check in found.items() if check.outcome != "holds"] == ["PyConvU-Net on kaggleLung"]
    assert "swapped it is possible" in found["PyConvU-Net on kaggleLung"].reason


def test_the_texts_ranks_fit_neither_reading_of_that_row(quoted):
    found = named(quoted.checks, "ranks as the text says")
    assert {subject: check.outcome for subject, check in found.items()} == {
        "kaggleLung": "fails", "liver": "holds", "ISBICell": "holds"
    }  # fmt: skip
    assert "first in MIoU and third in Dice" in found["kaggleLung"].found
    assert "swapped third in MIoU and third in Dice" in found["kaggleLung"].found
    assert found["kaggleLung"].reason.startswith("neither")


def test_unet_is_no_better_on_isbicell_than_calling_every_pixel_foreground(quoted):
    found = named(quoted.checks, "every pixel foreground")
    outcomes = Counter(check.outcome for check in found.values())
    assert outcomes == {"fails": 1, "holds": 5, "not checked": 1}
    assert found["U-Net on ISBICell"].outcome == "fails"
    assert found["UNet++ on ISBICell"].reason.startswith("hardly")
    assert "(quoted)" in found["U-Net on ISBICell"].found
    assert "not computed here" in quoted.all_foreground.provenance


@pytest.mark.parametrize("share", [0.3, 0.78])
@pytest.mark.parametrize("errors", [(0.1, 0.0), (0.1, 0.05), (0.0, 0.15)])
def test_the_greatest_class_mean_is_not_exceeded_by_any_prediction(share, errors):
    """And reached by one that only misses foreground."""
    pixels, (missed, invented) = 10_000, errors
    mask = np.arange(pixels) < share * pixels
    prediction = mask.copy()
    prediction[: int(missed * pixels)] = False
    prediction[pixels - int(invented * pixels) :] = True
    shape = (1, 100, 100)
    found = scores(confusion(prediction.reshape(shape).astype(int), mask.reshape(shape).astype(int), 2))
    greatest = paper.greatest_class_mean(found.dice, mask.mean())
    assert found.miou <= greatest + 1e-9
    assert (invented > 0) or found.miou == pytest.approx(greatest)


def test_miou_is_not_eq_1(quoted):
    (check,) = named(quoted.checks, "Eq. (1)").values()
    assert check.outcome == "fails"
    assert "0.39 under Eq. (1)" in check.found


def test_five_columns_of_table_3_are_reproduced_and_the_sixth_is_not(quoted):
    found = named(quoted.checks, "can be recomputed")
    assert {subject for subject, check in found.items() if check.outcome == "fails"} == {"PyConvU-Net"}
    assert len(found) == 6
    own = [row for row in quoted.costs if row.model == "pyconvunet"]
    assert [(round(row.params_m, 2), round(row.gmacs, 2)) for row in own] == [
        (5.39, 33.05),
        (4.09, 22.22),
        (7.58, 41.76),
    ]
    assert own[0].params_difference == pytest.approx(1.69, abs=0.005)
    assert own[0].gmacs_difference == pytest.approx(22.40, abs=0.005)
    assert all(abs(row.gmacs_difference) < 0.005 for row in quoted.costs if row.model != "pyconvunet")


def test_with_each_convolution_replaced_it_has_not_the_fewest_macs(quoted):
    found = named(quoted.checks, "fewest")
    assert [check.outcome for check in found.values()] == ["holds", "fails", "holds", "fails"]
    assert found["each 3x3 a PyConv"].reason == "Resnet34_UNet has 24.27 GMac"


def test_eqs_7_and_8_need_other_groups(quoted):
    assert paper.needed_groups((3, 5, 7, 9)) == pytest.approx((1, 2.78, 5.44, 9), abs=0.005)
    check = named(quoted.checks, "Eqs. 7, 8")["4 levels"]
    assert check.outcome == "fails"
    assert "0.663" in check.found
    assert "1, 2.78, 5.44, 9" in check.reason


@pytest.mark.parametrize(
    ("kernels", "groups"), [((3, 5, 7, 9), (1, 4, 8, 16)), ((3, 5, 7), (1, 4, 8)), ((3, 5), (1, 4))]
)
def test_a_pyramids_cost_ratio_is_that_of_the_built_layer(kernels, groups):
    layer = PyConv2d(64, 128, kernels, groups)
    built = sum(weight.numel() for weight in layer.parameters()) / (64 * 128 * 9)
    assert paper.cost_ratio(kernels, groups) == pytest.approx(built)


@pytest.fixture
def isbi(tmp_path):
    """Ten 512×512 slices, the i-th of which is foreground in (40 + 5·i) % of its columns."""
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    for i in range(10):
        mask = np.zeros((512, 512), dtype=np.uint8)
        mask[:, : int(512 * (0.4 + 0.05 * i))] = 255
        Image.fromarray(mask).save(tmp_path / "labels" / f"{i:02d}.png")
        Image.fromarray(mask // 2).save(tmp_path / "images" / f"{i:02d}.png")
    return tmp_path


def test_all_foreground_is_computed_where_masks_are_at_hand(isbi):
    found = all_foreground(isbi)
    shares = np.array([int(512 * (0.4 + 0.05 * i)) / 512 for i in range(10)])
    from sklearn.model_selection import train_test_split

    test = train_test_split(range(10), test_size=0.2, random_state=41)[1]
    ious = sorted([shares.mean(), shares[test].mean()])
    assert found.iou == pytest.approx(ious)
    assert found.dice == pytest.approx(sorted((2 * s / (1 + s)).mean() for s in (shares, shares[test])))
    assert found.miou == pytest.approx([iou / 2 for iou in ious])
    assert found.measured_here
    assert "10 masks" in found.provenance


def test_a_folder_without_masks_is_an_error(tmp_path):
    with pytest.raises(InputError):
        paper.examine(tmp_path)


# The command ---------------------------------------------------------------------------------------------------------


def run(capsys, *arguments):
    from ablate.runners.cli.paper import paper as command

    command.main(list(map(str, arguments)), standalone_mode=False)
    return capsys.readouterr().out


def test_the_printed_findings_fit_eighty_columns(capsys):
    shown = run(capsys)
    assert max(map(len, shown.splitlines())) <= 80
    assert "\x1b" not in shown
    for expected in (
        "fails  PyConvU-Net on kaggleLung",
        "0.9630 0.9339 !",
        "fails  U-Net on ISBICell",
        "+22.40",
        "0.663",
    ):
        assert expected in shown


def test_the_document_has_the_tables_and_the_checks(capsys):
    document = json.loads(run(capsys, "--json"))
    assert document["table_1"]["ISBICell"]["images"] == 30
    assert document["table_2"]["liver"]["pyconvunet"] == {"miou": 0.7050, "dice": 0.8227}
    assert sum(row["reproduced"] for row in document["table_3"]["computed"]) == 5
    assert {check["outcome"] for check in document["checks"]} == {"holds", "fails", "not checked"}
    assert set(document["checks"][0]) == {"name", "subject", "outcome", "found", "reason"}
