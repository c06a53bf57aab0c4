"""What can happen to a machine under a study: a full disk, one gone read-only, images that change."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from commands import ABLATE, SPACE, ablate, tables, wait_until
from PIL import Image

# Checkpoints of at most 1.6 MB, so written after each epoch, and weights of 0.4 MB.
WEIGHTY = SPACE.replace("epochs: 3", "epochs: 12").replace("[4, 8]", "[12, 13, 14, 15]")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 20 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=20m", "none", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"only root can mount a small disk: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The space, and the tables of its study on a disk with room."""
    folder = tmp_path_factory.mktemp("calm")
    space = folder / "widths.yaml"
    space.write_text(WEIGHTY)
    ablate("run", "--space", space, "--study", folder / "study")
    return space, tables(folder / "study")


def wait_for_epochs(study: Path, run: subprocess.Popen[str]) -> None:
    wait_until(lambda: any((study / "ray" / "checkpoints").glob("*.safetensors")), run)


def fill(disk: Path) -> Path:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):  # a buffer would fail again at the end
        while True:
            file.write(b"\0" * 65536)
    return filler


def test_a_full_disk_stops_the_run_and_after_space_is_made_it_completes(small_disk, calm):
    space, expected = calm
    study = small_disk / "study"
    run = subprocess.Popen(
        [ABLATE, "run", "--space", space, "--study", study], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for_epochs(study, run)
    filler = fill(small_disk)
    printed, errors = run.communicate(timeout=180)
    assert run.returncode == 1, printed + errors
    assert errors.count("\n") == 1
    assert "No space left on device" in errors
    assert "(0 MB are free there)" in errors
    assert "then run the same command" in errors
    filler.unlink()
    before = {key for key, state in states(study).items() if state == "complete"}
    printed = ablate("run", "--space", space, "--study", study).stdout
    assert f"{4 - len(before)} trials trained" in printed
    assert tables(study) == expected


def test_a_full_storage_is_named_with_its_own_room_and_not_the_studys(small_disk, calm, tmp_path):
    space, expected = calm
    study, storage = tmp_path / "study", small_disk / "storage"
    command = ["run", "--space", str(space), "--study", str(study), "--storage-path", str(storage)]
    run = subprocess.Popen([ABLATE, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: any(storage.glob("*/checkpoints/*.safetensors")), run)
    filler = fill(small_disk)
    printed, errors = run.communicate(timeout=180)
    assert run.returncode == 1, printed + errors
    assert errors.startswith(f"ablate: storage '{storage}/")
    assert "No space left on device (0 MB are free there)" in errors
    assert errors.count("MB are free") == 1
    again = ablate(*command, check=False)
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr.startswith(f"ablate: --storage-path: storage '{storage}': ")
    assert "(0 MB are free there)" in again.stderr
    filler.unlink()
    ablate(*command)
    assert tables(study) == expected


def test_a_study_that_is_moved_away_stops_the_run_and_goes_on_where_it_is(calm, tmp_path):
    space, expected = calm
    study = tmp_path / "study"
    run = subprocess.Popen(
        [ABLATE, "run", "--space", space, "--study", study], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for_epochs(study, run)
    study.rename(tmp_path / "moved")
    printed, errors = run.communicate(timeout=180)
    assert run.returncode == 1, printed + errors
    assert errors.count("\n") == 1
    assert "then run the same command" in errors
    assert not study.exists()
    ablate("run", "--space", space, "--study", tmp_path / "moved")
    assert tables(tmp_path / "moved") == expected


def test_a_study_on_a_read_only_disk_is_one_line(small_disk, calm):
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    refused = ablate("run", "--space", calm[0], "--study", small_disk / "study", check=False)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "Read-only file system" in refused.stderr


def states(study: Path) -> dict[str, str]:
    trials = json.loads(ablate("status", study, "--json").stdout)["trials"]
    return {trial["key"]: trial["state"] for trial in trials}


def test_images_that_changed_make_other_trials_and_it_is_said(tmp_path):
    rng = np.random.default_rng(0)
    for folder in ("images", "masks"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    for number in range(10):
        mask = rng.random((16, 16)) > 0.5
        for folder, pixels in (("images", mask * 100 + 50), ("masks", mask * 255)):
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "data" / folder / f"{number}.png")
    space = tmp_path / "widths.yaml"
    space.write_text(
        "name: widths\nquestion: Do wider networks pay?\ndesign: grid\n"
        "base: {model: {name: unet, stages: 2}, data.size: [16, 16], protocol.epochs: 1}\n"
        "factors: {model.width: [2]}\n"
    )
    data = ("--data", "folder", "--data-dir", tmp_path / "data")
    command = ("run", "--space", space, "--study", tmp_path / "study", *data)
    ablate(*command)
    assert "none to train" in ablate(*command).stdout
    Image.new("L", (16, 16), 77).save(tmp_path / "data" / "images" / "3.png")
    printed = " ".join(ablate(*command).stdout.split())
    assert "the images of 'folder' have changed since 1 trial of this study was trained" in printed
    assert "1 trials trained" in printed
    assert sorted(states(tmp_path / "study").values()) == ["complete", "complete"]
