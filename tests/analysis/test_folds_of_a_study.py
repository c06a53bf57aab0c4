"""A study whose trials are folds: as it is written now, and as version 0.1 wrote it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pandas as pd
import pytest
import torch
from made_studies import Trained, made_study, packed, record_of, run_of, trained, trivial

from ablate.analysis.by_seed import by_seed, remarks
from ablate.analysis.effects import effects
from ablate.analysis.frames import load
from ablate.analysis.pareto import cells, fronts
from ablate.analysis.report.pictures import pictures
from ablate.analysis.report.study_report import study_report
from ablate.analysis.scores import cell_scores
from ablate.cost.measured import Measured
from ablate.data.settings import Split
from ablate.errors import InputError
from ablate.study import trial_folder
from ablate.study.pictures import keep_pictures, pictures_dir
from ablate.study.study import Study
from ablate.study.tables import CASE, read_table
from ablate.study.verify import verify
from ablate.training.loop import train
from ablate.trial import Protocol


def folds_of(plain: Trained, groups: tuple[str, ...] | None = None, *, folds: int = 3) -> list[Trained]:
    """Every fold of a small network with one seed, and their trivial rows."""
    dataset = dataclasses.replace(plain.dataset, groups=groups or plain.dataset.groups)
    split = Split(method="kfold", folds=folds, shuffle=False)
    first = plain.trial.model_copy(update={"protocol": Protocol(epochs=1, augment=(), split=split)})
    trials = [first.of_fold(fold) for fold in range(folds)]
    made = [Trained(trial, dataset, train(trial, dataset, device=torch.device("cpu"))) for trial in trials]
    return [*made, *(row for one in made for row in trivial(one))]


@pytest.fixture(scope="module")
def plain() -> Trained:
    return trained()


@pytest.fixture(scope="module")
def by_image(plain) -> list[Trained]:
    return folds_of(plain)


@pytest.fixture(scope="module")
def by_patient(plain) -> list[Trained]:
    return folds_of(plain, tuple(f"p{i // 2}" for i in range(10)))


def test_a_study_of_folds_is_one_cell_whose_every_image_is_judged_once(by_image, tmp_path):
    study = made_study(tmp_path / "study", *by_image)
    frames = load(study)
    assert frames.unit == "image"
    complete = frames.trials[frames.trials["state"] == "complete"]
    assert sorted(complete["fold"]) == [0, 1, 2]
    assert complete["cell"].nunique() == complete["label"].nunique() == complete["data"].nunique() == 1
    (scores,) = (one for one in cell_scores(frames, "dice").values() if not one.trivial)
    assert scores.values.shape == (1, 10)
    assert sorted(scores.images) == sorted(by_image[0].dataset.ids)
    known = cells(by_seed(frames))
    assert [cell.trivial for cell in known] == [False, True, True, True]
    assert {cell.seeds for cell in known} == {1}
    (front,) = {record.front for record in fronts(by_seed(frames)) if (record.x, record.y) == ("params", "dice")}
    assert front == (known[0].id,)
    assert verify(study) == []
    assert "all folds of a seed together (3 folds)" in study_report(study, frames, [])


def test_cases_are_in_the_table_and_what_is_scored(by_patient, tmp_path):
    study = made_study(tmp_path / "study", *by_patient)
    frames = load(study)
    assert frames.unit == "case"
    assert set(frames.images[CASE]) == {f"p{i}" for i in range(5)}
    (scores,) = (one for one in cell_scores(frames, "dice").values() if not one.trivial)
    assert scores.images == ("p0", "p1", "p2", "p3", "p4")
    assert cell_scores(frames.by("image"), "dice")[scores.cell].values.shape == (1, 10)
    assert (by_seed(frames)["miou"] != by_seed(frames.by("image"))["miou"]).any()
    assert "Scores are by case" in study_report(study, frames, [])
    assert verify(study) == []


def without_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables are packed as version 0.1 did."""
    columns_of = trial_folder._image_columns

    def columns(*given):
        return {name: of for name, of in columns_of(*given).items() if name != CASE}

    monkeypatch.setattr(trial_folder, "_image_columns", columns)


def test_a_study_of_version_0_1_stays_by_image_whatever_joins_it(by_patient, tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        without_cases(patched)
        study = made_study(tmp_path / "study", *by_patient[:3])
    old = load(study)
    assert old.unit == "image"
    assert (old.images[CASE] == old.images["image"]).all()
    pd.testing.assert_frame_equal(by_seed(old.by("case"))[["cell", "dice"]], by_seed(old)[["cell", "dice"]])
    with study.writing():
        for one in by_patient[3:]:
            study.accept(one.trial.key, packed(one))
    joined = load(Study.open(study.path))
    assert joined.unit == "image"
    assert set(joined.images[CASE]) == {f"p{i}" for i in range(5)}  # as the others on these data say
    assert cell_scores(joined, "dice").keys() > cell_scores(old, "dice").keys()
    for cell, scores in cell_scores(old, "dice").items():
        assert (cell_scores(joined, "dice")[cell].values == scores.values).all()


def test_cells_of_version_0_1_which_were_each_a_fold_are_one_and_sound(by_image, tmp_path):
    study = Study.open_or_new(tmp_path / "study")
    measured = Measured(
        latency_ms=3.0,
        latency_iqr_ms=0.1,
        peak_memory_mb=5.0,
        device="cpu",
        channels=1,
        size=(16, 16),
        repeats=9,
        threads=1,
        precision="float32",
        load=None,
        versions={},
    )
    with study.writing():
        study.plan(run_of(*(one.trial for one in by_image[:3])), threads=1, data_dir=None)
        for one in by_image:
            study.accept(one.trial.key, packed(one, cell=one.trial.cell_by_fold, fold=None))
        study.keep_measurements({by_image[1].trial.cell_by_fold: measured})
    assert record_of(by_image[1]).cell != study.records()[by_image[1].trial.key].cell
    assert verify(study) == []
    trials = load(study).trials
    own = trials[trials["state"] == "complete"]
    assert set(own["cell"]) == {by_image[0].trial.cell}
    assert set(own["latency_ms"]) == {3.0}
    with study.writing():
        study.accept(by_image[0].trial.key, packed(by_image[0], cell="0" * 12))
    assert any("its cell, model or seed is not the record's" in problem.what for problem in verify(study))


def test_a_factor_of_folds_as_version_0_1_had_it_is_pooled(by_image, tmp_path):
    """Its other factor keeps its effect; a label does not name the fold that came last."""
    study = Study.open_or_new(tmp_path / "study")
    levels = {one.trial.key: {"width": "4", "fold": str(one.trial.fold)} for one in by_image[:3]}
    run = run_of(*(one.trial for one in by_image[:3])).model_copy(
        update={
            "factors": {"width": ["4"], "fold": ["0", "1", "2"]},
            "trials": levels,
            "definition": {"factors": {"fold": {str(f): {"protocol.split.fold": f} for f in range(3)}}},
        }
    )
    with study.writing():
        study.plan(run, threads=1, data_dir=None)
        for one in by_image:
            study.accept(one.trial.key, packed(one))
    frames = load(study)
    assert set(frames.trials.loc[frames.trials["state"] == "complete", "label"]) == {"width=4"}
    found = effects(frames, study.manifest.runs, "dice")
    assert not found.effects
    assert any("width has the one level '4'" in note for note in found.notes)
    assert not any("fold" in note for note in found.notes)


def test_a_fold_still_to_train_is_said(by_image, tmp_path):
    study = made_study(tmp_path / "study", *by_image[:2], *by_image[3:])
    assert not any("has no" in text for text in remarks(load(study)))  # of one network, nothing is unequal
    other = folds_of(trained(seed=1))
    with study.writing():
        for one in other[:3]:
            study.accept(one.trial.key, packed(one))
    assert [text for text in remarks(load(study)) if "has no fold 2 of seed 0" in text]


def table_bytes(tmp_path: Path, **columns: list[object]) -> bytes:
    rows = {"key": ["k"] * 2, "image": ["a", "b"], "class": [1, 1]} | {
        name: [1, 1] for name in ("tp", "fp", "fn", "tn")
    }
    file = tmp_path / "images.parquet"
    pd.DataFrame(rows | columns).to_parquet(file)
    return file.read_bytes()


@pytest.mark.parametrize(
    ("cases", "image", "what"),
    [
        (["p", None], ["a", "b"], "its cases have no names"),
        ([1, 2], ["a", "b"], "its cases have no names"),
        (["", "p"], ["a", "b"], "its cases have no names"),
        (["p", "q"], ["a", "a"], "it has an image of two cases"),
    ],
)
def test_cases_that_are_none_are_refused(tmp_path, cases, image, what):
    content = table_bytes(tmp_path, case=cases, image=image, **{"class": [0, 1]})
    with pytest.raises(ValueError, match=what):
        read_table(content, "images", "k")


def test_cases_and_none_are_read(tmp_path):
    assert list(read_table(table_bytes(tmp_path, case=["p", "p"]), "images", "k")[CASE]) == ["p", "p"]
    assert CASE not in read_table(table_bytes(tmp_path), "images", "k")


def test_folds_made_elsewhere_are_whole_numbers_or_missing():
    from ablate.analysis.frames import from_tables

    trials = pd.DataFrame({"key": ["k"], "cell": ["c"], "seed": [0], "model": ["m"], "params": [1], "macs": [1]})
    images = pd.DataFrame([{"key": "k", "image": "a", "class": 1, "tp": 1, "fp": 0, "fn": 0, "tn": 0}])
    assert from_tables(trials, images).trials["fold"].isna().all()
    assert from_tables(trials.assign(fold=2), images).trials["fold"].tolist() == [2]
    with pytest.raises(InputError, match="fold"):
        from_tables(trials.assign(fold=0.5), images)


def test_pictures_are_of_the_images_of_all_folds_each_by_the_network_that_did_not_see_it(by_image, tmp_path):
    study = made_study(tmp_path / "study", *by_image)
    for one in by_image[:3]:
        keep_pictures(pictures_dir(study.path, one.trial), one.dataset, range(10))
    notes: list[str] = []
    shown = pictures(study, load(study), notes)
    assert not notes
    (cell,) = {one.trial.cell for one in by_image[:3]}
    fold_of = {image: one.trial.key for one in by_image[:3] for image in one.result.ids}
    assert len({fold_of[picture.image] for picture in shown}) > 1
    for picture in shown:
        assert picture.predictions[cell].mask == study.sample(fold_of[picture.image], picture.image)
