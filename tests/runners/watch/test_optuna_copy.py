"""`ablate export --to optuna`: what Optuna's own tools make of a study."""

from __future__ import annotations

import random
import subprocess
import threading
import time
from pathlib import Path
from wsgiref.simple_server import make_server

import optuna
import pytest
from chromium import PROGRAM, Page
from commands import ABLATE, ablate

from ablate.data.load import load_data
from ablate.data.settings import Phantom
from ablate.errors import InputError
from ablate.models.settings import UNet
from ablate.runners.watch.optuna_copy import Copy, distributions
from ablate.search_spaces.space import Space
from ablate.study.records import Record
from ablate.study.runs import Run
from ablate.study.study import Study
from ablate.study.trial_folder import pack
from ablate.training.checkpoint import Epoch
from ablate.training.loop import judge_trivial
from ablate.trial import Protocol, TrialConfig

TRIALS = 24
SPACE = Space(
    name="driven",
    question="What drives it?",
    design="random",
    samples=TRIALS,
    base={"model": {"name": "unet"}},
    factors={
        "model.stages": {"two": {"model.stages": 2}, "three": {"model.stages": 3}},
        "protocol.learning_rate": {"low": 1e-5, "high": 1e-1, "log": True},
        "protocol.batch_size": {"low": 2, "high": 8, "step": 2},
        "model.width": [16, 4, 8],
    },
)


def score(levels: dict[str, str]) -> float:
    """The learning rate drives it, and the width a little."""
    return 0.3 + 0.5 * float(levels["protocol.learning_rate"]) / 1e-1 + 0.001 * int(levels["model.width"])


def accept(study: Study, trial: TrialConfig, state: str, dice: float | None) -> None:
    record = Record(
        key=trial.key, cell=trial.cell, model="unet", seed=trial.seed, state=state, params=10, macs=20, val_dice=dice,
        epochs=0 if state == "failed" else 1, error="it diverged" if state == "failed" else None,
    )  # fmt: skip
    epochs = [] if dice is None else [Epoch(1, 0.5, 0.5, dice, dice, dice, 1.0, 1e-3)]
    result = judge_trivial(trial.trivial()[0], load_data(trial.data)) if state == "complete" else None
    study.accept(trial.key, pack(trial, record, epochs, result))


def planned(study: Study, space: Space, trials: dict[TrialConfig, dict[str, str]]) -> None:
    run = Run(
        space=space.name, question="?", profile="quick", design="random", factors={},
        definition=space.model_dump(mode="json", exclude_none=True),
        trials={trial.key: levels for trial, levels in trials.items()},
    )  # fmt: skip
    study.plan(run, threads=1, data_dir=None)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """24 complete trials, one that failed, one that was stopped, and the predictors that look at no image."""
    draw = random.Random(0)
    data = load_data(Phantom(size=(16, 16), count=10)).config
    trials: dict[TrialConfig, dict[str, str]] = {}
    for seed in range(TRIALS + 2):
        levels = {
            "model.stages": draw.choice(["two", "three"]),
            "protocol.learning_rate": f"{10 ** draw.uniform(-5, -1):.6g}",
            "protocol.batch_size": str(draw.choice([2, 4, 6, 8])),
            "model.width": draw.choice(["16", "4", "8"]),
        }
        trials[TrialConfig(model=UNet(width=4), data=data, protocol=Protocol(epochs=1), seed=seed)] = levels
    study = Study.open_or_new(tmp_path / "driven")
    with study.writing():
        planned(study, SPACE, trials)
        for number, (trial, levels) in enumerate(trials.items()):
            state = {TRIALS: "failed", TRIALS + 1: "stopped"}.get(number, "complete")
            accept(study, trial, state, None if state == "failed" else score(levels))
        dataset = load_data(data)
        for row in trial.trivial():
            record = Record(key=row.key, cell=row.cell, model=row.model.name, seed=0, state="trivial", params=0, macs=0)
            study.accept(row.key, pack(row, record, [], judge_trivial(row, dataset)))
    return study


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'trials.db'}"


def test_optunas_own_tools_find_what_drives_the_score(study, url):
    assert (
        f"{TRIALS + 2} trials added to study 'driven' in {url}"
        in ablate("export", study.path, "--to", "optuna", url).stdout
    )
    copy = optuna.load_study(study_name="driven", storage=url)
    importances = optuna.importance.get_param_importances(
        copy, target=lambda trial: trial.values[0], evaluator=optuna.importance.FanovaImportanceEvaluator(seed=0)
    )
    assert next(iter(importances)) == "protocol.learning_rate"
    assert importances["protocol.learning_rate"] > 0.5
    assert set(importances) == set(SPACE.factors)
    states = [trial.state.name for trial in copy.trials]
    assert (states.count("COMPLETE"), states.count("FAIL"), states.count("PRUNED")) == (TRIALS, 1, 1)
    # On the front, here of equal costs, is the best trial alone; predictors that cost nothing would be there too.
    [best] = copy.best_trials
    assert best.values == [max(trial.values[0] for trial in copy.trials if trial.values), 10, 20]
    assert {trial.user_attrs["state"] for trial in copy.trials} == {"complete", "stopped", "failed"}
    assert copy.metric_names == ["validation Dice", "parameters", "MACs"]
    for trial in copy.trials:
        [(levels, record)] = [
            (study.plans.levels[key], record)
            for key, record in study.records().items()
            if key == trial.user_attrs["trial"]
        ]
        assert {name: str(value) for name, value in trial.params.items()}["model.stages"] == levels[
            "driven.model.stages"
        ]
        assert trial.params["protocol.learning_rate"] == float(levels["driven.protocol.learning_rate"])
        assert trial.intermediate_values == ({} if record.state == "failed" else {1: record.val_dice})
    assert optuna.visualization.plot_slice(copy, target=lambda trial: trial.values[0], target_name="Dice").data


def test_distributions_are_those_of_the_space(study):
    found = distributions(study.manifest.runs, study.plans.levels.values())
    assert found == {
        "driven.model.stages": optuna.distributions.CategoricalDistribution(("two", "three")),
        "driven.protocol.learning_rate": optuna.distributions.FloatDistribution(1e-5, 1e-1, log=True),
        "driven.protocol.batch_size": optuna.distributions.IntDistribution(2, 8, step=2),
        "driven.model.width": optuna.distributions.CategoricalDistribution((4, 8, 16)),
    }


def test_levels_that_would_be_one_number_stay_apart():
    levels = [{"s.f": "4"}, {"s.f": "04"}, {"s.g": "1"}, {"s.g": "inf"}, {"s.h": "0.5"}, {"s.h": "1"}]
    assert {name: distribution.choices for name, distribution in distributions([], levels).items()} == {
        "s.f": ("4", "04"), "s.g": ("1", "inf"), "s.h": (0.5, 1),
    }  # fmt: skip


def test_exporting_again_adds_what_is_new(study, url):
    ablate("export", study.path, "--to", "optuna", url)
    assert "0 trials added" in ablate("export", study.path, "--to", "optuna", url).stdout
    stopped = next(record for record in study.records().values() if record.state == "stopped")
    with study.writing():
        accept(study, study.config(stopped.key), "complete", 0.9)
    assert "1 trial added" in ablate("export", study.path, "--to", "optuna", url).stdout
    copy = optuna.load_study(study_name="driven", storage=url)
    assert [trial.state.name for trial in copy.trials if trial.user_attrs["trial"] == stopped.key] == [
        "PRUNED",
        "COMPLETE",
    ]


def refused(*arguments: object) -> str:
    done = subprocess.run([ABLATE, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_what_cannot_be_exported_is_one_line(study, url, tmp_path):
    def optuna_at(place: str) -> tuple[object, ...]:
        return ("export", study.path, "--to", "optuna", place)

    (tmp_path / "text.db").write_text("not a database, and somebody's")
    (tmp_path / "link.db").symlink_to(tmp_path / "text.db")
    assert "file is not a database" in refused(*optuna_at(f"sqlite:///{tmp_path / 'text.db'}"))
    assert "is a link, which is not replaced" in refused(*optuna_at(f"sqlite:///{tmp_path / 'link.db'}"))
    assert (tmp_path / "text.db").read_text() == "not a database, and somebody's"
    assert "would be in a study" in refused(*optuna_at(f"sqlite:///{study.path / 'x.db'}"))
    assert "unable to open database file" in refused(*optuna_at("sqlite:////nowhere/x.db"))
    assert "expected the URL of a database" in refused(*optuna_at("nonsense"))
    assert "secret" not in refused(*optuna_at("postgresql://me:secret@localhost:1/x"))
    assert "--to optuna takes all trials" in refused(*optuna_at(url), "--table", "trials")
    assert "expected --table" in refused("export", study.path)
    assert "give --to optuna URL too" in refused("export", study.path, "--table", "trials", "--name", "x")
    assert list(tmp_path.glob("trials.db*")) == []
    optuna.create_study(storage=url, study_name="driven")
    assert "a study 'driven' already, which is no copy of" in refused(*optuna_at(url))
    assert "26 trials added to study 'mine'" in ablate(*optuna_at(url), "--name", "mine").stdout


def test_new_levels_of_a_factor_need_another_name(study, url, tmp_path):
    storage = optuna.storages.RDBStorage(url)
    Copy(study, storage, "one").update(study, study.records())
    wider = SPACE.model_copy(update={"factors": SPACE.factors | {"model.width": {"4": {}, "32": {}}}})
    key = next(iter(study.records()))
    fresh = study.config(key).model_copy(update={"seed": 99})
    with study.writing():
        planned(study, wider, {fresh: {"model.width": "32"}})
        accept(study, fresh, "complete", 0.5)
    with pytest.raises(InputError, match=r"factor model\.width has other levels than in the copy that is there"):
        Copy(study, storage, "one").update(study, study.records())
    assert len(Copy(study, storage, "another").update(study, study.records())) == TRIALS + 3


@pytest.mark.skipif(PROGRAM is None, reason="needs Chromium")
def test_optuna_dashboard_opens_it_in_a_browser(study, url):
    from optuna_dashboard import wsgi

    ablate("export", study.path, "--to", "optuna", url)
    with make_server("127.0.0.1", 0, wsgi(optuna.storages.RDBStorage(url))) as server, Page() as page:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page.open(f"http://127.0.0.1:{server.server_port}/dashboard/studies/1")
        deadline = time.monotonic() + 60
        while "learning_rate" not in (shown := page.js("document.body.innerText")):
            assert time.monotonic() < deadline, shown
            time.sleep(0.5)
        assert "driven" in shown
        assert not [complaint for complaint in page.complaints if "rror" in complaint]
        server.shutdown()
