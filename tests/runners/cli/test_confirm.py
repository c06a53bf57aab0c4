"""`ablate confirm`: which trials it adds to a study, and that running it again adds none."""

from __future__ import annotations

from pathlib import Path

import pytest

from ablate.analysis.confirmation import searched_and_fresh
from ablate.data.load import load_data
from ablate.data.settings import Phantom
from ablate.errors import InputError
from ablate.models.settings import UNet
from ablate.runners.cli.confirm import _round
from ablate.study.records import Record
from ablate.study.runs import Run
from ablate.study.study import Study
from ablate.study.trial_folder import pack
from ablate.study.where_data_are import data_of
from ablate.training.loop import judge_trivial
from ablate.trial import Protocol, TrialConfig

DICE = {4: 0.6, 8: 0.8, 16: 0.79}


def accept(study: Study, trial: TrialConfig, dice: float) -> None:
    width = trial.model.width
    record = Record(
        key=trial.key, cell=trial.cell, model="unet", seed=trial.seed, state="complete", params=width, macs=width,
        val_dice=dice, epochs=1, best_epoch=1,
    )  # fmt: skip
    study.accept(trial.key, pack(trial, record, [], judge_trivial(trial.trivial()[0], load_data(trial.data))))


@pytest.fixture
def searched(tmp_path: Path) -> Study:
    data = load_data(Phantom(size=(16, 16), count=10)).config
    trials = [TrialConfig(model=UNet(width=w), data=data, protocol=Protocol(epochs=1), seed=2) for w in DICE]
    study = Study.open_or_new(tmp_path / "study")
    levels = {trial.key: {"model.width": str(trial.model.width)} for trial in trials}
    factors = {"model.width": ["4", "8", "16"]}
    run = Run(space="s", question="?", profile="quick", design="search", factors=factors, definition={}, trials=levels)
    with study.writing():
        study.plan(run, threads=1, data_dir=None)
        for trial in trials:
            accept(study, trial, DICE[trial.model.width])
    return study


def test_the_front_and_its_rivals_get_seeds_that_the_search_did_not_use(searched):
    found = _round(searched, seeds=3, rivals=1)
    widths = [trial.config.model.width for trial in found.trials]
    assert sorted(widths) == [4, 4, 4, 8, 8, 8, 16, 16, 16]
    assert {trial.config.seed for trial in found.trials} == {3, 4, 5}
    assert all(trial.levels == {"model.width": str(trial.config.model.width)} for trial in found.trials)
    assert {t.config.model.width for t in _round(searched, seeds=3, rivals=0).trials} == {4, 8}


def test_running_it_again_adds_only_what_is_new(searched):
    first = _round(searched, seeds=2, rivals=0)
    with searched.writing():
        searched.plan(first.run, threads=1, data_dir=None)
        for trial in first.trials:
            # Fresh seeds that turn the order round must not change which networks are confirmed.
            accept(searched, trial.config, 0.9 if trial.config.model.width == 4 else 0.1)
    assert [t.key for t in _round(searched, seeds=2, rivals=0).trials] == [t.key for t in first.trials]
    more = _round(searched, seeds=3, rivals=0)
    assert {t.key for t in more.trials} > {t.key for t in first.trials}
    before, fresh = searched_and_fresh(searched.manifest.runs)
    assert len(before) == 3
    assert set(fresh) == {t.key for t in first.trials}


def test_other_images_than_the_searchs_are_refused(searched):
    dataset_of = data_of(searched)
    data = searched.config(next(iter(searched.records()))).data
    assert dataset_of(data).config.fingerprint == data.fingerprint
    with pytest.raises(InputError, match="the images of phantom are not those of the study"):
        dataset_of(data.but(fingerprint="other"))
