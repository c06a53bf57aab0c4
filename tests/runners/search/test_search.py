"""`ablate run --sampler` through real Ray: a search that is killed goes on as if it had not been."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest
from commands import ABLATE, SPACE, ablate, kill_tree, tables

RANGES = (
    SPACE.replace("name: widths", "name: found")
    .replace(
        "model.width: [4, 8]",
        "model.width: [2, 4, 6, 8, 10, 12, 14, 16]\n  protocol.learning_rate: {low: 1.0e-4, high: 1.0e-2, log: true}",
    )
    .replace("design: grid", "design: random\nsamples: 4\nconstraints: [params <= 1e5]")
    .replace("epochs: 3", "epochs: 6")
)


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("space") / "found.yaml"
    path.write_text(RANGES)
    return path


def search(space: Path, study: Path, trials: int = 6) -> list[str]:
    options = ("--sampler", "known_cost", "--trials", str(trials), "--max-concurrent", "1")
    return ["run", "--space", str(space), "--study", str(study), *options]


def proposed(study: Path) -> list[str]:
    (file,) = (study / "searches").glob("*.jsonl")
    return [json.loads(line)["cell"] for line in file.read_text().splitlines()]


def test_a_search_that_is_killed_goes_on_with_what_it_would_have_proposed(space, tmp_path):
    printed = ablate(*search(space, tmp_path / "whole")).stdout
    assert "Up to 6 configurations proposed by known_cost" in printed
    assert "6 trials trained" in printed
    assert "On the front of Dice against parameters" in printed

    study = tmp_path / "killed"
    run = subprocess.Popen([ABLATE, *search(space, study)], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 180
    while sum((folder / "model.safetensors").exists() for folder in (study / "trials").glob("*")) < 3:
        assert run.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    kill_tree(run.pid)
    run.wait()
    ablate(*search(space, study))
    assert proposed(study) == proposed(tmp_path / "whole")
    assert tables(study) == tables(tmp_path / "whole")

    assert "All of them are in the study already" in ablate(*search(space, study)).stdout
    ablate(*search(space, study, trials=7))
    assert proposed(study)[:6] == proposed(tmp_path / "whole")
    assert len(proposed(study)) == 7
    assert "10 trials, all sound" in ablate("verify", study).stdout  # these 7, and the three trivial predictors


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--sampler", "tpee"), "unknown sampler 'tpee': did you mean 'tpe'?"),
        (("--trials", "4"), "--trials 4: belongs to a search; give --search or --sampler too"),
        (("--scheduler", "pareta"), "unknown scheduler 'pareta': did you mean 'pareto'?"),
        (("--sampler", "tpe", "--share"), "--share: a search is one process"),
    ],
)
def test_slips_are_one_line_and_leave_nothing(space, tmp_path, options, said):
    wrong = ablate("run", "--space", space, "--study", tmp_path / "study", *options, check=False)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert said in wrong.stderr
    assert not (tmp_path / "study" / "study.yaml").exists()


def test_what_a_scheduler_stopped_is_finished_without_it(space, tmp_path):
    wide = tmp_path / "wide.yaml"
    wide.write_text(SPACE.replace("epochs: 3", "epochs: 8").replace("[4, 8]", str(list(range(2, 10)))))
    study = tmp_path / "study"
    command = ("run", "--space", wide, "--study", study, "--max-concurrent", "1", "--scheduler")
    ablate(*command, "asha")
    stopped = json.loads(ablate("status", study, "--json").stdout)["counts"]
    assert stopped["stopped"] >= 1
    assert "none to train" in ablate(*command, "asha").stdout
    assert f"{stopped['stopped']} trials trained" in ablate(*command, "none").stdout
    ablate("run", "--space", wide, "--study", tmp_path / "plain")
    assert tables(study) == tables(tmp_path / "plain")


def test_a_search_on_folds_trains_and_judges_each_configuration_on_all_of_them(space, tmp_path):
    done = ablate(*search(space, tmp_path / "study", trials=2), "--folds", "3", "--epochs", "1")
    assert "6 trials trained" in done.stdout
    assert "(2 of 2 networks)" in " ".join(done.stdout.split())
    rows = json.loads(ablate("export", tmp_path / "study", "--table", "trials", "--format", "json").stdout)
    folds: dict[str, set[float]] = {}
    for row in rows:
        folds.setdefault(row["cell"], set()).add(row["fold"])
    assert list(folds.values()) == [{0, 1, 2}] * (2 + 3)  # the trivial predictors too
    assert "has no fold" not in done.stdout
