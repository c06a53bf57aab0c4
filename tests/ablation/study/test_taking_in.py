"""A trial's way into the study: held against its checksums, written, on the disk, and only then in its place."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_studies import made_study, packed, record_of, run_of, trained

from ablate.study import study as study_module
from ablate.study.study import Study
from ablate.study.tables import read_table
from ablate.study.trial_folder import is_sample, pack, unpacked


@pytest.fixture(scope="module")
def one():
    return trained()


def as_pandas_has_it(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.read_parquet(io.BytesIO(frame.to_parquet(index=False)))


def test_tables_are_those_that_pandas_would_write(one):
    trial, _, result = one
    images, classes, _ = result.counts.shape
    values = np.linspace(0, 1, images * classes).reshape(images, classes)
    values[0, 0] = np.nan
    files = unpacked(pack(trial, record_of(one), result.epochs, result._replace(more={"nsd_at_2px": values})))
    epochs = pd.DataFrame(result.epochs)
    epochs.insert(0, "key", trial.key)
    pd.testing.assert_frame_equal(read_table(files["epochs.parquet"], "epochs", trial.key), as_pandas_has_it(epochs))
    expected = pd.DataFrame(
        [
            (trial.key, image, image, number, *result.counts[row, number], values[row, number])
            for row, image in enumerate(result.ids)
            for number in range(classes)
        ],
        columns=["key", "image", "case", "class", "tp", "fp", "fn", "tn", "metric.nsd_at_2px"],
    )
    found = pd.read_parquet(io.BytesIO(files["images.parquet"]))
    pd.testing.assert_frame_equal(found, as_pandas_has_it(expected))


def test_epochs_of_none_are_an_empty_table(one):
    trial = one.trial
    files = unpacked(pack(trial, record_of(one, state="failed", error="x", epochs=0, best_epoch=None), [], None))
    found = read_table(files["epochs.parquet"], "epochs", trial.key)
    assert found.empty
    assert list(found.columns)[:3] == ["key", "epoch", "train_loss"]


def test_all_but_pictures_is_on_the_disk_before_it_is_in_its_place(one, tmp_path, monkeypatch):
    fsync, put, flushed, placed = os.fsync, study_module._put_in_place, set(), []

    def watched(descriptor: int) -> None:
        fsync(descriptor)
        flushed.add(str(Path(f"/proc/self/fd/{descriptor}").readlink()))

    def place(arriving: Path, home: Path) -> None:
        wanted = {file for file in arriving.rglob("*") if file.is_file()}
        pictures = {file for file in wanted if is_sample(file.relative_to(arriving).as_posix())}
        assert pictures
        assert {str(path.resolve()) for path in {arriving, *(wanted - pictures)}} <= flushed
        placed.append(home.name)
        put(arriving, home)

    study = made_study(tmp_path)
    with study.writing():
        study.plan(run_of(one.trial), threads=1, data_dir=None)
        monkeypatch.setattr("os.fsync", watched)
        monkeypatch.setattr(study_module, "_put_in_place", place)
        study.accept(one.trial.key, packed(one))
    assert placed == [one.trial.key]
    assert str(study.path.resolve() / "trials") in flushed


def changed(archive: bytes, name: str, content: bytes | None, extra: str = "") -> bytes:
    """With another content of one file, or without it, or with one more."""
    files, out = unpacked(archive), io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed_again:
        for known, data in files.items():
            if known != name or content is not None:
                packed_again.writestr(known, content if known == name and content is not None else data)
        if extra:
            packed_again.writestr(extra, b"more")
    return out.getvalue()


@pytest.mark.parametrize("case", ["changed", "missing", "no sums", "cut sums", "stranger", "of another"])
def test_what_is_not_the_trial_as_it_was_packed_leaves_no_trace(one, tmp_path, case):
    whole, key = packed(one), one.trial.key
    content, key = {
        "changed": (changed(whole, "record.json", unpacked(whole)["record.json"] + b" "), key),
        "missing": (changed(whole, "model.safetensors", None), key),
        "no sums": (changed(whole, "SHA256SUMS", None), key),
        "cut sums": (changed(whole, "SHA256SUMS", unpacked(whole)["SHA256SUMS"][:-1]), key),
        "stranger": (changed(whole, "", None, "../outside.json"), key),
        "of another": (whole, "0" * len(key)),
    }[case]
    study = made_study(tmp_path)
    with study.writing():
        study.plan(run_of(one.trial), threads=1, data_dir=None)
        before = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))
        with pytest.raises(zipfile.BadZipFile):
            study.accept(key, content)
        assert {path.relative_to(tmp_path) for path in tmp_path.rglob("*")} - set(before) <= {Path(".changing")}
    assert Study.open(tmp_path).records() == {}
