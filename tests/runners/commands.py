"""Runs the installed `ablate` command as a user does: a process of its own, on a small space that trains in seconds."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ablate.analysis.frames import DURATIONS, load
from ablate.study.study import Study

ABLATE = str(Path(sys.executable).parent / "ablate")
PROJECT = Path(__file__).parents[2]
PACKAGES = {"ablate": "ablation"} | {f"ablate.{name}": name for name in ("analysis", "runners", "search_spaces")}
"""The packages with a folder of the checkout each, and those folders."""

SPACE = """\
name: widths
question: Do wider networks pay?
design: grid
base:
  model: {name: unet, stages: 3}
  data: {name: phantom, count: 15, size: [32, 32]}
  protocol: {epochs: 3}
factors:
  model.width: [4, 8]
"""


def copied_package(folder: Path) -> Path:
    """This project's package as a wheel has it, copied: `folder`/ablate."""
    for name, own in PACKAGES.items():
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(PROJECT / own, folder.joinpath(*name.split(".")), ignore=ignored)
    return folder / "ablate"


def ablate(
    *arguments: str | Path, check: bool = True, cwd: Path | None = None, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end. With `check`, an exit code other than 0 fails the test with what was printed.

    A run trains one trial at a time, unless it says otherwise: on two cores a second worker costs more to start than
    its trials take.
    """
    alone = ("--max-concurrent", "1") if arguments[:1] == ("run",) and "--max-concurrent" not in arguments else ()
    done = subprocess.run(
        [ABLATE, *map(str, (*arguments, *alone))],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=env,
        timeout=300,
        check=False,
    )
    if check and done.returncode:
        raise AssertionError(f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def tables(study: Path) -> dict[str, str]:
    """The three tables as CSV, without the columns that are durations. (What `ablate export` writes has a test.)"""
    frames = load(Study.open(study))
    found = {"trials": frames.trials, "epochs": frames.epochs, "images": frames.images}
    return {
        name: table.drop(columns=[c for c in DURATIONS if c in table]).to_csv(index=False)
        for name, table in found.items()
    }


def descendants(process: int) -> list[int]:
    """A process and all that came of it, Ray's daemons and workers included."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    tree, queue = [], [process]
    while queue:
        tree.append(queue.pop())
        queue += children.get(tree[-1], [])
    return tree


def workers(driver: int) -> list[int]:
    """The processes in which trials of a run are training."""
    found = []
    for process in descendants(driver):
        try:
            if Path(f"/proc/{process}/cmdline").read_bytes().startswith(b"ray::ImplicitFunc"):
                found.append(process)
        except OSError:
            continue
    return found


def times_trained(study: Path) -> dict[tuple[str, int], int]:
    """How often each epoch of each trial was trained, by the logs: an epoch is told by its number and its duration to
    the microsecond."""
    trained: dict[tuple[str, int], set[str]] = defaultdict(set)
    for log in (study / "logs").glob("*.log"):
        for epoch, seconds in re.findall(r"epoch (\d+): .* (\d+\.\d{6}) s$", log.read_text(), re.M):
            trained[log.stem, int(epoch)].add(seconds)
    return {epoch: len(durations) for epoch, durations in trained.items()}


def weights(study: Path) -> dict[str, bytes]:
    """The kept weights of each trial, by its key."""
    return {file.parent.name: file.read_bytes() for file in study.glob("trials/*/model.safetensors")}


def alive(processes: Iterable[int]) -> list[str]:
    """Those of `processes` that live, by what they are."""
    found = []
    for process in processes:
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
            if state not in "ZX":
                found.append(Path(f"/proc/{process}/cmdline").read_text().replace("\0", " ")[:80])
        except OSError:
            continue
    return found


def wait_until(condition: Callable[[], object], run: subprocess.Popen[Any] | None = None, seconds: float = 300) -> None:
    """Until that is true. Fails after a time in which any machine gets there, or once `run` has ended before it."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert run is None or run.poll() is None, "the run ended too early"
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.02)


def kill_tree(process: int) -> None:
    """SIGKILL to a process and everything under it, at once: a machine that loses power."""
    for victim in descendants(process):
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            continue
