"""What the files of a trained network take and find in ONNX Runtime, and how that is kept, resumed and told."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from made_studies import Trained, made_study, trained

from ablate.analysis.frames import load
from ablate.analysis.pareto import pareto
from ablate.cost import measured as cost_measured
from ablate.data.load import load_data
from ablate.data.settings import Phantom
from ablate.deployment import formats, measured
from ablate.deployment.convert import converted
from ablate.deployment.formats import FORMATS
from ablate.deployment.measured import Asked, check_runtimes, measure_files
from ablate.errors import InputError, TrialError
from ablate.metrics.counts import confusion, scores
from ablate.runners.cli.measure import measure
from ablate.study.in_runtimes import images_in, read_runtimes
from ablate.study.study import Study
from ablate.study.where_data_are import data_of

QUICK = ("--repeats", "5", "--seconds", "0.5")


@pytest.fixture(scope="module")
def one() -> Trained:
    return trained(load_data(Phantom(size=(16, 16), count=20)))


@pytest.fixture(scope="module")
def kept(one, tmp_path_factory) -> tuple[Study, dict[str, object], str]:
    """A study whose network was measured in all runtimes by the command, its document, and what it said meanwhile."""
    study = made_study(tmp_path_factory.mktemp("measured") / "study", one)
    found = run(study, "--runtime", "torch,onnx,onnx-int8", "--json", *QUICK)
    return Study.open(study.path), json.loads(found.stdout), found.stderr


def run(study: Study, *options: str):
    done = CliRunner().invoke(measure, [str(study.path), *options], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done


def test_files_are_timed_beside_their_network_and_what_they_find_is_kept(kept, one):
    study, document, _ = kept
    found = read_runtimes(study.path)[one.trial.cell]
    assert set(found) == {"onnx", "onnx-int8"} == set(document["files"][one.trial.cell])
    assert study.measurements()[one.trial.cell].versions["torch"]
    for runtime, precision in (("onnx", "float32"), ("onnx-int8", "int8")):
        taken = found[runtime].measured
        assert (taken.precision, taken.channels, taken.size, taken.threads) == (precision, 1, (16, 16), 1)
        assert taken.latency_ms > 0
        assert taken.peak_memory_mb >= 0
        assert taken.versions["onnxruntime"] == found[runtime].versions["onnxruntime"]
        assert found[runtime].of == one.trial.key
    test = one.dataset.split(one.trial.protocol.split).test
    table = images_in(study.path, "onnx", one.trial.key, found["onnx"].trials[one.trial.key])
    own = study.table(one.trial.key, "images")
    assert list(table["image"]) == list(own["image"]) == [one.dataset.ids[i] for i in test for _ in range(2)]
    assert np.array_equal(table[["tp", "fp", "fn", "tn"]], own[["tp", "fp", "fn", "tn"]])
    assert len(pareto(load(study).trials, "latency_ms@onnx-int8", "dice").points) == 1


def test_the_dice_of_int8_is_that_of_its_own_masks(one, tmp_path):
    """Held against the file itself, by ONNX Runtime alone."""
    import onnxruntime

    study = made_study(tmp_path / "study", one)
    found = measured.found_in(study, one.trial.key, ["onnx", "onnx-int8"], data_of(study), tmp_path, (16, 16))
    test = list(one.dataset.split(one.trial.protocol.split).test)
    for runtime, finds in found.items():
        session = onnxruntime.InferenceSession(str(tmp_path / runtime), providers=["CPUExecutionProvider"])
        [logits] = session.run(None, {"image": one.dataset.images[test]})
        counts = confusion((logits[:, 0] >= 0).astype(np.uint8), one.dataset.masks[test], 2)
        assert finds.dice == pytest.approx(scores(counts).dice)
        table = images_in(study.path, runtime, one.trial.key, finds)
        assert np.array_equal(table[["tp", "fp", "fn", "tn"]], counts.reshape(-1, 4))
    assert (tmp_path / "onnx-int8").stat().st_size != (tmp_path / "onnx").stat().st_size


def test_what_was_measured_is_left_as_it_is_unless_it_is_asked_for_again(kept, monkeypatch):
    study, document, _ = kept
    monkeypatch.setattr(cost_measured, "busy", lambda: 3.0)
    asked = []
    monkeypatch.setattr(measured, "measure_files", lambda *given: asked.append(given) or pytest.fail("measured again"))
    done = run(study, "--runtime", "torch,onnx,onnx-int8", "--json", *QUICK)
    again = json.loads(done.stdout)
    assert again["files"] == document["files"]
    assert again["measurements"] == document["measurements"]
    assert again["left_as_they_are"] == list(document["files"])
    told = run(study, "--runtime", "onnx", *QUICK).output
    assert "1 network was measured before: left as they are (--again" in told

    def broken(*given: object):
        asked.append(given)
        raise TrialError("its process was ended")

    monkeypatch.setattr(measured, "measure_files", broken)
    told = run(study, "--runtime", "onnx", "--again", *QUICK).output
    assert "could not be measured: its process was ended" in told
    assert [given[2] for given in asked] == [["onnx"]]
    told = run(study, "--runtime", "onnx", "--input", "1x32x32", *QUICK).output  # another size is another measurement
    assert len(asked) == 2
    monkeypatch.setattr(measured, "versions_in", lambda runtime: {"onnxruntime": "9"})
    run(study, "--runtime", "onnx", *QUICK)
    assert len(asked) == 3
    assert read_runtimes(study.path)[next(iter(document["files"]))]["onnx"].measured is not None


def test_a_network_that_does_not_export_is_recorded_with_the_operation_and_asked_no_more(one, tmp_path, monkeypatch):
    class Decomposing(torch.nn.Conv2d):
        def forward(self, images):
            return super().forward(images) * torch.linalg.eigvals(images)[..., None].real

    def whole_file(own, form, size=None):
        return converted(Decomposing(1, 1, 3, padding=1), FORMATS["onnx"], 1, (16, 16))

    monkeypatch.setattr(measured, "whole_file", whole_file)
    study = made_study(tmp_path / "study", one)
    found = measure_files(study, [one.trial.key], ["onnx", "onnx-int8"], data_of(study), Asked((16, 16)))
    assert found.network is None
    for runtime in ("onnx", "onnx-int8"):
        assert found.files[runtime].measured is None
        assert "no form of the operation aten" in found.files[runtime].why_not
    told = " ".join(run(study, "--runtime", "onnx", *QUICK).output.split())
    assert "has no file for ONNX: the network cannot be exported as onnx: it has no form of the operation" in told
    monkeypatch.setattr(measured, "measure_files", lambda *given: pytest.fail("asked again"))
    assert "1 network was measured before" in run(Study.open(study.path), "--runtime", "onnx", *QUICK).output


def test_a_latency_in_doubt_is_measured_again_on_a_machine_that_is_idle_now(kept, monkeypatch):
    study, document, _ = kept
    cell, files = next(iter(document["files"].items()))
    measure_again = []
    monkeypatch.setattr(measured, "versions_in", lambda runtime: files[runtime]["versions"])

    def broken(*given: object):
        measure_again.append(given)
        raise TrialError("its process was ended")

    monkeypatch.setattr(measured, "measure_files", broken)
    for busy, doubt, expected in ((3.0, "unsteady", 0), (None, None, 0), (None, "unsteady", 1)):
        monkeypatch.setattr(cost_measured, "busy", lambda busy=busy: busy)
        monkeypatch.setattr(cost_measured.Measured, "doubt", property(lambda self, doubt=doubt: doubt))
        run(study, "--runtime", "onnx", *QUICK)
        assert len(measure_again) == expected, (busy, doubt)
    assert cell in read_runtimes(study.path)


def test_an_executorch_file_finds_what_its_network_does(one, tmp_path):
    """Where the extra is installed, which takes some 200 MB: its files take one image at a time."""
    pytest.importorskip("executorch", reason="an extra, which is not a part of the development's")
    study = made_study(tmp_path / "study", one)
    found = measured.found_in(study, one.trial.key, ["executorch"], data_of(study), tmp_path, (16, 16))["executorch"]
    assert found.difference <= 1e-4
    assert found.others == 0
    assert found.dice == pytest.approx(found.network_dice)


def test_a_runtime_that_is_not_installed_names_its_extra(monkeypatch):
    there = formats.find_spec
    monkeypatch.setattr(formats, "find_spec", lambda name: None if name == "onnxruntime" else there(name))
    with pytest.raises(InputError, match=r"format onnx needs onnxruntime: pip install -c constraints.txt '\.\[onnx\]'"):
        check_runtimes(["onnx-int8"])
    monkeypatch.setattr(formats, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"format executorch needs executorch: .*'\.\[executorch\]'"):
        check_runtimes(["executorch"])
    check_runtimes([])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--runtime", "onx"), "unknown runtime 'onx': did you mean 'onnx'"),
        (("--runtime", "onnx-int4"), "did you mean 'onnx-int8'"),
        (("--runtime", ","), "--runtime names none: expected one or more of torch, onnx, onnx-int8"),
        (("--runtime", "onnx", "--input", "3x16x16"), "--input with 3 channels: the files of "),
        (("--runtime", "onnx", "--input", "1x15x16"), "multiples of 2"),
    ],
)
def test_what_cannot_be_measured_is_said_in_a_line_before_anything_is(options, said, kept, monkeypatch):
    study, *_ = kept
    monkeypatch.setattr(cost_measured, "in_child", lambda *given: pytest.fail("measured"))
    with pytest.raises(InputError, match=said):
        CliRunner().invoke(measure, [str(study.path), *options], catch_exceptions=False)


def test_data_that_are_gone_are_asked_for_and_nothing_is_recorded(one, tmp_path, monkeypatch):
    study = made_study(tmp_path / "study", one)

    def gone(data, size=None):
        raise InputError("the images are not those of the study: give their --data-dir")

    with pytest.raises(InputError, match="--data-dir"):
        measure_files(study, [one.trial.key], ["onnx"], gone, Asked((16, 16)))
    assert read_runtimes(study.path) == {}
