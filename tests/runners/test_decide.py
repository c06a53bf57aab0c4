"""`ablate run --decide`: what each look trains, that it goes on after a kill, and what it refuses."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from commands import SPACE, ablate
from rich.console import Console

from ablate.analysis.claims.looks_taken import looks_of
from ablate.analysis.claims.registered import digest, standing
from ablate.analysis.claims.schema import Claim
from ablate.data.load import load_data
from ablate.data.settings import Phantom
from ablate.errors import InputError
from ablate.models.settings import UNet
from ablate.runners.cli.decide import Asked, decide
from ablate.runners.request import Request
from ablate.search_spaces.plan import Planned
from ablate.study.records import Record
from ablate.study.registrations import read_registrations
from ablate.study.runs import Run
from ablate.study.study import Study
from ablate.study.trial_folder import pack
from ablate.study.verify import verify
from ablate.training.loop import judge_trivial
from ablate.trial import Protocol, TrialConfig

LOOKS = (2, 3, 5)
CLAIM = Claim.model_validate(
    {
        "name": "narrow",
        "statement": "Narrow is as good as wide.",
        "subject": {"width": 4},
        "against": [{"width": 8}, {"width": 12}],
        "hypotheses": [
            {"kind": "fewest", "cost": "params"},
            {"kind": "non_inferior", "metric": "dice", "margin": 0.1, "failures": {"below": 0.01, "tolerance": 0.9}},
        ],
    }
)


@pytest.fixture(scope="module")
def planned() -> list[Planned]:
    data = load_data(Phantom(size=(16, 16), count=30)).config
    return [
        Planned(
            TrialConfig(model=UNet(width=width), data=data, protocol=Protocol(epochs=1), seed=seed),
            {"model.width": str(width)},
            width,
            width,
        )
        for width in (4, 8, 12)
        for seed in range(LOOKS[-1])
    ]


@pytest.fixture
def study(tmp_path: Path, planned: list[Planned]) -> Study:
    return Study.open_or_new(tmp_path / "study")


class Trains:
    """Takes trials into a study as if they had been trained: all alike, but width 12 where it is told to differ."""

    def __init__(self, study: Study, planned: list[Planned], differs: bool = True) -> None:
        self.study, self.differs = study, differs
        self.asked: list[list[str]] = []
        dataset = load_data(planned[0].config.data)
        *_, mean_mask = (judge_trivial(one, dataset) for one in planned[0].config.trivial())
        self.judged = mean_mask

    def __call__(self, trials: list[Planned]) -> None:
        keys = {trial.key: trial.levels for trial in trials}
        run = Run(space="s", question="?", profile="quick", design="grid", factors={"model.width": ["4", "8", "12"]},
                  definition={}, trials=keys)  # fmt: skip
        self.study.plan(run, threads=1, data_dir=None)
        missing = [trial for trial in trials if self.study.record(trial.key) is None]
        self.asked.append([f"{trial.config.model.width}/{trial.config.seed}" for trial in missing])
        for trial in missing:
            config = trial.config
            record = Record(key=trial.key, cell=config.cell, model="unet", seed=config.seed, state="complete",
                            params=trial.params, macs=trial.macs, epochs=1, best_epoch=1, val_dice=0.5,
                            train_seconds=3600.0)  # fmt: skip
            self.study.accept(trial.key, pack(config, record, [], self._result(config)))

    def _result(self, config: TrialConfig):
        """Foreground lost from what was found, by the seed: width 12 a lot by some seeds and not by others."""
        width, seed = config.model.width, config.seed
        if not (self.differs and width == 12 and seed % 2):
            return self.judged
        return self.judged._replace(counts=worse(self.judged.counts, 3))


def worse(counts: np.ndarray, part: int) -> np.ndarray:
    """With one in `part` of the foreground that was found missed."""
    found = counts.copy()
    gone = found[:, 1, 0] // part
    found[:, 1, 0] -= gone
    found[:, 1, 2] += gone
    return found


def run(study: Study, planned: list[Planned], train, hours: float | None = None, looks=LOOKS) -> str:
    out = io.StringIO()
    with study.writing():
        decide(study, Asked(CLAIM, planned, looks, hours), train, Console(file=out, width=200))
    return out.getvalue()


def test_only_what_is_open_gets_more_seeds_and_the_subject_goes_with_it(study, planned):
    train = Trains(study, planned)
    printed = run(study, planned, train)
    assert sorted(train.asked[0]) == sorted(f"{width}/{seed}" for width in (4, 8, 12) for seed in (0, 1))
    assert sorted(train.asked[1]) == ["12/2", "4/2"]  # width 8 is the same to the last digit: decided at once
    looks = looks_of(study, digest(CLAIM))
    assert looks.seeds == LOOKS
    decided = {one.name: (one.state, one.look) for one in looks.taken[0].decisions}
    assert decided["fewest parameters"] == ("supported", 1)
    assert decided["Dice non-inferior to width=8"] == ("supported", 1)
    assert decided["Dice non-inferior to width=12"][0] == "open"
    assert "fewer than 5 seeds for all (15)" in printed
    assert standing(study, CLAIM).before
    assert not [problem for problem in verify(study) if problem.subject.startswith("claims")]


def test_killed_and_run_again_it_goes_on_and_takes_no_look_twice(tmp_path, planned):
    whole = Study.open_or_new(tmp_path / "whole")
    run(whole, planned, Trains(whole, planned))

    killed = Study.open_or_new(tmp_path / "killed")
    train = Trains(killed, planned)

    def dies(trials: list[Planned]) -> None:
        train(trials)
        if len(train.asked) == 2:  # trained, and not yet looked at
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(killed, planned, dies)
    assert len(looks_of(killed, digest(CLAIM)).taken) == 1
    run(killed, planned, train)
    one, other = (looks_of(study, digest(CLAIM)) for study in (whole, killed))
    assert one == other
    before = (killed.path / "claims.jsonl").read_bytes()
    again = run(killed, planned, train)
    assert (killed.path / "claims.jsonl").read_bytes() == before
    assert "Ended" in again


def test_more_seeds_that_the_study_has_by_another_run_take_no_part_in_a_look(tmp_path, planned):
    plain, full = (Study.open_or_new(tmp_path / name) for name in ("plain", "full"))
    run(plain, planned, Trains(plain, planned))
    with full.writing():
        Trains(full, planned)(planned)
    run(full, planned, Trains(full, planned))
    one, other = (looks_of(study, digest(CLAIM)).taken for study in (plain, full))
    assert [look.decisions for look in one] == [look.decisions for look in other]
    assert not standing(full, CLAIM).before  # its scores were there


def test_the_budget_ends_it_before_a_look_that_would_take_longer(study, planned):
    train = Trains(study, planned)
    printed = run(study, planned, train, hours=1.5)  # a trial says that it took an hour
    assert len(train.asked) == 1
    assert "Ended, for the next look would take about 2 hours more: over the budget of 1.5" in printed
    run(study, planned, train, hours=2.5)
    assert len(train.asked) >= 2


def test_looks_cannot_be_planned_otherwise_once_begun(study, planned):
    train = Trains(study, planned)
    run(study, planned, train)
    kept = read_registrations(study.path)
    with pytest.raises(InputError, match=r"after 2,3,5 seeds in .*: give --looks 2,3,5"):
        run(study, planned, train, looks=(2, 5))
    assert read_registrations(study.path) == kept


def test_a_trial_that_changed_since_its_look_is_said(study, planned):
    run(study, planned, Trains(study, planned))
    key = planned[0].key
    again = Trains(study, planned)
    again.judged = again.judged._replace(counts=worse(again.judged.counts, 2))
    with study.writing():
        record = study.record(key)
        study.accept(key, pack(planned[0].config, record, [], again.judged))
    assert "are not those that it was taken on; what it decided stands" in run(study, planned, again)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"looks": (2, 4)}, "--looks 2,4: belongs to --decide"),
        ({"decide": "lightweight", "budget_epochs": 9}, "--budget-epochs: does not go with --decide"),
        ({"decide": "lightweight", "seeds": 3}, "--seeds: does not go with --decide"),
        ({"decide": "lightweight", "sampler": "tpe"}, "--sampler: does not go with --decide"),
        ({"decide": "lightweight", "scheduler": "asha"}, "--scheduler: does not go with --decide"),
        ({"decide": "lightweight", "share": True}, "--share: does not go with --decide"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        Request(space="baselines", **options).check()


def test_a_run_that_decides_trains_its_looks_and_the_claim_says_so(tmp_path):
    space, claim = tmp_path / "widths.yaml", tmp_path / "claim.yaml"
    space.write_text(SPACE)
    claim.write_text(
        "name: c\nstatement: s\nsubject: {width: 4}\nagainst: [{width: 8}]\n"
        "hypotheses:\n  - {kind: fewest, cost: params}\n  - {kind: superior, metric: dice}\n"
    )
    study = tmp_path / "study"
    for looks in ("2,x", "3,2"):
        wrong = ablate("run", "--space", space, "--study", study, "--decide", claim, "--looks", looks, check=False)
        assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
        assert not study.exists()
    printed = ablate("run", "--space", space, "--study", study, "--decide", claim, "--looks", "2,3").stdout
    assert "Registered before the first test score" in printed
    assert "Look 1 of 2, 2 seeds" in printed
    assert [line for line in printed.splitlines() if len(line) > 80 and str(study) not in line] == []
    document = json.loads(ablate("claim", study, "--claim", claim, "--json").stdout)
    (stand,) = document["registered"].values()
    assert stand["looks"][0]["seeds"] == 2
    assert stand["decided"][0].startswith("On phantom, looked at")
    assert ablate("verify", study).returncode == 0
