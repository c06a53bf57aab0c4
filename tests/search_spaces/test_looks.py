"""The look that a plan takes at its data: doubts said once, errors for their own levels alone; a study keeps both."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ablate.data.dataset import Dataset, assemble
from ablate.data.source import Sample
from ablate.errors import InputError
from ablate.part import DataPart
from ablate.search_spaces.plan import Plan, Planner, make_plan, run_of
from ablate.search_spaces.profiles import PROFILES
from ablate.search_spaces.space import Space
from ablate.study.runs import Run


def dataset_of(config: DataPart) -> Dataset:
    """Twenty images; of seed 1 no mask has foreground, of seed 2 those of the last five have none."""
    rng = np.random.default_rng(0)
    samples = []
    for i in range(20):
        mask = np.zeros((16, 16), np.uint8)
        mask[4:9, 5 : 9 + i % 4] = not (config.seed == 1 or (config.seed == 2 and i >= 15))
        samples.append(Sample(f"{i}", f"{i}", rng.normal(0, 1, (16, 16)).round(3).astype(np.float32), mask))
    return assemble(samples, config.but(fingerprint=""))


def space(factors: dict[str, Any]) -> Space:
    base = {"model": {"name": "unet", "stages": 2, "width": 4}, "data": {"name": "phantom", "size": [16, 16]}}
    split = {"protocol.split.shuffle": False}
    return Space(name="s", question="?", design="grid", base=base | split, factors=factors)


def plan(factors: dict[str, Any], **options: Any) -> Plan:
    return make_plan(space(factors), PROFILES["quick"], dataset_of=dataset_of, **options)


def test_doubts_are_said_once_however_many_trials_there_are() -> None:
    found = plan({"model.width": [4, 8], "data.seed": [2]}, seeds=3)
    assert len(found.trials) == 6
    assert sum("no test image has foreground" in note for note in found.notes) == 1
    assert all(note.startswith("phantom: ") for note in found.notes)


def test_a_level_that_nothing_can_be_learnt_on_is_rejected_and_not_the_others() -> None:
    found = plan({"data.seed": [0, 1]})
    assert [trial.levels["data.seed"] for trial in found.trials] == ["0"]
    assert "no mask of 20 has any foreground" in found.rejected[0].reason
    assert found.notes == []
    with pytest.raises(InputError, match="no mask of 20 has any foreground"):
        plan({"data.seed": [1]})


def test_doubts_of_folds_are_said_once_with_how_many_have_them() -> None:
    found = plan({"data.seed": [2]}, folds=4)
    [note] = [note for note in found.notes if "no validation image has foreground" in note]
    [other] = [note for note in found.notes if "no test image has foreground" in note]
    assert "splits)" not in note + other  # each in one fold of four: the five empty ones select once and judge once


def test_a_search_hears_the_doubts_before_it_proposes_anything() -> None:
    planner = Planner(
        space({"model.width": [4, 8]}), PROFILES["quick"], dataset_of=dataset_of, overrides={"data.seed": 2}
    )
    planner.base()
    assert any("no test image has foreground" in note for note in planner.notes())


def test_a_study_keeps_what_was_seen_at_each_size() -> None:
    found = plan({"data.size": [[8, 8], [16, 16]], "data.seed": [2]})
    run = run_of(space({"data.seed": [2]}), "quick", found.trials, "grid", found.looks)
    [record] = run.data.values()
    assert [look["size"] for look in record.facts["looks"]] == [[8, 8], [16, 16]]
    assert record.facts["looks"][0]["parts"]["test"]["empty"] == 4
    assert sum("no test image" in doubt for doubt in record.doubts) == 1
    assert Run.model_validate_json(run.model_dump_json()).data == run.data
