"""The head of a report says what the records have, and nothing else."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from made_studies import made_study, trained, trivial

from ablate.analysis.frames import load
from ablate.analysis.report.head import head_of
from ablate.analysis.report.study_report import study_report
from ablate.origin import Origin
from ablate.study.logs import append_to_log, told_of_training
from ablate.study.registrations import Entry, register
from ablate.study.runs import DataRecord
from ablate.study.study import Study

NOW = datetime.datetime(2026, 5, 4, 3, 2, tzinfo=datetime.UTC)
MARKUP = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    one, other = trained(), trained(seed=1)
    return made_study(tmp_path_factory.mktemp("head") / "study", one, other, *trivial(one))


def _head(study: Study) -> dict[str, str]:
    records = [record for record in study.records().values() if record.state != "trivial"]
    return head_of(study, [study.config(record.key) for record in records], records, NOW)


def test_the_head_has_date_trials_data_and_machines(study: Study) -> None:
    head = _head(study)
    assert head["Report"] == "written 2026-05-04 03:02 UTC"
    assert head["Trials"] == "2 complete; 1 network; seeds 0 and 1"
    assert head["Data"].startswith("phantom")
    assert head["Hardware"] == "cpu, 1 thread a trial, float32"
    assert "Claims" not in head  # none was registered
    assert "Versions" not in head  # these records say none


def test_parts_of_the_data_are_counted_where_they_were_looked_at(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    (fingerprint,) = {study.config(key).data.fingerprint for key in study.records()}
    part = {"images": 3, "cases": 1, "empty": 0, "classes": []}
    look = {"size": [4, 4], "fit": "stretch", "stored": {}, "least": [4, 4], "most": [4, 4], "parts": {"test": part}}
    record = DataRecord(title=MARKUP, facts={"looks": [look]})
    monkeypatch.setattr(Study, "data_records", lambda _: {fingerprint: record})
    assert _head(study)["Data"] == f"{MARKUP}: test 3 images of 1 case"
    monkeypatch.setattr(Study, "data_records", lambda _: {fingerprint: DataRecord(facts={"looks": 5})})
    assert _head(study)["Data"].startswith("could not be read: ")


def test_several_versions_are_counted(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    versions = iter([Origin(ablate="0.1.0", torch="2.12"), Origin(ablate="0.2.0", torch="2.13")])
    monkeypatch.setattr(Study, "origin", lambda *_: next(versions))
    assert _head(study)["Versions"] == "ablate 0.1.0, torch 2.12 (1 trial) and ablate 0.2.0, torch 2.13 (1 trial)"


def test_logs_tell_when_and_where_and_registrations_who(tmp_path: Path) -> None:
    one = trained()
    study = made_study(tmp_path / "study", one, *trivial(one))
    append_to_log(study.path, one.trial.key, f"on {MARKUP}, process 12, cpu, 1 threads\nepoch 1: done")
    at = "2026-01-02T03:04:05Z"
    register(study.path, Entry(kind="claim", claim="0" * 64, at=at, by=MARKUP, content={}))
    told = told_of_training(study.path)
    assert told is not None
    assert told.machines == (MARKUP,)
    head = _head(study)
    assert head["Trained"].startswith(told.first)
    assert head["Trained"].endswith(f"UTC on {MARKUP}")
    assert head["Claims"] == f"registered by {MARKUP}, 2026-01-02 03:04 UTC"
    html = study_report(study, load(study))
    assert MARKUP not in html
    assert "&lt;img src=x onerror=alert(1)&gt;" in html.partition('<dl class="head">')[2].partition("</dl>")[0]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\n", b"yesterday on vm, process 1\n"])
def test_logs_that_are_none_tell_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / f"{'0' * 12}.log").write_bytes(content)
    assert told_of_training(tmp_path) is None
