"""`ablate.run`, and what `ablate confirm` has of it: a run is a function, and the command is its options."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from commands import ABLATE, SPACE, ablate

import ablate as package
from ablate.analysis.frames import DURATIONS
from ablate.errors import InputError
from ablate.runners.cli.run import run as command
from ablate.runners.request import Request

SEARCHED = SPACE.replace("design: grid", "design: random\nsamples: 4").replace("epochs: 3", "epochs: 1")


@pytest.fixture
def space(tmp_path: Path) -> Path:
    path = tmp_path / "space.yaml"
    path.write_text(SPACE)
    return path


def called(code: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", f"import ablate\n{code}"],
        cwd=folder, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def content(file: Path, own_id: bytes) -> Any:
    """Of a study's file: its bytes, but for durations and the study's own random id (and the hash over it)."""
    if file.suffix == ".parquet":
        frame = pd.read_parquet(file)
        return frame.drop(columns=[column for column in DURATIONS if column in frame]).to_csv(index=False)
    if file.name == "record.json":
        return {name: value for name, value in json.loads(file.read_text()).items() if name not in DURATIONS}
    found = file.read_bytes().replace(own_id, b"")
    return found[found.index(b"schema_version") :] if file.name.startswith("study.yaml") else found


def everything(study: Path) -> dict[str, Any]:
    """What a study holds, but for logs, hashes of what holds durations, and tables and pages of those."""
    apart = ("report.html", "SHA256SUMS")
    own_id = package.Study.open(study).manifest.id.encode()
    files = [file for file in study.rglob("*") if file.is_file() and file.name not in apart and file.suffix != ".log"]
    return {file.relative_to(study).as_posix(): content(file, own_id) for file in files}


def test_the_function_and_the_command_make_the_same_study(space, tmp_path):
    printed = called(
        f"study = ablate.run({space.name!r}, study='function', seeds=2, settings={{'protocol.epochs': 2}},"
        " max_concurrent=1, cpus_per_trial=1)\n"
        "print(type(study).__name__, len(study.records()))",
        tmp_path,
    )
    done = ablate("run", "--space", space, "--study", tmp_path / "command", "--seeds", "2", "--epochs", "2")
    assert printed.endswith("Study 7\n")
    for said in ("✓ [4/4] ", "4 trials trained in ", "On the front of Dice", "Report: "):
        assert said in printed
        assert said in done.stdout
    one, other = everything(tmp_path / "function"), everything(tmp_path / "command")
    assert len(one) > 40
    assert sorted(one) == sorted(other)
    assert [name for name in one if one[name] != other[name]] == []
    assert (tmp_path / "function" / "report.html").exists()


def test_a_space_may_be_written_where_it_is_asked(space, tmp_path):
    asked = yaml.safe_load(SPACE)
    asked["factors"]["model.width"] = [4]
    printed = called(
        f"ablate.run({asked!r}, study='study', epochs=1)\nablate.run({asked!r}, study='study', epochs=1)", tmp_path
    )
    assert "1 trials trained" in printed
    assert "none to train" in printed


def test_an_interrupted_call_says_how_to_go_on_and_does(space, tmp_path):
    code = f"""
import ablate
try:
    ablate.run({space.name!r}, study="study", epochs=100000)
except KeyboardInterrupt as interrupt:
    print("said:", interrupt)
study = ablate.run({space.name!r}, study="study", epochs=1)
print(sorted(record.state for record in study.records().values()))
"""
    process = subprocess.Popen([sys.executable, "-uc", code], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    while not list((tmp_path / "study").glob("logs/*.log")):
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert "said: Interrupted. Every finished trial is in study; the same command goes on from there." in said
    assert said.endswith("['complete', 'complete', 'trivial', 'trivial', 'trivial']\n")


def test_a_call_that_is_interrupted_anywhere_says_how_to_go_on(space, tmp_path, monkeypatch):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ablate.runners.trainer.Trainer.train_trials", interrupted)
    with pytest.raises(KeyboardInterrupt, match=f"Every finished trial is in {tmp_path / 'study'}; the same command"):
        package.run(str(space), study=tmp_path / "study")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": 3}, "run: there is no field 'seed'"),
        ({"seeds": 0}, "run: seeds: .*given: 0"),
        ({"seeds": "3"}, "run: seeds: .*given: '3'"),
        ({"gpus_per_trial": "x"}, "run: gpus_per_trial: .*given: 'x'"),
        ({"gpus_per_trial": -1.0}, "run: gpus_per_trial: "),
        ({"max_failures": -1}, "run: max_failures: "),
        ({"space": "pyramids"}, "unknown space 'pyramids'"),
        ({"space": {"name": "x"}}, "space: question: "),
        ({"profile": "fast"}, "unknown profile 'fast'"),
        ({"settings": {"model.nonsense": 3}}, "there is no field 'nonsense'"),
        ({"settings": {"width": 3}}, "field 'width' belongs to no part of a trial"),
        ({"epochs": 3, "settings": {"protocol.epochs": 3}}, "leave one out"),
        ({"log": ("paper",)}, "paper"),
        ({"scheduler": "fair"}, "fair"),
        ({"trials": 3}, "belongs to a search"),
        ({"sampler": "tpe", "share": True}, "a search is one process"),
    ],
)
def test_bad_options_are_one_line_and_nothing_is_written(space, tmp_path, options, message):
    with pytest.raises(InputError, match=message) as error:
        package.run(**{"space": str(space), "study": tmp_path / "study", **options})
    assert "\n" not in str(error.value)
    assert not (tmp_path / "study").exists()


def test_a_process_in_which_ray_runs_is_told(space, tmp_path):
    code = f"""
import ray
ray.init(num_cpus=1, include_dashboard=False, logging_level="ERROR")
try:
    ablate.run({space.name!r}, study="study")
except ablate.errors.InputError as error:
    print(error)
"""
    assert "Ray is running in this process already" in called(code, tmp_path)
    assert not (tmp_path / "study").exists()


def test_the_commands_options_are_the_functions():
    given = command.make_context("run", ["--space", "x"]).params
    assert given.pop("settings") == ()
    assert set(given) == set(Request.model_fields) - {"settings"}
    assert Request(**given) == Request(space="x")


def test_a_confirmation_is_trained_like_a_run(tmp_path):
    """Storage, logs and failures are as of `run`; what it trained once it does not train again."""
    (tmp_path / "space.yaml").write_text(SEARCHED)
    study = tmp_path / "study"
    ablate("run", "--space", tmp_path / "space.yaml", "--study", study, "--sampler", "random", "--trials", "2")
    confirm = ("confirm", study, "--seeds", "1", "--rivals", "0", "--storage-path", tmp_path / "storage")
    first = ablate(*confirm, "--log", "tensorboard", "--max-concurrent", "1", "--max-failures", "0")
    assert "trials trained in" in first.stdout
    assert (tmp_path / "storage").is_dir()
    assert list((study / "tensorboard").iterdir())
    assert "trained" not in ablate(*confirm).stdout.partition("searched, again")[0]
    assert "all sound" in ablate("verify", study).stdout
    refused = subprocess.run(
        [ABLATE, "confirm", str(study), "--address", "127.0.0.1:1"], capture_output=True, text=True, check=False
    )
    assert refused.returncode == 2
    assert refused.stderr.startswith("ablate: --address 127.0.0.1:1: no Ray cluster answers there")
