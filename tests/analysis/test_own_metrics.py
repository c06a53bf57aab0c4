"""A metric that trials ask for, from their folders to every place where Dice can be named."""

from __future__ import annotations

import io
import json
import math
import re
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from made_studies import Trained, made_study, packed, run_of, trained, trivial

from ablate.analysis.claims.evaluate import evaluate
from ablate.analysis.claims.schema import Claim
from ablate.analysis.effects import effects
from ablate.analysis.figures.pareto import pareto_figure
from ablate.analysis.frames import Frames, from_tables, load
from ablate.analysis.pareto import cells, front, fronts, pareto
from ablate.analysis.report.study_report import study_report
from ablate.analysis.scores import cell_scores, metrics_of
from ablate.analysis.tables import results_table
from ablate.analysis.typeset import comma_separated, latex, markdown
from ablate.errors import InputError
from ablate.metrics.boundary import SurfaceDice
from ablate.models.settings import UNet
from ablate.runners.cli.main import main
from ablate.study.study import Study
from ablate.study.tables import read_table
from ablate.study.verify import verify
from ablate.training import loop
from ablate.training.loop import train

LABEL, COLUMN = "surface_dice", "metric.surface_dice"


def measured(plain: Trained, width: int, seed: int) -> Trained:
    protocol = plain.trial.protocol.model_copy(update={"select": LABEL})
    changes = {"model": UNet(width=width, stages=2), "metrics": (SurfaceDice(tolerance=2.0),), "seed": seed}
    trial = type(plain.trial)(data=plain.trial.data, protocol=protocol, **changes)
    return Trained(trial, plain.dataset, train(trial, plain.dataset, device=torch.device("cpu")))


@pytest.fixture(scope="module")
def trials() -> list[Trained]:
    """Two networks of two seeds that have the metric, with their trivial rows, and one that has not, with its own."""
    plain = trained()
    own = [measured(plain, width, seed) for width in (4, 8) for seed in (0, 1)]
    return [*own, *trivial(own[0]), plain, *trivial(plain)]


@pytest.fixture(scope="module")
def study(trials, tmp_path_factory) -> Study:
    levels = {t.trial.key: {"model.width": str(t.trial.model.width)} for t in trials if not t.trial.is_trivial}
    widths = {"factors": {"model.width": ["4", "8"]}, "trials": levels}
    study = Study.open_or_new(tmp_path_factory.mktemp("own") / "study")
    with study.writing():
        study.plan(run_of().model_copy(update=widths), threads=1, data_dir=None)
        for one in trials:
            study.accept(one.trial.key, packed(one))
    return study


@pytest.fixture(scope="module")
def frames(study) -> Frames:
    return load(study)


def test_the_tables_have_what_was_measured_and_nothing_of_trials_without(trials, frames):
    assert metrics_of(frames.images) == metrics_of(frames.trials) == ["dice", "miou", "iou", LABEL]
    columns = list(frames.trials.columns)
    assert columns[columns.index("miou") + 1] == LABEL
    for one in trials:
        images = frames.images[frames.images["key"] == one.trial.key]
        mean = frames.trials.set_index("key").loc[one.trial.key, LABEL]
        if one.trial.metrics:
            values = one.result.more[LABEL]
            np.testing.assert_array_equal(images[COLUMN].to_numpy().reshape(values.shape), values)
            assert mean == pytest.approx(values[:, 1:].mean())
        else:
            assert images[COLUMN].isna().all()
            assert math.isnan(mean)


def test_a_study_without_further_metrics_has_the_columns_that_it_had(trials, tmp_path):
    plain = next(one for one in trials if not one.trial.metrics)
    frames = load(made_study(tmp_path / "study", plain))
    assert list(frames.images.columns) == ["key", "image", "case", "class", "tp", "fp", "fn", "tn"]
    assert LABEL not in frames.trials
    with pytest.raises(InputError, match=r"unknown metric 'surface_dice'"):
        cell_scores(frames, LABEL)


def test_tables_from_elsewhere_may_have_it(frames):
    again = from_tables(frames.trials, frames.images, frames.epochs)
    pd.testing.assert_frame_equal(again.images, frames.images)
    pd.testing.assert_series_equal(again.trials[LABEL], frames.trials[LABEL])
    bad = frames.images.assign(**{COLUMN: 1.5})
    with pytest.raises(InputError, match=r"table images has metric.surface_dice 1\.5 in row 0: expected a number from"):
        from_tables(frames.trials, bad)


def test_every_analysis_can_be_of_it(trials, study, frames):
    own = [one.trial for one in trials if one.trial.metrics and not one.trial.is_trivial]
    scores = cell_scores(frames, LABEL)
    assert {cell for cell, one in scores.items() if not one.trivial} == {trial.cell for trial in own}
    means = {cell.id: cell.score(LABEL).mean for cell in cells(frames.trials)}
    assert all(scores[cell].mean == pytest.approx(means[cell]) for cell in scores)
    found = pareto(frames.trials, "params", LABEL)
    assert {point.cell for point in found.points} == {trial.cell for trial in own}
    assert len(found.trivial) == 3
    assert front(frames.trials, (LABEL, "params")).objectives == (LABEL, "params")
    records = fronts(frames.trials)
    assert [record.y for record in records if record.x == "params"] == ["dice", "miou", "iou", LABEL]
    menu = pareto_figure(records).layout.updatemenus[1]
    assert [button.label for button in menu.buttons] == ["y: Dice", "y: MIoU", "y: IoU", f"y: {LABEL}"]
    assert effects(frames, study.manifest.runs, LABEL).metric == LABEL
    with pytest.raises(InputError, match="unknown metric 'surface_dise': did you mean 'surface_dice'"):
        effects(frames, study.manifest.runs, "surface_dise")


def test_a_claim_can_be_about_it_and_a_metric_that_no_trial_has_is_refused(trials, frames):
    one, other = (trial.cell for trial in dict.fromkeys(t.trial for t in trials[:4:2]))
    fields = {"name": "c", "statement": "s", "subject": {"cell": one}, "against": [{"cell": other}]}
    claim = Claim(**fields, hypotheses=[{"kind": "superior", "metric": LABEL}])
    [verdict] = evaluate(claim, frames)[0].verdicts
    assert LABEL in verdict.sentence
    assert verdict.estimate == pytest.approx(
        cell_scores(frames, LABEL)[one].mean - cell_scores(frames, LABEL)[other].mean
    )
    with pytest.raises(InputError, match="unknown metric of claim c 'surface'"):
        evaluate(Claim(**fields, hypotheses=[{"kind": "superior", "metric": "surface"}]), frames)


def test_it_is_printed(frames):
    table = results_table(frames, ["dice", LABEL])
    assert r"surface\_dice" in latex(table)
    assert r"| surface\_dice |" in markdown(table)
    assert "Dice and surface_dice are of the foreground." in table.details
    printed = pd.read_csv(io.StringIO(comma_separated(table)))
    assert printed[LABEL].isna().sum() == 4  # the network without it, and its trivial rows
    assert len(printed) == frames.trials["cell"].nunique()


def test_the_report_has_it(study, frames):
    page = study_report(study, frames)
    (embedded,) = re.findall(r'<script type="application/json">(.*?)</script>', page, re.DOTALL)
    assert "surface_dice" in [one["label"] for one in json.loads(embedded)[0]["quantities"]]
    assert "surface_dice: of the trials’ own metrics" in page


@pytest.mark.parametrize(
    "command", [("table", "--metrics", f"{LABEL},dice"), ("effects", "--metric", LABEL), ("pareto", "--y", LABEL)]
)
def test_commands_know_it(study, command, capsys, monkeypatch):
    name, option, value = command

    def call(value: str) -> int:
        monkeypatch.setattr("sys.argv", ["ablate", name, str(study.path), option, value])
        with pytest.raises(SystemExit) as end:
            main()
        return int(end.value.code or 0)

    interrupts = signal.getsignal(signal.SIGINT)
    assert call(value) == 0
    assert "surface_dice" in capsys.readouterr().out.replace("\\", "")
    assert call("surface_dise") == 2
    assert "unknown metric 'surface_dise': did you mean 'surface_dice'" in capsys.readouterr().err
    signal.signal(signal.SIGINT, interrupts)


# What a stranger wrote -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "values", "what"),
    [
        (COLUMN, 1.5, "its metric.surface_dice are not all between 0 and 1"),
        (COLUMN, -0.5, "not all between"),
        (COLUMN, math.nan, "not all between"),
        (COLUMN, "a", "not all between"),
        ("metric.dice", 0.5, "metric.dice is no metric's column"),
        ("metric.<b>", 0.5, "no metric's column"),
        ("metric." + "x" * 100, 0.5, "no metric's column"),
    ],
)
def test_a_column_that_is_no_metric_is_refused(trials, column, values, what):
    key = trials[0].trial.key
    table = _images(packed(trials[0])).assign(**{column: values})
    with pytest.raises(ValueError, match=what):
        read_table(table.to_parquet(index=False), "images", key)


def test_a_trivial_row_that_a_metric_cannot_score_is_without_it(trials, tmp_path, monkeypatch):
    class Fails:
        def build(self):
            raise ZeroDivisionError

    [scored] = [one for one in trials if one.trial.metrics and one.trial.model.name == "mean_mask"]
    monkeypatch.setattr(loop, "metrics_of", lambda trial: ((LABEL, Fails()),))
    without = Trained(scored.trial, scored.dataset, loop.judge_trivial(scored.trial, scored.dataset))
    assert without.result.more == {}
    study = made_study(tmp_path / "study", trials[0], without)
    assert verify(study) == []
    assert load(study).trials.set_index("model")[LABEL].isna().to_dict() == {"unet": False, "mean_mask": True}


@pytest.mark.parametrize("change", [lambda t: t.drop(columns=COLUMN), lambda t: t.assign(**{COLUMN: 2.0})])
def test_verify_names_a_table_without_the_metrics_of_its_trial(trials, tmp_path, change):
    study = made_study(tmp_path / "study", trials[0])
    assert verify(study) == []
    folder = study.path / "trials" / trials[0].trial.key
    table = change(pd.read_parquet(folder / "images.parquet"))
    _rewrite(folder, "images.parquet", table.to_parquet(index=False))
    [problem] = verify(study)
    assert problem.what.startswith("images.parquet: it")
    assert COLUMN in problem.what


def _images(archive: bytes) -> pd.DataFrame:
    import zipfile

    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return pd.read_parquet(io.BytesIO(opened.read("images.parquet")))


def _rewrite(folder: Path, name: str, content: bytes) -> None:
    from ablate.files import sha256
    from ablate.study.trial_folder import CHECKSUMS, keep_checksums, parse_checksums

    (folder / name).write_bytes(content)
    digests = parse_checksums((folder / CHECKSUMS).read_bytes())
    keep_checksums(folder, digests | {name: sha256(content)})
