from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from synthetic import Tables, table, trial

from ablate.analysis.effects import Effect, Effects, effects
from ablate.analysis.scores import cell_scores, paired
from ablate.analysis.significance import difference_of, holm
from ablate.runners.cli.effects import effects as command
from ablate.study.runs import Run

Levels = dict[str, str]
Matrix = Callable[[Levels], np.ndarray]


def _study(
    design: str,
    factors: dict[str, list[str]],
    cells: list[Levels],
    scores: Matrix,
    *,
    reference: Levels | None = None,
    params: Callable[[Levels], float] = lambda levels: 1e6,
    task: Callable[[Levels], str] = lambda levels: "slices",
    images: Callable[[Levels], list[str]] | None = None,
    space: str = "made_up",
    definition: dict | None = None,
) -> tuple[Tables, Run]:
    """Tables whose Dice of each seed and image is `scores(levels)`, and the run they came from."""
    rows, counts, trials = [], [], {}
    for number, levels in enumerate(cells):
        values = scores(levels)
        ids = images(levels) if images else [f"{i:02d}" for i in range(values.shape[1])]
        for seed, row in enumerate(values):
            if np.isnan(row).all():
                continue
            one = trial(f"c{number}", 0.0, params(levels), seed=seed, data=task(levels), space=space)
            rows.append(one)
            trials[one["key"]] = levels
            for image, dice in zip(ids, row, strict=True):
                if not np.isnan(dice):
                    counts.append(
                        {
                            "key": one["key"],
                            "image": image,
                            "class": 1,
                            "tp": dice,
                            "fp": 1 - dice,
                            "fn": 1 - dice,
                            "tn": 1,
                        }
                    )
    run = Run.model_construct(
        space=space,
        question="?",
        profile="standard",
        design=design,
        factors=factors,
        definition={"reference": reference or {}} | (definition or {}),
        trials=trials,
    )
    return Tables(table(*rows), pd.DataFrame(), pd.DataFrame(counts)), run


def _grid(factors: dict[str, list[str]]) -> list[Levels]:
    return [dict(zip(factors, levels, strict=True)) for levels in itertools.product(*factors.values())]


def _of(found: Effects, factor: str, level: str) -> Effect:
    (effect,) = [one for one in found.effects if (one.factor, one.level) == (factor, level)]
    return effect


def _noise(seed: int, scale: float = 0.003, shape: tuple[int, int] = (3, 12)) -> Callable[[], np.ndarray]:
    rng = np.random.default_rng(seed)
    difficulty = rng.normal(0, 0.03, (1, shape[1]))
    return lambda: (
        difficulty
        + rng.normal(0, scale, (shape[0], 1))
        + rng.normal(0, scale, (1, shape[1]))
        + rng.normal(0, scale, shape)
    )


DEPTH_WIDTH = {"depth": ["2", "3", "4"], "width": ["16", "32"]}


def _known(levels: Levels) -> float:
    """Depth 3 is worth 0.02, depth 4 0.03, width 32 0.01, and both of the last two 0.04 more."""
    both = 0.04 if levels == {"depth": "4", "width": "32"} else 0.0
    return 0.7 + {"2": 0.0, "3": 0.02, "4": 0.03}[levels["depth"]] + 0.01 * (levels["width"] == "32") + both


def test_grid_effects_and_interactions_are_those_the_tables_were_made_with() -> None:
    frames, run = _study(
        "grid", DEPTH_WIDTH, _grid(DEPTH_WIDTH), lambda levels: np.full((3, 6), _known(levels)),
        reference={"depth": "2", "width": "16"},
        params=lambda levels: 1e6 * int(levels["width"]) ** 2 * int(levels["depth"]),
    )  # fmt: skip
    found = effects(frames, [run], "dice")
    depth, width = _of(found, "depth", "4"), _of(found, "width", "32")
    assert depth.difference.interval.estimate == pytest.approx(0.03 + 0.04 / 2)
    assert width.difference.interval.estimate == pytest.approx(0.01 + 0.04 / 3)
    assert (depth.pairs, width.pairs) == (2, 3)
    assert (depth.reference, width.reference) == ("2", "16")
    assert (depth.params, width.params) == (pytest.approx(2), pytest.approx(4))
    interactions = {one.levels: one.interval.estimate for one in found.interactions}
    assert interactions == {("3", "32"): pytest.approx(0), ("4", "32"): pytest.approx(0.04)}
    assert found.notes == ()


def test_a_grid_effect_is_the_mean_of_its_pairs_difference_matrices() -> None:
    noise = _noise(0)
    frames, run = _study(
        "grid", DEPTH_WIDTH, _grid(DEPTH_WIDTH), lambda levels: _known(levels) + noise(),
        reference={"depth": "2", "width": "16"},
    )  # fmt: skip
    found = effects(frames, [run], "dice")
    cells = cell_scores(frames, "dice")  # c0 … c5: depth 2 (16, 32), 3, 4
    matrix = np.mean([paired(cells["c4"], cells["c0"]), paired(cells["c5"], cells["c1"])], axis=0)
    expected = difference_of(matrix, "4", "2", "dice")
    one = _of(found, "depth", "4").difference
    assert one.interval[:4] == pytest.approx(expected.interval[:4])
    assert one.interval.over == "3 seeds and 12 images"
    assert one.p_value == pytest.approx(expected.p_value)
    square = paired(cells["c5"], cells["c1"]) - paired(cells["c4"], cells["c0"])
    (one,) = [one for one in found.interactions if one.levels == ("4", "32")]
    assert one.interval[:4] == pytest.approx(difference_of(square, "", "", "dice").interval[:4])
    assert one.p_value == pytest.approx(difference_of(square, "", "", "dice").p_value)
    assert one.interval.low < 0.04 < one.interval.high


def test_effects_of_a_space_and_task_are_one_holm_family() -> None:
    noise = _noise(1)
    frames, run = _study("grid", DEPTH_WIDTH, _grid(DEPTH_WIDTH), lambda levels: 0.7 + noise())
    again = run.model_copy(update={"space": "again"})
    found = effects(frames, [run, again], "dice")
    raw = [one.difference._replace(p_holm=None) for one in found.effects if one.space == "made_up"]
    assert len(raw) == 3
    assert [one.difference for one in found.effects] == holm(raw) * 2


def test_leave_one_out_is_without_against_with() -> None:
    factors = {"residual": ["with", "without"], "attention": ["with", "without"]}
    cells = [
        {"residual": "with", "attention": "with"},
        {"residual": "without", "attention": "with"},
        {"residual": "with", "attention": "without"},
    ]
    frames, run = _study(
        "leave_one_out", factors, cells,
        lambda levels: np.full((3, 6), 0.8 - 0.05 * (levels["residual"] == "without")),
        params=lambda levels: 3e6 if levels["attention"] == "without" else 4e6,
    )  # fmt: skip
    found = effects(frames, [run], "dice")
    residual, attention = _of(found, "residual", "without"), _of(found, "attention", "without")
    assert residual.difference.interval.estimate == pytest.approx(-0.05)
    assert attention.difference.interval.estimate == pytest.approx(0)
    assert (residual.reference, residual.pairs, attention.params) == ("with", 1, pytest.approx(0.75))
    assert (residual.difference.a, residual.difference.b) == ("c1", "c0")
    assert found.interactions == ()
    assert found.notes == ("made_up: design leave_one_out cannot estimate interactions; a grid can",)


def test_one_factor_compares_each_level_with_the_reference_cell_alone() -> None:
    factors = {"groups": ["a", "b"], "share": ["x", "y"]}
    cells = [{"groups": "b", "share": "x"}, {"groups": "a", "share": "x"}, {"groups": "b", "share": "y"}]
    worth = {"a": 0.02, "b": 0.0, "x": 0.0, "y": -0.03}
    frames, run = _study(
        "one_factor", factors, cells,
        lambda levels: np.full((3, 6), 0.8 + sum(worth[level] for level in levels.values())),
        reference={"groups": "b", "share": "x"},
    )  # fmt: skip
    found = effects(frames, [run], "dice")
    assert {(one.level, one.pairs): round(one.difference.interval.estimate, 6) for one in found.effects} == {
        ("a", 1): 0.02,
        ("y", 1): -0.03,
    }


def test_a_space_without_reference_takes_the_first_level_and_says_so() -> None:
    factors = {"depth": ["2", "3"]}
    frames, run = _study("grid", factors, _grid(factors), lambda levels: np.full((3, 6), 0.7))
    found = effects(frames, [run], "dice")
    assert found.effects[0].reference == "2"
    assert found.notes == ("made_up: depth names no reference, so its first level '2' is it",)


# What is missing -----------------------------------------------------------------------------------------------------


def test_a_single_seed_has_effects_without_intervals() -> None:
    factors = {"depth": ["2", "3"]}
    noise = _noise(2, shape=(1, 12))
    frames, run = _study(
        "grid", factors, _grid(factors), lambda levels: 0.7 + 0.1 * (levels["depth"] == "3") + noise(),
        reference={"depth": "2"},
    )  # fmt: skip
    (effect,) = effects(frames, [run], "dice").effects
    assert effect.difference.interval.estimate == pytest.approx(0.1, abs=0.01)
    assert (effect.difference.p_value, effect.difference.note) == (None, "one seed")
    assert not effect.difference.significant


def test_a_failed_seed_of_one_pair_leaves_that_pair_out() -> None:
    factors = {"depth": ["2", "3"], "width": ["8", "16", "32", "64"]}

    def scores(levels: Levels) -> np.ndarray:
        values = np.full((3, 6), 0.8 if levels["depth"] == "3" else 0.7)
        if levels == {"depth": "3", "width": "64"}:
            values[1:] = np.nan
        return values

    frames, run = _study("grid", factors, _grid(factors), scores, reference={"depth": "2", "width": "8"})
    effect = _of(effects(frames, [run], "dice"), "depth", "3")
    assert (effect.pairs, effect.difference.seeds) == (3, 3)
    assert effect.difference.note == "1 of 4 pairs left out for lack of seeds"
    assert effect.difference.interval.estimate == pytest.approx(0.1)


def test_unequal_seeds_and_images_are_compared_on_what_is_shared() -> None:
    factors = {"depth": ["2", "3"]}

    def scores(levels: Levels) -> np.ndarray:
        values = np.tile(np.arange(6) / 10, (4, 1)) + 0.05 * (levels["depth"] == "3")
        if levels["depth"] == "3":
            values[3], values[:, 0] = np.nan, np.nan
        return values

    frames, run = _study("grid", factors, _grid(factors), scores, reference={"depth": "2"})
    difference = effects(frames, [run], "dice").effects[0].difference
    assert (difference.seeds, difference.images) == (3, 5)
    assert difference.interval.estimate == pytest.approx(0.05)
    assert difference.note == "seeds differ: the 3 they share; images differ: the 5 they share"


def test_what_cannot_be_estimated_is_said_and_the_rest_is_estimated() -> None:
    factors = {"depth": ["2", "3", "4"], "width": ["16"]}
    cells = [{"depth": "2", "width": "16"}, {"depth": "4", "width": "16"}]
    frames, run = _study(
        "grid", factors, cells, lambda levels: np.full((3, 6), 0.7), reference={"depth": "2", "width": "16"}
    )
    found = effects(frames, [run], "dice")
    assert [one.level for one in found.effects] == ["4"]
    assert found.notes == (
        "made_up: depth '3' has no scored trial beside its reference",
        "made_up: width has the one level '16', so nothing to compare",
    )
    lost = run.model_copy(update={"definition": {"reference": {"depth": "3", "width": "16"}}})
    assert (
        "made_up: depth's reference '3' has no scored trial: no effect of it" in effects(frames, [lost], "dice").notes
    )
    none = run.model_copy(update={"trials": {}})
    assert effects(frames, [none], "dice") == Effects("dice", (), (), (), ("made_up: no trial has been scored",))


def test_one_space_on_two_data_sets_has_effects_on_each() -> None:
    factors = {"depth": ["2", "3"]}
    one, run = _study("grid", factors, _grid(factors), lambda levels: np.full((3, 6), 0.7), reference={"depth": "2"})
    two, other = _study(
        "grid", factors, _grid(factors), lambda levels: np.full((3, 6), 0.5 + 0.1 * (levels["depth"] == "3")),
        task=lambda levels: "lungs",
    )  # fmt: skip
    for tables in (two.trials, two.images):
        tables["key"] = "x" + tables["key"]
    two.trials["cell"] = "x" + two.trials["cell"]
    both = Tables(*(pd.concat(pair, ignore_index=True) for pair in zip(one[:3], two[:3], strict=True)))
    merged = run.model_copy(update={"trials": run.trials | {f"x{key}": levels for key, levels in other.trials.items()}})
    found = effects(both, [merged], "dice")
    assert {(e.task, round(e.difference.interval.estimate, 6)) for e in found.effects} == {
        ("slices", 0.0),
        ("lungs", 0.1),
    }


# Factors that change the data ----------------------------------------------------------------------------------------

BLUR = {"network": ["unet", "pyconv"], "data.blur": ["0", "2"]}


def _blurred(levels: Levels) -> np.ndarray:
    """PyConv is 0.01 better on sharp shapes, and loses 0.05 more when they blur."""
    pyconv, blurred = levels["network"] == "pyconv", levels["data.blur"] == "2"
    return np.tile(0.7 + np.arange(6) / 100, (3, 1)) + 0.01 * pyconv - 0.1 * blurred - 0.05 * (pyconv and blurred)


def test_networks_are_compared_within_each_blur_and_blur_by_image_id() -> None:
    frames, run = _study(
        "grid", BLUR, _grid(BLUR), _blurred, reference={"network": "unet", "data.blur": "0"},
        task=lambda levels: f"phantom blur={levels['data.blur']}",
    )  # fmt: skip
    found = effects(frames, [run], "dice")
    networks = {one.task: one.difference.interval.estimate for one in found.effects if one.factor == "network"}
    assert networks == {"phantom blur=0": pytest.approx(0.01), "phantom blur=2": pytest.approx(-0.04)}
    assert _of(found, "data.blur", "2").difference.interval.estimate == pytest.approx(-0.125)
    assert _of(found, "data.blur", "2").task == "phantom blur=0"
    (interaction,) = found.interactions
    assert interaction.interval.estimate == pytest.approx(-0.05)
    assert found.notes == (
        "made_up: levels that change the data are paired by image id, as if the same id were the same scene",
    )


def test_levels_on_other_images_are_not_compared_and_it_is_said() -> None:
    frames, run = _study(
        "grid", BLUR, _grid(BLUR), _blurred, reference={"network": "unet", "data.blur": "0"},
        task=lambda levels: f"phantom blur={levels['data.blur']}",
        images=lambda levels: [f"{levels['data.blur']}-{i}" for i in range(6)],
    )  # fmt: skip
    found = effects(frames, [run], "dice")
    assert {one.factor for one in found.effects} == {"network"}
    assert found.interactions == ()
    assert "made_up: data.blur '2' is judged on other images than its reference: not estimated" in found.notes


# Sampled spaces ------------------------------------------------------------------------------------------------------


def _sampled(count: int) -> tuple[Tables, Run]:
    rng = np.random.default_rng(3)
    cells = [
        {
            "rate": f"{10 ** rng.uniform(-4, -2):.6g}",
            "width": str(rng.integers(16, 65)),
            "block": rng.choice(["a", "b"]),
        }
        for _ in range(count)
    ]
    return _study(
        "random", {"rate": [], "width": [], "block": ["a", "b"]}, cells,
        lambda levels: 0.8 + 0.1 * np.log10(float(levels["rate"])) / 4 + rng.normal(0, 0.001, (2, 6)),
        params=lambda levels: 1e3 * int(levels["width"]) ** 2,
        definition={
            "factors": {
                "rate": {"low": 1e-4, "high": 1e-2, "log": True},
                "width": {"low": 16, "high": 64, "log": False},
                "block": {"a": {}, "b": {}},
            }
        },
    )  # fmt: skip


def test_importance_picks_the_factor_that_matters_for_each_target() -> None:
    frames, run = _sampled(60)
    found = effects(frames, [run], "dice")
    assert (found.effects, found.interactions) == ((), ())
    for target, factor in (("dice", "rate"), ("params", "width"), ("macs", "width")):
        rows = [one for one in found.importances if one.target == target]
        assert {one.factor for one in rows} == {"rate", "width", "block"}
        assert max(rows, key=lambda one: one.fanova or 0).factor == factor
        assert max(rows, key=lambda one: one.ped_anova or 0).factor == factor
        assert sum(one.fanova or 0 for one in rows) == pytest.approx(1)
    assert found.notes == ("made_up: its configurations are sampled, so factors have importances, not effects",)


def test_a_few_samples_have_no_importance_and_it_is_said() -> None:
    frames, run = _sampled(9)
    found = effects(frames, [run], "dice")
    assert found.importances == ()
    assert "made_up: 9 scored configurations of 10 that importances need at least" in found.notes


def test_of_very_many_samples_some_make_the_importances_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ablate.analysis.importances.MOST_CONFIGURATIONS", 30)
    frames, run = _sampled(40)
    found = effects(frames, [run], "dice")
    assert "made_up: importances are of 30 of its 40 configurations, at random" in found.notes


def test_a_cost_that_is_the_same_everywhere_has_no_importance() -> None:
    frames, run = _sampled(12)
    frames.trials["macs"] = 5.0
    found = effects(frames, [run], "dice")
    assert {one.target for one in found.importances} == {"dice", "params"}
    assert "made_up: macs is unknown or the same in all configurations: no importance for it" in found.notes


# The command ---------------------------------------------------------------------------------------------------------


def _call(monkeypatch: pytest.MonkeyPatch, frames: Tables, run: Run, *options: str) -> str:
    judged = SimpleNamespace(records={})
    opened = SimpleNamespace(manifest=SimpleNamespace(runs=[run]), said_of_faults=list, sound=lambda: judged)
    monkeypatch.setattr("ablate.runners.cli.effects.open_study", lambda path: opened)
    monkeypatch.setattr("ablate.analysis.frames.load", lambda study: frames)
    result = CliRunner().invoke(command, [str(Path("study")), *options], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_command_prints_effects_that_fit_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = _noise(4)
    frames, run = _study(
        "grid", DEPTH_WIDTH, _grid(DEPTH_WIDTH), lambda levels: _known(levels) + noise(),
        reference={"depth": "2", "width": "16"}, params=lambda levels: 1e6 * int(levels["depth"]),
    )  # fmt: skip
    text = _call(monkeypatch, frames, run)
    assert max(map(len, text.splitlines())) <= 80
    row = next(line for line in text.splitlines() if line.split()[:2] == ["*", "4"])
    effect = _of(effects(frames, [run], "dice"), "depth", "4")
    low, high = effect.difference.interval.low, effect.difference.interval.high
    assert f"{effect.difference.interval.estimate:+.4f} [{low:+.4f}, {high:+.4f}]" in " ".join(row.split())
    assert "×2.00" in row
    assert "interactions" in text


def test_command_prints_importances(monkeypatch: pytest.MonkeyPatch) -> None:
    text = _call(monkeypatch, *_sampled(20))
    assert "PED-ANOVA" in text
    assert max(map(len, text.splitlines())) <= 80


def test_command_prints_one_json_document_with_null_for_what_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    factors = {"depth": ["2", "3"]}
    frames, run = _study("grid", factors, _grid(factors), lambda levels: np.full((1, 6), 0.7), reference={"depth": "2"})
    document = json.loads(_call(monkeypatch, frames, run, "--json"))
    difference = document["effects"][0]["difference"]
    assert difference["interval"] == {
        "estimate": 0.0, "low": None, "high": None, "level": 0.95,
        "seeds": 1, "units": 6, "unit": "image", "effective": None, "why": "one seed",
    }  # fmt: skip
    assert difference["significant"] is False
    assert difference["note"] == "one seed"
