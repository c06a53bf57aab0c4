"""A budget through real Ray: it ends a run, what it stopped is kept, and a larger one goes on with it."""

from __future__ import annotations

import json
from pathlib import Path

from commands import SPACE, ablate

from ablate.study.records import Record
from ablate.study.study import Study

WIDE = SPACE.replace("epochs: 3", "epochs: 6").replace("[4, 8]", "[2, 3, 4, 5, 6]")


def records(study: Path) -> list[Record]:
    return [record for record in Study.open(study).records().values() if record.state != "trivial"]


def epochs(study: Path) -> int:
    return sum(record.epochs for record in records(study))


def test_a_budget_binds_paused_trials_and_a_larger_one_goes_on_with_them(tmp_path):
    space, study = tmp_path / "wide.yaml", tmp_path / "study"
    space.write_text(WIDE)
    command = ("run", "--space", space, "--study", study, "--scheduler", "pareto-promote", "--cpus-per-trial", "2")
    printed = " ".join(ablate(*command, "--budget-epochs", "7").stdout.split())
    assert "Budget: 7 of 7 epochs; it ended the run: with more it goes on" in printed
    first = {record.key: record for record in records(study)}
    assert epochs(study) == 7
    cut = [record for record in first.values() if record.out_of_budget]
    assert {record.state for record in cut} == {"stopped"}
    assert len(cut) >= 3

    printed = " ".join(ablate(*command, "--budget-epochs", "7").stdout.split())
    assert "Budget: 7 of 7 epochs, 7 of them before this run; it ended the run" in printed
    assert {record.key: record for record in records(study)} == first

    printed = " ".join(ablate(*command, "--budget-epochs", "16").stdout.split())
    assert "Budget: 16 of 16 epochs, 7 of them before this run; it ended the run" in printed
    assert epochs(study) == 16
    assert all(record.epochs >= first[record.key].epochs for record in records(study) if record.key in first)

    # Without a scheduler a trial starts only if it can end: of the 14 epochs that are left, it takes what fits.
    plain = ("run", "--space", space, "--study", study, "--cpus-per-trial", "2")
    printed = " ".join(ablate(*plain, "--budget-epochs", "24").stdout.split())
    assert "it ended the run" in printed
    whole = [record for record in records(study) if record.state == "complete"]
    assert epochs(study) <= 24
    assert len(whole) >= 2
    assert json.loads(ablate("status", study, "--json").stdout)["counts"]["complete"] == len(whole)


def test_a_budget_of_hours_that_is_over_trains_nothing_and_seeds_that_compete_are_said(tmp_path):
    space, study = tmp_path / "wide.yaml", tmp_path / "study"
    space.write_text(WIDE)
    command = ("run", "--space", space, "--study", study, "--seeds", "2", "--budget-hours", "1e-9", "--scheduler")
    printed = " ".join(ablate(*command, "asha").stdout.split())
    assert "of 1e-09 hours; it ended the run: with more it goes on" in printed
    assert "Note: scheduler asha takes each seed and fold for a network of its own" in printed
    assert records(study) == []
    assert "takes each seed" not in ablate(*command, "pareto").stdout
