"""A report is written again only where something that it is made of has changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_studies import made_study, trained, trivial

from ablate.data import store
from ablate.runners import kept_report
from ablate.runners.cli.output import console
from ablate.runners.conclusion import conclude
from ablate.runners.execution.ending import Ends
from ablate.runners.kept_report import is_of, keep_in_mind, state_of


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(store.VARIABLE, str(tmp_path / "cache"))
    folder = tmp_path / "study"
    (folder / "trials" / "0123").mkdir(parents=True)
    (folder / "trials" / "0123" / "record.json").write_text("{}")
    (folder / "study.yaml").write_text("runs: []")
    return folder


def written(study: Path) -> Path:
    report = study / "report.html"
    state = state_of(study, report)
    report.write_text("<html>")
    keep_in_mind(report, state)
    return report


def holds(study: Path) -> bool:
    report = study / "report.html"
    return is_of(report, state_of(study, report))


def test_a_report_holds_until_something_of_the_study_changes(study):
    assert not holds(study)
    written(study)
    assert holds(study)
    for name in (".lock", ".sharing", ".changing"):  # which every run touches
        (study / name).write_text("1")
    (study / "ray").mkdir()
    (study / "ray" / "session").write_text("1")
    assert holds(study)
    (study / "trials" / "0123" / "record.json").write_text("[]")
    assert not holds(study)


@pytest.mark.parametrize("change", ["added", "removed", "same length"])
def test_what_changes_a_study(study, change):
    written(study)
    if change == "added":
        (study / "measurements.json").write_text("{}")
    elif change == "removed":
        (study / "study.yaml").unlink()
    else:
        (study / "study.yaml").write_text("runs: {}")
    assert not holds(study)


def test_another_report_in_its_place_is_written_anew(study):
    report = written(study)
    report.write_text("<html> of another metric")
    assert not holds(study)
    report.unlink()
    assert not holds(study)


def test_other_code_writes_another_report(study, monkeypatch):
    written(study)
    monkeypatch.setattr(kept_report, "_writer", lambda: "of another version")
    assert not holds(study)


def test_a_study_in_another_place_is_another_one(study):
    written(study)
    other = study.with_name("other")
    study.rename(other)
    assert not holds(other)


def test_without_a_cache_it_is_written_each_time(study, monkeypatch):
    monkeypatch.setattr(kept_report, "cache_folder", lambda: None)
    written(study)
    assert not holds(study)
    monkeypatch.setattr(kept_report, "cache_folder", lambda: Path("/dev/null/cache"))
    written(study)
    assert not holds(study)


def test_a_conclusion_leaves_a_report_that_holds(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(store.VARIABLE, str(tmp_path / "cache"))
    one = trained()
    made = made_study(tmp_path / "study", one, *trivial(one))
    report = made.path / "report.html"
    pages, times = [], []
    for _ in range(2):
        conclude(made, console(), Ends())
        assert f"Report: {report}" in capsys.readouterr().out.replace("\n", "")
        pages.append(report.read_bytes())
        times.append(report.stat().st_mtime_ns)
    assert times[0] == times[1]
    report.unlink()
    conclude(made, console(), Ends())
    assert report.read_bytes() == pages[0]
