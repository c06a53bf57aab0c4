"""The record that all networks are drawn from: names, factors, configurations, progress, single cases."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from many_networks import LONG, MARKUP, many
from synthetic import Tables, measured, study, table, trial, trivial

from ablate.analysis.figures.networks import Known, Networks, by_task
from ablate.analysis.figures.networks_data import document, json_of
from ablate.analysis.pareto import tasks
from ablate.analysis.scores import CellScores


def _record(frames: Tables, **known: object) -> Networks:
    by = tasks(frames.trials)
    (found,) = by_task(frames, by, dict.fromkeys(by, Known(**known)))  # type: ignore[arg-type]
    return found


def _of(found: Networks, name: str) -> tuple[float, ...]:
    return next(one.values for one in found.quantities if one.name == name)


def test_quantities_are_those_that_the_study_has() -> None:
    assert [one.name for one in _record(study()).quantities] == ["dice", "miou", "iou", "params", "macs"]
    found = _record(measured(study()))
    assert [one.name for one in found.quantities][3:] == ["params", "macs", "latency_ms", "peak_memory_mb"]
    assert all(math.isnan(value) for value in _of(found, "latency_ms")[7:])


def test_latency_of_another_device_is_not_known() -> None:
    frames = measured(study())
    odd = frames.trials["cell"] == "a1"
    frames.trials.loc[odd, "latency_device"] = "cuda (other)"
    found = _record(frames)
    latency = dict(zip([row.cell for row in found.networks], _of(found, "latency_ms"), strict=True))
    assert math.isnan(latency["a1"])
    assert math.isfinite(latency["b2"])


def test_long_labels_get_short_names_in_the_order_of_their_numbers() -> None:
    rows = [trial(f"c{at}", 0.8, 1e6 + at, label=f"a_rather_long_name_of_width={at}") for at in (10, 2, 1)]
    found = _record(Tables(table(*rows, *trivial()), pd.DataFrame({"key": []}), study().images))
    assert {row.cell: row.name for row in found.networks[:3]} == {"c1": "n1", "c2": "n2", "c10": "n3"}
    assert [row.name for row in found.networks[3:]] == ["all foreground", "mean mask", "all background"]
    assert [row.name for row in _record(study()).networks[:2]] == ["attention", "unet++"]


def test_names_of_several_data_sets_are_not_the_same() -> None:
    parts = [many(5, 1, epochs=2, task=task) for task in ("one", "two")]
    both = Tables(*(pd.concat(tables, ignore_index=True) for tables in zip(*(part[:3] for part in parts), strict=True)))
    both = both._replace(trials=both.trials.assign(key=both.trials["key"] + both.trials["data"]))
    found = by_task(both, tasks(both.trials), {})
    names = [row.name for one in found for row in one.networks if not row.trivial]
    assert sorted(names, key=lambda name: int(name[1:])) == [f"n{at}" for at in range(1, 11)]


def test_factors_are_those_that_differ_with_numbers_by_their_value() -> None:
    found = {one.name: one for one in _record(many(30, 1)).factors}
    assert list(found) == ["network", "kernels", "model.width", "optimizer.lr"]
    assert found["model.width"].levels == tuple(str(8 * at) for at in range(1, 13))
    rates = [float(level) for level in found["optimizer.lr"].levels]
    assert rates == sorted(rates)
    assert found["optimizer.lr"].log
    assert not found["kernels"].numeric


def test_progress_is_the_mean_over_trials_of_the_best_so_far() -> None:
    frames = study()
    found = _record(frames)
    cells = [row.cell for row in found.networks]
    assert found.progress.epochs == tuple(range(1, 13))
    own = frames.epochs[frames.epochs["key"].str.startswith("a1-") & (frames.epochs["epoch"] <= 4)]
    expected = own.groupby("key")["val_dice"].max().mean()
    assert found.progress.scores["val_dice"][cells.index("a1"), 3] == pytest.approx(expected)
    complete = set(frames.trials.loc[frames.trials["state"] == "complete", "key"])
    assert found.progress.spent[-1] == frames.epochs["key"].isin(complete).sum()


def test_a_trial_without_a_score_yet_leaves_its_network_out_until_it_has_one() -> None:
    frames = study()
    first = frames.epochs["key"].eq("a1-0") & frames.epochs["epoch"].le(3)
    found = _record(frames._replace(epochs=frames.epochs[~first]))
    at = [row.cell for row in found.networks].index("a1")
    assert np.isnan(found.progress.scores["val_dice"][at]).tolist() == [True] * 3 + [False] * 9


def test_networks_that_were_stopped_are_counted_as_left_out() -> None:
    frames = study()
    stopped = trial("s9", 0.5, 5e5, state="stopped", label="stopped")
    found = _record(frames._replace(trials=pd.concat([frames.trials, table(stopped)], ignore_index=True)))
    assert "s9" not in [row.cell for row in found.networks]
    assert found.left_out == "1 network that had been stopped early is left out."


def test_settings_are_shared_or_of_each() -> None:
    settings = {"a1": {"model.width": "8", "loss.name": "dice"}, "b2": {"model.width": "16", "loss.name": "dice"}}
    found = _record(study(), settings=settings)
    assert found.settings.shared == {"loss.name": "dice"}
    by_cell = dict(zip([row.cell for row in found.networks], found.settings.varied["model.width"], strict=True))
    assert (by_cell["a1"], by_cell["b2"], by_cell["c3"]) == ("8", "16", "")


def test_single_cases_are_means_over_seeds_and_of_too_many_those_of_the_best() -> None:
    values = np.array([[0.5, np.nan], [0.7, np.nan]])
    scores = {
        cell: CellScores(cell, cell, "unet", "slices", False, (0, 1), ("x", "y"), values) for cell in ("a1", "b2")
    }
    found = _record(study(), scores=scores).tested
    assert found.units == ("x", "y")
    assert found.scores[0] == pytest.approx((0.6, math.nan), nan_ok=True)
    many_units = tuple(map(str, range(100_000)))
    wide = np.full((1, 100_000), 0.5)
    scores = {c: CellScores(c, c, "unet", "slices", False, (0,), many_units, wide) for c in ("a1", "b2", "c3", "d4")}
    best = _record(study(), scores=scores)
    assert [best.networks[at].cell for at in best.tested.networks] == ["c3", "b2", "a1"]


def test_json_holds_names_as_they_are_and_no_character_that_acts() -> None:
    frames = many(10, 1)
    text = json_of([_record(frames)])
    assert not set("<>&") & set(text)
    (found,) = json.loads(text)
    kernels = next(one for one in found["factors"] if one["name"] == "kernels")
    assert {MARKUP, LONG} <= set(kernels["levels"])
    assert found["quantities"][0]["values"][0] == max(_of(_record(frames), "dice")[:10])
    assert document(_record(frames))["trivial"] == 3
