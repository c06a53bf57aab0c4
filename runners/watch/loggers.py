"""Other trackers that can watch a run, through Ray Tune's own callbacks. Each is an extra, not installed by default.

They are shown each epoch's training and validation, once. The test images are for the study's own report.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import re
import shutil
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray import tune
from ray.tune.result import TRAINING_ITERATION

from ablate.errors import InputError, unknown
from ablate.runners.watch.live import seed_and_fold
from ablate.search_spaces.plan import Planned
from ablate.study.study import Study
from ablate.training.checkpoint import Epoch

if TYPE_CHECKING:
    from ray.tune.experiment import Trial

_PACKAGES = {"tensorboard": "tensorboardX", "mlflow": "mlflow", "wandb": "wandb"}
_METRICS = [name for name in Epoch._fields if name != "epoch"]
_UPLOAD_SECONDS = 60
"""How long the end of a run waits for what W&B has yet to send."""
_NAME_LENGTH = 120
_REASON_LENGTH = 160


def check_logger(name: str) -> None:
    """Raises `InputError` for an unknown tracker, and for one whose package is not installed."""
    if name not in _PACKAGES:
        raise unknown("logger", name, _PACKAGES)
    if importlib.util.find_spec(_PACKAGES[name]) is None:
        raise InputError(f"--log {name}: its package is not installed; pip install -c constraints.txt '.[{name}]'")


def make_logger(name: str, study: Study, say: Callable[[str], None]) -> EpochLogger:
    """The Ray Tune callback that shows a run to a tracker. `say` is told, once, should the tracker fail."""
    return _TRACKERS[name](study, say)


class ShownTrial:
    """A trial as Ray's trackers are shown it: what they read of Tune's `Trial`, in words that a person knows."""

    def __init__(self, planned: Planned, study: Study, folder: Path) -> None:
        self.key = planned.key
        self.trial_id = f"{study.manifest.id[:8]}-{planned.key}"
        """The same whenever this study trains it, and no other study's."""
        self.config = self.evaluated_params = parameters(planned)
        self.local_path = str(folder.absolute())
        self.experiment_dir_name = study.path.name
        self._name = run_name(planned)

    def __str__(self) -> str:
        return self._name

    def init_local_path(self) -> None:
        Path(self.local_path).mkdir(parents=True, exist_ok=True)


class EpochLogger(tune.Callback):
    """Shows each epoch of each trial to one tracker. A tracker that fails is left alone; the study goes on.

    A trial that goes on from its checkpoint, in this run or a later one, reports its earlier epochs again. They are
    logged once all the same, from where `_begin` says.
    """

    name: str

    def __init__(self, study: Study, say: Callable[[str], None]) -> None:
        self._study, self._say = study, say
        self._failed = False
        self._logger: Any = None
        self._open: dict[str, ShownTrial] = {}
        self._logged: dict[str, int] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return tune.Callback, ()  # Ray saves its callbacks so as to restore a run, which the study does instead

    # What differs between trackers -----------------------------------------------------------------------------------

    def _make(self) -> Any:
        """Ray's own callback."""
        raise NotImplementedError

    def _folder(self, planned: Planned) -> Path:
        """Where the tracker keeps a trial's files."""
        return self._study.path

    def _begin(self, shown: ShownTrial) -> int:
        """Make ready for a trial; the last epoch that the tracker has of it already."""
        raise NotImplementedError

    # What Ray Tune tells ---------------------------------------------------------------------------------------------

    def setup(self, *arguments: Any, **info: Any) -> None:
        self._safely(self._set_up)

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._safely(self._start, trial.config["job"].planned)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        if "epoch" in result:  # the last report of a trial, or of a run that halts, is of none
            self._safely(self._log, iteration, trial.config["key"], result)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._safely(self._end, trial.config["key"])

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._safely(self._end, trial.config["key"])

    def on_experiment_end(self, trials: list[Trial], **info: Any) -> None:
        self._safely(self._finish, trials)

    def _safely(self, action: Callable[..., None], *arguments: Any) -> None:
        if self._failed:
            return
        try:
            action(*arguments)
        except Exception as error:
            self._failed = True
            reason = textwrap.shorten(f"{type(error).__name__}: {error}", _REASON_LENGTH, placeholder=" …")
            self._say(f"--log {self.name} failed: nothing more is logged there, and the study goes on ({reason})")

    # What the tracker gets -------------------------------------------------------------------------------------------

    def _set_up(self) -> None:
        self._logger = self._make()
        self._logger.setup()

    def _start(self, planned: Planned) -> None:
        if planned.key not in self._open:  # else its process died, and it starts again
            shown = ShownTrial(planned, self._study, self._folder(planned))
            self._logged[planned.key] = self._begin(shown)
            self._logger.log_trial_start(shown)
            self._open[planned.key] = shown

    def _log(self, iteration: int, key: str, result: dict[str, Any]) -> None:
        epoch = result["epoch"]
        if epoch > self._logged[key]:
            row = {name: result[name] for name in _METRICS} | {TRAINING_ITERATION: epoch}
            self._logger.log_trial_result(iteration, self._open[key], row)
            self._logged[key] = epoch

    def _end(self, key: str) -> None:
        record = self._study.record(key)
        failed = record is None or record.state == "failed"
        if shown := self._open.pop(key, None):
            self._logger.log_trial_end(shown, failed=failed)

    def _finish(self, trials: list[Trial]) -> None:
        for key in list(self._open):  # a run that was interrupted
            self._end(key)
        self._logger.on_experiment_end(trials)


class TensorBoard(EpochLogger):
    """Event files in `STUDY/tensorboard/`, a folder a trial."""

    name = "tensorboard"

    def _make(self) -> Any:
        from ray.tune.logger import TBXLoggerCallback

        return TBXLoggerCallback()

    def _folder(self, planned: Planned) -> Path:
        readable = re.sub(r"[^\w.=+-]+", "_", run_name(planned))[:_NAME_LENGTH]
        return self._study.path / "tensorboard" / f"{readable}_{planned.key}"

    def _begin(self, shown: ShownTrial) -> int:
        for earlier in (self._study.path / "tensorboard").glob(f"*_{shown.key}"):
            shutil.rmtree(earlier)
        return 0


class MLflow(EpochLogger):
    """A run a trial, at MLFLOW_TRACKING_URI, or else in `STUDY/mlflow.db`. The experiment is named after the space."""

    name = "mlflow"

    def _make(self) -> Any:
        # A server that is gone must not hold the study for MLflow's own eight minutes.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        from ray.air.integrations.mlflow import MLflowLoggerCallback

        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.ERROR)
        self._place = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{self._study.path.absolute() / 'mlflow.db'}"
        return MLflowLoggerCallback(
            self._place, experiment_name=_space(self._study), tags={"ablate.study": self._study.manifest.id}
        )

    def _begin(self, shown: ShownTrial) -> int:
        from mlflow import MlflowClient

        client = MlflowClient(self._place)
        known = client.search_runs(
            [self._logger.mlflow_util.experiment_id],
            f"tags.`ablate.study` = '{self._study.manifest.id}' and params.key = '{shown.key}'",
            max_results=1,
        )
        if not known:
            return 0
        client.update_run(known[0].info.run_id, status="RUNNING")
        self._logger._trial_runs[shown] = known[0].info.run_id
        return int(known[0].data.metrics.get(TRAINING_ITERATION, 0))


class WandB(EpochLogger):
    """A run a trial, in a project named after the space; files in `STUDY/wandb/`. WANDB_MODE=offline sends nothing."""

    name = "wandb"

    def _make(self) -> Any:
        import ray
        from ray.air.integrations.wandb import WandbLoggerCallback, _WandbLoggingActor

        class Process(_WandbLoggingActor):
            """Ends once W&B's own process has written its file: Ray kills what has ended."""

            def run(self) -> None:
                super().run()
                self._wandb.teardown()

        class Callback(WandbLoggerCallback):
            """Raises what ended the process that logs a trial, where Ray's own would not look."""

            _logger_actor_cls = Process

            def log_trial_result(self, iteration: int, trial: Any, result: dict[str, Any]) -> None:
                ended, _ = ray.wait([self._trial_logging_futures[trial]], timeout=0)
                ray.get(ended)
                super().log_trial_result(iteration, trial, result)

            def _cleanup_logging_actor(self, trial: Any) -> None:
                logging = self._trial_logging_futures[trial]
                super()._cleanup_logging_actor(trial)
                ray.get(logging)

        # Its processes have the environment of Ray's daemon, which is not always this one.
        settings = {
            name: os.environ[variable]
            for name in ("mode", "entity", "base_url")
            if (variable := f"WANDB_{name.upper()}") in os.environ
        }
        return Callback(
            project=_space(self._study),
            upload_timeout=_UPLOAD_SECONDS,
            dir=str(self._study.path.absolute()),
            resume="allow",
            settings=settings,
        )

    def _begin(self, shown: ShownTrial) -> int:
        for earlier in (self._study.path / "wandb").glob(f"offline-run-*-{shown.trial_id}"):
            shutil.rmtree(earlier)
        return 0  # of a run that it has, W&B leaves out the steps that it knows


# What is shown -------------------------------------------------------------------------------------------------------


def run_name(planned: Planned) -> str:
    """A trial's name for people: its levels and seed."""
    levels = [f"{factor}={level}" for factor, level in planned.levels.items()] or [planned.config.model.name]
    return ", ".join([*levels, seed_and_fold(planned.config.seed, planned.config.fold)])


def parameters(planned: Planned) -> dict[str, str | int | float | bool]:
    """What a trial is, flat: `key`, `seed`, `level.<factor>`, `model.<field>`, `protocol.<field>`, …"""
    config = planned.config
    about = {"key": planned.key, "cell": config.cell, "seed": config.seed}
    about |= {"params": planned.params, "macs": planned.macs, "level": planned.levels}
    return dict(_flat(about | config.canonical("schema_version", "seed")))


def _flat(tree: dict[str, Any], path: str = "") -> Iterator[tuple[str, str | int | float | bool]]:
    for name, value in tree.items():
        place = path + re.sub(r"[^\w. -]", "_", name)
        if isinstance(value, dict):
            yield from _flat(value, f"{place}.")
        elif value is not None:
            yield place, value if isinstance(value, str | int | float | bool) else json.dumps(value)


def _space(study: Study) -> str:
    return study.manifest.runs[0].space


_TRACKERS = {"tensorboard": TensorBoard, "mlflow": MLflow, "wandb": WandB}
