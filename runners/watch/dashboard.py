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
from optuna.trial import FrozenTrial, TrialState, create_trial

from ablate.errors import InputError
from ablate.runners.watch.optuna_copy import Copy
from ablate.study.study import Study

PICTURES = 12
"""How many of a trial's predictions are shown with it."""


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


class _Shown(Copy):
    """A copy whose trials have their predictions with them."""

    def __init__(self, study: Study, storage: optuna.storages.BaseStorage, pictures: Pictures) -> None:
        self._pictures = pictures
        super().__init__(study, storage, study.path.resolve().name)

    def put(self, trial: FrozenTrial, study: Study) -> None:
        values, state = trial.values, trial.state
        running = create_trial(
            state=TrialState.RUNNING,  # what has ended takes no artifacts
            params=trial.params,
            distributions=trial.distributions,
            intermediate_values=trial.intermediate_values,
            user_attrs=trial.user_attrs,
        )
        self.optuna_study.add_trial(running)
        put = self.optuna_study.get_trials(deepcopy=False)[-1]
        for file in sorted((study.trial_dir(trial.user_attrs["trial"]) / "samples").glob("*.png"))[:PICTURES]:
            optuna.artifacts.upload_artifact(
                artifact_store=self._pictures, file_path=str(file), study_or_trial=put, storage=self.storage
            )
        study_id = self.storage.get_study_id_from_name(self.optuna_study.study_name)
        trial_id = self.storage.get_trial_id_from_study_id_trial_number(study_id, put.number)
        self.storage.set_trial_state_values(trial_id, state, values)


class Mirror:
    """A copy in memory that follows the study at `path`."""

    def __init__(self, path: Path) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
        self.storage = optuna.storages.InMemoryStorage()
        self.pictures = Pictures()
        self._path = path
        study = Study.open(path)
        self._copy = _Shown(study, self.storage, self.pictures)
        self._copy.update(study, study.records())

    @property
    def trials(self) -> int:
        return len(self._copy.optuna_study.get_trials(deepcopy=False))

    def refresh(self) -> None:
        """Add the trials that have ended since; all of them anew where a factor has got new levels."""
        study = Study.open(self._path)
        records = study.records()
        try:
            self._copy.update(study, records)
        except InputError:
            optuna.delete_study(study_name=self._copy.optuna_study.study_name, storage=self.storage)
            self._copy = _Shown(study, self.storage, self.pictures)
            self._copy.update(study, records)


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
