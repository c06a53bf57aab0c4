"""Schedulers as parts: a user's own in one file, Ray's as they are, settings, and how the command line names them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler
from test_stopping import EPOCHS, curve, replayed, slow_small_networks

from ablate.errors import InputError
from ablate.modules import code_from
from ablate.runners.cli.named_parts import named_part
from ablate.runners.cli.replay import replay as command
from ablate.runners.request import Request, Training
from ablate.runners.search.of_epochs import OfEpochs
from ablate.runners.search.schedulers.base import make_scheduler, pauses, scheduler_part

MINE = '''
from ray.tune.schedulers import FIFOScheduler, HyperBandScheduler, TrialScheduler
from ablate.runners.search.schedulers.base import Scheduler


class Impatient(Scheduler):
    """Stops whatever is below `least` after `grace` epochs, unless it is the cheapest."""

    least: float = 0.5
    grace: int = 2
    column: str = "val_dice"

    def build(self, costs, max_epochs):
        return Below(self.least, self.grace, costs, self.column)


class Below(FIFOScheduler):
    def __init__(self, least, grace, costs, column):
        super().__init__()
        self.least, self.grace, self.costs, self.column, self.observed = least, grace, costs, column, {}

    def observe(self, key, scores):
        self.observed[key] = list(scores)

    def on_trial_result(self, tune_controller, trial, result):
        is_cheapest = self.costs[trial.config["key"]] == min(self.costs.values())
        if result["epoch"] < self.grace or result[self.column] >= self.least or is_cheapest:
            return TrialScheduler.CONTINUE
        return TrialScheduler.STOP


def halving(costs, max_epochs, metric, mode, brackets=1):
    from ray.tune.schedulers import AsyncHyperBandScheduler

    assert (metric, mode) == ("val_dice", "max")
    return AsyncHyperBandScheduler("epoch", metric, mode, max_t=max_epochs, brackets=brackets)


class MyBand(HyperBandScheduler):
    pass


def nothing():
    return None


class Fails(Scheduler):
    def build(self, costs, max_epochs):
        return 1 / 0
'''


@pytest.fixture
def mine(tmp_path: Path):
    (tmp_path / "my_schedulers.py").write_text(MINE)
    with code_from(tmp_path):
        yield tmp_path


def test_a_users_scheduler_stops_what_it_says(mine):
    curves = {"cheap": curve(10, 0.3, 1), "bad": curve(20, 0.3, 1), "good": curve(30, 0.9, 1)}
    found = replayed(curves, "my_schedulers:Impatient")
    assert found == {"cheap": EPOCHS, "bad": 2, "good": EPOCHS}
    assert replayed(curves, {"name": "my_schedulers:Impatient", "grace": 5})["bad"] == 5
    assert replayed(curves, {"name": "my_schedulers:Impatient", "least": 0.1})["bad"] == EPOCHS


def test_a_users_scheduler_is_told_of_an_earlier_run_and_not_of_other_reports(mine):
    scheduler = make_scheduler("my_schedulers:Impatient", costs={"a": (1,), "b": (2,)}, max_epochs=3)
    assert isinstance(scheduler, OfEpochs)
    scheduler.observe("a", [0.1, 0.2])
    assert scheduler.scheduler.observed == {"a": [0.1, 0.2]}
    trial = Trial("t", config={"key": "b"}, stub=True)
    assert scheduler.on_trial_result(SimpleNamespace(), trial, {"said": ""}) == TrialScheduler.CONTINUE
    told = [scheduler.on_trial_result(SimpleNamespace(), trial, {"epoch": n, "val_dice": 0.1}) for n in (1, 2, 3)]
    assert told == [TrialScheduler.CONTINUE, TrialScheduler.STOP, TrialScheduler.CONTINUE]  # the last is not stopped


@pytest.mark.parametrize(
    ("asked", "own"),
    [
        ({"name": "ray.tune.schedulers:AsyncHyperBandScheduler", "stop_last_trials": False}, "asha"),
        (
            {"name": "ray.tune.schedulers:AsyncHyperBandScheduler", "stop_last_trials": False, "reduction_factor": 2},
            {"name": "asha", "reduction_factor": 2},
        ),
        ({"name": "ray.tune.schedulers:HyperBandScheduler", "stop_last_trials": False}, "hyperband"),
        ("ray.tune.schedulers:FIFOScheduler", "none"),
    ],
)
def test_rays_own_are_taken_as_they_are(asked, own):
    curves = slow_small_networks(5)
    assert replayed(curves, asked) == replayed(curves, own)


def test_ray_s_median_rule_pauses_and_comes_to_its_end():
    assert pauses("ray.tune.schedulers:MedianStoppingRule")
    curves = slow_small_networks(5)
    found = replayed(curves, {"name": "ray.tune.schedulers:MedianStoppingRule", "grace_period": 3})
    assert found.keys() == curves.keys()
    assert EPOCHS in found.values()


def test_what_ray_s_judge_by_may_be_set():
    asked = {"name": "ray.tune.schedulers:MedianStoppingRule", "metric": "val_loss", "mode": "min"}
    assert scheduler_part({**asked, "metric": "val_dice", "mode": "max"}).settings == {}
    made = make_scheduler(asked, costs={}, max_epochs=3)
    assert (made.scheduler._metric, made.scheduler._mode, made.scheduler._time_attr) == ("val_loss", "min", "epoch")


def test_a_function_gives_one(mine):
    curves = slow_small_networks(3)
    assert sum(replayed(curves, "my_schedulers:halving").values()) < EPOCHS * len(curves)


def test_settings_at_their_defaults_are_the_plain_scheduler():
    assert scheduler_part({"name": "asha", "grace": 1, "reduction_factor": 4}).is_plain
    assert not scheduler_part({"name": "asha", "grace": 2}).is_plain


def test_those_that_pause_are_known(mine):
    for asked in ("pareto-promote", "hyperband", {"name": "hyperband", "reduction_factor": 2}, "my_schedulers:MyBand"):
        assert pauses(asked)
    for asked in ("none", "pareto", "asha", "median", "my_schedulers:Impatient", "my_schedulers:halving"):
        assert not pauses(asked)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("ashaa", "unknown scheduler 'ashaa': did you mean 'asha'"),
        ({"name": "asha", "graze": 3}, "there is no field 'graze'"),
        ({"name": "pbt"}, "changes a trial's configuration"),
        ("ray.tune.schedulers:PopulationBasedTraining", "changes a trial while it trains"),
        ({"name": "ray.tune.schedulers:ASHAScheduler", "max_t": 3}, "setting 'max_t'"),
        ("ray.tune.schedulers:ASHASchedule", "did you mean 'ASHAScheduler'"),
        ("ray.tune:Tuner", "is a class, and no ray.tune.schedulers.TrialScheduler"),
        ("my_schedulers:nothing", "gives a NoneType: expected a ray.tune.schedulers.TrialScheduler"),
        ("my_schedulers:Fails", r"cannot be made: ZeroDivisionError: .*my_schedulers\.py, line "),
    ],
)
def test_what_is_no_scheduler_is_said_in_one_line(asked, said, mine):
    with pytest.raises(InputError, match=said) as error:
        make_scheduler(asked, costs={}, max_epochs=9)
    assert "\n" not in str(error.value)


def test_what_a_users_scheduler_raises_is_said_in_one_line(mine):
    with pytest.raises(
        InputError, match=r"scheduler my_schedulers:Impatient fails: KeyError: .*my_schedulers\.py, line "
    ):
        replayed({"a": curve(1, 0.5, 1)}, {"name": "my_schedulers:Impatient", "column": "x"})


# How they are named --------------------------------------------------------------------------------------------------


def option(text: str | tuple[str, ...]):
    return named_part(None, click.Option(["--scheduler"]), text)  # type: ignore[arg-type]


def test_an_option_takes_a_name_or_a_mapping():
    assert option("pareto-promote") == "pareto-promote"
    assert option("my_code:Mine") == "my_code:Mine"
    assert option("{name: asha, grace: 3}") == {"name": "asha", "grace": 3}
    assert option(("none", "{name: asha}")) == ("none", {"name": "asha"})
    for text in ("{name: asha", "{grace: 3}", "{a, b}"):
        with pytest.raises(InputError, match=r"^--scheduler \{"):
            option(text)


def test_a_request_takes_them_too_and_none_finishes_what_was_stopped():
    asked = Request(space="s", sampler={"name": "tpe", "n_startup_trials": 4}, scheduler={"name": "asha", "grace": 3})
    assert not asked.finish_stopped
    assert Training(scheduler={"name": "none"}).finish_stopped
    assert Training().finish_stopped


def test_a_replay_takes_a_users_scheduler_from_the_current_folder(mine, monkeypatch, capsys):
    from test_simulate import random_curves, tables

    for name, table in zip(("trials", "epochs"), tables(random_curves()), strict=True):
        table.to_parquet(mine / f"{name}.parquet")
    monkeypatch.chdir(mine)
    asked = "{name: my_schedulers:Impatient, least: 0.99}"
    command.main([str(mine), "--scheduler", asked, "--repeats", "2", "--json"], standalone_mode=False)
    (found,) = json.loads(capsys.readouterr().out)["strategies"]
    assert found["scheduler"] == {"name": "my_schedulers:Impatient", "least": 0.99}
    assert found["epochs"]["median"] < 14 * 8


def test_names_are_parsed_without_ray_and_without_optuna():
    code = """
import sys
from ablate.runners.search.samplers.base import sampler_part
from ablate.runners.search.schedulers.base import scheduler_part, pauses
sampler_part({"name": "tpe", "n_startup_trials": 4}), scheduler_part("pareto-promote"), pauses("asha")
print([name for name in ("ray", "optuna", "torch") if name in sys.modules])
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
