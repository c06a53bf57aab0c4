"""The journal as a file: read in spite of damaged lines, and written anew. What adds to it is `ablate.study.study`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.trial import FrozenTrial

from ablate.files import kind, read_regular, write_whole
from ablate.study.study import DIRECTIONS, STUDY_NAME
from ablate.study.trial_folder import Record

_CREATE_TRIAL = 4
"""Of a line's `op_code`. `ablate.study.study` writes a trial that ended as one such line."""


class Journal(NamedTuple):
    """What can be read of a journal.

    `damaged`: the numbers of lines that are not as they were written, counted from 1. `cut`: it ends within a line,
    which is being written, or was cut short.
    """

    trials: list[FrozenTrial]
    damaged: list[int]
    cut: bool


class _Memory(BaseJournalBackend):
    """A journal in memory, for Optuna to replay and to write."""

    def __init__(self) -> None:
        self.logs: list[dict[str, Any]] = []

    def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
        return self.logs[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self.logs += logs


def read_journal(path: Path) -> Journal:
    """The trials whose lines are whole, each with its `Record`, in order."""
    memory = _Memory()
    storage = JournalStorage(memory)
    damaged = []
    if kind(path) != "file":
        return Journal([], [1] if kind(path) else [], cut=False)
    *lines, rest = read_regular(path).split(b"\n")
    for number, line in enumerate(lines, 1):
        try:
            log = json.loads(line)
            if "study_name" in log and log["study_name"] != STUDY_NAME:
                raise ValueError(f"the study '{log['study_name']}'")
            if log["op_code"] == _CREATE_TRIAL:
                Record.model_validate(log["user_attrs"]["record"])
            memory.append_logs([log])
            storage.get_all_studies()  # has it replay the line
        except Exception:  # a damaged line fails in many ways: it is no JSON, or nothing that Optuna can replay
            damaged.append(number)
    studies = storage.get_all_studies()
    trials = storage.get_all_trials(studies[0]._study_id, deepcopy=False) if studies else []
    return Journal(trials, damaged, cut=bool(rest))


def record_of(trial: FrozenTrial) -> Record:
    return Record.model_validate(trial.user_attrs["record"])


def write_journal(path: Path, trials: Iterable[FrozenTrial]) -> None:
    """A journal with these trials in place of the one at `path`: the whole of it, or the old one stays."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    memory = _Memory()
    study = optuna.create_study(storage=JournalStorage(memory), study_name=STUDY_NAME, directions=DIRECTIONS)
    for trial in trials:
        study.add_trial(trial)
    lines = (json.dumps(log, separators=(",", ":")) + "\n" for log in memory.logs)
    write_whole(path, "".join(lines).encode())
