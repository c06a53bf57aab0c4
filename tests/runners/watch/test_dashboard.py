"""`ablate dashboard`: every trial of a study with its predictions, to this machine only; nothing can be changed."""

from __future__ import annotations

import json
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

import optuna
import pytest

from ablate.data.load import load_data
from ablate.data.settings import Phantom
from ablate.errors import InputError
from ablate.models.settings import UNet
from ablate.runners.watch.dashboard import Mirror, serve
from ablate.study.records import Record
from ablate.study.runs import Run
from ablate.study.study import Study
from ablate.study.trial_folder import pack
from ablate.training.loop import judge_trivial
from ablate.trial import Protocol, TrialConfig

STATES = ("complete", "complete", "stopped", "failed")


def record(trial: TrialConfig, state: str) -> Record:
    dice = None if state == "failed" else 0.5 + trial.seed / 20
    return Record(
        key=trial.key, cell=trial.cell, model=trial.model.name, seed=trial.seed, state=state, params=10, macs=20,
        val_dice=dice, error="it diverged" if state == "failed" else None,
    )  # fmt: skip


@pytest.fixture(scope="module")
def dataset():
    return load_data(Phantom(size=(16, 16), count=10))


@pytest.fixture
def made(tmp_path, dataset) -> Study:
    trials = [
        TrialConfig(model=UNet(width=4 * 2**at), data=dataset.config, protocol=Protocol(epochs=1), seed=at)
        for at in range(len(STATES))
    ]
    study = Study.open_or_new(tmp_path / "study")
    levels = {trial.key: {"model.width": str(trial.model.width)} for trial in trials}
    run = Run(space="s", question="?", profile="quick", design="tpe", factors={}, definition={}, trials=levels)
    with study.writing():
        study.plan(run, threads=1, data_dir=None)
        for trial, state in zip(trials, STATES, strict=True):
            result = judge_trivial(trial.trivial()[0], dataset) if state == "complete" else None
            study.accept(trial.key, pack(trial, record(trial, state), [], result))
    return study


def mirrored(mirror: Mirror) -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(study_name=None, storage=mirror.storage).trials


def test_every_trial_is_there_with_its_levels_values_and_predictions(made):
    mirror = Mirror(made.path)
    trials = {trial.user_attrs["trial"]: trial for trial in mirrored(mirror)}
    assert set(trials) == set(made.records())
    for key, known in made.records().items():
        trial = trials[key]
        state = {"complete": "COMPLETE", "stopped": "PRUNED", "failed": "FAIL"}[known.state]
        assert trial.state.name == state
        assert trial.params == {"model.width": float(made.manifest.runs[0].trials[key]["model.width"])}
        pictures = optuna.artifacts.get_all_artifact_meta(trial, storage=mirror.storage)
        samples = sorted((made.trial_dir(key) / "samples").glob("*.png"))
        assert [picture.filename for picture in pictures] == [sample.name for sample in samples]
        for picture, sample in zip(pictures, samples, strict=True):
            with mirror.pictures.open_reader(picture.artifact_id) as file:
                assert file.read() == sample.read_bytes()
        if known.state == "complete":
            assert pictures
            assert trial.values == [known.val_dice, known.params, known.macs]


def test_what_is_done_in_the_page_does_not_reach_the_study(made):
    files = {file: file.read_bytes() for file in made.path.rglob("*") if file.is_file()}
    mirror = Mirror(made.path)
    for name in [study.study_name for study in mirror.storage.get_all_studies()]:
        optuna.delete_study(study_name=name, storage=mirror.storage)
    assert {file: file.read_bytes() for file in made.path.rglob("*") if file.is_file()} == files


def test_trials_that_end_meanwhile_are_added(made, dataset):
    mirror = Mirror(made.path)
    fresh = TrialConfig(model=UNet(width=4), data=dataset.config, protocol=Protocol(epochs=1), seed=9)
    with made.writing():
        made.accept(fresh.key, pack(fresh, record(fresh, "stopped"), [], None))
    mirror.refresh()
    mirror.refresh()
    assert len(mirrored(mirror)) == mirror.trials == len(STATES) + 1


def asked(address: str, host: str | None = None) -> bytes:
    request = urllib.request.Request(address, headers={"Host": host} if host else {})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read()


def test_it_is_served_to_this_machine_only(made):
    mirror = Mirror(made.path)
    addresses: list[str] = []
    ready = threading.Event()

    def tell(address: str) -> None:
        addresses.append(address)
        ready.set()

    threading.Thread(target=serve, args=(mirror, 0, tell), daemon=True).start()
    assert ready.wait(30)
    [address] = addresses
    assert address.startswith("http://127.0.0.1:")
    shown = json.loads(asked(f"{address}api/studies/0"))
    assert len(shown["trials"]) == len(STATES)
    with pytest.raises(urllib.error.HTTPError, match="403"):
        asked(f"{address}api/studies/0", host="elsewhere.example")
    with pytest.raises(InputError, match=r"--port .*: Address already in use; give another, or 0 for any"):
        serve(mirror, int(address.rsplit(":", 1)[1].rstrip("/")), tell)


def test_without_the_extra_it_says_how_to_install_it(made, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    with pytest.raises(InputError, match=r"pip install -c constraints.txt '.\[dashboard\]'"):
        serve(Mirror(made.path), 0, print)


def test_a_directory_that_is_no_study_is_said(tmp_path: Path):
    with pytest.raises(InputError, match="is not a study"):
        Mirror(tmp_path)
