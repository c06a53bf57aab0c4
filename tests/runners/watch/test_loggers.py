"""Other trackers see each epoch of each trial once, in words; one that fails stops nothing.

TensorBoard's files are real, and so is Ray's callback of each tracker. MLflow and W&B are stand-ins here, as their
packages are not installed by default; with the packages themselves this was tried by hand (docs/studies.md).
"""

from __future__ import annotations

import json
import re
import struct
import sys
import types
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from commands import SPACE, ablate

from ablate.data.settings import Phantom
from ablate.errors import InputError
from ablate.models.settings import UNet
from ablate.runners.execution.queue import suggestion
from ablate.runners.watch import loggers
from ablate.runners.watch.loggers import check_logger, make_logger, parameters, run_name
from ablate.search_spaces.plan import Planned
from ablate.study.runs import Run
from ablate.study.study import Study
from ablate.training.checkpoint import Epoch
from ablate.trial import Protocol, TrialConfig

EPOCHS = [Epoch(n, 1 / n, 1 / n, 0.1 * n, 0.05 * n, 0.1 * n, 2.0, 10.0) for n in (1, 2, 3, 4)]
METRICS = set(Epoch._fields) - {"epoch"}


def planned(seed: int = 0) -> Planned:
    config = TrialConfig(model=UNet(width=8), data=Phantom(), protocol=Protocol(epochs=4), seed=seed)
    return Planned(config, {"model.width": "8", "sizes & more": "3/5"}, params=100, macs=200)


@pytest.fixture
def study(tmp_path) -> Study:
    run = Run(space="widths", question="?", profile="quick", design="grid", factors={}, definition={}, trials={})
    study = Study.open_or_new(tmp_path / "study")
    with study.writing():
        study.plan(run, threads=1, data_dir=None)
    return study


def drive(name: str, study: Study, epochs: list[Epoch], *, killed: bool = False, deaths: int = 0) -> list[str]:
    """One run's life of one trial, as Ray Tune and `run_trial` tell it; what the tracker's failure made it say."""
    said: list[str] = []
    logger = make_logger(name, study, said.append)
    trial: Any = SimpleNamespace(config=suggestion(planned()))
    logger.setup(stop=None, num_samples=1, total_num_samples=1)
    for _ in range(deaths + 1):  # a trial whose process died reports its epochs again
        logger.on_trial_start(1, [trial], trial)
        for epoch in epochs:
            logger.on_trial_result(1, [trial], trial, {**epoch._asdict(), "ended": False, "said": "on vm", "pid": 7})
    if not killed:
        logger.on_trial_result(1, [trial], trial, {"ended": True, "said": "", "pid": 7})
        logger.on_trial_complete(1, [trial], trial)
        logger.on_experiment_end([trial])
    return said


# TensorBoard ---------------------------------------------------------------------------------------------------------


def events(folder: Path) -> tuple[pd.DataFrame, bytes]:
    """The scalars of the event files under `folder` (run, step, tag, value), and the hyperparameters as they are."""
    from tensorboardX.proto import event_pb2

    rows, hyperparameters = [], b""
    for file in sorted(folder.rglob("events.out.tfevents.*")):
        content, at = file.read_bytes(), 0
        while at < len(content):  # a TFRecord: its length (8 bytes), a checksum (4), the event, a checksum (4)
            (length,) = struct.unpack_from("<Q", content, at)
            event = event_pb2.Event()
            event.ParseFromString(content[at + 12 : at + 12 + length])
            at += length + 16
            for value in event.summary.value:
                if value.HasField("simple_value"):
                    tag = value.tag.removeprefix("ray/tune/")
                    rows.append((file.parent.name, event.step, tag, value.simple_value))
                else:
                    hyperparameters += value.metadata.plugin_data.content
    return pd.DataFrame(rows, columns=["run", "step", "tag", "value"]), hyperparameters


@pytest.mark.parametrize("deaths", [0, 2])
def test_a_trial_that_goes_on_after_a_kill_is_in_tensorboard_once(study, deaths):
    assert drive("tensorboard", study, EPOCHS[:2], killed=True) == []
    assert drive("tensorboard", study, EPOCHS, deaths=deaths) == []
    scalars, hyperparameters = events(study.path / "tensorboard")
    assert set(scalars["tag"]) == METRICS
    loss = scalars[scalars["tag"] == "val_loss"]
    assert loss["step"].tolist() == [1, 2, 3, 4]
    assert loss["value"].tolist() == pytest.approx([1, 1 / 2, 1 / 3, 1 / 4])
    (name,) = set(scalars["run"])
    assert re.fullmatch(r"[\w.=+-]+", name)
    assert "model.width=8" in name
    assert name.endswith(planned().key)
    assert b"level.model.width" in hyperparameters


# MLflow --------------------------------------------------------------------------------------------------------------


class FakeMLflow(types.ModuleType):
    """As much of MLflow as Ray's callback and ours call, with one experiment after another in memory."""

    __version__ = "3.0"

    def __init__(self) -> None:
        super().__init__("mlflow")
        self.experiments: dict[str, str] = {}
        self.runs: list[SimpleNamespace] = []
        self.uri = ""
        self.MlflowClient = lambda *arguments, **options: self  # it is its own client

    def set_tracking_uri(self, uri: str) -> None:
        self.uri = uri

    def set_registry_uri(self, uri: str | None) -> None: ...

    def get_tracking_uri(self) -> str:
        return self.uri

    def get_registry_uri(self) -> None: ...

    def active_run(self) -> None: ...

    def get_experiment_by_name(self, name: str) -> SimpleNamespace | None:
        return SimpleNamespace(experiment_id=self.experiments[name]) if name in self.experiments else None

    def create_experiment(self, name: str, artifact_location: str | None = None) -> str:
        return self.experiments.setdefault(name, str(len(self.experiments)))

    def create_run(self, experiment_id: str, run_name: str, tags: dict[str, str]) -> SimpleNamespace:
        info = SimpleNamespace(run_id=str(len(self.runs)), run_name=run_name, status="RUNNING")
        data = SimpleNamespace(params={}, metrics={}, tags=tags)
        self.runs.append(SimpleNamespace(info=info, data=data, history=[], experiment_id=experiment_id))
        return self.runs[-1]

    def get_run(self, run_id: str) -> SimpleNamespace:
        return self.runs[int(run_id)]

    def log_param(self, run_id: str, key: str, value: Any) -> None:
        assert self.get_run(run_id).data.params.setdefault(key, value) == value, "a parameter cannot change"

    def log_metric(self, run_id: str, key: str, value: float, step: int) -> None:
        self.get_run(run_id).data.metrics[key] = value
        self.get_run(run_id).history.append((step, key, value))

    def set_terminated(self, run_id: str, status: str) -> None:
        self.update_run(run_id, status)

    def update_run(self, run_id: str, status: str) -> None:
        self.get_run(run_id).info.status = status

    def search_runs(self, experiments: list[str], filter_string: str, max_results: int) -> list[SimpleNamespace]:
        wanted = re.fullmatch(r"tags\.`ablate\.study` = '(\w+)' and params\.key = '(\w+)'", filter_string)
        assert wanted
        return [
            run
            for run in self.runs
            if run.experiment_id in experiments
            and (run.data.tags["ablate.study"], run.data.params["key"]) == wanted.groups()
        ][:max_results]


@pytest.fixture
def mlflow(monkeypatch) -> FakeMLflow:
    fake = FakeMLflow()
    parts = {"mlflow": fake, "mlflow.tracking": fake, "mlflow.utils": types.ModuleType("mlflow.utils")}
    parts["mlflow.exceptions"] = types.ModuleType("mlflow.exceptions")
    parts["mlflow.exceptions"].MlflowException = KeyError  # type: ignore[attr-defined]
    parts["mlflow.utils.mlflow_tags"] = types.ModuleType("mlflow.utils.mlflow_tags")
    parts["mlflow.utils.mlflow_tags"].MLFLOW_RUN_NAME = "name"  # type: ignore[attr-defined]
    for name, module in parts.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return fake


def test_a_trial_that_goes_on_after_a_kill_is_one_run_of_mlflow(study, mlflow):
    assert drive("mlflow", study, EPOCHS[:2], killed=True) == []
    assert mlflow.runs[0].info.status == "RUNNING"
    assert drive("mlflow", study, EPOCHS, deaths=1) == []
    (run,) = mlflow.runs
    assert mlflow.uri == f"sqlite:///{study.path}/mlflow.db"
    assert list(mlflow.experiments) == ["widths"]
    assert run.info.run_name == run_name(planned())
    assert run.data.params == parameters(planned())
    assert set(run.data.metrics) == {*METRICS, "training_iteration"}
    assert [step for step, name, _ in run.history if name == "val_dice"] == [1, 2, 3, 4]
    assert all(value == EPOCHS[step - 1].val_dice for step, name, value in run.history if name == "val_dice")


def test_mlflow_is_the_users_own_server_where_there_is_one(study, mlflow, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    drive("mlflow", study, EPOCHS[:1])
    assert mlflow.uri == "http://127.0.0.1:5000"
    assert not (study.path / "mlflow.db").exists()


# W&B, and a run with trackers ----------------------------------------------------------------------------------------

WANDB = {
    "__init__.py": """
import json, pathlib
class Config(dict):
    def update(self, other, allow_val_change): super().update(other)
    def __setattr__(self, name, value): self[name] = value
class Run:
    config = Config()
def init(**options):
    global config, file
    config = Run.config
    folder = pathlib.Path(options["dir"]) / "wandb" / f"offline-run-1-{options['id']}"
    folder.mkdir(parents=True)
    file = (folder / "run.jsonl").open("w")
    file.write(json.dumps(options) + chr(10))
    return Run()
def log(row, step): file.write(json.dumps([step, row]) + chr(10))
def finish(): pass
def teardown(): file.close()
""",
    "sdk/data_types/base_types/wb_value.py": "class WBValue: pass",
    "sdk/data_types/image.py": "class Image: pass",
    "sdk/data_types/video.py": "class Video: pass",
    "util.py": "from json import dumps as json_dumps_safer",
    "wandb_run.py": "class Run: pass",
}
"""As much of W&B as Ray's callback and ours call, in the process that Ray starts for a trial."""


def test_a_run_shows_its_trackers_each_epoch_and_nothing_else(tmp_path, monkeypatch):
    for name, code in WANDB.items():
        file = tmp_path / "site" / "wandb" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    monkeypatch.setenv("WANDB_MODE", "offline")
    (tmp_path / "widths.yaml").write_text(SPACE.replace("[4, 8]", "[4]"))
    path = tmp_path / "study"
    run = ablate(
        "run", "--space", tmp_path / "widths.yaml", "--study", path, "--seeds", "1", "--log", "tensorboard,wandb"
    )
    assert "! " not in run.stdout
    study = Study.open(path)
    (key,) = [key for key, record in study.records().items() if record.state == "complete"]
    scalars, _ = events(path / "tensorboard")
    truth = study.table(key, "epochs").set_index("epoch")[sorted(METRICS)]
    board = scalars.pivot(index="step", columns="tag", values="value")
    assert board.to_numpy() == pytest.approx(truth.to_numpy())
    assert list(board.columns) == sorted(METRICS)
    (file,) = (path / "wandb").glob(f"*-{study.manifest.id[:8]}-{key}/run.jsonl")
    options, *rows = (json.loads(line) for line in file.read_text().splitlines())
    assert (options["project"], options["group"], options["settings"]) == ("widths", "study", {"mode": "offline"})
    assert options["config"]["key"] == key
    assert options["config"]["level.model.width"] == "4"
    assert [step for step, _ in rows] == [1, 2, 3]
    logged = pd.DataFrame([row for _, row in rows]).drop(columns="training_iteration")
    assert logged[sorted(METRICS)].to_numpy() == pytest.approx(truth.to_numpy())
    assert set(logged) == METRICS


# Failure, and what is shown ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "event", ["setup", "log_trial_start", "log_trial_result", "log_trial_end", "on_experiment_end"]
)
def test_a_tracker_that_fails_is_said_once_and_stops_nothing(study, monkeypatch, event):
    calls = []

    class Broken:
        def __getattr__(self, name: str) -> Any:
            def call(*arguments: Any, **options: Any) -> None:
                calls.append(name)
                if name == event:
                    raise OSError("No space left\non device " + "x" * 500)

            return call

    monkeypatch.setattr(loggers.TensorBoard, "_make", lambda self: Broken())
    (said,) = drive("tensorboard", study, EPOCHS)
    assert said.startswith("--log tensorboard failed")
    assert "OSError: No space left on device" in said
    assert len(said) < 300
    assert calls.count(event) == 1
    assert calls[-1] == event


def test_a_trial_is_shown_as_flat_readable_parameters():
    shown = parameters(planned(seed=3))
    assert shown["seed"] == 3
    assert shown["key"] == planned(seed=3).key
    assert (shown["params"], shown["macs"]) == (100, 200)
    assert shown["level.model.width"] == "8"
    assert shown["level.sizes _ more"] == "3/5"  # MLflow takes no other characters
    assert shown["model.name"] == "unet"
    assert shown["protocol.split.val"] == 0.2
    assert shown["protocol.augment"] == '["hflip", "vflip", "rot90", "rot180"]'
    assert {type(value) for value in shown.values()} <= {str, int, float, bool}
    assert run_name(planned(seed=3)) == "model.width=8, sizes & more=3/5, seed 3"


def test_a_tracker_that_is_unknown_or_not_installed_is_an_input_error(monkeypatch):
    check_logger("tensorboard")
    with pytest.raises(InputError, match="unknown logger 'tensorbord': did you mean 'tensorboard'"):
        check_logger("tensorbord")
    monkeypatch.setattr(loggers.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"--log mlflow: .* pip install -c constraints.txt '\.\[mlflow\]'"):
        check_logger("mlflow")
