"""`ablate status` beside a run: what is running, from another process; and what was killed."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import ABLATE, ablate

DRIVER = """
import sys, time
from pathlib import Path
from ablate.study.runs import Run
from ablate.study.study import Study
from ablate.runners.watch.live import Live, LiveNode, Running, tell
study = Study.open_or_new(Path(sys.argv[1]))
with study.writing():
    keys = {f"{n:012x}": {"width": str(n)} for n in range(3)}
    study.plan(
        Run(space="widths", question="?", profile="quick", design="grid", factors={}, definition={}, trials=keys),
        threads=1, data_dir=None,
    )
    print("holds", flush=True)
    sys.stdin.readline()
    running = {key: Running(key=key, name=f"width={n}, seed 0", epoch=n, epochs=9) for n, key in enumerate(keys)}
    now = time.time()
    live = Live(
        began=now - 60, updated=now, total=3, epochs_done=12, seconds_left=60, running=running,
        nodes=[LiveNode(address="10.0.0.1", cpus=2, gpus=1)], incidents=["width=1, seed 0 failed: diverged"],
    )
    tell(study, live)
    print("tells", flush=True)
    time.sleep(300)
"""
"""A process that holds a study and tells of three trials: a run, to whoever looks."""


class Driver:
    def __init__(self, path: Path) -> None:
        command = [sys.executable, "-c", DRIVER, str(path)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.says("holds")

    def says(self, word: str) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == f"{word}\n"

    def tell(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        self.says("tells")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def driver(tmp_path):
    running = Driver(tmp_path / "study")
    yield running
    running.kill()


class Terminal:
    """A command on a terminal of 80 columns; `seen` is what it wrote, without control codes."""

    def __init__(self, *arguments: str | Path) -> None:
        self._side, other = pty.openpty()
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
        self.process = subprocess.Popen(
            [ABLATE, *map(str, arguments)], stdin=other, stdout=other, stderr=other, env=environment
        )
        os.close(other)
        self.seen = ""

    def wait_for(self, text: str, seconds: float = 120) -> None:
        until = time.monotonic() + seconds
        while text not in self.seen and time.monotonic() < until and self._read():
            pass
        assert text in self.seen, self.seen

    def _read(self) -> bool:
        """Take in what was written within a second; false once nobody writes any more."""
        if not select.select([self._side], [], [], 1)[0]:
            return True
        try:
            written = os.read(self._side, 1 << 16)
        except OSError:  # the other side is closed
            return False
        self.seen += re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", written.decode(errors="replace"))
        return bool(written)


def test_a_watcher_on_a_terminal_follows_a_run_to_its_death(driver, tmp_path):
    watcher = Terminal("status", "--watch", tmp_path / "study")
    try:
        watcher.wait_for("A run is starting, or another command holds the study.")
        driver.tell()
        watcher.wait_for("width=2, seed 0")
        driver.kill()
        watcher.wait_for("was killed")
        watcher.wait_for("3 of 3 trials have not ended")
        assert watcher.process.wait(60) == 0
    finally:
        watcher.process.kill()
        watcher.process.wait()
    for text in ("0/3 trials, 3 running", "12 epochs a minute", "1 node, 2 CPUs, 1 GPU", "! width=1, seed 0 failed"):
        assert text in watcher.seen


def test_piped_it_prints_one_picture_in_80_columns(driver, tmp_path):
    driver.tell()
    lines = ablate("status", "--watch", tmp_path / "study").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert sum("0/3 trials, 3 running" in line for line in lines) == 1
    assert f"Process {driver.process.pid} on" in "\n".join(lines)


def test_a_machine_reads_what_runs(driver, tmp_path):
    driver.tell()
    status = json.loads(ablate("status", tmp_path / "study", "--json").stdout)
    (run,) = status["runs"]
    assert (run["process"], run["dead"], run["total"], run["epochs_done"]) == (driver.process.pid, False, 3, 12)
    assert status["counts"] == {"complete": 0, "failed": 0, "missing": 0, "running": 3}
    shown = ablate("status", tmp_path / "study").stdout.splitlines()
    assert any("about 1:00 min left, until" in line for line in shown)
    driver.kill()
    status = json.loads(ablate("status", tmp_path / "study", "--json").stdout)
    assert status["runs"][0]["dead"]
    assert status["counts"] == {"complete": 0, "failed": 0, "missing": 0, "interrupted": 3}
    assert "left, until" not in ablate("status", tmp_path / "study").stdout


def test_a_study_that_has_all_its_trials_is_said_to_and_the_watch_ends(tmp_path):
    from ablate.data.settings import Phantom
    from ablate.models.settings import UNet
    from ablate.runners.execution.trainable import make_record
    from ablate.study.runs import Run
    from ablate.study.study import Study
    from ablate.study.trial_folder import pack
    from ablate.trial import TrialConfig

    trial = TrialConfig(model=UNet(width=4), data=Phantom())
    study = Study.open_or_new(tmp_path / "study")
    run = Run(space="one", question="?", profile="quick", design="grid", factors={}, definition={}, trials={})
    with study.writing():
        study.plan(run.model_copy(update={"trials": {trial.key: {}}}), threads=1, data_dir=None)
        study.accept(trial.key, pack(trial, make_record(trial, 1, 1, [], None, error="diverged"), [], None))
    watcher = Terminal("status", "--watch", study.path)
    watcher.wait_for("Nothing is running. All 1 planned trials have ended.")
    assert watcher.process.wait(60) == 0
    assert "1 failed" in " ".join(watcher.seen.split())  # a long path wraps
