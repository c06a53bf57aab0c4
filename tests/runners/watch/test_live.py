"""What a driver tells of itself, whoever listens; and how it is drawn."""

from __future__ import annotations

import io
import json
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from ablate.runners.execution.processes import born
from ablate.runners.watch.live import (
    Live,
    LiveNode,
    Running,
    draw,
    fall_silent,
    forget_the_dead,
    listen,
    summary,
    tell,
    time_of_day,
)
from ablate.study.manifest import Manifest
from ablate.study.plans import Plans
from ablate.study.study import Study


@pytest.fixture
def study(tmp_path) -> Study:
    return Study(tmp_path, Manifest(id="a" * 32), Plans())


def live(**changes: object) -> Live:
    now = time.time()
    running = {"k": Running(key="k", name="width=4, seed 0", epoch=2, epochs=10, val_dice=0.71234, node="vm")}
    fields = {"began": now - 120, "updated": now, "total": 12, "ended": 3, "epochs_done": 30, "running": running}
    return Live(**({**fields, "nodes": [LiveNode(address="10.0.0.1", cpus=2, gpus=0)]} | changes))


def drawn(what: Live) -> list[str]:
    console = Console(file=io.StringIO(), width=80, highlight=False)
    console.print(draw(what))
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


TELL = """
import sys, time
from pathlib import Path
from ablate.study.manifest import Manifest
from ablate.study.plans import Plans
from ablate.study.study import Study
from ablate.runners.watch.live import Live, tell
tell(Study(Path(sys.argv[1]), Manifest(), Plans()), Live(began=time.time(), updated=0, total=7))
print("told", flush=True)
time.sleep(100)
"""


def test_what_a_driver_tells_is_heard_until_it_ends(study):
    assert listen(study) == []
    told = live(incidents=["node 10.0.0.2 was lost"])
    tell(study, told)
    (heard,) = listen(study)
    assert (heard.host, heard.process) == (socket.gethostname(), os.getpid())
    assert heard.updated >= told.updated
    assert heard.born == born(os.getpid())
    assert heard.model_copy(update={"host": "", "process": 0, "born": "", "updated": told.updated}) == told
    assert not heard.dead
    fall_silent(study)
    assert listen(study) == []


def test_a_study_that_is_moved_away_does_not_come_back_by_what_its_driver_tells(tmp_path):
    study = Study(tmp_path / "study", Manifest(id="a" * 32), Plans())
    study.path.mkdir()
    tell(study, live())
    assert len(listen(study)) == 1
    study.path.rename(tmp_path / "moved")
    tell(study, live())
    assert not study.path.exists()


def test_a_killed_driver_is_told_from_one_that_runs(study):
    driver = subprocess.Popen([sys.executable, "-c", TELL, str(study.path)], stdout=subprocess.PIPE, text=True)
    try:
        assert driver.stdout is not None
        assert driver.stdout.readline() == "told\n"
        (heard,) = listen(study)
        assert (heard.process, heard.dead) == (driver.pid, False)
    finally:
        os.kill(driver.pid, signal.SIGKILL)
        driver.wait()
    (heard,) = listen(study)
    assert heard.dead
    tell(study, live())
    forget_the_dead(study)
    assert [run.process for run in listen(study)] == [os.getpid()]


@pytest.mark.parametrize(("seconds", "dead"), [(5, False), (50, False), (300, True)])
def test_a_driver_on_another_machine_is_known_by_its_heartbeat(seconds, dead):
    assert live(host="elsewhere", process=1, updated=time.time() - seconds).dead is dead


def test_a_silent_driver_whose_process_is_here_is_not_dead():
    me = {"host": socket.gethostname(), "process": os.getpid(), "born": born(os.getpid())}
    heard = live(**me, updated=time.time() - 300)
    assert not heard.dead
    assert heard.silence == pytest.approx(300, abs=5)


def test_a_process_number_that_lives_again_is_not_the_driver():
    me = {"host": socket.gethostname(), "process": os.getpid()}
    assert live(**me, born=born(os.getppid())).dead
    assert live(**me, born=f"another boot {born(os.getpid()).split()[-1]}").dead
    # An older version did not say when it was born: then its silence tells.
    assert not live(**me).dead
    assert live(**me, updated=time.time() - 300).dead


ODD = {
    "infinite": {"began": math.inf},
    "not a number": {"seconds_left": math.nan},
    "far": {"updated": 1e300},
    "negative": {"ended": -1},
    "a million trials": {"running": {f"{n}": {"key": "k", "name": "n", "epochs": 1} for n in range(10**6)}},
    "another's name": {"host": "../../victim"},
    "no name": {"process": 4243},
}


@pytest.mark.parametrize("odd", ODD)
def test_what_no_driver_tells_is_not_heard(study, odd):
    folder = study.ray_dir / "drivers"
    folder.mkdir(parents=True)
    (folder / "vm-4242.json").write_text(json.dumps({**live(host="vm", process=4242).model_dump(), **ODD[odd]}))
    assert listen(study) == []


def test_what_a_strange_driver_tells_can_be_drawn(study):
    folder = study.ray_dir / "drivers"
    folder.mkdir(parents=True)
    name = "\x1b[2J[red]" * 100
    running = {f"{n}": Running(key=name, name=name, epoch=9, epochs=0) for n in range(1000)}
    strange = live(host="vm", process=4242, began=9e10, updated=0, seconds_left=1e10, running=running, incidents=[name])
    (folder / "vm-4242.json").write_text(strange.model_dump_json())
    (heard,) = listen(study)
    assert "and 950 more" in "\n".join(drawn(heard))


def test_nothing_outside_the_study_is_read_written_or_removed(study, tmp_path):
    """Files that say they are of `../../victim`, links, and a pipe, at which a reader would wait."""
    outside = tmp_path / "outside"
    outside.mkdir()
    victim = outside / "victim-1.json"
    victim.write_text(live(host="victim", process=1, updated=0).model_dump_json())
    folder = study.ray_dir / "drivers"
    folder.mkdir(parents=True)
    (folder / "a-1.json").write_text(live(host="../../outside/victim", process=1, updated=0).model_dump_json())
    (folder / "victim-1.json").symlink_to(victim)
    os.mkfifo(folder / "b-1.json")
    assert listen(study) == []
    forget_the_dead(study)
    assert victim.exists()
    shutil.rmtree(folder)
    folder.symlink_to(outside)
    tell(study, live())
    assert listen(study) == []
    forget_the_dead(study)
    fall_silent(study)
    assert list(outside.iterdir()) == [victim]


def test_half_a_file_is_not_heard(study):
    tell(study, live())
    (file,) = (study.ray_dir / "drivers").iterdir()
    (file.parent / "vm-1.json").write_text(file.read_text()[:-20])
    assert len(listen(study)) == 1


def test_a_run_on_a_cluster_is_drawn_in_80_columns():
    nodes = [LiveNode(address=f"192.168.100.10{n}", cpus=64, gpus=8, alive=n != 3) for n in range(5)]
    name = "pyramid kernels=3/5/7/9, groups=1/4/8/16, network=pyconv-u-net with attention, seed "
    running = {
        f"{n}": Running(key=f"{n}", name=f"{name}{n}", epoch=n, epochs=1000, val_dice=0.5, node=f"192.168.100.10{n}")
        for n in range(4)
    }
    lines = drawn(
        live(nodes=nodes, running=running, total=2000, ended=1234, failed=12, stopped=345, seconds_left=500_000)
    )
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    assert "1234/2000 trials, 4 running, 345 stopped early, 12 failed" in text
    assert "4 nodes, 256 CPUs, 32 GPUs; lost 192.168.100.103" in text
    rows = [line for line in lines if "/1000" in line]
    assert len(rows) == 4  # a row a trial, however long its name
    for n, row in enumerate(rows):
        assert f"seed {n}" in row
        assert "0.500" in row
        assert f"192.168.100.10{n}" in row


def test_the_rate_and_the_expected_end_are_shown():
    noon = time.mktime((2026, 11, 22, 12, 0, 0, 0, 0, -1))
    text = [line.plain for line in summary(live(began=noon - 120, updated=noon, seconds_left=5400))]
    assert text == [
        "3/12 trials, 1 running",
        "2:00 min elapsed, 15 epochs a minute, about 1:30 h left, until 13:30",
        "1 node, 2 CPUs",
    ]


def test_before_the_first_epoch_no_rate_is_made_up():
    text = [line.plain for line in summary(live(ended=0, epochs_done=0, running={}, nodes=[]))]
    assert text == ["0/12 trials, starting Ray", "2:00 min elapsed"]


@pytest.mark.parametrize(("hours", "expected"), [(2, "14:00"), (13, "Mon 01:00"), (24 * 7, "29 Nov")])
def test_an_end_on_another_day_names_the_day(hours, expected):
    noon = time.mktime((2026, 11, 22, 12, 0, 0, 0, 0, -1))  # a Sunday
    assert time_of_day(noon, hours * 3600) == expected


def test_a_study_that_cannot_be_written_stops_nobody_from_telling(tmp_path):
    (tmp_path / "ray").write_text("a file in the folder's place")
    tell(Study(Path(tmp_path), Manifest(), Plans()), live())
