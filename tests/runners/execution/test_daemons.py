"""Ray's daemons die under a run; and Ctrl-C, however often it is pressed, and whenever."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from commands import ABLATE, SPACE, ablate, alive, descendants, tables, wait_until

from ablate.runners.execution import daemons

SLOW = SPACE.replace("epochs: 3", "epochs: 16").replace("[4, 8]", "[4, 8, 12, 16]").replace("[32, 32]", "[64, 64]")
GOES_ON = "every finished trial is in {study}, and the same command goes on from there\n"


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A space, and the tables of a study of it to which nothing happened."""
    folder = tmp_path_factory.mktemp("calm")
    space = folder / "widths.yaml"
    space.write_text(SLOW)
    ablate("run", "--space", space, "--study", folder / "study")
    return space, tables(folder / "study")


class Run(NamedTuple):
    process: subprocess.Popen[str]
    study: Path

    def trains(self) -> bool:
        return any((self.study / "ray" / "checkpoints").glob("*.safetensors"))

    def told(self) -> bool:
        return any((self.study / "ray" / "drivers").glob("*.json"))

    def planned(self) -> bool:
        return (self.study / "study.yaml").exists()


def start(space: Path, study: Path, *options: str) -> Run:
    command = [ABLATE, "run", "--space", str(space), "--study", str(study), *options]
    pipe = subprocess.PIPE
    return Run(subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, start_new_session=True), study)


@pytest.mark.parametrize(
    ("daemon", "name"), [("raylet", "its raylet"), ("gcs_server", "its control service, gcs_server,")]
)
def test_a_run_whose_daemon_is_killed_ends_with_a_line_and_goes_on(calm, tmp_path, daemon, name):
    space, expected = calm
    run = start(space, tmp_path / "study", "--max-failures", "0")  # a process that dies would fail its trial at once
    wait_until(run.trains, run.process)
    family = descendants(run.process.pid)
    (victim,) = (
        process
        for process in family
        if Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")[0].endswith(f"/{daemon}".encode())
    )
    os.kill(victim, signal.SIGKILL)
    _, errors = run.process.communicate(timeout=60)
    assert run.process.returncode == 1
    assert errors.startswith(f"ablate: Ray has lost {name} on this machine")
    assert errors.endswith(GOES_ON.format(study=run.study))
    assert errors.count("\n") == 1
    wait_until(lambda: not alive(family), seconds=60)
    assert not run.told()
    assert "all sound" in ablate("verify", run.study).stdout
    ablate("run", "--space", space, "--study", run.study)
    assert tables(run.study) == expected


@pytest.mark.parametrize("moment", [Run.planned, Run.told, Run.trains])
@pytest.mark.parametrize(("number", "times"), [(signal.SIGINT, 3), (signal.SIGTERM, 3), (signal.SIGINT, 2)])
def test_more_than_one_interruption_ends_as_one_does(
    calm, tmp_path, moment: Callable[[Run], bool], number: signal.Signals, times: int
):
    run = start(calm[0], tmp_path / "study")
    wait_until(lambda: moment(run), run.process)
    family = descendants(run.process.pid)
    for _ in range(times):
        if run.process.poll() is None:
            (os.killpg if number == signal.SIGINT else os.kill)(run.process.pid, number)
            family = list({*family, *descendants(run.process.pid)})
    printed, errors = run.process.communicate(timeout=60)
    assert (run.process.returncode, errors) == (130, "")
    sentence = f"Interrupted. Every finished trial is in {run.study}; the same command goes on from there.\n"
    assert printed.count(sentence) == 1
    wait_until(lambda: not alive(family), seconds=60)
    assert not run.told()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_before_there_is_a_study_says_nothing(calm, tmp_path, number):
    run = start(calm[0], tmp_path / "study")
    wait_until(
        lambda: b"libtorch" in Path(f"/proc/{run.process.pid}/maps").read_bytes(), run.process
    )  # it is being imported
    for _ in range(3):
        if run.process.poll() is None:
            os.killpg(run.process.pid, number)
    printed, errors = run.process.communicate(timeout=60)
    assert run.process.returncode == 130
    assert errors == ""
    assert run.planned() or printed == ""


def test_a_cluster_that_does_not_answer_is_lost_only_after_some_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(daemons.time, "monotonic", lambda: now[0])
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        reach = daemons._Reach(address)
        for _ in range(20):
            now[0] += 10
            assert reach() == ""
    now[0] += 40
    assert reach() == ""
    now[0] += 10
    assert reach() == f"the Ray cluster at {address} has not answered for 45 s"


FORKS = """
import os, signal
from ablate.runners.execution.ending import at_last, interruptible

with interruptible(lambda: print("words")), at_last(lambda: print("step")):
    child = os.fork()
    if child == 0:
        os.kill(os.getpid(), signal.SIGINT)
        os._exit(1)
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
    os.kill(os.getpid(), signal.SIGINT)
"""


def test_what_was_forked_and_is_interrupted_with_its_parent_says_nothing_and_undoes_nothing():
    ended = subprocess.run([sys.executable, "-c", FORKS], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "130\nstep\nwords\n", "")
