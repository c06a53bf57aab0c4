"""What is told of each trial while it runs, `logs/<key>.log`: for people, and a witness of what ended."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import get_args

from ablate.files import open_in_place, read_regular
from ablate.study.records import State
from ablate.study.runs import is_key

_TIME = "%Y-%m-%d %H:%M:%S"


def append_to_log(study: Path, key: str, text: str) -> None:
    """Append to a trial's log, each line with the time (UTC)."""
    now = datetime.datetime.now(datetime.UTC).strftime(_TIME)
    file = study / "logs" / f"{key}.log"
    file.parent.mkdir(exist_ok=True)
    with open_in_place(file) as log:
        log.writelines(f"{now} {line}\n".encode() for line in text.splitlines())


def logged_as_ended(study: Path) -> set[str]:
    """The keys whose logs say, as the last thing, that they ended."""
    return {file.stem for file in (study / "logs").glob("*.log") if is_key(file.stem) and _ended(file)}


def _ended(log: Path) -> bool:
    try:
        last = read_regular(log).rstrip(b"\n").rpartition(b"\n")[2].decode(errors="replace")
    except OSError:
        return False
    return last[len("2026-01-01 00:00:00 ") :].partition(":")[0] in get_args(State)
