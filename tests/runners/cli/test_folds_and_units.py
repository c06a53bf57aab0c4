"""`--folds`, `--fold` and `--unit` on the command line."""

from __future__ import annotations

import json
import sys

import pytest
import torch
from made_studies import Trained, packed, run_of, trained, trivial

from ablate.data.dataset import assemble
from ablate.data.phantom import read
from ablate.data.settings import Phantom, Split
from ablate.models.settings import UNet
from ablate.runners.cli.confirm import _round
from ablate.runners.cli.main import main
from ablate.runners.request import Request
from ablate.study.study import Study
from ablate.training.loop import train
from ablate.trial import Protocol

SPACE = """\
name: widths
question: Do wider networks pay?
design: grid
base:
  model: {name: unet, stages: 2}
  data: {name: phantom, count: 10, size: [16, 16]}
factors:
  model.width: [4, 8]
"""


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["ablate", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


@pytest.fixture
def space(tmp_path):
    file = tmp_path / "space.yaml"
    file.write_text(SPACE)
    return file


def test_a_plan_says_how_many_folds_there_are(space, monkeypatch, capsys):
    options = ("plan", "--space", space, "--profile", "quick", "--seeds", 3, "--folds", 5)
    assert run(monkeypatch, *options) == 0
    assert "2 configurations x 3 seeds x 5 folds = 30 trials" in capsys.readouterr().out
    assert run(monkeypatch, *options, "--fold", 1, "--fold", 4, "--json") == 0
    trials = json.loads(capsys.readouterr().out)["trials"]
    assert {(trial["seed"], trial["fold"]) for trial in trials} == {(s, f) for s in range(3) for f in (1, 4)}
    assert len({trial["cell"] for trial in trials}) == 2


def test_folds_that_there_are_not_end_with_one_line(space, monkeypatch, capsys):
    assert run(monkeypatch, "plan", "--space", space, "--profile", "quick", "--fold", 1) == 2
    said = capsys.readouterr().err
    assert "give --folds too" in said
    assert len(said.strip().splitlines()) == 1


def test_a_request_has_folds_as_the_command_has(space):
    found = Request(space=space, profile="quick", folds=5, fold=(1,)).basis()
    assert (found.arguments["folds"], found.arguments["fold"]) == (5, (1,))


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    """Two networks over the three folds of ten images of five patients."""
    plain = Phantom(size=(16, 16), count=10)
    samples = [sample._replace(group=f"p{i // 2}") for i, sample in enumerate(read(plain))]
    dataset = assemble(samples, plain)
    base = trained(dataset).trial
    split = Split(method="kfold", folds=3, shuffle=False)
    trials = [
        base.model_copy(
            update={"model": UNet(width=width, stages=2), "protocol": Protocol(epochs=1, augment=(), split=split)}
        ).of_fold(fold)
        for width in (4, 8)
        for fold in range(3)
    ]
    trials = [type(base).model_validate(trial.canonical()) for trial in trials]
    made = [Trained(trial, dataset, train(trial, dataset, device=torch.device("cpu"))) for trial in trials]
    rows = [row for one in made[:3] for row in trivial(one)]
    levels = {one.trial.key: {"model.width": str(one.trial.model.width)} for one in made}
    planned = run_of(*trials, space="two").model_copy(update={"factors": {"model.width": ["4", "8"]}, "trials": levels})
    found = Study.open_or_new(tmp_path_factory.mktemp("units") / "study")
    with found.writing():
        found.plan(planned, threads=1, data_dir=None)
        for one in [*made, *rows]:
            found.accept(one.trial.key, packed(one))
    return found


COMMANDS = [("effects",), ("pareto",), ("table",), ("pareto", "--json"), ("effects", "--json")]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_output_by_case_says_so_and_by_image_does_not(command, study, monkeypatch, capsys):
    name, *options = command
    outputs = []
    for unit in ((), ("--unit", "case"), ("--unit", "image")):
        assert run(monkeypatch, name, study.path, *options, *unit) == 0
        outputs.append(" ".join(capsys.readouterr().out.split()))
    assert outputs[0] == outputs[1]
    assert "Scores are by case" in outputs[0]
    assert "by case" not in outputs[2]
    assert all("all folds of a seed together (3 folds)" in output for output in outputs)


def test_reports_are_by_case_or_by_image(study, monkeypatch, tmp_path):
    for unit in ("case", "image"):
        assert run(monkeypatch, "report", study.path, "--unit", unit, "-o", tmp_path / f"{unit}.html") == 0
    texts = {unit: (tmp_path / f"{unit}.html").read_text() for unit in ("case", "image")}
    assert ["Scores are by case" in texts[unit] for unit in ("case", "image")] == [True, False]


def test_a_unit_that_there_is_not_is_one_line(study, monkeypatch, capsys):
    assert run(monkeypatch, "effects", study.path, "--unit", "slice") == 2
    assert "slice" in capsys.readouterr().err


def test_a_front_is_confirmed_on_the_folds_that_it_was_searched_on(study):
    found = _round(study, 2, 1)
    searched = {config.cell for config in map(study.config, study.records()) if not config.is_trivial}
    assert {trial.config.cell for trial in found.trials} <= searched
    cells = len({trial.config.cell for trial in found.trials})
    assert {(trial.config.seed, trial.config.fold) for trial in found.trials} == {
        (s, f) for s in (1, 2) for f in range(3)
    }
    assert len(found.trials) == len(found.run.trials) == 6 * cells
