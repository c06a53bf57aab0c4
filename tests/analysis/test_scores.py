"""The scores that all statistics stand on: each of its own seed and image, whatever the order of the tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from synthetic import Tables, table, trial

from ablate.analysis.scores import CellScores, cell_scores, image_scores, paired
from ablate.metrics.counts import dice, iou


def counts(key: str, image: str, *of_class: tuple[int, int, int]) -> list[dict]:
    """Rows of an image, (TP, FP, FN) of each class from the background on."""
    return [
        {"key": key, "image": image, "class": place, "tp": tp, "fp": fp, "fn": fn, "tn": 0}
        for place, (tp, fp, fn) in enumerate(of_class)
    ]


def cell(name: str, seeds: tuple[int, ...], images: tuple[str, ...], trivial: bool = False) -> CellScores:
    values = np.random.default_rng(len(seeds)).random((len(seeds), len(images)))
    return CellScores(name, name, "unet", "slices", trivial, seeds, images, values)


def test_an_image_s_score_is_its_foreground_classes_mean_and_mean_iou_is_all_its_classes():
    images = pd.DataFrame(counts("b0", "z", (9, 1, 2), (4, 2, 1), (3, 0, 3)) + counts("a0", "y", (1, 0, 0), (0, 1, 1)))
    dices, ious = [2 * 4 / (8 + 3), 2 * 3 / (6 + 3)], [9 / 12, 4 / 7, 3 / 6]
    for metric, expected in (
        ("dice", [np.mean(dices), 0.0]),
        ("iou", [np.mean(ious[1:]), 0.0]),
        ("miou", [np.mean(ious), 0.5]),
    ):
        found = image_scores(images, metric)
        assert found[["key", "image"]].to_numpy().tolist() == [["b0", "z"], ["a0", "y"]]  # as the table has them
        assert found["score"].tolist() == pytest.approx(expected)


def test_every_score_stands_with_its_seed_and_image_and_what_is_missing_is_none():
    """Cells of unequal seeds and images, in no order, against looking each score up."""
    rng = np.random.default_rng(0)
    made = {("b", 2): "xz", ("b", 0): "xyz", ("a", 7): "zy", ("c", 1): "y", ("a", 3): "y"}
    rows, of_images, known = [], [], {}
    for (name, seed), images in made.items():
        rows.append(trial(name, 0.5, 1, seed=seed, state="trivial" if name == "c" else "complete"))
        for image in images:
            one = tuple(int(count) for count in rng.integers(1, 50, 3))
            of_images += counts(rows[-1]["key"], image, (5, 5, 5), one)
            known[name, seed, image] = float(dice(*one))
    rows.append(trial("d", 0.5, 1, state="failed"))
    of_images += counts("d-0", "x", (5, 5, 5), (1, 1, 1))
    order = rng.permutation(len(of_images))
    found = cell_scores(Tables(table(*rows), pd.DataFrame(), pd.DataFrame(of_images).iloc[order]), "dice")
    assert list(found) == ["b", "a", "c"]  # as in the trial table; a failed trial has no score
    assert [(one.seeds, one.images, one.trivial) for one in found.values()] == [
        ((0, 2), ("x", "y", "z"), False),
        ((3, 7), ("y", "z"), False),
        ((1,), ("y",), True),
    ]
    for one in found.values():
        assert (one.label, one.model, one.task) == (one.cell, "unet", "slices")
        expected = [[known.get((one.cell, seed, image), np.nan) for image in one.images] for seed in one.seeds]
        np.testing.assert_array_equal(one.values, expected)
        assert one.mean == pytest.approx(np.mean([v for (name, *_), v in known.items() if name == one.cell]))


def test_a_difference_is_of_the_seeds_and_images_that_both_have():
    one, other = cell("a", (0, 1, 2), ("w", "x", "y")), cell("b", (2, 4, 1, 0)[1:], ("y", "z", "x"))
    shared = paired(one, other)
    assert shared.shape == (2, 2)  # seeds 0 and 1, images x and y
    for row, seed in enumerate((0, 1)):
        for column, image in enumerate(("x", "y")):
            of_one = one.values[one.seeds.index(seed), one.images.index(image)]
            of_other = other.values[other.seeds.index(seed), other.images.index(image)]
            assert shared[row, column] == of_one - of_other


def test_a_trivial_predictor_s_one_row_stands_against_every_seed():
    network, bar = cell("a", (3, 5), ("x", "y")), cell("b", (0,), ("y", "x"), trivial=True)
    row = bar.values[0, ::-1]
    np.testing.assert_array_equal(paired(network, bar), network.values - row)
    np.testing.assert_array_equal(paired(bar, network), row[::-1] - network.values[:, ::-1])
    np.testing.assert_array_equal(paired(bar, bar), [[0.0, 0.0]])


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (cell("b", (0, 1), ("z",)), "test images"),
        (cell("b", (7,), ("x",)), "seeds"),
        (cell("b", (7,), ("z",)), "test images"),
    ],
)
def test_cells_that_share_nothing_have_no_difference(other: CellScores, what: str):
    with pytest.raises(ValueError, match=f"a and b share no {what}: they cannot be compared"):
        paired(cell("a", (0, 1), ("x", "y")), other)


def test_iou_of_cells_is_of_the_foreground():
    frames = Tables(table(trial("a", 0.5, 1)), pd.DataFrame(), pd.DataFrame(counts("a-0", "x", (9, 0, 1), (3, 1, 2))))
    assert cell_scores(frames, "iou")["a"].values.tolist() == [[float(iou(3, 1, 2))]]
