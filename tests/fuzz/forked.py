"""Runs a command in a forked child, without paying for its imports, within limits of time and memory."""

from __future__ import annotations

import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import NamedTuple

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

_HEAVY = ("torch", "pandas", "pyarrow.parquet", "optuna", "plotly.graph_objects", "rich.console", "scipy.stats")


class Ran(NamedTuple):
    """How a command ended. `code`: its exit code, or minus the signal that ended it, -9 for one that ran out of time.
    `peak_mb`: the most memory that the child had, the parent's modules among it."""

    arguments: tuple[str, ...]
    code: int
    out: str
    err: str
    seconds: float
    peak_mb: float

    @property
    def traceback(self) -> bool:
        return "Traceback (most recent call last)" in self.err + self.out or "the traceback is in" in self.err

    @property
    def one_line(self) -> bool:
        """Whether it ended as a command must that cannot do what was asked."""
        return self.code in (1, 2) and self.err.startswith("ablate: ") and self.err.count("\n") == 1


def prepare() -> None:
    """Import what commands import, in the parent, before the first child."""
    import importlib

    from ablate.runners.execution.environment import prepare_ray

    prepare_ray(None)
    for name in (
        *_HEAVY,
        "ray.tune",
        "ablate.runners.cli.main",
        "ablate.runners.execution.tune",
        "ablate.runners.execution.writer",
        "ablate.analysis.report.study_report",
    ):
        importlib.import_module(name)


def call(
    *arguments: object,
    cwd: Path,
    seconds: float = 60.0,
    env: dict[str, str] | None = None,
    memory_mb: int | None = None,
) -> Ran:
    """`ablate ARGUMENTS` in a child; after so many seconds the child and all that came of it are killed, later where
    other processes want the machine's cores too.

    With `memory_mb` it gets no more address space than that beside what the parent has.
    """
    given = tuple(map(str, arguments))
    started = time.monotonic()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            if memory_mb is not None:
                _limit(memory_mb)
            _be(given, cwd, out.fileno(), err.fileno(), env or {})
        code, peak = _wait(child, started, seconds)
        printed = []
        for file in (out, err):
            file.seek(0)
            printed.append(file.read().decode(errors="replace"))
    return Ran(given, code, printed[0], printed[1], time.monotonic() - started, peak)


def _limit(memory_mb: int) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + memory_mb * 1_000_000
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _be(arguments: tuple[str, ...], cwd: Path, out: int, err: int, env: dict[str, str]) -> None:
    """In the child: be the command, and never return."""
    code = 70
    try:
        os.setsid()
        os.chdir(cwd)
        os.environ.update(env)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False, buffering=1)  # noqa: SIM115
        sys.argv = ["ablate", *arguments]
        from ablate.runners.cli import main

        try:
            main.main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        sys.stdout.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _wait(child: int, started: float, seconds: float) -> tuple[int, float]:
    cores = os.cpu_count() or 1
    while time.monotonic() < started + seconds * max(1.0, os.getloadavg()[0] / cores):
        done, status, usage = os.wait4(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            return code, usage.ru_maxrss / 1000
        time.sleep(0.005)
    os.killpg(child, signal.SIGKILL)
    _, _, usage = os.wait4(child, 0)
    return -signal.SIGKILL, usage.ru_maxrss / 1000
