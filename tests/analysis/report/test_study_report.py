"""Which test images a report shows, and of which networks."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from synthetic import png, table, trial, trivial
from synthetic import study as synthetic_study
from test_report import _evidence as every_evidence
from test_report import _sections as sections
from test_report import about as report_about

import ablate.analysis.report.evidence
import ablate.analysis.report.sections.findings
from ablate.analysis.claims.schema import Claim
from ablate.analysis.figures.hypervolume import spent
from ablate.analysis.frames import Frames
from ablate.analysis.report.about import about
from ablate.analysis.report.evidence import evidence
from ablate.analysis.report.pictures import pictures
from ablate.analysis.report.report import About, Picture, Prediction, render
from ablate.errors import InputError
from ablate.study.pictures import names, pictures_dir
from ablate.study.plans import Plans
from ablate.study.runs import Run
from ablate.study.trial_folder import picture_name


class Folder:
    """As much of a study as the pictures need: files of 4×4 pixels for each trial and image."""

    def __init__(self, path: Path, frames: Frames, runs: tuple[Run, ...] = ()) -> None:
        self.path = path
        self.manifest = SimpleNamespace(runs=runs)
        mask = png(255 * np.eye(4))
        self._data = dict(zip(frames.trials["key"], frames.trials["data"], strict=True))
        for key, image in frames.images[["key", "image"]].drop_duplicates().itertuples(index=False):
            folder = pictures_dir(path, self.config(key))
            for file in (self._sample(key, image), *(folder / name for name in names(image))):
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(mask)

    def config(self, key: str) -> Any:
        return SimpleNamespace(
            data=SimpleNamespace(size=(4, 4), fingerprint=self._data[key], classes=1), is_trivial=False
        )

    def measurements(self) -> dict[str, Any]:
        return {}

    def sample(self, key: str, image: str) -> bytes:
        return self._sample(key, image).read_bytes()

    def _sample(self, key: str, image: str) -> Path:
        return self.path / key / f"{picture_name(image)}.png"


def _frames(scores: dict[str, list[float]], seeds: int = 1, data: str = "slices") -> Frames:
    """Networks with a Dice for each image; further seeds are worse, and must not be shown."""
    rows, images = [], []
    for at, (name, dices) in enumerate(scores.items()):
        for seed in range(seeds):
            row = trial(f"{data}-{name}", float(np.mean(dices)), 1e6 + at, seed=seed, label=name, data=data)
            rows.append(row)
            for image, dice in enumerate(dices):
                tp = round(1000 * dice) // (1 + seed)
                counts = {"tp": tp, "fp": 1000 - tp, "fn": 1000 - tp, "tn": 0}
                images.append({"key": row["key"], "image": f"{data}/z{image:02}", "class": 1, **counts})
    return Frames(table(*rows, *trivial()), pd.DataFrame({"key": []}), pd.DataFrame(images))


def _pictures(path: Path, frames: Frames) -> Any:
    return pictures(Folder(path, frames), frames, [])  # type: ignore[arg-type]


def test_worst_median_and_best_image_by_mean_dice_come_first_then_others_evenly(tmp_path: Path) -> None:
    dices = [0.50, 0.90, 0.60, 0.70, 0.80, 0.75, 0.65, 0.85, 0.55]
    found = _pictures(tmp_path, _frames({"a": dices, "b": [dice - 0.1 for dice in dices]}))
    assert [(picture.image, picture.role) for picture in found][:3] == [
        ("slices/z00", "worst"),
        ("slices/z03", "median"),
        ("slices/z01", "best"),
    ]
    assert [picture.role for picture in found][3:] == [""] * 3
    rest = [picture.image for picture in found][3:]
    assert rest == sorted(rest)
    assert len({picture.image for picture in found}) == 6
    assert found[0].predictions["slices-a"].dice == pytest.approx(0.50)
    assert found[0].predictions["slices-b"].dice == pytest.approx(0.40)


def test_the_mean_over_networks_decides_and_not_the_best_network(tmp_path: Path) -> None:
    found = _pictures(tmp_path, _frames({"a": [0.9, 0.8, 0.7], "b": [0.1, 0.8, 0.7]}))
    roles = {picture.role: picture.image for picture in found}
    assert roles == {"worst": "slices/z00", "median": "slices/z02", "best": "slices/z01"}


def test_predictions_are_of_the_first_seed(tmp_path: Path) -> None:
    found = _pictures(tmp_path, _frames({"a": [0.8, 0.6, 0.7]}, seeds=3))
    assert {picture.role: picture.predictions["slices-a"].dice for picture in found} == pytest.approx(
        {"worst": 0.6, "median": 0.7, "best": 0.8}
    )


@pytest.mark.parametrize("count", [1, 2])
def test_a_single_image_or_two_are_shown_once(tmp_path: Path, count: int) -> None:
    found = _pictures(tmp_path, _frames({"a": [0.8, 0.6][:count]}))
    assert len(found) == count
    assert len({picture.image for picture in found}) == count


def test_each_data_set_has_its_own_images_and_networks(tmp_path: Path) -> None:
    parts = [_frames({"a": [0.8, 0.6, 0.7]}, data=name) for name in ("one", "two")]
    both = Frames(*(pd.concat(part, ignore_index=True) for part in zip(*(part[:3] for part in parts), strict=True)))
    found = _pictures(tmp_path, both)
    assert {(picture.task, *picture.predictions) for picture in found} == {("one", "one-a"), ("two", "two-a")}
    assert [picture.role for picture in found if picture.task == "two"] == ["worst", "median", "best"]


def test_a_study_without_a_complete_trial_has_no_pictures(tmp_path: Path) -> None:
    frames = _frames({"a": [0.8]})
    frames.trials.loc[frames.trials["state"] == "complete", "state"] = "failed"
    assert _pictures(tmp_path, frames) == []


def test_what_cannot_be_computed_is_said_and_the_rest_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ablate.analysis.report.evidence as module

    def refuse(*_: object) -> None:
        raise InputError("no level has a reference")

    monkeypatch.setattr(module, "effects", refuse)
    one, other = _frames({"a": [0.8, 0.7]}), _frames({"b": [0.6, 0.5]})
    other.images["image"] += "-elsewhere"  # other test images under the same data set
    frames = Frames(*(pd.concat(part, ignore_index=True) for part in zip(one[:3], other[:3], strict=True)))
    frames = frames._replace(
        trials=frames.trials.drop_duplicates("key"),
        epochs=pd.DataFrame(columns=["key", "epoch", "train_loss", "val_loss", "val_dice", "val_iou", "val_miou"]),
    )
    found = evidence(Folder(tmp_path, frames), frames)  # type: ignore[arg-type]
    assert found.notes == ("effects: no level has a reference",)
    assert found.effects is None
    html = render(frames, About("A study", "", (), {}), (), found)
    assert "effects: no level has a reference" in html
    assert "share no test image" in html
    assert 'id="pareto"' in html


def test_what_the_tables_lack_is_said_at_the_head(tmp_path: Path) -> None:
    frames = _frames({"a": [0.8]})
    study = Folder(tmp_path, frames)
    study.said_of_faults = lambda: [f"Left out: trial {at}: it is <damaged>." for at in range(12)]  # type: ignore[method-assign]
    study.manifest.versions, study.plans, study.records = {}, Plans(), dict  # type: ignore[attr-defined]
    html = render(frames, about(study, frames))  # type: ignore[arg-type]
    head = html[: html.index("<section>")]
    assert head.count("it is &lt;damaged&gt;") == 10
    assert "And 2 more" in head


# What fails ----------------------------------------------------------------------------------------------------------


class UnforeseenError(Exception):
    pass


def fails(*_: object, **__: object) -> Any:
    raise UnforeseenError("<b>a [thing] that nobody\nforesaw</b> \ud800 \x1b[31m" + "x" * 5000)


PARTS = {
    "sections.verdict": ["claim_section"],
    "sections.confirmation": ["confirmation_section"],
    "sections.findings": ["findings_section", "_findings"],
    "sections.front": [
        *["networks_section", "networks_by_task", "networks_part", "sureness_section", "spent_section"],
        "spent_figure",
    ],
    "sections.disagreements": ["disagreements_section"],
    "sections.effects": [
        *["effects_section", "effects_figure", "heatmap_figure", "parallel_figure", "_interactions", "_importances"],
    ],
    "sections.training": ["training_section", "curves_figure"],
    "sections.segmentations": ["_images", "images_section", "_grey", "overlay", "_small"],
    "sections.results": ["results_section"],
    "sections.method": ["method_section", "left_out", "failed_section", "_failed_table"],
    "content": ["cells", "tasks", "fronts"],
}


@pytest.mark.parametrize(("module", "name"), [(module, name) for module, names in PARTS.items() for name in names])
def test_a_part_that_fails_is_a_note_in_its_place_and_the_rest_stands(
    module: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mask = png(255 * np.eye(4))
    shown = [Picture("z", mask, mask, {"a1": Prediction(mask, 1.0)})]
    tables = synthetic_study()
    found = every_evidence()._replace(spent=spent(tables))  # type: ignore[arg-type]
    whole = render(tables, report_about(), shown, found)  # type: ignore[arg-type]
    monkeypatch.setattr(importlib.import_module(f"ablate.analysis.report.{module}"), name, fails)
    html = render(tables, report_about(), shown, found)  # type: ignore[arg-type]
    assert set(sections(html)) >= set(sections(whole))
    assert (
        "UnforeseenError: &lt;b&gt;a [thing] that nobody foresaw&lt;/b&gt; \N{REPLACEMENT CHARACTER} ␛[31mxxx" in html
    )
    assert "x" * 400 not in html
    assert "<b>a [thing]" not in html
    failed = html.count("Unforeseen")
    assert 0 < failed <= (8 if name in ("cells", "tasks", "fronts") else 3)
    html.encode()


EVIDENCE = {
    "effects": "effects",
    "confirmation": "confirmation",
    "disagreements": "latency against MACs",
    "level_means": "maps of two factors",
    "spent": "what the training bought",
    "uncertain_fronts": "fronts of",
    "intervals": "intervals",
    "cells": "networks",
    "cell_scores": "Dice of images",
    "parallel": "networks of",
}


@pytest.mark.parametrize("name", EVIDENCE)
def test_evidence_that_fails_is_in_the_notes_and_the_rest_is_there(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = _frames({"a": [0.8, 0.7], "b": [0.6, 0.5]}, seeds=2)
    run = Run(space="s", question="?", profile="quick", design="grid", factors={}, definition={}, trials={})
    monkeypatch.setattr(ablate.analysis.report.evidence, name, fails)
    found = evidence(Folder(tmp_path, frames, (run,)), frames)  # type: ignore[arg-type]
    said = [note for note in found.notes if note.startswith(EVIDENCE[name])]
    assert said
    assert all("UnforeseenError: <b>a [thing]" in note and len(note) < 400 for note in said)
    if name not in ("uncertain_fronts", "cell_scores"):
        assert found.uncertain["slices"]
    if name != "effects":
        assert found.effects is not None


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_an_interrupt_and_memory_that_runs_out_are_no_notes(
    error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise error

    monkeypatch.setattr(ablate.analysis.report.sections.findings, "findings_section", interrupted)
    with pytest.raises(error):
        render(synthetic_study(), report_about())


def test_a_claim_whose_judge_fails_is_inconclusive_and_others_are_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    from ablate.analysis.claims import evaluate, judge

    frames = _frames({"a": [0.8, 0.7], "b": [0.6, 0.5]}, seeds=2)
    claim = Claim.model_validate(
        {
            "name": "c",
            "statement": "s",
            "subject": {"label": "a"},
            "against": [{"label": "b"}],
            "hypotheses": [
                {"kind": "fewest", "cost": "params"},
                {"kind": "non_inferior", "metric": "dice", "margin": 0.01},
                {"kind": "superior", "metric": "dice"},
                {"kind": "on_front", "cost": "params", "metric": "dice"},
            ],
        }
    )
    for name in ("non_inferiority", "difference", "front_probability"):
        monkeypatch.setattr(judge, name, fails)
    (result,) = evaluate.evaluate(claim, frames)
    assert [verdict.outcome for verdict in result.verdicts] == ["supported", *["inconclusive"] * 3]
    assert all("Unforeseen" in verdict.sentence for verdict in result.verdicts[1:])
    assert result.outcome == "inconclusive"
