"""The trial table of schemas 1 to 3, `optuna.journal`: only which trials it had, for what has no folder was lost."""

from __future__ import annotations

import json
from pathlib import Path

from ablate.files import kind, read_regular
from ablate.study.runs import is_key

JOURNAL, JOURNAL_LOCK = "optuna.journal", "optuna.journal.lock"
_CREATE_TRIAL = 4
"""Of a line's `op_code`: a trial that ended was one such line."""


def journalled(study: Path) -> dict[str, str]:
    """The last state of every trial of which a line can be read, by key."""
    if kind(study / JOURNAL) != "file":
        return {}
    found = {}
    for line in read_regular(study / JOURNAL).split(b"\n"):
        try:
            said = json.loads(line)
            record = said["user_attrs"]["record"] if said["op_code"] == _CREATE_TRIAL else {}
            if is_key(str(record.get("key"))):
                found[record["key"]] = str(record.get("state"))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue  # a damaged line: what it said, its trial's folder says
    return found
