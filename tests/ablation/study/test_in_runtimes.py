"""What is measured of files is kept whole, and what is not what was written is found."""

from __future__ import annotations

import json

import pytest
from made_studies import Trained, made_study, trained

from ablate.errors import InputError
from ablate.study.in_runtimes import Finds, InRuntime, images_in, keep_images, keep_in_runtimes, read_runtimes
from ablate.study.study import Study
from ablate.study.trial_folder import image_table
from ablate.study.verify import repair, verify


@pytest.fixture(scope="module")
def one() -> Trained:
    return trained()


@pytest.fixture
def study(one, tmp_path) -> Study:
    made = made_study(tmp_path / "study", one)
    with made.writing():
        digest = keep_images(made.path, "onnx", one.trial.key, image_table(one.trial.key, one.result))
        found = Finds(sha256=digest, images=2, difference=0, pixels=512, others=0, dice=0.5, network_dice=0.5)
        whole = InRuntime(versions={"onnx": "1"}, trials={one.trial.key: found})
        keep_in_runtimes(made.path, {one.trial.cell: {"onnx": whole}})
    return Study.open(made.path)


def test_what_is_kept_is_read_back_and_added_to(study, one):
    cell, key = one.trial.cell, one.trial.key
    [finds] = read_runtimes(study.path)[cell]["onnx"].trials.values()
    assert images_in(study.path, "onnx", key, finds)["tp"].sum() == one.result.counts[..., 0].sum()
    with study.writing():
        keep_in_runtimes(study.path, {cell: {"onnx-int8": InRuntime(versions={}, why_not="it cannot")}})
    assert set(read_runtimes(study.path)[cell]) == {"onnx", "onnx-int8"}
    assert verify(study) == []


def test_a_changed_table_is_found_and_forgotten_so_that_it_is_measured_again(study, one):
    file = study.path / "runtimes" / "onnx" / f"{one.trial.key}.parquet"
    file.write_bytes(b"nothing")
    [problem] = verify(study)
    assert problem.subject == f"runtimes/onnx/{one.trial.key}.parquet"
    assert "ablate measure --runtime" in problem.means
    with study.holding():
        repair(study, [problem])
    assert verify(study) == []
    assert read_runtimes(study.path)[one.trial.cell]["onnx"].trials == {}
    [aside] = (study.path / "set-aside").iterdir()
    assert aside.read_bytes() == b"nothing"


@pytest.mark.parametrize(
    "content",
    ["", "[" * 100_000, '{"sha256": "0", "measurements": {}}', '{"../../x": {}}', '{"000000000000": {"../x": {}}}'],
)
def test_measurements_that_are_damaged_or_strange_are_set_aside(content, study):
    (study.path / "runtimes" / "measurements.json").write_text(content)
    with pytest.raises(InputError, match="cannot be read"):
        read_runtimes(study.path)
    problems = verify(study)
    assert [problem.subject for problem in problems] == ["runtimes/measurements.json"]
    with study.holding():
        repair(study, problems)
    assert verify(study) == []
    assert read_runtimes(study.path) == {}


def test_a_number_that_is_changed_is_noticed(study, one):
    file = study.path / "runtimes" / "measurements.json"
    content = json.loads(file.read_text())
    content["measurements"][one.trial.cell]["onnx"]["trials"][one.trial.key]["dice"] = 0.99
    file.write_text(json.dumps(content))
    with pytest.raises(InputError, match="it is not what was written"):
        read_runtimes(study.path)
