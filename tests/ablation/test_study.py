"""The study directory: what is in it stays in it, and what a kill left half done is completed."""

import json
import multiprocessing
import shutil
from pathlib import Path

import pytest
import torch

from ablation.config import Phantom, Protocol, TrialConfig, UNet
from ablation.data import load_data, split
from ablation.errors import InputError
from ablation.study import Record, Run, Study, write_trial
from ablation.training import train


@pytest.fixture(scope="module")
def trained():
    """A trial's configuration, data set and result."""
    dataset = load_data(Phantom(size=(16, 16), count=10))
    trial = TrialConfig(model=UNet(width=4, stages=2), data=dataset.config, protocol=Protocol(epochs=2))
    return trial, dataset, train(trial, dataset, device=torch.device("cpu"))


def record_of(trial: TrialConfig, **changes: object) -> Record:
    fields = {"key": trial.key, "cell": trial.cell, "model": trial.model.name, "seed": trial.seed, "state": "complete"}
    return Record(**({**fields, "params": 10, "macs": 20, "epochs": 2, "best_epoch": 1, "val_dice": 0.5} | changes))


def run_of(*trials: TrialConfig, space: str = "widths") -> Run:
    keys = {trial.key: {"seed": str(trial.seed)} for trial in trials}
    return Run(
        space=space, question="?", profile="quick", design="grid", factors={"seed": []}, definition={}, trials=keys
    )


def put(study: Study, trained, **changes: object) -> None:
    trial, _, result = trained
    write_trial(study.arrivals, trial, record_of(trial, **changes), result.epochs, result)


def test_a_trial_comes_back_as_it_went_in(tmp_path, trained):
    trial, dataset, result = trained
    study = Study.open_or_new(tmp_path / "study")
    with study.writing():
        study.plan(run_of(trial), threads=2, data_dir=None)
        study.keep_pictures(trial, dataset, split(dataset.groups, trial.protocol.split).test)
        put(study, trained)
        study.accept(trial.key)
    again = Study.open(tmp_path / "study")
    assert again.records() == {trial.key: record_of(trial)}
    assert again.config(trial.key) == trial
    assert again.config(trial.key).key == trial.key
    assert again.manifest.threads == 2
    images = again.table(trial.key, "images")
    assert list(images.columns) == ["key", "image", "class", "tp", "fp", "fn", "tn"]
    assert images[["tp", "fp", "fn", "tn"]].to_numpy().reshape(result.counts.shape).tolist() == result.counts.tolist()
    assert (images[["tp", "fp", "fn", "tn"]].sum(axis=1) == 256).all()
    assert again.table(trial.key, "epochs")["val_dice"].tolist() == [epoch.val_dice for epoch in result.epochs]
    for image in result.ids:
        assert (again.trial_dir(trial.key) / "samples" / f"{image}.png").exists()
        assert (again.pictures_dir(trial) / f"{image}_mask.png").exists()


def test_optunas_own_tools_read_the_trial_table(tmp_path, trained):
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    trial = trained[0]
    study = Study.open_or_new(tmp_path)
    with study.writing():
        study.plan(run_of(trial), threads=1, data_dir=None)
        put(study, trained)
        study.accept(trial.key)
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "optuna.journal")))
    found = optuna.load_study(study_name=None, storage=storage)
    assert found.best_trials[0].values == [0.5, 10, 20]
    assert found.best_trials[0].params == {"widths.seed": "0"}


@pytest.mark.parametrize("moment", ["before the rename", "before the journal", "while journalling"])
def test_what_a_kill_left_half_done_is_completed(tmp_path, trained, moment):
    trial = trained[0]
    study = Study.open_or_new(tmp_path)
    with study.writing():
        study.plan(run_of(trial), threads=1, data_dir=None)
        put(study, trained)
        if moment != "before the rename":
            study.trial_dir(trial.key).parent.mkdir()
            (study.arrivals / trial.key).rename(study.trial_dir(trial.key))
        if moment == "while journalling":
            study._journal(trial.key)
            journal = tmp_path / "optuna.journal"
            journal.write_bytes(journal.read_bytes()[:-20])
            (tmp_path / "optuna.journal.lock").symlink_to(journal)
    again = Study.open(tmp_path)
    with again.writing():
        assert again.records() == {trial.key: record_of(trial)}
    assert Study.open(tmp_path).records() == {trial.key: record_of(trial)}
    assert not (study.arrivals / trial.key).exists()


def test_a_folder_that_was_being_written_is_not_taken(tmp_path, trained):
    trial = trained[0]
    study = Study.open_or_new(tmp_path)
    with study.writing():
        study.plan(run_of(trial), threads=1, data_dir=None)
        put(study, trained)
        (study.arrivals / trial.key).rename(study.arrivals / f"{trial.key}.partial")
    with study.writing():
        assert study.records() == {}
    assert list(study.arrivals.iterdir()) == []


def test_a_trial_tried_again_replaces_its_failure(tmp_path, trained):
    trial = trained[0]
    study = Study.open_or_new(tmp_path)
    with study.writing():
        study.plan(run_of(trial), threads=1, data_dir=None)
        put(study, trained, state="failed", error="diverged", val_dice=None)
        study.accept(trial.key)
        assert study.records()[trial.key].error == "diverged"
        put(study, trained)
        study.accept(trial.key)
    assert Study.open(tmp_path).records()[trial.key].state == "complete"


def test_planning_again_adds_and_never_drops(tmp_path, trained):
    first, second = trained[0], trained[0].model_copy(update={"seed": 1})
    study = Study.open_or_new(tmp_path)
    with study.writing():
        study.plan(run_of(first), threads=1, data_dir=None)
        study.plan(run_of(second), threads=1, data_dir=None)
        study.plan(run_of(second, space="other"), threads=1, data_dir=None)
    assert Study.open(tmp_path).manifest.planned() == {
        first.key: {"widths.seed": "0"},
        second.key: {"widths.seed": "1", "other.seed": "1"},
    }


def _hold(path: Path, held, release) -> None:
    with Study.open_or_new(path).writing():
        held.set()
        release.wait(30)


def test_a_second_writer_is_told_who_holds_the_study(tmp_path):
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(tmp_path, held, release))
    holder.start()
    assert held.wait(30)
    study = Study.open_or_new(tmp_path)
    assert study.is_being_written()
    with pytest.raises(InputError, match=f"in use by process {holder.pid} on "), study.writing():
        pass
    holder.kill()
    holder.join()
    with study.writing():
        pass
    assert not study.is_being_written()


def test_opening_what_is_no_study(tmp_path):
    with pytest.raises(InputError, match=r"is not a study \(it has no study.yaml\)"):
        Study.open(tmp_path / "nowhere")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="neither a study nor an empty directory"):
        Study.open_or_new(tmp_path)
    with (
        pytest.raises(InputError, match="cannot be written"),
        Study(tmp_path / "file", Study.open_or_new(tmp_path / "new").manifest).writing(),
    ):
        pass
    (tmp_path / "study.yaml").write_text("schema_version: [")
    with pytest.raises(InputError, match="cannot be read"):
        Study.open(tmp_path)
    (tmp_path / "study.yaml").write_text("schema_version: 1\nsurprise: 2\n")
    with pytest.raises(InputError, match="no field 'surprise'"):
        Study.open(tmp_path)


def test_a_study_of_a_newer_schema_is_left_alone(tmp_path):
    content = json.dumps({"schema_version": 99})
    (tmp_path / "study.yaml").write_text(content)
    with pytest.raises(InputError, match="schema 99, this ablate knows 1: install a newer ablate"):
        Study.open(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["study.yaml"]
    assert (tmp_path / "study.yaml").read_text() == content


def test_an_unknown_key_names_the_nearest(tmp_path, trained):
    trial = trained[0]
    study = Study.open_or_new(tmp_path)
    with study.writing():
        study.plan(run_of(trial), threads=1, data_dir=None)
        put(study, trained)
        study.accept(trial.key)
    with pytest.raises(InputError, match=f"did you mean '{trial.key}'"):
        study.config(trial.key[:-1] + "x")
    shutil.rmtree(tmp_path / "trials")
