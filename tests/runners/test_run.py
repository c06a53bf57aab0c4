"""`ablate run` through real Ray: nothing is trained twice, nothing is lost, and interruption leaves no trace."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import ABLATE, SPACE, ablate, kill_tree, tables, wait_until, workers

from ablate.study.manifest import Manifest, write_manifest


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("space") / "widths.yaml"
    path.write_text(SPACE)
    return path


@pytest.fixture(scope="module")
def study(space: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A finished study, and what its run printed."""
    path = tmp_path_factory.mktemp("study") / "first"
    return path, ablate("run", "--space", space, "--study", path).stdout


def keys(study: Path) -> set[str]:
    return {trial["key"] for trial in json.loads(ablate("status", study, "--json").stdout)["trials"]}


def test_a_run_trains_every_trial_and_ends_with_front_and_report(study):
    path, printed = study
    status = json.loads(ablate("status", path, "--json").stdout)
    assert status["counts"] == {"complete": 2, "failed": 0, "missing": 0}
    assert {trial["state"] for trial in status["trials"]} == {"complete"}
    assert [trial["levels"] for trial in status["trials"]] == [{"model.width": "4"}, {"model.width": "8"}]
    assert "On the front of Dice against parameters" in printed
    assert "demonstrates, and is not evidence" in " ".join(printed.split())
    assert "all foreground" in printed
    assert f"Report: {path}/report.html" in printed
    assert (path / "report.html").stat().st_size > 1e6
    assert [line for line in printed.splitlines() if len(line) > 80 and str(path) not in line] == []
    assert "\x1b" not in printed


def test_the_same_command_again_trains_nothing(study, space):
    path, _ = study
    kept = [*path.glob("plans.jsonl*"), *path.glob("study.yaml*"), *path.glob("trials/**/*.*")]
    before = {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in kept}
    printed = ablate("run", "--space", space, "--study", path).stdout
    assert "none to train" in printed
    assert "trials trained" not in printed
    assert {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in kept} == before


def test_one_more_seed_and_an_overlapping_space_train_only_what_is_new(study, space, tmp_path):
    path, _ = study
    before = keys(path)
    printed = ablate("run", "--space", space, "--study", path, "--seeds", "2").stdout
    assert "2 of them are in the study already; 2 to train" in printed
    assert before < keys(path)
    assert len(keys(path)) == 4

    other = tmp_path / "other.yaml"
    other.write_text(SPACE.replace("name: widths", "name: wider").replace("[4, 8]", "[8, 12]"))
    printed = ablate("run", "--space", other, "--study", path).stdout
    assert "1 of them are in the study already; 1 to train" in printed
    status = json.loads(ablate("status", path, "--json").stdout)
    assert status["counts"]["complete"] == 5
    shared = [trial for trial in status["trials"] if len(trial["spaces"]) == 2]
    assert [(trial["spaces"], trial["levels"]) for trial in shared] == [(["widths", "wider"], {"model.width": "8"})]
    spread = json.loads(ablate("pareto", path, "--json").stdout)
    assert {point["seeds"] for point in spread["points"]} == {1, 2}
    assert {point["spread"] is None for point in spread["points"]} == {True, False}


# A slower space, so that a kill finds trials under way.
SLOW = SPACE.replace("epochs: 3", "epochs: 16").replace("[4, 8]", "[4, 8, 12, 16]").replace("[32, 32]", "[64, 64]")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A slow study trained at one go, one trial at a time; and its tables."""
    folder = tmp_path_factory.mktemp("slow")
    space = folder / "widths.yaml"
    space.write_text(SLOW)
    ablate("run", "--space", space, "--study", folder / "whole", "--max-concurrent", "1")
    return space, tables(folder / "whole")


def test_three_power_cuts_leave_no_trace_in_any_table(uninterrupted, tmp_path):
    space, expected = uninterrupted
    study = tmp_path / "study"
    checkpoints, trials = study / "ray" / "checkpoints", study / "trials"

    def trained() -> int:
        return sum((folder / "model.safetensors").exists() for folder in trials.glob("*"))

    moments: list[Callable[[], bool]] = [
        lambda: any((study / "ray" / "drivers").glob("*.json")),  # Ray is starting, no epoch has ended
        lambda: any(checkpoints.glob("*.safetensors")),  # between epochs
        lambda: trained() >= 1,  # one is in, another under way
    ]
    for moment in moments:
        run = subprocess.Popen([ABLATE, "run", "--space", space, "--study", study], stdout=subprocess.DEVNULL)
        wait_until(moment, run)
        kill_tree(run.pid)
        run.wait()
    assert 1 <= trained() < 4
    ablate("run", "--space", space, "--study", study)
    assert tables(study) == expected
    assert not list(checkpoints.glob("*"))
    assert not list((study / "ray" / "arrivals").glob("*"))


def test_a_worker_that_dies_is_replaced_and_leaves_no_trace(uninterrupted, tmp_path):
    space, expected = uninterrupted
    study = tmp_path / "study"
    run = subprocess.Popen([ABLATE, "run", "--space", space, "--study", study], stdout=subprocess.PIPE, text=True)
    wait_until(lambda: any((study / "ray" / "checkpoints").glob("*.safetensors")), run)
    os.kill(workers(run.pid)[0], signal.SIGKILL)
    printed, _ = run.communicate(timeout=120)
    assert run.returncode == 0
    assert "its process died (killed, or out of memory): it goes on from epoch" in printed
    assert tables(study) == expected
    assert any("its process died" in log.read_text() for log in (study / "logs").glob("*.log"))


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_how_to_go_on(uninterrupted, tmp_path, signal_number):
    space, expected = uninterrupted
    study = tmp_path / "study"
    run = subprocess.Popen(
        [ABLATE, "run", "--space", space, "--study", study], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_until(lambda: any((study / "ray" / "checkpoints").glob("*.safetensors")), run)
    run.send_signal(signal_number)
    printed, errors = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "Interrupted." in printed
    assert "the same command goes on from there" in " ".join(printed.split())
    assert errors == ""
    counts = json.loads(ablate("status", study, "--json").stdout)["counts"]
    assert counts.get("interrupted", 0) + counts["missing"] >= 1
    if signal_number == signal.SIGINT:
        ablate("run", "--space", space, "--study", study)
        assert tables(study) == expected


def test_a_trial_that_fails_is_recorded_with_its_reason_and_stops_no_other(tmp_path):
    space = tmp_path / "rates.yaml"
    space.write_text(SPACE.replace("model.width: [4, 8]", "protocol.learning_rate: [1.0e+30, 0.001]"))
    study = tmp_path / "study"
    printed = ablate("run", "--space", space, "--study", study).stdout
    assert "1 trials trained, 1 failed" in printed
    status = json.loads(ablate("status", study, "--json").stdout)
    assert status["counts"] == {"complete": 1, "failed": 1, "missing": 0}
    failed = next(trial for trial in status["trials"] if trial["state"] == "failed")
    assert failed["error"].startswith("diverged: the ")
    assert "diverged" in ablate("status", study).stdout
    trials = ablate("export", study, "--table", "trials").stdout
    assert "diverged" in trials
    assert len(json.loads(ablate("pareto", study, "--json").stdout)["points"]) == 1
    assert "diverged" in (study / "report.html").read_text()
    assert "none to train" in ablate("run", "--space", space, "--study", study).stdout
    again = ablate("run", "--space", space, "--study", study, "--retry-failed").stdout
    assert "1 of them are in the study already; 1 to train" in again
    assert "0 trials trained, 1 failed" in again


def test_a_run_whose_every_trial_failed_has_not_succeeded(tmp_path):
    space = tmp_path / "rates.yaml"
    space.write_text(SPACE.replace("model.width: [4, 8]", "protocol.learning_rate: [1.0e+30, 1.0e+29]"))
    study = tmp_path / "study"
    for printed in ("0 trials trained, 2 failed", "none to train"):
        ran = ablate("run", "--space", space, "--study", study, check=False)
        assert (ran.returncode, ran.stderr.count("\n")) == (1, 1)
        assert ran.stderr.startswith("ablate: 2 of 2 trials failed, the first: diverged: the ")
        assert "--retry-failed" in ran.stderr
        assert printed in ran.stdout
        assert f"Report: {study}/report.html" in ran.stdout


def test_a_report_that_cannot_be_made_costs_a_line_and_no_training(tmp_path):
    space = tmp_path / "widths.yaml"
    space.write_text(SPACE)
    study = tmp_path / "study"
    (study / "report.html").mkdir(parents=True)
    write_manifest(study, Manifest(id="a" * 32))
    ran = ablate("run", "--space", space, "--study", study)
    assert "2 trials trained" in ran.stdout
    assert "On the front of Dice against parameters" in ran.stdout
    assert ran.stderr.startswith("Note: the report could not be made: ")
    assert f"the trials are kept: 'ablate report {study}' makes the report\n" in ran.stderr
    assert ran.stderr.count("\n") == 1


def test_predicting_with_a_wrong_key_or_image_writes_nothing(study, tmp_path):
    path, _ = study
    key = sorted(keys(path))[0]
    wrong = ablate("predict", path, key[:-1] + "x", "image.png", "-o", tmp_path / "masks", check=False)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert f"unknown trial '{key[:-1]}x': did you mean '{key}'" in wrong.stderr
    (tmp_path / "image.png").write_bytes(b"no image")
    wrong = ablate("predict", path, key, tmp_path / "image.png", "-o", tmp_path / "masks", check=False)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert "image.png" in wrong.stderr
    assert not (tmp_path / "masks").exists()


def test_predicting_gives_the_masks_that_the_study_was_judged_on(study, tmp_path):
    import numpy as np
    from PIL import Image

    path, _ = study
    key = sorted(keys(path))[0]
    pictures = next((path / "data").iterdir())
    images = [file for file in sorted(pictures.glob("*.png")) if "_mask" not in file.name]
    ablate("predict", path, key, *images, "-o", tmp_path / "masks")
    for image in images:
        found = np.asarray(Image.open(tmp_path / "masks" / image.name))
        kept = np.asarray(Image.open(path / "trials" / key / "samples" / image.name))
        # The picture has 8 bits of the image that was judged, so a pixel at the threshold may differ.
        assert (found != kept).mean() < 0.01
        assert set(np.unique(found)) <= {0, 255}


def test_a_second_run_is_told_who_holds_the_study_or_shares_it(uninterrupted, tmp_path):
    space, expected = uninterrupted
    study = tmp_path / "study"
    command = [ABLATE, "run", "--space", str(space), "--study", str(study), "--max-concurrent", "1"]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    wait_until(lambda: any((study / "ray" / "checkpoints").glob("*.safetensors")), first)
    first.send_signal(signal.SIGSTOP)  # or a busy machine would have it end them all before the second has begun
    second = subprocess.Popen([*command, "--share"], stdout=subprocess.PIPE, text=True)
    told = ablate(*command[1:], check=False)
    wait_until(lambda: any((study / "trials").glob("*/model.safetensors")), second)
    first.send_signal(signal.SIGCONT)
    assert told.returncode == 2
    assert f"is in use by process {first.pid} on " in told.stderr
    assert "--share" in told.stderr
    printed = [run.communicate(timeout=300)[0] for run in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0)
    assert sum(text.count("\N{CHECK MARK}") for text in printed) == 4
    assert all("\N{CHECK MARK}" in text for text in printed)
    assert tables(study) == expected
