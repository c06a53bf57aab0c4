"""A study as optuna-dashboard shows it: a copy in memory, so that nothing done in the page can change the study."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any, BinaryIO
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState, create_trial

from ablate.errors import InputError
from ablate.study import Record, Study

PICTURES = 12
"""How many of a trial's predictions are shown with it."""
_STATES = {"complete": TrialState.COMPLETE, "trivial": TrialState.COMPLETE, "stopped": TrialState.PRUNED}


class Pictures:
    """Optuna's artifact store, of files where they are: nothing is copied."""

    def __init__(self) -> None:
        self._files: dict[str, Path] = {}

    def open_reader(self, artifact_id: str) -> BinaryIO:
        try:
            return self._files[artifact_id].open("rb")
        except (KeyError, OSError):
            raise optuna.artifacts.exceptions.ArtifactNotFound(artifact_id) from None

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        self._files[artifact_id] = Path(content_body.name)

    def remove(self, artifact_id: str) -> None:
        del self._files[artifact_id]


class Mirror:
    """An Optuna study in memory that follows the one at `path`."""

    def __init__(self, path: Path) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
        self.storage = optuna.storages.InMemoryStorage()
        self.pictures = Pictures()
        self.trials = 0
        self._path = path
        self._seen: dict[str, Record] = {}
        self._study = optuna.create_study(
            storage=self.storage,
            study_name=path.resolve().name,
            directions=["maximize", "minimize", "minimize"],
        )
        self._study.set_metric_names(["validation Dice", "parameters", "MACs"])
        self.refresh()

    def refresh(self) -> None:
        """Add the trials that have ended since. A trial that ended anew, having been stopped, is there twice."""
        study = Study.open(self._path)
        records, planned = study.records(), study.manifest.planned()
        spaces = {run.space for run in study.manifest.runs}
        levels = {key: _named(planned.get(key, {}), only=len(spaces) == 1) for key in records}
        found = _distributions(levels.values())
        for key, record in records.items():
            if self._seen.get(key) != record:
                self._seen[key] = record
                self._add(study, record, levels[key], found)

    def _add(self, study: Study, record: Record, levels: dict[str, str], found: dict[str, BaseDistribution]) -> None:
        state = _STATES.get(record.state, TrialState.FAIL)
        facts = record.model_dump(exclude_none=True, exclude={"params", "macs", "val_dice", "key"})
        self._study.add_trial(
            create_trial(
                state=TrialState.RUNNING,  # what has ended takes no artifacts
                params={name: _value(found[name], level) for name, level in levels.items()},
                distributions={name: found[name] for name in levels},
                user_attrs={"trial": record.key, **facts},
            )
        )
        trial = self._study.get_trials(deepcopy=False)[self.trials]
        self.trials += 1
        for file in sorted((study.trial_dir(record.key) / "samples").glob("*.png"))[:PICTURES]:
            optuna.artifacts.upload_artifact(
                artifact_store=self.pictures, file_path=str(file), study_or_trial=trial, storage=self.storage
            )
        values = [record.val_dice or 0.0, record.params, record.macs] if state == TrialState.COMPLETE else None
        study_id = self.storage.get_study_id_from_name(self._study.study_name)
        trial_id = self.storage.get_trial_id_from_study_id_trial_number(study_id, trial.number)
        self.storage.set_trial_state_values(trial_id, state, values)


def _named(levels: dict[str, str], *, only: bool) -> dict[str, str]:
    """Factors without their space's name where there is only one space."""
    return {name.partition(".")[2] if only else name: level for name, level in levels.items()}


def _distributions(levels: Iterable[dict[str, str]]) -> dict[str, BaseDistribution]:
    """Of each factor: a range where all its levels are numbers, else its levels."""
    seen: dict[str, dict[str, None]] = {}
    for row in levels:
        for name, level in row.items():
            seen.setdefault(name, {})[level] = None
    return {name: _distribution(list(found)) for name, found in seen.items()}


def _distribution(levels: list[str]) -> BaseDistribution:
    try:
        numbers = [float(level) for level in levels]
    except ValueError:
        return CategoricalDistribution(levels)
    return FloatDistribution(min(numbers), max(numbers))


def _value(distribution: BaseDistribution, level: str) -> str | float:
    return level if isinstance(distribution, CategoricalDistribution) else float(level)


# Serving -------------------------------------------------------------------------------------------------------------

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


def serve(mirror: Mirror, port: int, ready: Callable[[str], None], every: float = 5.0) -> None:
    """Serve optuna-dashboard on this machine only until an interrupt, looking every so many seconds for new trials.

    `ready` is told the address. With port 0 any free one is taken. Raises `InputError` where optuna-dashboard is not
    installed, or where the port is in use.
    """
    try:
        from optuna_dashboard import wsgi
    except ImportError:
        raise InputError("optuna-dashboard is not installed: pip install -c constraints.txt '.[dashboard]'") from None
    application = _local_only(wsgi(mirror.storage, artifact_store=mirror.pictures))
    try:
        server = make_server("127.0.0.1", port, application, server_class=_Server, handler_class=_Silent)
    except OSError as error:
        raise InputError(f"--port {port}: {error.strerror}; give another, or 0 for any") from None
    with server:
        ended = threading.Event()
        threading.Thread(target=_follow, args=(mirror, ended, every), daemon=True).start()
        ready(f"http://127.0.0.1:{server.server_port}/")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            ended.set()


def _follow(mirror: Mirror, ended: threading.Event, every: float) -> None:
    while not ended.wait(every):
        try:
            mirror.refresh()
        except InputError:  # being written this moment; the next look will do
            continue


def _local_only(application: Application) -> Application:
    """Answers only requests for this machine by name, so that no page elsewhere can have itself renamed to it."""

    def guarded(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("HTTP_HOST", "").rpartition(":")[0] in ("127.0.0.1", "localhost"):
            return application(environ, start_response)
        start_response("403 Forbidden", [("Content-Type", "text/plain")])
        return [b"this is served to 127.0.0.1 only"]

    return guarded
