"""Confirmation: which cells are trained again, and how far the search had been optimistic."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from synthetic import table, trial, trivial

from ablate.analysis.confirmation import (
    DESIGN,
    Candidate,
    candidates,
    confirmation,
    fresh_seeds,
    of_fresh_seeds,
    searched_and_fresh,
)
from ablate.analysis.frames import Frames
from ablate.analysis.report.sections.confirmation import confirmation_section
from ablate.errors import InputError
from ablate.study.runs import Run

M = 10**8


def image_rows(key: str, dice: np.ndarray) -> list[dict]:
    """Counts of images with the given Dice."""
    counts = [(round(d * M), M - round(d * M)) for d in dice]
    return [
        {"key": key, "image": f"{at:02d}", "class": 1, "tp": hit, "fp": missed, "fn": missed, "tn": 0}
        for at, (hit, missed) in enumerate(counts)
    ]


class Built:
    """Tables of a search and of its confirmation, trial by trial."""

    def __init__(self) -> None:
        self.rows: list[dict] = trivial()
        self.images: list[dict] = []
        self.searched: list[str] = []
        self.fresh: list[str] = []

    def add(
        self, cell: str, params: float, val: float, test: np.ndarray, *, seed: int = 0, fresh: bool = False
    ) -> None:
        row = trial(cell, float(test.mean()), params, seed=seed, val_dice=val)
        self.rows.append(row)
        self.images += image_rows(row["key"], test)
        (self.fresh if fresh else self.searched).append(row["key"])

    @property
    def frames(self) -> Frames:
        return Frames(table(*self.rows), pd.DataFrame(columns=["key", "epoch"]), pd.DataFrame(self.images))


def two_cells() -> Built:
    built = Built()
    built.add("small", 1e5, 0.90, np.array([0.8, 0.9]))
    built.add("large", 1e6, 0.94, np.array([0.8, 0.9]))
    built.add("rival", 2e6, 0.93, np.array([0.8, 0.9]))
    values = {"small": [0.88, 0.87, 0.86], "large": [0.92, 0.93, 0.88], "rival": [0.93, 0.94, 0.95]}
    tests = {"small": [0.84, 0.86, 0.82], "large": [0.90, 0.88, 0.89], "rival": [0.91, 0.92, 0.93]}
    for cell, params in (("small", 1e5), ("large", 1e6), ("rival", 2e6)):
        for number in range(3):
            test = tests[cell][number] + np.array([-0.02, 0.02])
            built.add(cell, params, values[cell][number], test, seed=number + 1, fresh=True)
    return built


def test_optimism_is_what_was_promised_less_what_fresh_seeds_gave():
    built = two_cells()
    found = confirmation(built.frames, built.searched, built.fresh)
    assert found is not None
    optimism = found.optimism
    assert (optimism.cells, optimism.seeds) == (2, 3)
    # By hand: promised 0.92; fresh validation 0.90, 0.90, 0.87; fresh test 0.87, 0.87, 0.855.
    assert optimism.luck.estimate == pytest.approx(0.92 - 0.89)
    assert optimism.total.estimate == pytest.approx(0.92 - 0.865)
    assert optimism.total.estimate == pytest.approx(optimism.luck.estimate + optimism.images.estimate)
    by_seed = 0.92 - np.array([0.90, 0.90, 0.87])
    low, high = stats.t.interval(0.95, 2, by_seed.mean(), stats.sem(by_seed))
    assert (optimism.luck.low, optimism.luck.high) == (pytest.approx(low), pytest.approx(high))
    assert "optimistic by +0.055" in found.sentences[0]


def test_a_front_of_fresh_seeds_is_judged_on_test_images():
    built = two_cells()
    found = confirmation(built.frames, built.searched, built.fresh)
    assert found is not None
    assert [(cell.cell, cell.was_on_front, cell.is_on_front) for cell in found.cells] == [
        ("small", True, True),
        ("large", True, True),
        ("rival", False, True),
    ]
    assert found.sentences[2] == "2 of the 2 networks stay on the front; 1 rival joined it."
    section = confirmation_section(found)
    assert section.count("<tr>") == 4
    assert "joins" in section


def test_optimism_is_estimated_without_bias_and_covered():
    """Searches among equals: all that a search gains over the truth is luck, which fresh seeds show."""
    rng = np.random.default_rng(0)
    truth, gap, errors, covered, repeats = 0.9, 0.02, [], 0, 60
    for _ in range(repeats):
        built = Built()
        difficulty = rng.normal(0, 0.02, 12)
        difficulty -= difficulty.mean()
        luck = rng.normal(0, 0.01, 12)
        for at, params in enumerate(np.repeat([1e5, 1e6, 1e7], 4)):
            built.add(f"c{at}", params, truth + luck[at], np.full(12, 0.8))
        chosen = candidates(built.frames.trials, built.searched, rivals=0)
        for candidate in chosen:
            params = {f"c{at}": p for at, p in enumerate(np.repeat([1e5, 1e6, 1e7], 4))}[candidate.cell]
            for seed in fresh_seeds([0], 4):
                own = rng.normal(0, 0.01)
                test = truth - gap + own + difficulty + rng.normal(0, 0.005, 12)
                built.add(candidate.cell, params, truth + own, test, seed=seed, fresh=True)
        found = confirmation(built.frames, built.searched, built.fresh)
        assert found is not None
        actual = np.mean([candidate.score for candidate in chosen]) - (truth - gap)
        errors.append(found.optimism.total.estimate - actual)
        covered += found.optimism.total.low <= actual <= found.optimism.total.high
        assert found.optimism.luck.estimate > -0.02
    assert abs(np.mean(errors)) < 4 * np.std(errors) / np.sqrt(repeats)
    assert covered / repeats > 0.85


def test_rivals_are_those_that_lack_least():
    built = Built()
    for cell, params, val in [
        ("a", 1, 0.80), ("b", 5, 0.90), ("near a", 2, 0.79), ("far", 3, 0.70), ("near b", 6, 0.89), ("dear", 9, 0.88),
    ]:  # fmt: skip
        built.add(cell, params, val, np.array([0.8, 0.8]))
    trials = built.frames.trials
    assert candidates(trials, built.searched, rivals=0) == (Candidate("a", 0.80, True), Candidate("b", 0.90, True))
    assert {c.cell for c in candidates(trials, built.searched)} == {"a", "b", "near a", "near b"}
    assert len(candidates(trials, built.searched, rivals=2)) == 6
    # What a grid trained in the same study, and the search did not see, is no candidate.
    assert {c.cell for c in candidates(trials, ["far-0"], rivals=1)} == {"far"}
    with pytest.raises(InputError, match="there is no front to confirm yet"):
        candidates(trials, [])


def test_fresh_seeds_are_above_all_that_were_used():
    assert list(fresh_seeds([0, 4, 1], 3)) == [5, 6, 7]


def test_confirming_trials_are_told_apart_by_their_run():
    def run(design: str, *keys: str) -> Run:
        trials: dict[str, dict[str, str]] = {key: {} for key in keys}
        return Run.model_construct(
            space="s", question="?", profile="quick", design=design, factors={}, definition={}, trials=trials
        )

    assert searched_and_fresh([run("tpe", "a", "b"), run(DESIGN, "c", "b")]) == (["a", "b"], ["c"])


def test_claims_can_be_judged_on_fresh_seeds_alone():
    built = two_cells()
    kept = of_fresh_seeds(built.frames, built.fresh)
    assert set(kept.trials["key"]) == set(built.fresh) | {row["key"] for row in trivial()}
    assert set(kept.images["key"]) == set(built.fresh)


def test_nothing_is_said_before_anything_is_confirmed():
    built = Built()
    built.add("a", 1e5, 0.9, np.array([0.8, 0.9]))
    assert confirmation(built.frames, built.searched, []) is None
    assert confirmation_section(None) == ""
