"""Studies that version 1 wrote: read as they are, and brought to today's layout with a copy kept."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from io import BytesIO
from pathlib import Path

import optuna
import pytest
import yaml
from made_studies import Trained, packed, record_of, run_of, trained
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from ablate.errors import InputError
from ablate.study import migration
from ablate.study import plans as plans_module
from ablate.study.study import Study
from ablate.study.verify import verify

LATER = {"workers", "training_memory_mb"}
"""Fields of the record that version 1 did not have."""


@pytest.fixture(scope="module")
def trials() -> list[Trained]:
    first = trained()
    return [first, *(trained(first.dataset, seed=seed) for seed in (1, 2))]


def put(folder: Path, one: Trained, **changes: object) -> None:
    """A trial's folder as version 1 left it."""
    with zipfile.ZipFile(BytesIO(packed(one, **changes))) as archive:
        archive.extractall(folder)
    (folder / "SHA256SUMS").unlink()
    (folder / "record.json").write_text(record_of(one, **changes).model_dump_json(indent=1, exclude=LATER))


def journal(study: Path, one: Trained, **changes: object) -> None:
    record = record_of(one, **changes)
    table = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(study / "optuna.journal"))),
        study_name="ablate",
        directions=["maximize", "minimize", "minimize"],
        load_if_exists=True,
    )
    failed = record.state == "failed"
    table.add_trial(
        optuna.trial.create_trial(
            state=optuna.trial.TrialState.FAIL if failed else optuna.trial.TrialState.COMPLETE,
            values=None if failed else [record.val_dice or 0.0, record.params, record.macs],
            params={"widths.seed": str(record.seed)},
            distributions={"widths.seed": optuna.distributions.CategoricalDistribution((str(record.seed),))},
            user_attrs={"record": record.model_dump(exclude=LATER)},
        )
    )


FAILED = {"state": "failed", "error": "diverged", "epochs": 1, "best_epoch": None, "val_dice": None}


@pytest.fixture
def old(tmp_path, trials):
    """A study of version 1: one trial in place, one that failed once, one on its way in, and one half written."""
    path = tmp_path / "old"
    first, second, third = trials
    path.mkdir()
    manifest = {"schema_version": 1, "threads": 1, "data_dir": None, "versions": {"torch": "2.13.0"}}
    runs = [run_of(*(one.trial for one in trials)).model_dump()]
    (path / "study.yaml").write_text(yaml.safe_dump(manifest | {"runs": runs}, sort_keys=False))
    put(path / "trials" / first.trial.key, first)
    journal(path, first)
    journal(path, second, **FAILED)
    put(path / "trials" / second.trial.key, second)
    journal(path, second)
    put(path / "ray" / "arrivals" / third.trial.key, third)
    (path / "ray" / "arrivals" / "0123456789ab.partial").mkdir()
    checkpoint = path / "ray" / "checkpoints" / "0123456789ab.safetensors"
    checkpoint.parent.mkdir()
    checkpoint.write_bytes(b"checkpoint")
    (path / ".lock").touch()
    return path


def contents(path: Path) -> dict[str, tuple[bytes, int]]:
    files = (file for file in path.rglob("*") if file.is_file())
    return {str(file.relative_to(path)): (file.read_bytes(), file.stat().st_mtime_ns) for file in files}


def test_reading_an_old_study_changes_nothing_in_it(old, trials, capsys):
    from ablate.runners.cli.export import export
    from ablate.runners.cli.verify import verify as verify_command

    before = contents(old)
    study = Study.open(old)
    assert study.records() == {one.trial.key: record_of(one) for one in sorted(trials[:2], key=lambda o: o.trial.key)}
    assert study.config(trials[0].trial.key) == trials[0].trial
    assert verify(study) == []
    export.main([str(old), "--table", "trials"], standalone_mode=False)
    assert trials[0].trial.key in capsys.readouterr().out
    assert verify_command.main([str(old)], standalone_mode=False) == 0
    assert "an older version wrote this study" in capsys.readouterr().out
    assert contents(old) == before


def test_an_old_study_is_brought_to_todays_layout(old, trials):
    before = contents(old)
    study = Study.open(old)
    with study.writing():
        assert "from study schema 1 to 4" in study.mended
    again = Study.open(old)
    assert (again.manifest.schema_version, len(again.manifest.id)) == (4, 32)
    assert again.plans.levels == {one.trial.key: {"widths.seed": str(one.trial.seed)} for one in trials}
    assert again.records() == {one.trial.key: record_of(one) for one in sorted(trials, key=lambda o: o.trial.key)}
    assert verify(again) == []
    for one in trials:
        folder = again.trial_dir(one.trial.key)
        subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=folder, check=True)
    assert not list((old / "ray" / "arrivals").iterdir())
    assert (old / "ray" / "checkpoints" / "0123456789ab.safetensors").read_bytes() == b"checkpoint"
    for name in ("study.yaml", "optuna.journal"):
        assert (old / "before-schema-4" / name).read_bytes() == before[name][0]
    with again.writing():
        assert again.mended == ""


class Killed(BaseException):
    pass


@pytest.mark.parametrize(
    ("module", "step"),
    [
        (migration, "_keep_copy"),
        (migration, "_take_arrivals"),
        (migration, "write_checksums"),
        (migration, "journalled"),
        (plans_module.Plans, "write"),
        (migration, "write_manifest"),
        (migration, "clear_away"),
    ],
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_migration_that_is_killed_anywhere_goes_on_the_next_time(old, trials, monkeypatch, module, step, when):
    before, real = contents(old), getattr(module, step)

    def killed(*arguments: object) -> None:
        if when == "after":
            real(*arguments)
        raise Killed

    monkeypatch.setattr(module, step, killed)
    with pytest.raises(Killed), Study.open(old).writing():
        pass
    monkeypatch.undo()
    assert Study.open(old).records()  # whatever was done, it can be read
    with Study.open(old).writing():
        pass
    study = Study.open(old)
    assert study.manifest.schema_version == 4
    assert study.records() == {one.trial.key: record_of(one) for one in sorted(trials, key=lambda o: o.trial.key)}
    assert verify(study) == []
    assert (old / "before-schema-4" / "optuna.journal").read_bytes() == before["optuna.journal"][0]


def test_a_journal_that_was_cut_or_damaged_migrates_and_its_trials_come_back_from_their_folders(old, trials):
    journal = old / "optuna.journal"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([lines[0], b"x" + lines[1][1:], *lines[2:-1], lines[-1][:-30]]))
    study = Study.open(old)
    with study.writing():
        pass
    assert set(Study.open(old).records()) == {one.trial.key for one in trials}
    assert verify(Study.open(old)) == []


def test_repair_migrates_an_old_study_and_sets_aside_what_is_wrong_in_it(old, trials, capsys):
    from ablate.runners.cli.verify import verify as command

    (old / "trials" / trials[0].trial.key / "images.parquet").write_bytes(b"x")
    assert command.main([str(old), "--repair"], standalone_mode=False) == 0
    assert f"{trials[0].trial.key}: images.parquet: it cannot be read" in capsys.readouterr().out
    assert set(Study.open(old).records()) == {one.trial.key for one in trials[1:]}


def test_an_old_study_that_a_run_holds_is_not_migrated_under_it(old):
    study = Study.open(old)
    with study.holding(), pytest.raises(InputError, match="has study schema 1 and a run holds it"):  # noqa: SIM117
        with Study.open(old).writing(share=True):
            pass
    assert not (old / "before-schema-4").exists()


def test_a_trial_without_its_folder_migrates_and_is_named(old, trials):
    shutil.rmtree(old / "trials" / trials[0].trial.key)
    with Study.open(old).writing():
        pass
    assert [(p.subject, p.what) for p in verify(Study.open(old))] == [(trials[0].trial.key, "its folder is missing")]
