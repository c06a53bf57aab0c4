"""What is told of each trial while it runs, `logs/<key>.log`: for people, and a witness of what ended."""

from __future__ import annotations

import datetime
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, get_args

from ablate.files import open_in_place, read_regular
from ablate.study.records import State
from ablate.study.runs import is_key

if TYPE_CHECKING:
    from ablate.training.checkpoint import Epoch

_TIME = "%Y-%m-%d %H:%M:%S"
_NUMBER = r"(-?\d{1,9}\.\d{1,9}|nan|-?inf)"
_EPOCH = re.compile(
    rf"^.{{19}} epoch (\d{{1,9}}): train loss {_NUMBER}, val loss {_NUMBER}, val Dice {_NUMBER}, {_NUMBER} s$",
    re.MULTILINE | re.ASCII,
)


class LoggedEpoch(NamedTuple):
    """An epoch as a log has it: losses and Dice to four decimals."""

    epoch: int
    train_loss: float
    val_loss: float
    val_dice: float
    seconds: float


def epoch_line(epoch: Epoch) -> str:
    """What the log says of an epoch; `logged_epochs` reads it."""
    return (
        f"epoch {epoch.epoch}: train loss {epoch.train_loss:.4f}, val loss {epoch.val_loss:.4f}, "
        f"val Dice {epoch.val_dice:.4f}, {epoch.seconds:.6f} s"
    )


def logged_epochs(log: str) -> list[LoggedEpoch]:
    """The epochs of a trial by its log, in order. A trial that began again, or went on from an earlier epoch, has those
    of its last attempt in place of what it had."""
    found: list[LoggedEpoch] = []
    for match in _EPOCH.finditer(log):
        epoch = LoggedEpoch(int(match[1]), *map(float, match.groups()[1:]))
        while found and found[-1].epoch >= epoch.epoch:
            found.pop()
        found.append(epoch)
    return found


_LINE = re.compile(rb"(\d{4}-\d\d-\d\d \d\d:\d\d):\d\d (?:on ([^,\n]{1,80}), process \d+)?")


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


class Told(NamedTuple):
    """What the logs tell of a study's training: the first and the last minute (UTC), and on which machines."""

    first: str
    last: str
    machines: tuple[str, ...]


def told_of_training(study: Path) -> Told | None:
    """None where no log can be read; lines that look like none of ours are passed over."""
    times: set[str] = set()
    machines: set[str] = set()
    for log in sorted((study / "logs").glob("*.log")):
        if not is_key(log.stem):
            continue
        try:
            content = read_regular(log)
        except OSError:
            continue
        found = [match for line in content.splitlines() if (match := _LINE.match(line))]
        times |= {match[1].decode() for match in (found[:1] + found[-1:])}
        machines |= {match[2].decode(errors="replace") for match in found if match[2]}
    return Told(min(times), max(times), tuple(sorted(machines))) if times else None


def _ended(log: Path) -> bool:
    try:
        last = read_regular(log).rstrip(b"\n").rpartition(b"\n")[2].decode(errors="replace")
    except OSError:
        return False
    return last[len("2026-01-01 00:00:00 ") :].partition(":")[0] in get_args(State)
