"""`ablate watch`: what the command prints, serves and refuses; and what its page is told of a study."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import ABLATE, ablate
from made_studies import Trained, made_study, packed, run_of, trained, trivial, with_seed

from ablate.runners.cli.live_page import LivePage
from ablate.runners.watch.live import Live, LiveNode, Running, fall_silent, tell
from ablate.study.logs import epoch_line
from ablate.study.study import Study
from ablate.training.checkpoint import Epoch


@pytest.fixture(scope="module")
def one() -> Trained:
    return trained()


@pytest.fixture
def study(tmp_path, one) -> Study:
    return made_study(tmp_path / "study", one, *trivial(one))


# The command ---------------------------------------------------------------------------------------------------------


class Watcher:
    """`ablate watch` as a process, once it serves; `said` is its first line."""

    def __init__(self, *arguments: str | Path, env: dict[str, str] | None = None) -> None:
        command = [ABLATE, "watch", *map(str, arguments)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **(env or {})}
        )
        assert self.process.stdout is not None
        self.said = self.process.stdout.readline()
        match = re.fullmatch(
            r"(http://127\.0\.0\.1:(\d+)/)\?token=(\S{43})  \(Ctrl-C ends it\)\n", self.process.stdout.readline()
        )
        assert match, self.process.stderr
        self.root, self.port, self.token = match.groups()

    def read(self, what: str, token: str | None = None) -> bytes:
        with urllib.request.urlopen(f"{self.root}{what}?token={token or self.token}", timeout=60) as answer:
            return answer.read()

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="module")
def watcher(one, tmp_path_factory) -> Iterator[Watcher]:
    study = made_study(tmp_path_factory.mktemp("watched") / "study", one, *trivial(one))
    found = Watcher(study.path, "--port", "0")
    yield found
    found.end()


def test_its_page_and_all_that_the_page_asks_for_are_served(watcher):
    assert watcher.said == "All 1 planned trials have ended.\n"
    page = watcher.read("").decode()
    asked = re.findall(r'(?:src|href)="/([^"?]*)\?token=([^"]*)"', page)
    assert {name for name, _ in asked} == {"plotly.js", "watch.js", "watch.css", "report.css"}
    assert {token for _, token in asked} == {watcher.token}
    for name, _ in asked:
        assert watcher.read(name)
    assert set(re.findall(r"ask\(\"(\w+)\"\)", watcher.read("watch.js").decode())) == {"state", "results"}
    assert json.loads(watcher.read("state"))["counts"]["complete"] == 1
    assert networks(json.loads(watcher.read("results")))["cells"]
    assert watcher.read("networks.js").startswith(b"(() => {")


@pytest.mark.parametrize("name", ["", "state", "results", "plotly.js", "watch.js", "report.css", "study.yaml", "../"])
def test_without_its_token_none_of_it_is(watcher, name):
    for token in ("x", watcher.token[:-1]):
        with pytest.raises(urllib.error.HTTPError, match="403") as refused:
            watcher.read(name, token)
        assert refused.value.read() == b""


def test_every_socket_of_it_is_on_the_loopback(watcher):
    inodes = {os.readlink(entry) for entry in Path(f"/proc/{watcher.process.pid}/fd").iterdir()}  # noqa: PTH115
    listening = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{watcher.process.pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                listening.append(fields[1])
    assert listening == [f"0100007F:{int(watcher.port):04X}"]


def test_a_port_that_is_taken_is_one_line(watcher, study):
    done = ablate("watch", study.path, "--port", watcher.port, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"ablate: --port {watcher.port}: Address already in use; give another, or 0 for any\n"


@pytest.mark.parametrize("what", ["a file", "a folder of something else"])
def test_what_is_no_study_and_cannot_become_one_is_one_line(tmp_path, what):
    path = tmp_path / "study"
    if what == "a file":
        path.write_text("x")
    else:
        path.mkdir()
        (path / "holiday.jpg").touch()
    done = ablate("watch", path, "--port", "0", check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"ablate: '{path}' is neither a study nor an empty directory")
    assert done.stderr.count("\n") == 1


def test_it_may_be_started_before_the_run_writes_nothing_and_ends_by_ctrl_c(tmp_path):
    watcher = Watcher(tmp_path / "study", "--port", "0", "--no-open")
    try:
        assert watcher.said == f"There is no study at '{tmp_path / 'study'}' yet: it is shown once a run begins.\n"
        assert json.loads(watcher.read("state"))["standing"]["kind"] == "waiting"
        assert not (tmp_path / "study").exists()
        watcher.process.send_signal(signal.SIGINT)
        assert watcher.process.communicate(timeout=60) == ("", "")
        assert watcher.process.returncode == 0
    finally:
        watcher.end()


def test_a_browser_is_given_an_address_that_leads_in_once(tmp_path, study):
    """Other users of the machine see what it was started with."""
    program = tmp_path / "browser"
    program.write_text(
        f'#!/bin/sh\necho "$1" > {shlex.quote(str(tmp_path))}/part && mv {tmp_path}/part {tmp_path}/given\n'
    )
    program.chmod(0o755)
    watcher = Watcher(study.path, "--port", "0", "--open", env={"BROWSER": str(program)})
    try:
        until = time.monotonic() + 60
        while not (tmp_path / "given").exists() and time.monotonic() < until:
            time.sleep(0.05)
        given = (tmp_path / "given").read_text().strip()
        assert given.startswith(f"{watcher.root}?token=")
        assert watcher.token not in given
        with urllib.request.urlopen(given, timeout=60) as answer:
            assert answer.url == f"{watcher.root}?token={watcher.token}"
            assert b"watch.js" in answer.read()
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(given, timeout=60)
    finally:
        watcher.end()


def test_where_there_is_no_browser_it_says_so_and_serves(study, tmp_path):
    alone = {"PATH": str(tmp_path), "BROWSER": str(tmp_path / "none"), "DISPLAY": "", "WAYLAND_DISPLAY": ""}
    watcher = Watcher(study.path, "--port", "0", "--open", env=alone)
    try:
        assert watcher.process.stderr is not None
        assert watcher.process.stderr.readline() == "no browser was found: open the address yourself\n"
        assert watcher.read("")
    finally:
        watcher.end()


# What the page is told -----------------------------------------------------------------------------------------------


def state(study: Study) -> dict[str, Any]:
    return LivePage(study.path).state()


def standing(study: Study) -> tuple[str, str]:
    return tuple(state(study)["standing"].values())


def driver(study: Study, *keys: str, **changes: object) -> None:
    running = {
        key: Running(key=key, name=f"seed={n}, seed {n}", epoch=1, epochs=2, val_dice=0.5, node="10.0.0.1")
        for n, key in enumerate(keys, 1)
    }
    now = time.time()
    nodes = [LiveNode(address="10.0.0.1", cpus=2, gpus=1), LiveNode(address="10.0.0.2", cpus=2, gpus=0, alive=False)]
    told = {"began": now - 60, "updated": now, "total": 3, "epochs_done": 6, "running": running, "nodes": nodes}
    tell(study, Live(**(told | {"seconds_left": 60, "incidents": ["node 10.0.0.2 was lost"]} | changes)))


def test_a_run_is_told_from_its_beginning_over_a_kill_to_its_end(study, one):
    running, planned = with_seed(one, 1), with_seed(one, 2)
    path, missing = study.path, "2 of 3 planned trials have not ended"
    with study.writing():
        study.plan(run_of(running.trial, planned.trial), threads=1, data_dir=None)
        assert standing(study) == ("starting", f"A run is starting, or another command is at work. {missing}.")
        driver(study)
        assert standing(study) == ("running", "A run is starting Ray.")
        driver(study, running.trial.key)
        study.log(running.trial.key, epoch_line(Epoch(1, 0.5, 0.6, 0.7, 0.5, 0.6, 1.5, 40.0)))
        told = state(study)
        assert told["standing"] == {"kind": "running", "said": "Training: 1 of 3 planned trials have ended."}
        assert told["counts"] == {"complete": 1, "running": 1, "interrupted": 0, "planned": 1}
        assert told["spent"] == {"epochs": 3, "seconds": 1.5}
        (said,) = told["drivers"]
        assert (said["dead"], said["epochs_a_minute"], said["nodes"][1]["alive"]) == (
            False,
            pytest.approx(6, 0.1),
            False,
        )
        curve = {"key": running.trial.key, "name": "seed=1, seed 1", "epoch": [1], "seconds": 1.5}
        assert told["curves"] == [{**curve, "train_loss": [0.5], "val_dice": [0.7]}]
    fall_silent(study)
    again = f"{missing}: give the run's command again, and this page goes on with it."
    assert standing(study) == ("idle", f"Nothing is running. {again}")
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    driver(study, running.trial.key)
    (file,) = (path / "ray" / "drivers").iterdir()
    killed = json.loads(file.read_text()) | {"process": dead.pid, "born": "before"}
    file.unlink()
    file.with_name(f"{killed['host']}-{dead.pid}.json").write_text(json.dumps(killed))
    kind, said = standing(study)
    assert (kind, said) == ("killed", f"The run was killed (process {dead.pid} on {killed['host']}). {again}")
    assert state(study)["counts"]["interrupted"] == 1
    with study.writing():
        for late in (running, planned):
            study.accept(late.trial.key, packed(late))
        assert standing(study)[0] == "ending"
    (path / "report.html").touch()
    kind, said = standing(study)
    assert (kind, said) == ("finished", f"All 3 planned trials have ended. The report is {path / 'report.html'}.")


def test_a_study_that_cannot_be_read_any_more_is_said_and_looked_at_again(study):
    page = LivePage(study.path)
    assert page.state()["standing"]["kind"] == "finished"
    kept = (study.path / "study.yaml").read_bytes()
    (study.path / "study.yaml").write_bytes(b"schema_version: 99\n")
    told = page.state()
    assert told["standing"]["kind"] == "unreadable"
    assert "install a newer ablate" in told["standing"]["said"]
    (study.path / "study.yaml").write_bytes(kept)
    assert page.state()["standing"]["kind"] == "finished"


def results(page: LivePage) -> dict[str, Any]:
    return json.loads(page.pages("token")["/results"]().body)


def networks(found: dict[str, Any]) -> dict[str, Any]:
    """The data of the networks in the page's part on them, of the one data set."""
    match = re.search(r'<script type="application/json">(.*?)</script>', found["networks"], re.DOTALL)
    assert match
    (data,) = json.loads(match[1])
    return data


def test_results_are_those_of_the_trials_that_ended_and_are_made_anew_where_one_did(study, one):
    page = LivePage(study.path)
    first = page.state()["results"]
    found = results(page)
    assert found["results"] == first
    shown = networks(found)
    assert shown["cells"][0] == one.trial.cell
    assert len(shown["cells"]) == 4, "the trivial rows are among them"
    assert found["curves"]["data"]
    assert (found["curves_of"], found["curves_drawn"]) == (1, 1)
    assert [row["state"] for row in found["trials"]] == ["complete"]
    assert any("quick profile" in note for note in found["notes"])
    failed = with_seed(one, 1)
    with study.writing():
        study.plan(run_of(failed.trial), threads=1, data_dir=None)
        study.accept(failed.trial.key, packed(failed, state="failed", epochs=1, error="diverged <b>\x1b[2J"))
    resting = page.state()["results"]
    assert resting == first, "results that took long are left as they are for nine times as long"
    page._results._rests_until = 0.0
    assert page.state()["results"] > first
    rows = {row["key"]: row for row in results(page)["trials"]}
    assert rows[failed.trial.key] | {"train_seconds": 0} == {
        "key": failed.trial.key, "name": "seed=1, seed 1", "state": "failed", "epochs": 1,
        "val_dice": rows[one.trial.key]["val_dice"], "train_seconds": 0, "error": "diverged <b>␛[2J",
    }  # fmt: skip


@pytest.fixture
def read_only(study, tmp_path) -> Iterator[Path]:
    """The study, on a file system that cannot be written."""
    seen = tmp_path / "read_only"
    seen.mkdir()
    for options in (["--bind", str(study.path), str(seen)], ["-o", "remount,ro,bind", str(seen)]):
        mounted = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
        if mounted.returncode:
            pytest.skip(f"only root can mount: {mounted.stderr.strip()}")
    yield seen
    subprocess.run(["umount", "-l", str(seen)], check=True)


def test_a_study_that_cannot_be_written_is_watched_as_any(read_only):
    with pytest.raises(OSError, match="Read-only"):
        (read_only / "x").touch()
    page = LivePage(read_only)
    assert page.check() == "All 1 planned trials have ended."
    page.state()
    assert networks(results(page))["cells"]
    shown = ablate("status", "--watch", read_only).stdout
    assert "Nothing is running. All 1 planned trials have ended." in shown


def test_a_trial_that_is_damaged_is_left_out_and_said_until_it_is_whole_again(study, one):
    file = study.path / "trials" / one.trial.key / "images.parquet"
    kept = file.read_bytes()
    file.write_bytes(kept[:-9])
    page = LivePage(study.path)
    page.state()
    found = results(page)
    assert one.trial.cell not in found["networks"]
    assert any(one.trial.key in note and "damaged" in note for note in found["notes"])


def test_names_and_reasons_of_a_strangers_study_are_text(study, one):
    script = "<script>alert(1)</script>"
    odd = with_seed(one, 1)
    run = run_of(odd.trial, space=script)
    run = run.model_copy(update={"trials": {odd.trial.key: {script: script}}, "question": f"{script}\u202e"})
    with study.writing():
        study.plan(run, threads=1, data_dir=None)
        study.accept(odd.trial.key, packed(odd))
    page = LivePage(study.path)
    told = page.state()
    assert "\u202e" not in told["question"]
    found = results(page)
    assert found["networks"].count("<script") == 1
    assert odd.trial.cell in networks(found)["cells"]
    assert "<script" not in json.dumps(found["curves"])


def test_the_curve_of_a_long_training_is_thinned_and_ends_where_it_is(study, one):
    long = with_seed(one, 1)
    with study.writing():
        study.plan(run_of(long.trial), threads=1, data_dir=None)
        lines = [epoch_line(Epoch(n, 1 / n, 0.6, 0.7, 0.5, 0.6, 1.5, 40.0)) for n in range(1, 5001)]
        study.log(long.trial.key, "\n".join(lines))
        driver(study, long.trial.key)
        (curve,) = state(study)["curves"]
    fall_silent(study)
    assert len(curve["epoch"]) <= 301
    assert (curve["epoch"][0], curve["epoch"][-1]) == (1, 5000)
    assert len(curve["epoch"]) == len(curve["train_loss"]) == len(curve["val_dice"])
