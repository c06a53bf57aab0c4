"""Samplers as parts: a user's own in one file, Optuna's as they are, settings, and what each search remembers."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import optuna
import pytest
from test_samplers import LIMIT, Market, dice, space

from ablate.errors import InputError
from ablate.kinds import KINDS, make
from ablate.modules import code_from
from ablate.runners.search.catalogue import Catalogue
from ablate.runners.search.proposals import Proposal, Scored, append_proposal, read_proposals
from ablate.runners.search.proposer import Proposer, make_proposer
from ablate.runners.search.samplers.base import Setting, sampler_part
from ablate.runners.search.study_search import file_name

MINE = '''
import numpy as np
import optuna
from ablate.runners.search.samplers.base import Sampler


class Widest(Sampler):
    """The widest network that is left, and the rest at random."""

    share: float = 1.0

    def build(self, setting):
        return Greedy(setting.fresh, self.share)


class Greedy(optuna.samplers.BaseSampler):
    def __init__(self, seed, share):
        self.random, self.draw = optuna.samplers.RandomSampler(seed=seed), np.random.default_rng(seed).random() < share

    def infer_relative_search_space(self, study, trial):
        return {}

    def sample_relative(self, study, trial, search_space):
        return {}

    def sample_independent(self, study, trial, name, distribution):
        if name == "model.width" and self.draw:
            return distribution.high if hasattr(distribution, "high") else distribution.choices[-1]
        return self.random.sample_independent(study, trial, name, distribution)


def genetic(rng_seed, size=4):
    return optuna.samplers.NSGAIISampler(seed=rng_seed, population_size=size)


def nothing():
    return "no sampler"


class Fails(Greedy):
    def __init__(self, seed):
        super().__init__(seed, 1.0)

    def sample_independent(self, study, trial, name, distribution):
        return {}["no such width"]


class Unbuilt(Sampler):
    pass
'''


@pytest.fixture
def mine(tmp_path: Path):
    (tmp_path / "my_samplers.py").write_text(MINE)
    with code_from(tmp_path):
        yield tmp_path


def proposer(sampler: object, trials: int = 8, past: object = (), scored: object = None) -> Proposer:
    return make_proposer(Catalogue(space(), Market()), sampler, trials, 0, past, scored)  # type: ignore[arg-type]


def through(search: Proposer) -> list[Proposal]:
    while (proposal := search.ask()) is not None:
        search.tell(proposal.cell, Scored(dice(proposal)))
    return search.proposals


@pytest.mark.parametrize(
    "asked",
    [
        {"name": "my_samplers:Widest", "share": 0.5},
        {"name": "my_samplers:genetic", "size": 3},
        "optuna.samplers:TPESampler",
        {"name": "optuna.samplers:TPESampler", "n_startup_trials": 3},
        {"name": "tpe", "n_startup_trials": 3},
        {"name": "known_cost", "startup": 3, "pool": 8},
    ],
)
def test_any_sampler_searches_and_goes_on_as_it_would_have(asked, mine, tmp_path):
    whole = through(proposer(asked))
    assert len({proposal.cell for proposal in whole}) == 8
    assert all(proposal.costs[0] <= LIMIT / 2 for proposal in whole)
    file = tmp_path / "proposals.jsonl"
    for proposal in whole[:5]:
        append_proposal(file, proposal)
    past = read_proposals(file)
    assert past == whole[:5]
    assert through(proposer(asked, past=past, scored={one.cell: Scored(dice(one)) for one in past})) == whole


def test_a_users_sampler_proposes_what_it_would(mine):
    found = through(proposer("my_samplers:Widest"))
    assert {proposal.choice["model.width"] for proposal in found[:3]} == {"32"}


def test_a_setting_at_its_default_is_the_plain_sampler():
    assert sampler_part({"name": "tpe", "n_startup_trials": 10}) == sampler_part("tpe")
    assert through(proposer({"name": "tpe", "n_startup_trials": 10})) == through(proposer("tpe"))
    assert through(proposer({"name": "tpe", "n_startup_trials": 3})) != through(proposer("tpe"))


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        ({"name": "tpe", "n_startup_trials": 4, "multivariate": True}, {"_n_startup_trials": 4}),
        ({"name": "nsgaii", "population_size": 7}, {"_population_size": 7}),
        ({"name": "nsgaiii", "population_size": 7}, {"_population_size": 7}),
        ({"name": "gp", "n_startup_trials": 4}, {"_n_startup_trials": 4}),
        ({"name": "qmc", "qmc_type": "halton"}, {"_qmc_type": "halton"}),
    ],
)
def test_settings_reach_optuna(asked, kept):
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    sampler = make(KINDS["sampler"], sampler_part(asked)).build(Setting(Catalogue(space(), Market()), 40, 1, 2))
    assert isinstance(sampler, optuna.samplers.BaseSampler)
    assert {name: getattr(sampler, name) for name in kept} == kept


# What is remembered --------------------------------------------------------------------------------------------------


def test_a_plain_sampler_s_searches_are_kept_as_they_always_were(tmp_path):
    assert file_name(sampler_part("known_cost")) == "known_cost"
    append_proposal(tmp_path / "a.jsonl", through(proposer("random", 1))[0])
    assert b"sampler" not in (tmp_path / "a.jsonl").read_bytes()


def test_searches_of_other_settings_or_other_code_are_kept_apart_and_say_what_they_are(mine, tmp_path):
    asked = [{"name": "tpe", "n_startup_trials": count} for count in (4, 5)]
    names = [file_name(sampler_part(one)) for one in (*asked, "my_samplers:Widest")]
    assert len(set(names)) == 3
    assert names[2].startswith("my_samplers.Widest-")
    assert all(name.replace("-", "").replace(".", "").replace("_", "").isalnum() for name in names)
    append_proposal(tmp_path / "a.jsonl", through(proposer(asked[0], 1))[0])
    assert json.loads((tmp_path / "a.jsonl").read_bytes())["sampler"] == asked[0]
    (mine / "my_samplers.py").write_text(MINE.replace("share: float = 1.0", "share: float = 0.9"))
    with code_from(mine):
        assert file_name(sampler_part("my_samplers:Widest")) != names[2]


# Slips ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"name": "tpe", "n_startup_trial": 3}, "there is no field 'n_startup_trial'"),
        ({"name": "tpe", "n_startup_trials": -1}, "n_startup_trials: Input should be greater than or equal to 0"),
        ({"nam": "tpe"}, "sampler: expected a name"),
        ("my_samplers:Widset", "did you mean 'Widest'"),
        ({"name": "my_samplers:genetic", "sise": 3}, "setting 'sise': did you mean 'size'"),
        ({"name": "my_samplers:genetic", "rng_seed": 3}, "setting 'rng_seed'"),
        ("no_such_module:Sampler", "there is no module no_such_module"),
        ("optuna.study:Study", "is a class, and no optuna.samplers.BaseSampler"),
        ("my_samplers:nothing", "gives a str: expected an optuna.samplers.BaseSampler"),
        ("my_samplers:Fails", r"sampler my_samplers:Fails fails: KeyError: .no such width. \(.*my_samplers.py, line "),
        ("my_samplers:Unbuilt", "Unbuilt has no build"),
    ],
)
def test_what_is_no_sampler_is_said_in_one_line(asked, said, mine):
    with pytest.raises(InputError, match=said) as error:
        through(proposer(asked))
    assert "\n" not in str(error.value)
