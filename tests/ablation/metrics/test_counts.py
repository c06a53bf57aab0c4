"""Scores against scikit-learn, an independent implementation, over random and degenerate masks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import confusion_matrix, f1_score, jaccard_score

import ablate.metrics.counts as module
from ablate.metrics.counts import class_count, confusion, dice, iou, scores


@st.composite
def mask_pairs(draw):
    classes = draw(st.integers(2, 5))
    shape = draw(st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 6)))
    # A single value drawn often gives empty and full masks.
    element = st.one_of(st.integers(0, classes - 1), st.just(draw(st.integers(0, classes - 1))))
    masks = arrays(np.uint8, shape, elements=element)
    return draw(masks), draw(masks), classes


@given(mask_pairs(), st.sampled_from([1, 20, 2**22]))
def test_counts_equal_scikit_learns(case, at_a_time):
    predicted, mask, classes = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_AT_A_TIME", at_a_time)
        counts = confusion(predicted, mask, classes)
    assert counts.shape == (len(mask), classes, 4)
    for image in range(len(mask)):
        table = confusion_matrix(mask[image].ravel(), predicted[image].ravel(), labels=range(classes))
        for c in range(classes):
            tp, fp, fn = table[c, c], table[:, c].sum() - table[c, c], table[c].sum() - table[c, c]
            assert counts[image, c].tolist() == [tp, fp, fn, table.sum() - tp - fp - fn]


@given(mask_pairs())
def test_scores_equal_scikit_learns(case):
    predicted, mask, classes = case
    found = scores(confusion(predicted, mask, classes))

    def mean_of(score, labels):
        per_image = [
            score(m.ravel(), p.ravel(), labels=labels, average=None, zero_division=1.0)
            for m, p in zip(mask, predicted, strict=True)
        ]
        return np.mean(per_image)

    foreground, everything = list(range(1, classes)), list(range(classes))
    assert found.dice == pytest.approx(mean_of(f1_score, foreground))
    assert found.iou == pytest.approx(mean_of(jaccard_score, foreground))
    assert found.miou == pytest.approx(mean_of(jaccard_score, everything))


@given(mask_pairs())
def test_dice_and_iou_obey_their_identity(case):
    counts = confusion(*case)
    tp, fp, fn = counts[..., 0], counts[..., 1], counts[..., 2]
    overlap = iou(tp, fp, fn)
    np.testing.assert_allclose(dice(tp, fp, fn), 2 * overlap / (1 + overlap))


def test_degenerate_masks():
    empty, full = np.zeros((1, 4, 4), dtype=np.uint8), np.ones((1, 4, 4), dtype=np.uint8)
    assert scores(confusion(empty, empty, 2)) == (1.0, 1.0, 1.0)
    assert scores(confusion(full, full, 2)) == (1.0, 1.0, 1.0)
    assert scores(confusion(full, empty, 2)) == (0.0, 0.0, 0.0)
    assert scores(confusion(empty, full, 2)) == (0.0, 0.0, 0.0)


def test_all_foreground_on_a_mask_of_known_fraction():
    # 78 % foreground, as on ISBI 2012: IoU is the fraction, Dice 2f/(1+f), and Eq. (1) halves the IoU.
    mask = np.zeros((1, 10, 10), dtype=np.uint8)
    mask.ravel()[:78] = 1
    found = scores(confusion(np.ones_like(mask), mask, 2))
    assert found == pytest.approx((2 * 0.78 / 1.78, 0.78, 0.39))


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="differ in shape"):
        confusion(np.zeros((1, 2, 2), int), np.zeros((1, 2, 3), int), 2)


def test_a_sigmoid_tells_two_classes_apart():
    assert [class_count(channels) for channels in (1, 2, 3, 9)] == [2, 2, 3, 9]


def test_no_image_has_no_counts():
    nothing = np.zeros((0, 4, 4), dtype=np.uint8)
    assert confusion(nothing, nothing, 3).shape == (0, 3, 4)
