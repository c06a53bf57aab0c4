"""Runs the installed `ablate` command as a user does: a process of its own, on a small space that trains in seconds."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd

from analysis.frames import DURATIONS

ABLATE = str(Path(sys.executable).parent / "ablate")

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


def ablate(*arguments: str | Path, check: bool = True, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end. With `check`, an exit code other than 0 fails the test with what was printed."""
    done = subprocess.run(
        [ABLATE, *map(str, arguments)], capture_output=True, text=True, cwd=cwd, timeout=300, check=False
    )
    if check and done.returncode:
        raise AssertionError(f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def tables(study: Path) -> dict[str, str]:
    """The three tables as `ablate export` writes them, without the columns that are durations."""
    found = {}
    for name in ("trials", "epochs", "images"):
        frame = pd.read_csv(io.StringIO(ablate("export", study, "--table", name).stdout), dtype=str)
        found[name] = frame.drop(columns=[c for c in DURATIONS if c in frame]).to_csv(index=False)
    return found


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


def kill_tree(process: int) -> None:
    """SIGKILL to a process and everything under it, at once: a machine that loses power."""
    for victim in descendants(process):
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            continue
