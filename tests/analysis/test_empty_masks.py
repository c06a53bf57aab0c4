"""What an image scores in a class that its mask lacks, against counting by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablate.analysis.frames import from_tables, scored
from ablate.analysis.scores import image_scores
from ablate.analysis.scoring import AS_EVER, Scoring, scoring_notes
from ablate.errors import InputError
from ablate.metrics.counts import EMPTY, METRICS, ON_REQUEST, dice, iou

Counts = tuple[int, int, int, int]
PIXELS = 12


@st.composite
def counts(draw: st.DrawFn) -> Counts:
    """TP, FP, FN and TN of one class, often with nothing of it."""
    tp, fp, fn = (draw(st.sampled_from([0, 0, 1, 3])) for _ in range(3))
    return tp, fp, fn, PIXELS - tp - fp - fn


def by_hand(metric: str, tp: int, fp: int, fn: int, tn: int, empty: str) -> float | None:
    """As words say it: what is not there and not claimed by the choice, what only one of both has 0."""
    of_nothing = {"one": 1.0, "skip": None, "zero": 0.0}[empty]
    if metric == "specificity":
        tp, fp, fn, metric = tn, fn, fp, "sensitivity"
    if tp + fp + fn == 0:
        return of_nothing
    if tp == 0:
        return 0.0
    below = {
        "dice": tp + (fp + fn) / 2,
        "iou": tp + fp + fn,
        "miou": tp + fp + fn,
        "sensitivity": tp + fn,
        "precision": tp + fp,
    }
    return tp / below[metric]


def table(images: dict[tuple[str, str], list[Counts]]) -> pd.DataFrame:
    """Rows of (key, image) with the counts of class 0, 1, …"""
    return pd.DataFrame(
        [
            {"key": key, "image": image, "class": at, **dict(zip(("tp", "fp", "fn", "tn"), one, strict=True))}
            for (key, image), of_class in images.items()
            for at, one in enumerate(of_class)
        ]
    )


@given(
    st.sampled_from([*METRICS, *ON_REQUEST]),
    st.sampled_from(EMPTY),
    st.integers(2, 4).flatmap(lambda n: st.lists(st.lists(counts(), min_size=n, max_size=n), min_size=1, max_size=4)),
)
def test_every_score_is_as_by_hand(metric, empty, of_images):
    images = {("k", f"i{at}"): of_class for at, of_class in enumerate(of_images)}
    scoring = Scoring.of(table(images), {"k": "t"})._replace(empty=empty)
    found = image_scores(table(images), metric, scoring).set_index("image")["score"].to_dict()
    held = [any(of_class[at][0] + of_class[at][2] for of_class in of_images) for at in range(len(of_images[0]))]
    lacks = {at for at, there in enumerate(held) if not there} if any(held[1:]) and len(held) > 2 else set()
    expected = {}
    for (_, image), of_class in images.items():
        chosen = [one for at, one in enumerate(of_class) if at not in lacks and (at or METRICS[metric].background)]
        known = [score for one in chosen if (score := by_hand(metric, *one, empty)) is not None]
        if known:
            expected[image] = np.mean(known)
    assert found == pytest.approx(expected)


@given(st.lists(counts(), min_size=2, max_size=4), st.integers(0, 20))
def test_a_class_that_no_mask_has_neither_lifts_nor_lowers_a_mean(of_class, claimed):
    """Whatever is predicted of it: what it takes from other classes shows there."""
    of_class[1] = (2, 1, 1, 8)
    absent = (0, claimed % PIXELS, 0, PIXELS - claimed % PIXELS)
    without, with_it = (table({("k", "i"): rows}) for rows in (of_class, [*of_class, absent]))
    for metric in (*METRICS, *ON_REQUEST):
        one, other = (
            image_scores(rows, metric, Scoring.of(rows, {"k": "t"}))["score"].tolist() for rows in (without, with_it)
        )
        if len(of_class) > 2 or metric != "miou" or of_class[0][0] + of_class[0][2]:
            assert one == pytest.approx(other)


def test_where_all_masks_are_empty_the_choice_decides():
    """There is no other class whose mean it could be left out of."""
    for classes in (1, 3):
        images = table(
            {
                ("k", "i"): [(9, 0, 0, 3), *[(0, 0, 0, 12)] * classes],
                ("k", "j"): [(9, 0, 3, 0), *[(0, 3, 0, 9)] * classes],
            }
        )
        for empty, expected in (("one", [1, 0]), ("skip", [0]), ("zero", [0, 0])):
            scoring = Scoring.of(images, {"k": "t"})._replace(empty=empty)
            assert scoring.absent.get("t", frozenset()) == frozenset()
            assert image_scores(images, "dice", scoring)["score"].tolist() == expected


def test_what_the_paper_counts_is_as_it_was():
    tp, fp, fn = np.meshgrid(*[np.arange(4)] * 3)
    whole = np.maximum(2 * tp + fp + fn, 1)
    np.testing.assert_array_equal(dice(tp, fp, fn), np.where(2 * tp + fp + fn, 2 * tp / whole, 1))
    np.testing.assert_array_equal(iou(tp, fp, fn), np.where(tp + fp + fn, tp / np.maximum(tp + fp + fn, 1), 1))


def frames_of(images: dict[tuple[str, str], list[Counts]], **columns: list[float]):
    trials = pd.DataFrame([{"key": "k", "cell": "c", "seed": 0, "model": "unet", "params": 1, "macs": 1}])
    return from_tables(trials, table(images).assign(**columns))


EMPTIES = {
    ("k", "neither"): [(12, 0, 0, 0), (0, 0, 0, 12)],
    ("k", "claimed"): [(9, 0, 3, 0), (0, 3, 0, 9)],
    ("k", "missed"): [(9, 3, 0, 0), (0, 0, 3, 9)],
    ("k", "found"): [(8, 0, 0, 4), (4, 0, 0, 8)],
}


@pytest.mark.parametrize(("empty", "expected"), [("one", 2 / 4), ("skip", 1 / 3), ("zero", 1 / 4)])
def test_the_choice_changes_the_trials_mean_and_is_said_with_how_many(empty, expected):
    frames = scored(frames_of(EMPTIES), empty=empty)
    assert frames.trials["dice"].tolist() == pytest.approx([expected])
    [said] = scoring_notes(frames)
    assert said.startswith("2 of 4 test images have an empty mask.")
    assert f"--empty {empty}: 1 of 4 scores" in said
    kept = {("k", name): of_class for (_, name), of_class in EMPTIES.items() if name in ("missed", "found")}
    assert scoring_notes(scored(frames_of(kept), empty=empty)) == []


@pytest.mark.parametrize(("empty", "expected"), [("one", (0 + 17 + 17 + 1) / 4), ("skip", 35 / 3), ("zero", 35 / 3)])
def test_a_distance_of_nothing_is_none_unless_it_counts_as_perfect(empty, expected):
    """One that is as bad as can be has no number that is known here, so it is left out."""
    distances = {"metric.hd95_mm": [0.0, math.nan, 1.0, 17.0, 1.0, 17.0, 0.0, 1.0]}
    frames = scored(frames_of(EMPTIES, **distances), empty=empty)
    assert frames.trials["hd95_mm"].tolist() == pytest.approx([expected])


def test_a_metric_of_others_keeps_what_it_gave_unless_another_choice_is_asked_for():
    values = {"metric.mine": [1.0, 0.25, 1.0, 0.0, 1.0, 0.0, 1.0, 0.75]}
    frames = frames_of(EMPTIES, **values)
    for empty, expected in (("one", 1 / 4), ("skip", 0.75 / 3), ("zero", 0.75 / 4)):
        assert scored(frames, empty=empty).trials["mine"].tolist() == pytest.approx([expected])


def test_what_trials_measured_is_theirs_whatever_it_is_called():
    frames = frames_of(EMPTIES, **{"metric.precision": [0.5] * 8})
    assert frames.trials["precision"].tolist() == [0.5]
    assert scored(frames, ["precision", "sensitivity"]).trials["precision"].tolist() == [0.5]


def test_tables_from_elsewhere_may_have_distances_and_no_others_beyond_1():
    with pytest.raises(InputError, match=r"metric.mine 17\b"):
        frames_of(EMPTIES, **{"metric.mine": [17.0] * 8})
    with pytest.raises(InputError, match=r"metric.hd95_px -1\b"):
        frames_of(EMPTIES, **{"metric.hd95_px": [-1.0] * 8})


def test_trials_without_a_distance_have_none():
    images = {**EMPTIES, ("l", "neither"): EMPTIES["k", "neither"], ("l", "found"): EMPTIES["k", "found"]}
    frame = table(images).assign(**{"metric.hd95_mm": [1.0] * 8 + [math.nan] * 4})
    assert set(image_scores(frame, "hd95_mm", AS_EVER)["key"]) == {"k"}
