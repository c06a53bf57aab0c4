"""What a cell lost: which cases count, bounds that hold, and failed trainings that are never dropped in silence."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ablate.analysis.claims.non_inferiority import non_inferiority
from ablate.analysis.claims.schema import Lost, NonInferior
from ablate.analysis.failure_words import failed_of, failed_trainings, legend, lost_cases, percent
from ablate.analysis.failures import (
    bounds,
    by_group,
    cases_needed,
    difference_bounds,
    failing,
    failures,
    lost_by,
    neither_lost,
    resolvable,
)
from ablate.analysis.frames import Frames, from_tables
from ablate.analysis.scores import CellScores
from ablate.analysis.significance import difference

PIXELS = 100


def tables(
    dice: dict[str, list[list[float]]], *, failed: dict[str, list[int]] | None = None, cases: int | None = None
) -> Frames:
    """Tables of cells by name with Dice of (seeds, images), and the seeds of failed trials. `cases`: images of each."""
    trials, images = [], []
    for name, rows in dice.items():
        for seed, row in enumerate(rows):
            trials.append({"key": f"{name}-{seed}", "cell": name, "seed": seed, "state": "complete"})
            for at, score in enumerate(row):
                tp = round(score * PIXELS)
                one = {"key": f"{name}-{seed}", "image": f"i{at:02d}", "class": 1, "tp": tp, "tn": PIXELS}
                found = PIXELS - tp if score else 0  # a Dice of 0: nothing is predicted
                images.append(one | {"fp": found, "fn": PIXELS - tp} | ({"case": f"c{at // cases}"} if cases else {}))
    for name, seeds in (failed or {}).items():
        trials += [{"key": f"{name}-{seed}", "cell": name, "seed": seed, "state": "failed"} for seed in seeds]
    for trial in trials:
        trial |= {"model": "unet", "label": trial["cell"], "params": 10, "macs": 100, "error": None}
    return from_tables(pd.DataFrame(trials), pd.DataFrame(images))


def cell(name: str, values: np.ndarray) -> CellScores:
    images = tuple(f"i{at:03d}" for at in range(values.shape[1]))
    return CellScores(name, name, "m", "t", False, tuple(range(len(values))), images, values)


# Which cases are lost ------------------------------------------------------------------------------------------------


def test_a_case_is_lost_below_half_of_what_the_best_network_typically_reaches():
    """Of hard data as well, and whatever networks beside it do; below what is stated where it is."""
    good, bad = [[0.4, 0.42, 0.44, 0.19, 0.4]], [[0.0, 0.1, 0.3, 0.5, 0.21]]
    frames = tables({"good": good, "bad": bad, "worse": [[0.0] * 5]})
    found = failures(frames)
    assert {one.below for one in found.values()} == {0.2}  # half of the median of `good`
    assert {name: one.counted.losses for name, one in found.items()} == {"good": 1, "bad": 2, "worse": 5}
    assert {name: one.empty for name, one in found.items()} == {"good": 0, "bad": 1, "worse": 5}
    stated = failures(failing(frames, 0.41))
    assert {name: one.counted.losses for name, one in stated.items()} == {"good": 3, "bad": 4, "worse": 5}
    assert "below 0.2 (half of the best network's median)" in legend(found, frames)
    assert "below 0.41, and" in legend(stated, failing(frames, 0.41))


def test_nothing_found_is_lost_whatever_the_threshold_and_nothing_there_is_not():
    frames = tables({"a": [[0.0, 0.0, 0.0, 0.5]]})
    assert (failures(frames)["a"].below, failures(frames)["a"].counted.losses) == (0.0, 3)
    empty = frames.images.assign(fn=0, tp=0, fp=[0, 0, 7, 0])
    assert failures(frames._replace(images=empty))["a"].counted.losses == 1  # that in which something was claimed


def test_of_several_classes_those_count_that_mask_or_prediction_has():
    """An image without the others' classes is not saved by them, and a class has its own failures."""
    rows = [("i0", 1, 0, 0, 9), ("i0", 2, 0, 0, 0), ("i1", 1, 9, 0, 0), ("i1", 2, 0, 0, 9)]
    images = pd.DataFrame(rows, columns=["image", "class", "tp", "fp", "fn"]).assign(key="a-0", tn=1)
    base = tables({"a": [[0.5, 0.5]]})
    trials = base.trials.drop(columns=["dice", "iou", "miou"])
    frames = failing(from_tables(trials, images), 0.4)
    assert failures(frames)["a"].lost.tolist() == [[1, 0]]
    assert failures(frames, "iou.2")["a"].lost.tolist() == [[0, 1]]


# Failed trainings ----------------------------------------------------------------------------------------------------


def test_a_failed_training_lost_all_that_it_would_have_been_tested_on():
    frames = tables({"a": [[0.8] * 4] * 2, "b": [[0.8] * 4] * 3}, failed={"a": [2], "gone": [0, 1]})
    found = failures(frames)
    assert set(found) == {"a", "b"}
    assert (found["a"].counted.losses, found["a"].counted.tests, found["a"].counted.failed_seeds) == (4, 12, (2,))
    assert found["a"].counted.document()["failed_seeds"] == [2]
    json.dumps([one.counted.document() for one in found.values()], allow_nan=False)
    (said,) = failed_trainings(frames.trials)
    assert said.startswith("3 trials failed: a (seed 2) and gone (seeds 0 and 1, none complete: no score).")
    assert lost_cases(found) == [f"Fails: a {failed_of(found['a'].counted)}. The others lost none."]


def test_a_failed_fold_lost_the_images_of_that_fold():
    frames = tables({"a": [[0.8] * 6] * 2})
    fold = [at % 2 for at in range(len(frames.images))]
    keys = frames.images["key"] + [f"/{one}" for one in fold]
    halves = pd.concat([frames.trials.assign(key=frames.trials["key"] + f"/{one}", fold=one) for one in (0, 1)])
    halves = halves.reset_index(drop=True)
    broken = halves["key"] == "a-1/1"
    halves.loc[broken, "state"] = "failed"
    images = frames.images.assign(key=keys)
    images = images[images["key"] != "a-1/1"]
    found = failures(frames._replace(trials=halves, images=images))["a"]
    assert found.lost.tolist() == [[0] * 6, [0, 1, 0, 1, 0, 1]]
    assert found.counted.failed_seeds == (1,)


def test_a_seed_that_a_scheduler_stopped_is_no_failure():
    frames = tables({"a": [[0.8] * 4] * 2}, failed={"a": [2]})
    stopped = frames._replace(trials=frames.trials.assign(state=frames.trials["state"].replace("failed", "stopped")))
    assert failures(stopped)["a"].counted.losses == 0
    assert failed_trainings(stopped.trials) == []


def test_a_rival_s_failed_training_is_no_merit_of_the_subject():
    lost = failures(tables({"ours": [[0.8] * 30] * 3, "rival": [[0.8] * 30] * 2}, failed={"rival": [2]}))
    found = difference_bounds(lost["ours"], lost["rival"])
    assert (found.rate, found.seeds) == (0.0, 2)
    assert difference_bounds(lost["rival"], lost["ours"]).rate == pytest.approx(1 / 3)


# Bounds --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", [0, 1, 5, 12])
def test_where_seeds_lose_the_same_cases_the_bound_is_clopper_and_pearson_s(lost):
    matrix = np.zeros((3, 12))
    matrix[:, :lost] = 1
    exact = stats.binomtest(lost, 12).proportion_ci(0.9, "exact")  # each end is one-sided at 95 %
    assert bounds(matrix) == pytest.approx((lost / 12, exact.low, exact.high))


def test_seeds_do_not_add_cases_and_images_of_a_case_are_one():
    none = np.zeros((3, 12))
    assert bounds(none).most == pytest.approx(1 - 0.05 ** (1 / 12))
    assert bounds(np.zeros((9, 12))) == bounds(none)
    assert bounds(np.zeros((3, 36))).most == pytest.approx(0.0798, abs=1e-4)  # 0 of 36 still allows 8 %
    slices = failures(tables({"a": [[0.8] * 12] * 3}, cases=4)._replace(unit="image"))["a"]
    assert slices.counted.tests == 36
    assert slices.bounds.most == pytest.approx(1 - 0.05 ** (1 / 3))
    assert by_group(np.array([[1.0, 0.0, np.nan, 1.0]]), ["x", "x", "y", "y"]).tolist() == [[0.5, 1.0]]


def test_seeds_that_differ_make_it_less_sure():
    alike, uneven = np.zeros((3, 30)), np.zeros((3, 30))
    alike[:, :10] = 1
    uneven[0] = 1
    assert bounds(alike).most < 0.52
    assert bounds(uneven).most > 0.85  # of three seeds one: 0.86


@pytest.mark.parametrize(("seeds", "images"), [(3, 12), (5, 30), (3, 100)])
@pytest.mark.parametrize("alike", [True, False])
def test_the_bound_of_a_difference_holds(seeds, images, alike):
    """Excess of 0.05 over a rival that loses as many of its own: the bound lies below in at most 7 % of studies."""
    rng = np.random.default_rng([seeds, images])
    rows, below = 1 if alike else seeds, []
    for _ in range(300):
        pair = [
            lost_by(
                cell("c", np.where(np.broadcast_to(rng.random((rows, images)) < rate, (seeds, images)), 0.1, 0.8)), 0.4
            )
            for rate in (0.15, 0.1)
        ]
        below.append(difference_bounds(*pair).most < 0.05)
    assert np.mean(below) <= 0.07 + 0.02  # two standard errors


def test_what_a_design_resolves_is_what_it_finds_where_nothing_is_lost():
    for seeds, images in ((2, 6), (3, 12), (5, 100)):
        lost = lost_by(cell("c", np.full((seeds, images), 0.8)), 0.4)
        assert difference_bounds(lost, lost).most == pytest.approx(resolvable(images, seeds))
    assert resolvable(30, 1) == 1.0  # one seed decides nothing
    for tolerance in (0.01, 0.05, 0.1, 0.3):
        needed = cases_needed(tolerance)
        assert resolvable(needed, 3) <= tolerance < resolvable(needed - 1, 3)
    assert cases_needed(0.1) == 29


def test_a_bound_is_rounded_up():
    assert [percent(share).replace("\N{NO-BREAK SPACE}", " ") for share in (0.0798, 0.0295, 0.2209, 1.0, 0.0)] == [
        "8 %", "3 %", "23 %", "100 %", "0 %",
    ]  # fmt: skip


# Non-inferiority in two parts ----------------------------------------------------------------------------------------


def asked(tolerance: float) -> NonInferior:
    return NonInferior(kind="non_inferior", metric="dice", margin=0.01, failures=Lost(below=0.4, tolerance=tolerance))


def pair_of(seeds: int, images: int, lost: np.ndarray) -> tuple[CellScores, CellScores]:
    """Equal networks, but of the first the cases of `lost`."""
    rng = np.random.default_rng(1)
    rival = np.tile(rng.normal(0.85, 0.02, images), (seeds, 1))
    ours = rival + rng.normal(0, 0.002, (seeds, images))
    return cell("ours", np.where(lost, 0.1, ours)), cell("rival", rival)


def judged(seeds: int, images: int, lost: np.ndarray, tolerance: float):
    ours, theirs = pair_of(seeds, images, lost)
    return non_inferiority(ours, theirs, (lost_by(ours, 0.4), lost_by(theirs, 0.4)), asked(tolerance))


def test_lost_images_spare_the_typical_difference_and_are_judged_apart():
    lost = np.zeros((3, 100), dtype=bool)
    lost[:, :3] = True
    found = judged(3, 100, lost, 0.1)
    assert (found.outcome, found.typically, found.lost.outcome) == ("supported",) * 3
    assert found.typical is not None
    assert (found.typical.images, found.images) == (97, 100)
    assert abs(found.typical.interval.estimate) < 0.002  # the mean is 0.02 lower
    assert "typical of 97 of 100 images, which neither lost" in found.notes
    strict = judged(3, 100, lost, 0.05)
    assert (strict.outcome, strict.typically) == ("inconclusive", "supported")
    assert strict.lost.resolvable < 0.05  # it could have been shown
    lost[:, :30] = True
    assert judged(3, 100, lost, 0.1).outcome == "refuted"


def test_what_the_design_cannot_show_is_inconclusive_and_says_what_would():
    found = judged(3, 12, np.zeros((3, 12), dtype=bool), 0.1)
    assert (found.outcome, found.typically) == ("inconclusive", "supported")
    assert found.lost.resolvable == pytest.approx(0.2209, abs=1e-4)
    assert any("takes 29 cases of which none is lost: more test cases, or folds" in note for note in found.notes)
    assert judged(3, 30, np.zeros((3, 30), dtype=bool), 0.1).outcome == "supported"


def test_a_seed_that_lost_everything_costs_no_image_and_a_network_that_did_is_refuted():
    lost = np.zeros((4, 20), dtype=bool)
    lost[2] = True
    ours, theirs = pair_of(4, 20, lost)
    kept = neither_lost(lost_by(ours, 0.4), lost_by(theirs, 0.4), (ours, theirs))
    assert kept is not None
    assert [(one.seeds, len(one.images)) for one in kept] == [((0, 1, 3), 20)] * 2
    assert judged(4, 20, lost, 0.1).outcome == "inconclusive"
    found = judged(4, 20, np.ones((4, 20), dtype=bool), 0.1)
    assert (found.outcome, found.typical) == ("refuted", None)


def test_one_seed_shows_nothing_of_failures():
    found = judged(1, 100, np.zeros((1, 100), dtype=bool), 0.1)
    assert (found.outcome, found.lost.outcome, found.lost.resolvable) == ("inconclusive", "inconclusive", 1.0)


def test_either_part_is_refuted_at_a_level_of_its_own():
    """Two ways to be wrong: each at 2.5 %, so what the one-sided 95 % bound alone would refute is not."""
    ours, theirs = pair_of(3, 40, np.zeros((3, 40), dtype=bool))
    ours = ours._replace(values=ours.values - 0.02)
    lost = lost_by(ours, 0.4), lost_by(theirs, 0.4)
    once, twice = (difference(ours, theirs, "dice", level).interval.high for level in (0.9, 0.95))
    between = asked(0.25).model_copy(update={"margin": -(once + twice) / 2})
    loose, strict = (non_inferiority(ours, theirs, lost, between, refuted=level) for level in (0.95, 0.975))
    assert loose.typical is not None
    assert loose.typical.interval.high == once
    assert (loose.outcome, strict.outcome) == ("refuted", "inconclusive")
