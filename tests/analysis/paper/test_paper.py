"""The paper's Table 2: what is recomputed agrees with closed forms and FACTS, and the checks find what is wrong."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.model_selection import train_test_split

from ablate.analysis.paper import accuracy as paper
from ablate.analysis.paper.checks import examine
from ablate.analysis.paper.foreground import QUOTED, Above, all_foreground
from ablate.analysis.paper.published import TABLE_2, PublishedScores
from ablate.errors import InputError
from ablate.metrics.counts import confusion, scores

REAL = Path(__file__).parents[4] / "shared" / "data" / "isbi2012"


def named(checks, name):
    return {check.subject: check for check in checks if name in check.name}


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


def test_one_row_of_table_2_is_impossible_and_its_cells_look_swapped():
    found = named(paper.bounds(), "between MIoU")
    assert len(found) == 18
    assert [subject for subject, check in found.items() if check.outcome != "holds"] == ["PyConvU-Net on kaggleLung"]
    assert "swapped it is possible" in found["PyConvU-Net on kaggleLung"].reason


def test_the_texts_ranks_fit_neither_reading_of_that_row():
    found = named(paper.ranks(), "ranks as the text says")
    assert {subject: check.outcome for subject, check in found.items()} == {
        "kaggleLung": "fails", "liver": "holds", "ISBICell": "holds"
    }  # fmt: skip
    assert "first in MIoU and third in Dice" in found["kaggleLung"].found
    assert "swapped third in MIoU and third in Dice" in found["kaggleLung"].found
    assert found["kaggleLung"].reason.startswith("neither")


def test_on_liver_the_second_is_not_left_far_behind():
    (check,) = paper.leads()
    assert check.outcome == "fails"
    assert check.found == "+0.006 MIoU and +0.014 Dice over Attention U-Net"
    # By hand, from Table 2: the steps in MIoU are 0.1068, 0.0297, 0.0119, 0.0366 and 0.0061.
    assert "0.030 and 0.024" in check.reason


def test_with_a_lead_above_the_usual_step_it_would_hold(monkeypatch):
    monkeypatch.setitem(TABLE_2["liver"], "pyconvunet", PublishedScores(0.80, 0.90))
    assert paper.leads()[0].outcome == "holds"


# All-foreground ------------------------------------------------------------------------------------------------------


def test_unet_is_no_better_on_isbicell_than_calling_every_pixel_foreground():
    found = named(paper.against_all_foreground(QUOTED), "every pixel foreground")
    assert Counter(check.outcome for check in found.values()) == {"fails": 1, "holds": 5, "not checked": 1}
    assert found["U-Net on ISBICell"].outcome == "fails"
    assert "above it on 75% (IoU) and 99% (Dice) of all splits" in found["U-Net on ISBICell"].reason
    assert [subject for subject, check in found.items() if "hardly" in check.reason] == ["UNet++ on ISBICell"]
    assert "no split" in found["FCN8s on ISBICell"].reason
    assert all("quoted from" in check.source for check in found.values())


def test_quoted_figures_are_those_of_the_facts_in_their_places():
    """Over all 30 masks 0.780 and 0.876, on the published split 0.777 and 0.874; Eq. (1) 0.39."""
    assert [round(value, 3) for value in QUOTED.all_masks[:3]] == [30, 0.780, 0.876]
    assert [round(value, 3) for value in QUOTED.split[:3]] == [6, 0.777, 0.874]
    assert round(QUOTED.all_masks.eq_1, 2) == round(QUOTED.split.eq_1, 2) == 0.39
    assert [round(share, 2) for share in QUOTED.above["unet"]] == [0.75, 0.99]
    assert QUOTED.splits == 593_775


def test_quoted_figures_are_those_of_the_published_masks():
    if not REAL.is_dir():
        pytest.skip("ISBI 2012's masks are not here")
    found = all_foreground(REAL)
    assert found.all_masks == pytest.approx(QUOTED.all_masks, abs=1e-6)
    assert found.split == pytest.approx(QUOTED.split, abs=1e-6)
    for model, above in found.above.items():
        assert above == pytest.approx(QUOTED.above[model], abs=1e-4)


def _written(folder, shares):
    """A slice of 512×512 for each of `shares`, foreground in so many of its columns."""
    for name in ("images", "labels"):
        (folder / name).mkdir()
    for i, share in enumerate(shares):
        mask = np.zeros((512, 512), dtype=np.uint8)
        mask[:, : round(512 * share)] = 255
        for name, pixels in (("labels", mask), ("images", mask // 2)):
            Image.fromarray(pixels).save(folder / name / f"{i:02d}.png", compress_level=1)
    return folder


def test_all_foreground_is_computed_where_masks_are_at_hand(tmp_path):
    """Of a mask with a share f of foreground it scores an IoU of f and a Dice of 2f/(1 + f)."""
    shares = np.array([(352 + 4 * i) / 512 for i in range(30)])
    folder = _written(tmp_path, shares)
    found = all_foreground(folder)
    test = train_test_split(range(30), test_size=0.2, random_state=41)[1]
    for part, scored in ((shares, found.all_masks), (shares[test], found.split)):
        assert scored.images == len(part)
        assert scored.iou == pytest.approx(part.mean())
        assert scored.dice == pytest.approx((2 * part / (1 + part)).mean())
        assert scored.eq_1 == pytest.approx(part.mean() / 2)
    drawn = np.random.default_rng(0)
    means = np.array([drawn.permutation(shares)[:6].mean() for _ in range(4000)])
    assert found.above["unet"].iou == pytest.approx((means > 0.7742).mean(), abs=0.03)  # 4 standard errors
    assert "computed here on the 30" in found.source
    assert paper.class_mean(found).outcome == "fails"


def test_how_often_all_foreground_is_above_is_counted_over_every_split():
    ious = np.array([0.70, 0.74, 0.76, 0.78, 0.80, 0.82, 0.84])
    from ablate.analysis.paper.foreground import above

    found = above(ious, 2 * ious / (1 + ious), 3)
    means = [np.mean(chosen) for chosen in combinations(ious, 3)]
    assert found["unet"].iou == np.mean([mean > 0.7742 for mean in means])
    assert found["pyconvunet"] == Above(0.0, 0.0)
    assert list(found) == list(TABLE_2["ISBICell"])


def test_masks_that_are_not_the_papers_are_refused(tmp_path):
    with pytest.raises(InputError, match="--data-dir has 10 masks, the paper's ISBICell 30"):
        examine(_written(tmp_path, np.linspace(0.7, 0.8, 10)))


def test_a_folder_without_masks_is_an_error(tmp_path):
    with pytest.raises(InputError):
        examine(tmp_path)


# What "MIoU" is ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.3, 0.78])
@pytest.mark.parametrize("errors", [(0.1, 0.0), (0.1, 0.05), (0.0, 0.15), (0.2, 0.1)])
def test_the_greatest_class_mean_is_not_exceeded_by_images_alike(share, errors):
    pixels, (missed, invented) = 10_000, errors
    mask = np.arange(pixels) < share * pixels
    prediction = mask.copy()
    prediction[: int(missed * pixels)] = False
    prediction[pixels - int(invented * pixels) :] = True
    shape = (1, 100, 100)
    found = scores(confusion(prediction.reshape(shape).astype(int), mask.reshape(shape).astype(int), 2))
    assert found.miou <= paper.greatest_class_mean(found.dice, mask.mean()) + 1e-9


@pytest.mark.parametrize("share", [0.3, 0.78])
def test_the_greatest_class_mean_is_reached_by_perfect_and_lost_images(share):
    """Nine images of ten are right, in one nothing is found."""
    mask = np.broadcast_to(np.arange(100) < 100 * share, (10, 10, 100)).astype(int)
    prediction = mask.copy()
    prediction[0] = 0
    found = scores(confusion(prediction, mask, 2))
    assert found.dice == pytest.approx(0.9)
    assert found.miou == pytest.approx(paper.greatest_class_mean(0.9, share))


def test_miou_is_not_eq_1_by_the_code_and_not_by_the_figures():
    check = paper.class_mean(QUOTED)
    assert check.outcome == "fails"
    assert "0.39 by Eq. (1)" in check.found
    assert "get_iou" in check.found
    assert "figures alone do not tell" in check.reason
    assert "0.88 to 0.92" in check.reason
    assert "metrics.py" in check.source
