"""What a study's records teach of a machine."""

from __future__ import annotations

import json

import pytest
from made_studies import Trained, packed, record_of, run_of, trained, with_seed

from ablate.cost.foretold import Images, foretell
from ablate.cost.machine import Machine
from ablate.study.records import Record
from ablate.study.study import Study
from ablate.study.times import timed

HERE = Machine("cpu", "AMD EPYC", 1)
IMAGES = Images(6, 2)


@pytest.fixture(scope="module")
def one() -> Trained:
    return trained()


def study_of(path, *trials: tuple[Trained, dict[str, object]]) -> Study:
    study = Study.open_or_new(path)
    with study.writing():
        study.plan(run_of(*(one.trial for one, _ in trials)), threads=1, data_dir=None)
        for one, changes in trials:
            study.accept(one.trial.key, packed(one, **changes))
    return study


def epoch(study: Study, one: Trained, machine: Machine = HERE) -> float:
    return timed(study, machine).seconds(foretell(one.trial, 10, 20, IMAGES, machine))


SEEN = {"processor": "AMD EPYC", "images": IMAGES, "train_seconds": 8.0}


def test_another_seed_of_a_configuration_takes_what_the_first_took(tmp_path, one):
    study = study_of(tmp_path, (one, SEEN))
    other = with_seed(one, 1)
    assert other.trial.key != one.trial.key
    assert epoch(study, other) == pytest.approx(4.0)  # two epochs in eight seconds
    assert epoch(Study.open(tmp_path), other) == pytest.approx(4.0)


@pytest.mark.parametrize(
    "machine", [Machine("cpu", "AMD EPYC", 2), Machine("cpu", "another"), Machine("cuda", "AMD EPYC")]
)
def test_other_machines_and_other_threads_are_not_taught_by_it(tmp_path, one, machine):
    assert not timed(study_of(tmp_path, (one, SEEN)), machine)


def test_records_that_do_not_say_what_trained_them_teach_nothing_and_are_read(tmp_path, one):
    study = study_of(tmp_path, (one, {"train_seconds": 8.0}))
    assert not timed(study, HERE)
    assert not timed(study, Machine("cpu", ""))
    earlier = json.loads(study.read(one.trial.key, "record.json"))
    for name in ("processor", "images"):
        del earlier[name]
    assert Record.model_validate(earlier) == study.record(one.trial.key)


@pytest.mark.parametrize("images", [[-1, 2], [10**400, 2], [1], "many"])
def test_a_record_of_images_that_cannot_be_is_none(one, images):
    with pytest.raises(ValueError, match="images"):
        Record.model_validate({**record_of(one).model_dump(), "images": images})


def test_a_trial_whose_configuration_was_damaged_teaches_nothing(tmp_path, one):
    study = study_of(tmp_path, (one, SEEN))
    file = study.trial_dir(one.trial.key) / "config.json"
    file.write_bytes(file.read_bytes()[:-9])
    assert not timed(study, HERE)
