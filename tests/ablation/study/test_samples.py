"""Pictures of predictions that a trial has lost: made again, and only as the trial was judged."""

from __future__ import annotations

import pytest
from made_studies import made_study, packed, trained, trivial

from ablate.study import verify as checks
from ablate.study.samples import make_samples_again
from ablate.study.study import Study


@pytest.fixture(scope="module")
def trials():
    first = trained()
    return [first, trained(first.dataset, seed=1), *trivial(first)]


@pytest.fixture
def study(trials, tmp_path) -> Study:
    return made_study(tmp_path / "study", *trials)


def lose(study: Study, key: str, image: str) -> bytes:
    """Damage a picture and repair the study; what the picture was."""
    file = study.trial_dir(key) / "samples" / f"{image}.png"
    before = file.read_bytes()
    file.write_bytes(b"\x89PNG")
    with study.holding():
        checks.repair(study, checks.verify(study))
    assert not file.exists()
    return before


def again(study: Study, trials) -> list[str]:
    opened = Study.open(study.path)
    with opened.writing():
        return make_samples_again(opened, [one.trial for one in trials], lambda data: trials[0].dataset)


@pytest.mark.parametrize("which", [0, 2, 4])
def test_a_lost_picture_comes_back_as_it_was(study, trials, which):
    key, image = trials[which].trial.key, trials[which].result.ids[1]
    records = study.records()
    before = lose(study, key, image)
    assert again(study, trials) == [key]
    after = Study.open(study.path)
    assert after.sample(key, image) == before
    assert after.records() == records
    assert checks.verify(after) == []
    assert again(study, trials) == []


def test_a_prediction_of_other_counts_is_not_kept(study, trials, monkeypatch):
    key, image = trials[0].trial.key, trials[0].result.ids[1]
    lose(study, key, image)
    monkeypatch.setattr(
        "ablate.prediction.predictions_of", lambda model, images, *_: 1 - trials[0].result.predictions.clip(0, 1)
    )
    assert again(study, trials) == []
    assert Study.open(study.path).sample(key, image) is None
    assert checks.verify(Study.open(study.path)) == []


def test_a_kill_in_between_costs_no_trial(study, trials, monkeypatch):
    lose(study, trials[0].trial.key, trials[0].result.ids[1])
    for step in ("write_whole", "keep_checksums"):

        def killed(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(f"ablate.study.samples.{step}", killed)
        with pytest.raises(KeyboardInterrupt):
            again(study, trials)
        monkeypatch.undo()
        opened = Study.open(study.path)
        with opened.holding():
            checks.repair(opened, checks.verify(opened))
        assert set(Study.open(study.path).records()) == {one.trial.key for one in trials}
    assert again(study, trials) == [trials[0].trial.key]


def test_a_trial_that_failed_has_none(tmp_path, trials):
    study = made_study(tmp_path / "study", trials[0])
    with study.writing():
        failed = {"state": "failed", "error": "x", "epochs": 0, "best_epoch": None, "val_dice": None}
        study.accept(trials[1].trial.key, packed(trials[1], **failed))
    assert again(study, trials) == []
