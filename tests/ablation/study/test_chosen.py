"""Which trials are meant by a part of a key, by `best`, and by a cell."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_studies import Trained, packed, run_of, trained, trivial

from ablate.data.load import load_data
from ablate.data.settings import Phantom
from ablate.errors import InputError
from ablate.study.chosen import best_trial, trial_called, trials_of_cell
from ablate.study.study import Study


@pytest.fixture(scope="module")
def three() -> list[Trained]:
    """Three seeds of one network, and the trivial predictors."""
    one = trained()
    return [one, *(trained(one.dataset, seed=seed) for seed in (1, 2)), *trivial(one)]


def study_of(path: Path, scores: list[tuple[Trained, float]], *spaces: list[Trained], **states: str) -> Study:
    """`spaces`: the trials of each, in their order; all trials by default."""
    study = Study.open_or_new(path)
    with study.writing():
        for number, space in enumerate(spaces or [[one for one, _ in scores]]):
            study.plan(run_of(*(one.trial for one in space), space=f"space{number}"), threads=1, data_dir=None)
        for one, score in scores:
            changes = {"val_dice": score} if one.result.epochs else {}
            state = {"state": states[f"seed_{one.trial.seed}"]} if f"seed_{one.trial.seed}" in states else {}
            study.accept(one.trial.key, packed(one, **changes, **state))
    return study


def test_the_best_is_of_the_highest_validation_dice_and_no_trivial_one(three, tmp_path):
    a, b, c, *bars = three
    study = study_of(tmp_path / "s", [(a, 0.3), (b, 0.7), (c, 0.5), *((bar, 0.0) for bar in bars)])
    assert best_trial(study) == trial_called(study, "best") == b.trial.key


def test_equal_scores_are_decided_by_the_key(three, tmp_path):
    a, b, c, *_ = three
    study = study_of(tmp_path / "s", [(c, 0.5), (b, 0.5), (a, 0.5)])
    assert best_trial(study) == min(one.trial.key for one in (a, b, c))


def test_only_the_latest_space_and_complete_trials_count(three, tmp_path):
    a, b, c, *_ = three
    study = study_of(tmp_path / "s", [(a, 0.9), (b, 0.7), (c, 0.8)], [a, b, c], [b, c], seed_2="stopped")
    assert best_trial(study) == b.trial.key


def test_a_study_without_a_complete_trial_has_no_best(three, tmp_path):
    a, *_ = three
    study = study_of(tmp_path / "s", [(a, 0.9)], seed_0="failed")
    with pytest.raises(InputError, match="has no complete trial of its latest space, space0: give a KEY"):
        best_trial(study)
    with pytest.raises(InputError, match=f"cell {a.trial.cell} has no complete trial"):
        trials_of_cell(study, a.trial.cell)


def test_scores_on_several_data_sets_have_no_best(three, tmp_path):
    other = trained(load_data(Phantom(size=(16, 16), count=10, seed=1)))
    study = study_of(tmp_path / "s", [(three[0], 0.9), (other, 0.7)])
    with pytest.raises(InputError, match="of several data sets, whose scores have no best: give a KEY"):
        best_trial(study)


def test_the_beginning_of_a_key_stands_for_it(three, tmp_path):
    a, b, *_ = three
    study = study_of(tmp_path / "s", [(a, 0.9), (b, 0.7)])
    for length in (4, 6, 12):
        assert trial_called(study, a.trial.key[:length]) == a.trial.key
    with pytest.raises(InputError, match=rf"key '{a.trial.key[:3]}': give at least 4 characters of {a.trial.key}"):
        trial_called(study, a.trial.key[:3])
    for wrong in ("", "zzzz", a.trial.key + "0", a.trial.key[1:], "BEST"):
        with pytest.raises(InputError, match="unknown trial"):
            trial_called(study, wrong)


def test_a_beginning_that_several_have_is_none(monkeypatch, three, tmp_path):
    study = study_of(tmp_path / "s", [(three[0], 0.9)])
    monkeypatch.setattr(study, "records", lambda: dict.fromkeys(["abcd00000000", "abcd11111111", "abcd1111111f"]))
    assert trial_called(study, "abcd11111111") == "abcd11111111"
    with pytest.raises(InputError, match="key 'abcd1' begins abcd11111111, abcd1111111f: give more of it"):
        trial_called(study, "abcd1")


def test_a_cell_is_its_complete_trials(three, tmp_path):
    a, b, c, *bars = three
    study = study_of(tmp_path / "s", [(a, 0.3), (b, 0.7), (c, 0.5), *((bar, 0.0) for bar in bars)], seed_1="stopped")
    expected = sorted(one.trial.key for one in (a, c))
    assert trials_of_cell(study, a.trial.cell) == trials_of_cell(study, a.trial.cell[:4]) == expected
    with pytest.raises(InputError, match="unknown cell 'zzzz'"):
        trials_of_cell(study, "zzzz")
