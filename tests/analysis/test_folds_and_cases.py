"""The folds of a seed are one test set, and a case's images are one score, wherever cells are spoken of."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ablate.analysis.by_seed import by_seed, remarks
from ablate.analysis.compare import compare
from ablate.analysis.crossed import components, interval_of
from ablate.analysis.effects import effects
from ablate.analysis.frames import Frames, from_tables
from ablate.analysis.pareto import cells, pareto, tasks
from ablate.analysis.scores import cases_of, cell_scores, paired
from ablate.analysis.significance import difference, mean_interval
from ablate.analysis.tables import results_table
from ablate.analysis.uncertainty import uncertain_fronts
from ablate.metrics.counts import dice
from ablate.study.runs import Run

PIXELS = 400


def counts(rng: np.random.Generator, classes: int = 2) -> list[dict[str, int]]:
    tp, fp, fn = (int(number) for number in rng.integers(1, 100, 3))
    fore = {"class": 1, "tp": tp, "fp": fp, "fn": fn, "tn": PIXELS - tp - fp - fn}
    return [{"class": 0, "tp": fore["tn"], "fp": fn, "fn": fp, "tn": tp}, fore]


def tables(
    *, seeds: int, folds: tuple[int, ...], pooled: bool = False, cells: str = "ab", slices: int = 1
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two cells or more whose folds have so many cases each, of `slices` images; `pooled`: a seed is one trial."""
    trials, images = [], []
    for place, cell in enumerate(cells):
        for seed in range(seeds):
            for fold, number in enumerate(folds):
                key = f"{cell}{seed}" if pooled else f"{cell}{seed}f{fold}"
                row = {"key": key, "cell": cell, "seed": seed, "model": "unet", "label": cell, "configuration": cell}
                row |= {"params": 10 * (place + 1), "macs": 100, "epochs": 3, "fold": None if pooled else fold}
                if not (pooled and fold):
                    trials.append(row)
                for case in range(number):
                    for slice_ in range(slices):
                        rng = np.random.default_rng([place, seed, fold, case, slice_])
                        name = {"key": key, "image": f"{fold}-{case}-{slice_}", "case": f"{fold}-{case}"}
                        images += [name | row for row in counts(rng)]
    return pd.DataFrame(trials), pd.DataFrame(images)


def frames_of(**options) -> Frames:
    return from_tables(*tables(**options))


RUN = Run(
    space="s",
    question="?",
    profile="quick",
    design="grid",
    factors={"network": ["a", "b"]},
    definition={"reference": {"network": "a"}},
    trials={},
)


def run_of(frames: Frames) -> Run:
    levels = {key: {"network": cell} for key, cell in zip(frames.trials["key"], frames.trials["cell"], strict=True)}
    return RUN.model_copy(update={"trials": levels})


def all_that_is_said(frames: Frames) -> list[object]:
    """Of cells: fronts and how sure they are, effects, the table, comparisons."""
    seeds = by_seed(frames)
    fronts = [pareto(rows, "params", metric) for rows in tasks(seeds).values() for metric in ("dice", "miou")]
    scores = {metric: cell_scores(frames, metric) for metric in ("dice", "miou")}
    other = frames._replace(trials=frames.trials.assign(data="other"))
    table = results_table(frames)
    return [
        [cell._replace(epochs=0, train_seconds=0) for cell in cells(seeds)],
        fronts,
        uncertain_fronts(fronts, scores, resamples=50),
        effects(frames, [run_of(frames)], "dice").effects,
        table.sections,
        compare({"x": frames, "y": other}).networks,
        {cell: mean_interval(found) for cell, found in scores["dice"].items()},
    ]


def same(one: object, other: object) -> None:
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        one, other = list(one.values()), list(other.values())
    if isinstance(one, list | tuple):
        assert len(one) == len(other)
        for pair in zip(one, other, strict=True):
            same(*pair)
    elif isinstance(one, float) or isinstance(other, float):
        assert one == pytest.approx(other, nan_ok=True, rel=1e-12)
    else:
        assert one == other


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("slices", [1, 4])
def test_unequal_folds_of_a_seed_say_what_one_trial_on_all_their_images_says(seeds, slices):
    shape = {"seeds": seeds, "folds": (2, 5, 1, 3, 4), "slices": slices}
    folds, whole = frames_of(**shape), frames_of(**shape, pooled=True)
    assert len(folds.trials) == 5 * len(whole.trials)
    assert folds.unit == whole.unit == ("case" if slices > 1 else "image")
    same(all_that_is_said(folds), all_that_is_said(whole))


def test_without_folds_and_cases_the_table_of_seeds_is_that_of_trials():
    frames = frames_of(seeds=3, folds=(6,), pooled=True)
    assert by_seed(frames) is frames.trials
    assert remarks(frames) == []


def test_a_mean_over_folds_of_unequal_size_is_not_the_score():
    """It is the mean over their images: two folds of 1 and 9 images weigh 1 to 9."""
    frames = frames_of(seeds=1, folds=(1, 9), cells="a")
    (found,) = cells(by_seed(frames))
    by_fold = frames.trials["dice"].to_numpy()
    assert found.dice.mean == pytest.approx((by_fold[0] + 9 * by_fold[1]) / 10, rel=1e-12)
    assert found.dice.mean != pytest.approx(by_fold.mean(), abs=1e-4)
    assert found.seeds == 1


def without(frames: Frames, *keys: str) -> Frames:
    trials, images = frames.trials, frames.images
    return frames._replace(
        trials=trials[~trials["key"].isin(keys)].reset_index(drop=True), images=images[~images["key"].isin(keys)]
    )


def test_a_fold_that_one_network_lacks_is_compared_for_none_and_said():
    whole = frames_of(seeds=2, folds=(3, 4, 5))
    part = without(whole, "b0f1", "b1f1")
    scores, all_scores = cell_scores(part, "dice"), cell_scores(whole, "dice")
    there = [i for i, image in enumerate(all_scores["a"].images) if not image.startswith("1-")]
    expected = (all_scores["a"].values - all_scores["b"].values)[:, there]
    np.testing.assert_array_equal(paired(scores["a"], scores["b"]), expected)
    found = difference(scores["a"], scores["b"], "dice")
    assert found.interval.estimate == pytest.approx(expected.mean())
    assert found.images == 8
    (effect,) = effects(part, [run_of(part)], "dice").effects
    assert effect.difference.interval.estimate == pytest.approx(-expected.mean())
    assert [text for text in remarks(part) if "has no" in text] == [
        "b has no fold 1 of seed 0: its scores are of the others' images.",
        "b has no fold 1 of seed 1: its scores are of the others' images.",
    ]
    assert not any("has no" in text for text in remarks(whole))


def test_a_fold_that_one_seed_lacks_leaves_no_image_twice_or_half():
    """Seed 1 of b is half trained: either the seed or the fold's images go, and what is left is complete."""
    part = without(frames_of(seeds=3, folds=(3, 4, 5)), "b1f2")
    scores = cell_scores(part, "dice")
    assert np.isnan(scores["b"].values).sum() == 5
    found = difference(scores["a"], scores["b"], "dice")
    assert (found.seeds, found.images) in {(3, 7), (2, 12)}
    assert "scores are missing" in found.note


@settings(deadline=None, max_examples=25)
@given(sizes=st.lists(st.integers(1, 4), min_size=2, max_size=6))
def test_the_score_of_a_case_is_that_of_all_its_pixels(sizes):
    images = []
    for case, size in enumerate(sizes):
        for at in range(size):
            rows = counts(np.random.default_rng([case, at]))
            images += [{"key": "k", "image": f"{case}-{at}", "case": str(case)} | row for row in rows]
    trials = pd.DataFrame([{"key": "k", "cell": "c", "seed": 0, "model": "unet", "params": 1, "macs": 1}])
    frames = from_tables(trials, pd.DataFrame(images))
    assert frames.unit == ("case" if max(sizes) > 1 else "image")
    (scores,) = cell_scores(frames.by("case"), "dice").values()
    foreground = pd.DataFrame(images).query("`class` == 1")
    for at, case in enumerate(scores.images):
        of_case = foreground[foreground["case"] == case]
        tp, fp, fn = (of_case[name].sum() for name in ("tp", "fp", "fn"))
        assert scores.values[0, at] == 2 * tp / (2 * tp + fp + fn)
    (by_image,) = cell_scores(frames.by("image"), "dice").values()
    per_image = dice(*(foreground[name] for name in ("tp", "fp", "fn")))
    assert by_image.mean == pytest.approx(per_image.mean())
    assert frames.trials["dice"].item() == pytest.approx(per_image.mean())  # as Table 2, whatever the unit is


def test_a_metric_of_the_trials_own_is_averaged_over_a_cases_images():
    trials, images = tables(seeds=1, folds=(3,), slices=4, pooled=True, cells="a")
    images["metric.sharpness"] = np.linspace(0, 1, len(images))
    frames = from_tables(trials, images)
    (scores,) = cell_scores(frames, "sharpness").values()
    fore = images[images["class"] == 1]
    np.testing.assert_allclose(scores.values[0], fore.groupby("case")["metric.sharpness"].mean().to_numpy())


def test_scores_by_image_know_the_case_of_each_and_scores_by_case_are_their_own():
    frames = frames_of(seeds=2, folds=(2, 1), slices=3)
    by_image, by_case = (cell_scores(frames.by(unit), "dice")["a"] for unit in ("image", "case"))
    assert cases_of(by_image) == tuple(image.rsplit("-", 1)[0] for image in by_image.images)
    assert cases_of(by_case) == by_case.images == ("0-0", "0-1", "1-0")
    unknown = frames._replace(images=frames.images.drop(columns="case")).by("image")
    found = cell_scores(unknown, "dice")["a"]
    assert cases_of(found) == found.images == by_image.images
    assert cases_of(found._replace(cases=())) == found.images


def test_what_is_scored_is_said_in_the_table():
    caption = " ".join(results_table(frames_of(seeds=2, folds=(5,), slices=4)).caption)
    assert "means over 5 cases and 2 seeds" in caption
    few = " ".join(results_table(frames_of(seeds=2, folds=(3,), slices=4)).caption)
    assert "means over 3 cases and 2 seeds" in few
    assert "3 cases are too few to speak of others" in few
    assert "over 2 seeds and 5 cases" in caption
    assert any("by case" in text for text in remarks(frames_of(seeds=1, folds=(3,), slices=4)))


def test_intervals_of_folds_cover_where_each_fold_is_a_training_of_its_own():
    """What a seed does is another thing in each fold, for another network judges it: the variance over seeds of the
    pooled mean has the share of each in it. In 400 studies of 4 seeds, 5 folds and 30 images 95 % hold the truth."""
    rng = np.random.default_rng(7)
    seeds, folds, images = 4, 5, 30
    fold_of = np.repeat(np.arange(folds), images // folds)
    held = 0
    for _ in range(400):
        training = rng.normal(0, 0.01, (seeds, folds))
        matrix = training[:, fold_of] + rng.normal(0, 0.006, images) + rng.normal(0, 0.004, (seeds, images))
        found = interval_of(components(matrix))
        held += found.low <= 0 <= found.high
    assert 0.92 <= held / 400 <= 1


def test_one_seed_has_no_interval_however_many_folds_it_has():
    (found, _) = cell_scores(frames_of(seeds=1, folds=(5, 5, 5)), "dice").values()
    assert math.isnan(mean_interval(found).low)
