"""`ablate run --search`, with real Ray: killed and run again, within a budget, and with what a study has already."""

import json
import subprocess
import time
from pathlib import Path

from commands import ABLATE, SPACE, ablate, kill_tree, tables

from ablate.study.study import Study

SEARCHED = SPACE.replace("model.width: [4, 8]", "model.width: [2, 4, 8]\n  model.stages: [2, 3]").replace(
    "epochs: 3", "epochs: 5"
)


def space_file(folder: Path) -> Path:
    file = folder / "space.yaml"
    file.write_text(SEARCHED)
    return file


def events(study: Path) -> list[dict]:
    """What the search decided and saw, without what its machine took."""
    lines = [
        json.loads(line) for file in (study / "searches").glob("*.jsonl") for line in file.read_text().splitlines()
    ]
    return [{name: value for name, value in line.items() if name not in ("seal", "seconds")} for line in lines]


def test_a_search_that_is_killed_three_times_ends_as_one_that_is_not(tmp_path: Path) -> None:
    space, calm, study = space_file(tmp_path), tmp_path / "calm", tmp_path / "study"
    ablate("run", "--space", space, "--study", calm, "--search")
    whole = events(calm)
    for share in (0.2, 0.5, 0.8):
        command = [ABLATE, "run", "--space", space, "--study", study, "--search", "--max-concurrent", "1"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 300
            while not study.exists() or len(events(study)) < share * len(whole):
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.02)
        finally:
            kill_tree(process.pid)
            process.wait()
    said = ablate("run", "--space", space, "--study", study, "--search").stdout
    assert events(study) == whole
    assert tables(study) == tables(calm)
    assert "Search: 6 configurations begun" in said


def test_a_budget_of_epochs_binds_and_a_larger_one_goes_on(tmp_path: Path) -> None:
    space, study = space_file(tmp_path), tmp_path / "study"
    first = ablate("run", "--space", space, "--study", study, "--search", "--budget-epochs", "12").stdout
    assert "12 of 12 epochs" in first
    assert sum(record.epochs for record in Study.open(study).records().values()) == 12
    then = ablate("run", "--space", space, "--study", study, "--search", "--budget-epochs", "20").stdout
    assert "12 of them before this run" in then
    records = Study.open(study).records().values()
    assert 12 < sum(record.epochs for record in records) <= 20
    assert any(record.state == "complete" for record in records)
