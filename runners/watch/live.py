"""What a running driver tells of itself, for whoever looks from another terminal or machine.

Each driver writes `ray/drivers/<host>-<process>.json` into its study every few seconds, and removes it when it ends.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import time
import uuid
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ablate.files import kind, read_regular
from ablate.runners.execution import processes
from ablate.study.study import Study

_SILENT_AFTER_SECONDS = 60.0
_MOST_FILES, _MOST_BYTES, _MOST_ROWS = 100, 2**22, 50

Number = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=10**12)]
Seconds = Annotated[float, Field(ge=0, le=1e11, allow_inf_nan=False)]
Line = Annotated[str, AfterValidator(lambda text: text[:500])]
"""What a stranger's file may hold is bounded, so that whatever is heard can be drawn."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Running(_Part):
    """A trial under way. `epoch`: the last that ended; `node`: where, once known."""

    key: Line
    name: Line
    epoch: Count = 0
    epochs: Count
    val_dice: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    node: Line = ""


class LiveNode(_Part):
    """A machine of the Ray cluster."""

    address: Line
    cpus: Number
    gpus: Number
    alive: bool = True


class Live(_Part):
    """A run as its driver sees it. Times are seconds since 1970."""

    host: Line = ""
    process: Annotated[int, Field(ge=0, lt=2**31)] = 0
    born: Line = ""
    """When the process was (`execution.processes.born`): its number may have been given to another since."""
    began: Seconds
    updated: Seconds
    total: Count
    ended: Count = 0
    failed: Count = 0
    stopped: Count = 0
    epochs_done: Count = 0
    """Epochs that this run trained."""
    seconds_left: Annotated[float, Field(ge=0, le=1e10, allow_inf_nan=False)] | None = None
    running: dict[Line, Running] = {}
    nodes: list[LiveNode] = []
    incidents: list[Line] = []
    """The last few things that went wrong: a process that died, a trial that failed."""

    @property
    def elapsed(self) -> float:
        return max(0.0, self.updated - self.began)

    @property
    def epochs_a_minute(self) -> float | None:
        """None before the first epoch has ended."""
        return 60 * self.epochs_done / self.elapsed if self.epochs_done and self.elapsed else None

    @property
    def silence(self) -> float:
        """Seconds since this was told, by the two machines' clocks."""
        return max(0.0, time.time() - self.updated)

    @property
    def dead(self) -> bool:
        """Whether the driver was killed: its process is gone, or, if on another machine, was not heard for long.

        Locks tell nothing here: over NFS another machine may not see them.
        """
        if self.host == socket.gethostname() and processes.are_known():
            now = processes.born(self.process)
            if self.born or not now:
                return not now or now != self.born
        return self.silence > _SILENT_AFTER_SECONDS


class _Heard(NamedTuple):
    file: Path
    live: Live


def seed_and_fold(seed: int, fold: int | None) -> str:
    """Which training of its configuration a trial is."""
    return f"seed {seed}" if fold is None else f"seed {seed}, fold {fold}"


def _name(live: Live) -> str:
    return f"{live.host}-{live.process}.json"


def _folder(study: Study) -> Path | None:
    """Where drivers tell, unless something else is in its place: a link, say."""
    folder = study.ray_dir / "drivers"
    return folder if all(kind(place) in ("", "directory") for place in (study.ray_dir, folder)) else None


def _file(study: Study) -> Path | None:
    folder = _folder(study)
    return folder and folder / f"{socket.gethostname()}-{os.getpid()}.json"


def tell(study: Study, live: Live) -> None:
    """Write this process's file. A disk that cannot take it is noticed elsewhere."""
    me = {"host": socket.gethostname(), "process": os.getpid(), "born": processes.born(os.getpid())}
    with contextlib.suppress(OSError):
        if file := _file(study):
            for folder in (study.ray_dir, file.parent):  # not the study: one that was moved away does not come back so
                folder.mkdir(exist_ok=True)
            now = live.model_copy(update={**me, "updated": time.time()})
            partial = file.with_name(f"{file.name}.{uuid.uuid4().hex[:8]}.partial")
            try:
                with partial.open("x") as written:  # not seen to the disk: it is old in two seconds
                    written.write(now.model_dump_json())
                partial.replace(file)
            except BaseException:
                partial.unlink(missing_ok=True)
                raise


def fall_silent(study: Study) -> None:
    """Remove this process's file."""
    with contextlib.suppress(OSError):
        if file := _file(study):
            file.unlink(missing_ok=True)


def listen(study: Study) -> list[Live]:
    """What the study's drivers last told, those killed included. It is believed for nothing but what is shown."""
    return [heard.live for heard in _listen(study)]


def _listen(study: Study) -> list[_Heard]:
    folder, found = _folder(study), []
    if folder is None:
        return []
    for file in sorted(itertools.islice(folder.glob("*.json"), _MOST_FILES)):
        with contextlib.suppress(OSError, ValueError, RecursionError):
            if file.lstat().st_size <= _MOST_BYTES:
                live = Live.model_validate_json(read_regular(file))
                if file.name == _name(live):
                    found.append(_Heard(file, live))
    return found


def forget_the_dead(study: Study) -> None:
    """Remove the files of drivers that were killed on this machine, or went silent."""
    for file, live in _listen(study):
        if live.dead or live.silence > _SILENT_AFTER_SECONDS:
            with contextlib.suppress(OSError):
                file.unlink(missing_ok=True)


# Drawing -------------------------------------------------------------------------------------------------------------


def draw(live: Live) -> RenderableType:
    """A run as a person sees it, in 80 columns."""
    return Group(Text(), *summary(live), under_way(live))


def summary(live: Live) -> list[Text]:
    """How far a run is, how fast it goes, when it should end, and on what it runs: a line each."""
    trials = Text.assemble(
        (f"{live.ended}/{live.total} trials", "bold"),
        f", {len(live.running)} running" if live.running else "",
        f", {live.stopped} stopped early" if live.stopped else "",
        (f", {live.failed} failed", "red") if live.failed else "",
        "" if live.running or live.ended else ", starting Ray",
    )
    times = [f"{clock(live.elapsed)} elapsed"]
    if live.epochs_a_minute is not None:
        times.append(f"{live.epochs_a_minute:.3g} epochs a minute")
    if live.seconds_left is not None:
        times.append(f"about {clock(live.seconds_left)} left, until {time_of_day(live.updated, live.seconds_left)}")
    lines = [trials, Text(", ".join(times))]
    if live.nodes:
        lines.append(_machines(live.nodes))
    return lines


def _machines(nodes: list[LiveNode]) -> Text:
    alive = [node for node in nodes if node.alive]
    lost = [node.address for node in nodes if not node.alive]
    parts = [_count(len(alive), "node"), _count(sum(node.cpus for node in alive), "CPU")]
    if gpus := sum(node.gpus for node in alive):
        parts.append(_count(gpus, "GPU"))
    more = f" and {len(lost) - 3} more" if len(lost) > 3 else ""
    return Text.assemble(", ".join(parts), (f"; lost {', '.join(lost[:3])}{more}", "red") if lost else "")


def _count(number: float, thing: str) -> str:
    return f"{number:g} {thing}{'' if number == 1 else 's'}"


def under_way(live: Live) -> Table:
    """The trials in training; on a cluster, where."""
    several = len(live.nodes) > 1
    wide, bar = (29, 8) if several else (40, 14)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("training", no_wrap=True)
    table.add_column("epoch", justify="right", no_wrap=True)
    table.add_column("", width=bar)
    table.add_column("val Dice", justify="right")
    if several:
        table.add_column("on", no_wrap=True)
    for running in itertools.islice(live.running.values(), _MOST_ROWS):
        done = ProgressBar(total=running.epochs, completed=running.epoch, width=bar)
        dice = "" if running.val_dice is None else f"{running.val_dice:.3f}"
        row: list[RenderableType] = [_fitted(running.name, wide), f"{running.epoch}/{running.epochs}", done, dice]
        table.add_row(*row, *([running.node] if several else []))
    if len(live.running) > _MOST_ROWS:
        table.add_row(f"and {len(live.running) - _MOST_ROWS} more")
    return table


def _fitted(name: str, width: int) -> str:
    """A name of at most `width` characters: a long one keeps its end, where the seed is."""
    return name if len(name) <= width else f"{name[: width - 11]}…{name[-10:]}"


def time_of_day(now: float, seconds: float) -> str:
    """The clock at `seconds` from `now`, as it is here: 14:32, Sun 14:32 on another day, 29 Nov from a week on."""
    then = time.localtime(now + seconds)
    if then[:3] == time.localtime(now)[:3]:
        return time.strftime("%H:%M", then)
    return time.strftime("%a %H:%M" if seconds < 6 * 86400 else "%d %b", then)


def clock(seconds: float) -> str:
    """Seconds as a person says them: 42 s, 3:05 min, 2:10 h."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"
