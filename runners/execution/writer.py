"""The Ray Tune callback through which the driver, alone, writes the study."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ray import tune

from ablate.runners.execution.storage import PathStorage, StorageError
from ablate.runners.execution.trainable import arrival_name, checkpoint_name, make_record
from ablate.runners.watch.live import LiveNode
from ablate.search_spaces.plan import Planned
from ablate.study.logs import epoch_line
from ablate.study.records import Record
from ablate.study.study import Study
from ablate.study.trial_folder import pack

if TYPE_CHECKING:
    from ray.tune.experiment import Trial

    from ablate.training.checkpoint import Epoch

_NODES_EVERY_STEPS = 50


class Observer(Protocol):
    """Who watches a run."""

    def nodes(self, nodes: list[LiveNode]) -> None: ...
    def started(self, planned: Planned) -> None: ...
    def epoch(self, key: str, epoch: Epoch, node: str, *, restored: bool) -> None: ...
    def paused(self, key: str) -> None: ...
    def incident(self, text: str) -> None: ...
    def ended(self, record: Record, planned: Planned) -> None: ...
    def tick(self) -> None: ...


class StudyWriter(tune.Callback):
    """Takes each trial that ends into the study before Ray Tune's next step, and tells the observer of everything.

    `halted` says why the run must stop, once it must: the study or the storage cannot be written. `again` holds the
    trials that get another chance by themselves, with the reason: they ran out of memory.
    """

    def __init__(
        self, study: Study, storage: PathStorage, observer: Observer, max_failures: int, cut: Collection[str] = ()
    ) -> None:
        """`cut`: keys of the trials that a budget stops, which may grow."""
        self.records: list[Record] = []
        self.again: dict[str, str] = {}
        self.halted = ""
        self._study, self._storage, self._observer, self._max_failures = study, storage, observer, max_failures
        self._cut = cut
        self._ended: set[str] = set()
        self._epochs: dict[str, dict[int, Epoch]] = {}
        self._deaths: Counter[str] = Counter()

    def __reduce__(self) -> tuple[Any, ...]:
        return tune.Callback, ()  # Ray saves its callbacks so as to restore a run, which the study does instead

    # What Ray Tune tells ---------------------------------------------------------------------------------------------

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        if iteration % _NODES_EVERY_STEPS == 1:
            self._observer.nodes(cluster_nodes())
        self._observer.tick()

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        planned = _planned(trial)
        self._ended.discard(planned.key)  # one that was stopped may go on
        self._observer.started(planned)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        from ablate.training.checkpoint import Epoch

        planned = _planned(trial)
        key = planned.key
        if key in self._ended or self.halted:
            return
        if result["said"]:
            self._log(key, result["said"])
        if "halt" in result:
            self.halted = result["halt"]
        elif "out_of_memory" in result:
            self.again[key] = result["out_of_memory"]
            self._incident(key, f"{key} ran out of memory: to be tried again alone, after the others")
        elif result["ended"]:
            self._take_arrival(planned)
        else:
            epoch = Epoch(**{name: result[name] for name in Epoch._fields})
            self._log(key, epoch_line(epoch))
            self._epochs.setdefault(key, {})[epoch.epoch] = epoch
            self._observer.epoch(key, epoch, result.get("node_ip", ""), restored=result.get("restored", False))

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        key = _planned(trial).key
        self._deaths[key] += 1
        self._log(key, _ray_says(trial))
        done = max(self._epochs.get(key, {0: None}))
        self._incident(key, f"{key}: its process died ({_cause(trial)}): it goes on from epoch {done}")

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        planned = _planned(trial)
        if planned.key not in self._ended and not self.halted:
            self._log(planned.key, _ray_says(trial))
            times = self._deaths[planned.key] + 1
            self._end(planned, error=f"its process died {times} times ({_cause(trial)})")

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        planned = _planned(trial)
        if planned.key in self._ended or planned.key in self.again or self.halted:
            return
        if planned.key in self._cut and planned.key not in self._epochs:  # it never began
            self._study.release(planned.key)
        else:
            self._end(planned, stopped=True)

    # What the study gets ---------------------------------------------------------------------------------------------

    def _take_arrival(self, planned: Planned) -> None:
        try:
            packed = self._storage.read(arrival_name(planned.key))
            if packed is None:
                raise StorageError(f"storage '{self._storage}': trial {planned.key} ended, and is not there")
            self._accept(planned, packed)
            self._storage.delete(arrival_name(planned.key))
            self._storage.delete(checkpoint_name(planned.key))
        except (StorageError, zipfile.BadZipFile) as error:
            self.halted = self.halted or str(error)

    def _end(self, planned: Planned, *, error: str | None = None, stopped: bool = False) -> None:
        """Record a trial that its worker did not."""
        rows = self._epochs.get(planned.key, {})
        epochs = [rows[number] for number in sorted(rows)]
        record = make_record(planned.config, planned.params, planned.macs, epochs, None, error=error, stopped=stopped)
        record = record.model_copy(update={"out_of_budget": stopped and planned.key in self._cut})
        self._accept(planned, pack(planned.config, record, epochs, None))

    def _accept(self, planned: Planned, packed: bytes) -> None:
        try:
            record = self._study.accept(planned.key, packed)
        except OSError as error:
            self.halted = f"study '{self._study.path}' cannot be written: {error.strerror or error}"
            return
        self._study.release(planned.key)
        self._ended.add(planned.key)
        self.records.append(record)
        self._observer.ended(record, planned)

    def _incident(self, key: str, text: str) -> None:
        self._log(key, text)
        self._observer.incident(text)

    def _log(self, key: str, text: str) -> None:
        try:
            self._study.log(key, text)
        except OSError as error:
            self.halted = self.halted or f"study '{self._study.path}' cannot be written: {error.strerror or error}"


def cluster_nodes() -> list[LiveNode]:
    """The living nodes of the Ray cluster."""
    import ray

    return [
        LiveNode(
            address=node["NodeManagerAddress"],
            cpus=node["Resources"].get("CPU", 0),
            gpus=node["Resources"].get("GPU", 0),
        )
        for node in ray.nodes()
        if node["Alive"]
    ]


def _planned(trial: Trial) -> Planned:
    planned: Planned = trial.config["job"].planned
    return planned


def _cause(trial: Trial) -> str:
    """Why a trial's process died, in a few words."""
    said = _ray_says(trial)
    if "node has died" in said or "node died" in said:
        return "its machine was lost"
    if "ray::" in said:  # an exception that left the trial's function
        return said.strip().splitlines()[-1]
    return "killed, or out of memory"


def _ray_says(trial: Trial) -> str:
    file = trial.error_file
    return Path(file).read_text() if file and Path(file).exists() else ""
