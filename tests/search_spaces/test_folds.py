"""Folds are planned like seeds, of one cell; which are trained can be chosen, and a fixed split is the data set's."""

import dataclasses

import numpy as np
import pytest

from ablate.data.dataset import Dataset
from ablate.errors import InputError
from ablate.part import DataPart
from ablate.search_spaces import plan as planning
from ablate.search_spaces.plan import Plan, make_plan
from ablate.search_spaces.profiles import PROFILES
from ablate.search_spaces.space import Space

NAMES = tuple(map(str, range(30)))


def independent(data: DataPart) -> Dataset:
    return Dataset(data.but(fingerprint="print"), NAMES, NAMES, np.empty(0), np.empty(0))


def fixed(data: DataPart) -> Dataset:
    return dataclasses.replace(independent(data), fixed=("train",) * 20 + ("test",) * 10)


def space(**fields: object) -> Space:
    base = {"model": {"name": "unet", "stages": 2}, "data": {"name": "folder"}} | fields.pop("base", {})
    factors = fields.pop("factors", {"model.width": [4, 8]})
    return Space.model_validate(
        {"name": "s", "question": "?", "design": "grid", "base": base, "factors": factors} | fields
    )


def plan(given: Space, dataset_of=independent, profile: str = "quick", **options: object) -> Plan:
    return make_plan(given, PROFILES[profile], dataset_of=dataset_of, **options)


def folds_of(found: Plan) -> list[tuple[int, int | None]]:
    return sorted({(trial.config.seed, trial.config.fold) for trial in found.trials}, key=str)


FIVE = [(0, fold) for fold in range(5)]


@pytest.mark.parametrize(
    ("given", "options"),
    [
        (space(), {"folds": 5}),
        (space(folds=5), {}),
        (space(folds=4), {"folds": 5}),
        (space(base={"protocol": {"split": {"method": "kfold"}}}), {}),
        (space(), {"overrides": {"protocol.split.method": "kfold", "protocol.split.folds": 5}}),
        (space(base={"protocol.split.method": "fractions"}), {"folds": 5}),
        (space(), {"folds": 5, "profile": "paper"}),
    ],
)
def test_every_fold_of_a_configuration_is_planned_as_one_cell(given, options):
    found = plan(given, **options)
    assert folds_of(found) == FIVE
    assert len(found.trials) == len({trial.key for trial in found.trials}) == 10
    assert len({trial.config.cell for trial in found.trials}) == 2


def test_seeds_and_folds_multiply_and_either_can_grow():
    few = plan(space(), folds=5, fold=(0, 3))
    assert folds_of(few) == [(0, 0), (0, 3)]
    all_of_one_seed, more = plan(space(), folds=5), plan(space(), folds=5, seeds=3)
    keys = [{trial.key for trial in found.trials} for found in (few, all_of_one_seed, more)]
    assert keys[0] < keys[1] < keys[2]
    assert [len(found) for found in keys] == [4, 10, 30]
    assert len({trial.config.cell for trial in more.trials}) == 2


def test_a_fold_that_is_named_is_the_only_one_and_keeps_its_key():
    named = plan(space(), overrides={"protocol.split.method": "kfold", "protocol.split.fold": 2})
    assert folds_of(named) == [(0, 2)]
    assert {trial.key for trial in named.trials} < {trial.key for trial in plan(space(), folds=5).trials}


def test_the_command_line_goes_over_the_space_but_not_over_itself():
    assert folds_of(plan(space(folds=5), overrides={"protocol.split.method": "fractions"})) == [(0, None)]
    with pytest.raises(InputError, match=r"--folds 5: --set protocol.split.folds is 4; leave one of them out"):
        plan(space(), folds=5, overrides={"protocol.split.folds": 4})


@pytest.mark.parametrize(
    ("given", "options", "what"),
    [
        (space(), {"fold": (1,)}, r"--fold 1: protocol.split.method is fractions, which has no folds; give --folds"),
        (space(), {"folds": 5, "fold": (5,)}, r"--fold 5: there are 5 folds, counted from 0"),
        (space(folds=5), {"fold": (1,), "overrides": {"protocol.split.fold": 2}}, "is 2 already"),
        (space(factors={"protocol.split.fold": [0, 1]}), {"folds": 5}, r"one cell.*give folds: 5 instead"),
        (space(factors={"part": {"a": {"protocol": {"split": {"fold": 1}}}}}), {}, r"factor part .* one cell"),
        (space(factors={"protocol.split.method": ["kfold", "paper"]}), {"folds": 5}, "varies"),
        (space(), {"folds": 31}, "too few images for the split: 30 images"),
    ],
)
def test_folds_that_cannot_be_are_one_line(given, options, what):
    with pytest.raises(InputError, match=what) as caught:
        plan(given, **options)
    assert "\n" not in str(caught.value)


def test_the_number_of_trials_is_bounded_with_folds(monkeypatch):
    monkeypatch.setattr(planning, "MOST_TRIALS", 19)
    with pytest.raises(InputError, match="2 configurations, with 2 seeds and its folds at least 20 trials: at most 19"):
        plan(space(), seeds=2, folds=5)


def methods(found: Plan) -> set[str]:
    return {trial.config.protocol.split.method for trial in found.trials}


def test_a_split_that_the_data_set_fixes_is_the_one_unless_something_else_is_said():
    assert methods(plan(space(), fixed)) == {"fixed"}
    assert methods(plan(space())) == {"fractions"}
    assert methods(plan(space(), fixed, "paper")) == {"paper"}
    found = plan(space(base={"protocol.split.method": "fractions"}), fixed)
    assert methods(found) == {"fractions"}
    assert any("the split that folder fixes (data.parts) is not used" in note for note in found.notes)
    assert methods(plan(space(), fixed, folds=3)) == {"kfold"}
    assert not any("is not used" in note for note in plan(space(), fixed).notes)


def test_a_fixed_split_has_one_canonical_form_whatever_the_profile_says_of_others():
    (one,) = {trial.config.protocol.split for trial in plan(space(), fixed).trials}
    said = space(base={"protocol": {"split": {"method": "fixed", "test": 0.4, "folds": 7}}})
    assert {trial.config.protocol.split for trial in plan(said, fixed).trials} == {one}
