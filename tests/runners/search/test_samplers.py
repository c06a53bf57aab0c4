"""Searches: what a sampler proposes, what costs nothing, and that a search that goes on is the search that it was."""

import math
from pathlib import Path

import moocore
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.samplers import RandomSampler
from optuna.trial import TrialState
from scipy.stats import norm

from ablate.errors import InputError
from ablate.kinds import KINDS, own_parts
from ablate.runners.execution.budget import Budget
from ablate.runners.replay.curves import Curve
from ablate.runners.search.catalogue import Catalogue, Priced, distributions, recorded_catalogue
from ablate.runners.search.known_cost import KnownCostSampler, softened
from ablate.runners.search.memory import Memory
from ablate.runners.search.proposals import Proposal, Scored, append_proposal, read_proposals
from ablate.runners.search.proposer import Proposer, make_proposer
from ablate.runners.search.schedulers.base import make_scheduler
from ablate.runners.search.search_queue import SearchQueue
from ablate.runners.search.surrogate import fit, improvement
from ablate.runners.simulate import simulate
from ablate.search_spaces.plan import ImpossibleError
from ablate.search_spaces.space import Space

LIMIT = 60_000
SAMPLERS = tuple(own_parts(KINDS["sampler"]))


def space(**more: object) -> Space:
    fields: dict[str, object] = {
        "factors": {
            "model.width": [8, 16, 24, 32],
            "model.stages": {"low": 3, "high": 5},
            "stage 4": {"a": {"model.kernels.4": [3]}, "b": {"model.kernels.4": [5]}},
            "protocol.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
        },
        "when": {"stage 4": {"model.stages": [4, 5]}},
        "design": "random",
        "samples": 4,
    }
    return Space.model_validate({"name": "s", "question": "?"} | fields | more)


class Market:
    """Prices configurations, some of them impossible and some too dear, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, made) -> Priced:
        width, stages = made.fields["model.width"], made.fields["model.stages"]
        self.asked.append(repr(made.levels))
        if width == 16 and stages == 4:
            raise InputError("16 channels do not divide")
        params = width**2 * 2**stages
        if params > LIMIT / 2:
            raise ImpossibleError(f"params {params}", {"params": params / (LIMIT / 2) - 1})
        return Priced(repr(sorted(made.levels.items())), params, width * 100_000 + stages)


def dice(proposal: Proposal) -> float:
    width, rate = int(proposal.choice["model.width"]), proposal.choice["protocol.learning_rate"]
    return 0.9 - 0.8 / width - 0.05 * abs(math.log10(rate) + 3)


def searched(sampler: str, trials: int, seed: int = 0, market: Market | None = None) -> Proposer:
    proposer = make_proposer(Catalogue(space(), market or Market()), sampler, trials, seed)
    while (proposal := proposer.ask()) is not None:
        proposer.tell(proposal.cell, Scored(dice(proposal)))
    return proposer


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_sampler_proposes_distinct_configurations_that_can_be_had(sampler):
    found = searched(sampler, 12).proposals
    assert len(found) == len({proposal.cell for proposal in found}) == 12
    for proposal in found:
        assert ("stage 4" in proposal.choice) == (proposal.choice["model.stages"] >= 4)
        assert not (proposal.choice["model.width"] == "16" and proposal.choice["model.stages"] == 4)
        assert proposal.costs[0] <= LIMIT / 2
        assert 1e-4 <= proposal.choice["protocol.learning_rate"] <= 1e-2


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_search_that_goes_on_proposes_what_it_would_have(sampler, tmp_path):
    whole = searched(sampler, 12)
    file = tmp_path / "proposals.jsonl"
    for proposal in whole.proposals[:10]:
        append_proposal(file, proposal)
    # Killed with two trials under way, which end in the other order.
    past = read_proposals(file)
    outcomes = {proposal.cell: Scored(dice(proposal)) for proposal in past[:8]}
    again = make_proposer(Catalogue(space(), Market()), sampler, 12, 0, past, outcomes)
    assert again.pending() == whole.proposals[8:10]
    for proposal in reversed(again.pending()):
        again.tell(proposal.cell, Scored(dice(proposal)))
    while (proposal := again.ask()) is not None:
        again.tell(proposal.cell, Scored(dice(proposal)))
    assert again.proposals == whole.proposals


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_whenever_a_search_was_killed_it_proposes_what_it_would_have(sampler):
    """Its memory, made anew of what is written down, is the memory that grew."""
    whole = searched(sampler, 14).proposals
    for count in range(14):
        scored = {proposal.cell: Scored(dice(proposal)) for proposal in whole[:count]}
        again = make_proposer(Catalogue(space(), Market()), sampler, 14, 0, whole[:count], scored)
        assert again.ask() == whole[count]


def test_another_seed_is_another_search():
    first = [proposal.cell for proposal in searched("known_cost", 6, seed=1).proposals]
    assert first != [proposal.cell for proposal in searched("known_cost", 6, seed=2).proposals]


def test_what_cannot_be_had_is_settled_and_remembered():
    found = searched("random", 40).proposals
    settled = [row for proposal in found for row in proposal.settled]
    assert {tuple(row.over) for row in settled} == {("possible",), ("params",)}
    assert all(row.over.get("params", 1) > 0 for row in settled)


def test_constraints_lead_a_sampler_away():
    """TPE learns from what was settled: it proposes less and less that is too dear."""
    settled = [len(proposal.settled) for proposal in searched("tpe", 40).proposals]
    assert sum(settled[20:]) < sum(settled[:20])


def test_a_small_space_is_gone_through_once_and_then_ends():
    factors = {"model.width": [8, 24], "model.stages": [3, 4], "protocol.batch_size": [1, 2, 3]}
    small = space(factors=factors, when={}, design="grid", samples=None)
    for sampler in ("random", "tpe", "known_cost"):
        proposer = make_proposer(Catalogue(small, Market()), sampler, 100, 0)
        cells = []
        while (proposal := proposer.ask()) is not None:
            cells.append(proposal.cell)
            proposer.tell(proposal.cell, Scored(0.5))
        assert len(cells) == len(set(cells)) == 12


def test_a_space_in_which_nothing_can_be_had_says_why():
    def price(made) -> Priced:
        raise InputError("no such network")

    with pytest.raises(InputError, match="nothing of space s can be trained: no such network"):
        make_proposer(Catalogue(space(), price), "random", 3, 0).ask()


def test_failed_and_running_trials_are_borne():
    for sampler in ("tpe", "gp", "known_cost", "nsgaii"):
        proposer = make_proposer(Catalogue(space(), Market()), sampler, 16, 0)
        for number in range(16):
            proposal = proposer.ask()
            if number % 4 == 1:
                proposer.tell(proposal.cell, Scored(None))
            elif number % 4 != 2:
                proposer.tell(proposal.cell, Scored(dice(proposal)))
        assert len(proposer.pending()) == 4


@pytest.mark.parametrize(
    ("sampler", "message"),
    [
        ("tpee", "unknown sampler 'tpee': did you mean 'tpe'"),
        ("cmaes", "sampler cmaes optimises one objective, this search has three; choose one of: gp, known_cost"),
    ],
)
def test_a_sampler_that_does_not_apply_is_one_line(sampler, message):
    with pytest.raises(InputError, match=message):
        make_proposer(Catalogue(space(), Market()), sampler, 5, 0)


def test_latency_is_measured_only_of_what_would_be_trained():
    bounded = space(constraints=["latency_ms <= 20"])
    measured: list[int] = []

    def latency(made) -> float:
        measured.append(made.fields["model.width"])
        return float(made.fields["model.width"])

    with pytest.raises(InputError, match="bounds latency_ms, which is not measured here"):
        make_proposer(Catalogue(bounded, Market()), "random", 5, 0)
    proposer = make_proposer(Catalogue(bounded, Market(), latency), "known_cost", 5, 0)
    widths = []
    while (proposal := proposer.ask()) is not None:
        widths.append(int(proposal.choice["model.width"]))
        proposer.tell(proposal.cell, Scored(dice(proposal)))
    assert max(widths) <= 20
    assert len(measured) < 30  # not all of each pool


def test_a_cut_last_line_is_forgotten_and_other_damage_is_said(tmp_path):
    file = tmp_path / "proposals.jsonl"
    assert read_proposals(file) == []
    one, two = searched("random", 2).proposals
    append_proposal(file, one)
    with file.open("a") as lines:
        lines.write(two.model_dump_json()[:30])
    assert read_proposals(file) == [one]
    append_proposal(file, two)
    assert read_proposals(file) == [one, two]
    file.write_text("{}\n" + file.read_text())
    with pytest.raises(InputError, match="is damaged: delete it to search anew"):
        read_proposals(file)


def test_lists_of_whole_numbers_keep_their_order():
    found = distributions(space())
    assert (found["model.width"].low, found["model.width"].high, found["model.width"].step) == (8, 32, 8)
    assert found["stage 4"].choices == ("a", "b")
    assert found["protocol.learning_rate"].log


# The searcher --------------------------------------------------------------------------------------------------------


def run(searcher: SearchQueue, score, epochs: int = 3, most: int = 100) -> list[str]:
    """Trains what is suggested, one after another; `score` (key, epoch) → Dice or None where it fails."""
    keys = []
    for number in range(most):
        config = searcher.suggest(str(number))
        if not isinstance(config, dict):
            return keys
        keys.append(config["key"])
        values = [score(config["key"], epoch) for epoch in range(1, epochs + 1)]
        failed = values[-1] is None
        for epoch, value in enumerate(values, start=1):
            searcher.on_trial_result(str(number), {"epoch": epoch, "val_dice": value or 0.0})
        last = {"epoch": epochs, "val_dice": 0.0, "ended": True, "state": "failed" if failed else "complete"}
        searcher.on_trial_complete(str(number), last)
    return keys


def seeds_of(count: int):
    return lambda proposal: [{"key": f"{proposal.cell}#{seed}"} for seed in range(count)]


def test_a_proposal_scores_the_mean_of_its_seeds_best_epochs():
    proposer = make_proposer(Catalogue(space(), Market()), "random", 2, 0)
    written: list[Proposal] = []
    searcher = SearchQueue(proposer, seeds_of(3), proposed=written.append)
    scores = {0: (0.2, 0.6, 0.5), 1: (0.1, 0.2, 0.3), 2: (0.1, 0.0, 0.9)}
    keys = run(searcher, lambda key, epoch: scores[int(key[-1])][epoch - 1])
    assert len(keys) == 6
    assert written == proposer.proposals
    assert [outcome.score for outcome in proposer.scored.values()] == [pytest.approx(0.6)] * 2


def test_a_configuration_of_which_a_seed_failed_has_failed():
    """The mean of the seeds that went well would flatter it."""
    proposer = make_proposer(Catalogue(space(), Market()), "random", 2, 0)
    scores = {0: (0.2, 0.6, 0.5), 1: (0.1, 0.2, 0.3), 2: (0.1, 0.2, None)}
    run(SearchQueue(proposer, seeds_of(3)), lambda key, epoch: scores[int(key[-1])][epoch - 1])
    assert list(proposer.scored.values()) == [Scored(None)] * 2


@pytest.mark.parametrize(
    ("trials", "expected"),
    [
        ([Scored(0.2), Scored(0.4)], Scored(pytest.approx(0.3))),
        ([Scored(0.2), Scored(None, is_stopped=True)], Scored(None, is_stopped=True)),
        ([Scored(None), Scored(None, is_stopped=True)], Scored(None)),
        ([Scored(0.2), Scored(None)], Scored(None)),
    ],
)
def test_a_proposal_s_outcome_by_its_trials(trials, expected):
    assert Scored.of(trials) == Scored.of(trials[::-1]) == expected


def test_trials_that_ended_are_not_trained_again():
    whole = make_proposer(Catalogue(space(), Market()), "tpe", 4, 0)
    keys = run(SearchQueue(whole, seeds_of(2)), lambda key, epoch: 0.5)
    past, ended = whole.proposals[:2], dict.fromkeys(keys[:3], Scored(0.5))
    again = make_proposer(Catalogue(space(), Market()), "tpe", 4, 0, past)
    assert run(SearchQueue(again, seeds_of(2), ended=ended), lambda key, epoch: 0.5) == keys[3:]
    assert again.scored == whole.scored


def test_a_budget_of_epochs_ends_the_search():
    proposer = make_proposer(Catalogue(space(), Market()), "random", 50, 0)
    budget = Budget(20, spent={"before": 5})
    searcher = SearchQueue(proposer, seeds_of(1), budget=budget)

    def score(key: str, epoch: int) -> float:
        budget.trained(key, epoch)  # as the scheduler within a budget does
        return 0.5

    assert len(run(searcher, score)) == 5  # after the fifth, 5 + 15 epochs are spent
    assert budget.ended_it


def told(sampler: str, trials: int, workers: int = 1) -> tuple[Proposer, dict[str, int], set[str]]:
    """A search beside a scheduler that stops: the proposer, and epochs by cell, of which some had all."""
    proposer = make_proposer(Catalogue(space(), Market()), sampler, trials, 0)
    curves: dict[str, Curve] = {}
    costs: dict[str, tuple[float, ...]] = {}

    def trials_of(proposal: Proposal) -> list[dict[str, str]]:
        scores = tuple(dice(proposal) * epoch / 8 for epoch in range(1, 9))
        curves[proposal.cell] = Curve(proposal.costs, scores, (1.0,) * 8)
        costs[proposal.cell] = proposal.costs
        return [{"key": proposal.cell}]

    scheduler = make_scheduler("pareto", costs=costs, max_epochs=8)
    steps = simulate(curves, SearchQueue(proposer, trials_of), scheduler, workers)
    had = {step.key: step.epoch for step in steps}
    return proposer, had, {key for key, epochs in had.items() if epochs == 8}


@pytest.mark.parametrize("sampler", ["known_cost", "tpe", "nsgaii"])
def test_beside_a_scheduler_a_sampler_is_told_no_score_that_is_not_final(sampler):
    proposer, had, whole = told(sampler, 16)
    assert 1 <= len(whole) < len(had) == 16
    choices = {proposal.cell: proposal for proposal in proposer.proposals}
    for cell, outcome in proposer.scored.items():
        final = Scored(pytest.approx(dice(choices[cell])))
        assert outcome == (final if cell in whole else Scored(None, is_stopped=True))
    memory = Memory(distributions(space()), proposer.proposals, proposer.scored)
    found = memory.study_for(RandomSampler()).get_trials(deepcopy=False)
    assert sum(trial.values is not None for trial in found) == len(whole)
    assert {trial.state for trial in found if not trial.constraints} == {TrialState.COMPLETE, TrialState.PRUNED}


def test_known_cost_takes_what_was_stopped_to_have_come_to_what_was_expected():
    """Neither as bad as it stood nor as if it had never been: else it would ask for the like again and again."""
    search = searched("known_cost", 10)
    past, scored = search.proposals, dict(search.scored)
    last = past[-1].cell
    asked = []
    for outcome in (None, Scored(None, is_stopped=True), Scored(0.0)):
        known = {**scored, last: outcome} if outcome else {cell: one for cell, one in scored.items() if cell != last}
        asked.append(make_proposer(Catalogue(space(), Market()), "known_cost", 11, 0, past, known).ask())
    running, stopped, at_zero = asked
    assert stopped == running
    assert stopped != at_zero


# Known cost ----------------------------------------------------------------------------------------------------------


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000), observed=st.integers(0, 7))
def test_expected_improvement_is_the_mean_of_moocores_over_scores(seed, observed):
    """Scores drawn evenly over eight deviations and weighted by their density: a Monte Carlo without its noise."""
    rng = np.random.default_rng(seed)
    scores, paid = rng.random(observed), rng.random((observed, 2))
    reference = (0.1, 1.0, 1.0)
    mean, deviation, costs = rng.random(2), 0.02 + 0.3 * rng.random(2), 1.1 * rng.random((2, 2))
    found = improvement(mean, deviation, costs, scores, paid, reference)
    before = np.column_stack([scores, paid])

    def hypervolume(points: np.ndarray) -> float:
        return moocore.hypervolume(points, ref=reference, maximise=[True, False, False]) if len(points) else 0.0

    z = np.linspace(-8, 8, 1601)
    for at in range(2):
        gains = [
            hypervolume(np.vstack([before, [score, *costs[at]]])) - hypervolume(before)
            for score in mean[at] + deviation[at] * z
        ]
        assert found[at] == pytest.approx(np.trapezoid(gains * norm.pdf(z), z), rel=1e-3, abs=1e-8)


def test_a_certain_score_improves_the_hypervolume_by_what_moocore_says():
    rng = np.random.default_rng(3)
    points = rng.random((30, 3))
    reference = (0.0, 1.2, 1.2)
    new = rng.random((10, 3))
    found = improvement(new[:, 0], np.full(10, 1e-9), new[:, 1:], points[:, 0], points[:, 1:], reference)
    up = [True, False, False]
    whole = moocore.hypervolume(points, ref=reference, maximise=up)
    exact = [moocore.hypervolume(np.vstack([points, row]), ref=reference, maximise=up) - whole for row in new]
    assert found == pytest.approx(exact, abs=1e-7)


def test_the_surrogate_agrees_with_scikit_learn():
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    rng = np.random.default_rng(0)
    points, at = rng.random((25, 3)), rng.random((8, 3))
    scores = np.sin(4 * points[:, 0]) + points[:, 1] + 0.05 * rng.standard_normal(25)
    found = fit(points, scores, np.zeros(3, dtype=bool))
    noise = found.cholesky[0, 0] ** 2 - found.scale
    kernel = ConstantKernel(found.scale) * Matern(1 / np.sqrt(found.weights), nu=2.5) + WhiteKernel(noise)
    theirs = GaussianProcessRegressor(kernel, optimizer=None, normalize_y=True).fit(points, scores)
    mean, deviation = theirs.predict(at, return_std=True)
    ours = found.posterior(at)
    assert ours[0] == pytest.approx(mean, abs=1e-6)
    assert ours[1] == pytest.approx(np.sqrt(deviation**2 - noise * scores.std() ** 2), abs=1e-5)
    assert np.abs(ours[0] - (np.sin(4 * at[:, 0]) + at[:, 1])).max() < 0.3


def test_believing_a_trial_narrows_and_does_not_move():
    rng = np.random.default_rng(1)
    points = np.column_stack([rng.random(12), rng.integers(0, 3, 12)])
    points[0, 0] = np.nan  # a factor that this configuration does not have
    model = fit(points, points[:, 1] + rng.random(12) / 5, np.array([False, True]))
    new = np.array([[0.31, 1.0]])
    mean, deviation = model.posterior(new)
    after = model.believing(new).posterior(new)
    assert after[0] == pytest.approx(mean)
    assert after[1] < deviation


def test_known_cost_beats_random_on_equal_trials():
    def reached(sampler: str, seed: int) -> float:
        points = [[dice(p), *np.log10(p.costs)] for p in searched(sampler, 12, seed).proposals]
        return moocore.hypervolume(np.array(points), ref=[0.5, 5.0, 7.0], maximise=[True, False, False])

    seeds = range(4)
    assert np.mean([reached("known_cost", s) for s in seeds]) > max(reached("random", s) for s in seeds)


def test_failed_trainings_do_not_drown_what_tells_the_good_ones_apart():
    """One network in four learns nothing; of the others, the surrogate still knows which is better."""
    rng = np.random.default_rng(0)
    points, at = rng.random((24, 2)), np.array([[0.1, 0.5], [0.9, 0.5]])
    scores = 0.9 + 0.05 * points[:, 0]
    scores[::4] = 0.1
    heard = softened(scores)
    assert (heard[scores > 0.5] == scores[scores > 0.5]).all()
    low, high = fit(points, heard, np.zeros(2, dtype=bool)).posterior(at)[0]
    assert high - low > 0.02


def test_a_pool_is_priced_before_anything_is_trained():
    market = Market()
    proposer = make_proposer(Catalogue(space(), market), "known_cost", 1, 0)
    proposer.ask()
    assert len(set(market.asked)) >= KnownCostSampler.POOL


def test_recorded_trials_can_be_sampled_again(tmp_path: Path):
    import pandas as pd

    rows = [
        {"key": f"k{w}{n}{seed}", "cell": f"c{w}{n}", "state": "complete", "params": w, "macs": w, "factor.net": n,
         "factor.model.width": str(w), "factor.same": "x"}
        for w in (8, 16, 24) for n in ("a", "b") for seed in (0, 1) if (w, n) != (24, "b")
    ]  # fmt: skip
    found = recorded_catalogue(pd.DataFrame(rows))
    assert distributions(found.catalogue.space)["factor.model.width"].high == 24
    proposer = make_proposer(found.catalogue, "tpe", 100, 0)
    cells = []
    while (proposal := proposer.ask()) is not None:
        cells.append(proposal.cell)
        proposer.tell(proposal.cell, Scored(0.5))
    assert sorted(cells) == ["c16a", "c16b", "c24a", "c8a", "c8b"]
    assert found.keys["c8a"] == ["k8a0", "k8a1"]


@pytest.mark.parametrize("failing", ["protocol.optimizer", "model.kernel"])
def test_known_cost_learns_which_factor_fails(failing):
    """Of a grid half of which fails by one factor: that takes a handful of 24 trials, and not 21 of them.

    A factor of the training and one of the price, of which the dearer or the cheaper half may be the bad one.
    """
    factors = {
        "model.width": [8, 12, 16, 24],
        "model.stages": [3, 4, 5],
        "model.kernel": [3, 5],
        "protocol.batch_size": [1, 2, 4, 8],
        "protocol.optimizer": ["sgd", "adam"],
    }

    def price(made) -> Priced:
        width, stages, kernel = (made.fields[f"model.{name}"] for name in ("width", "stages", "kernel"))
        return Priced(repr(sorted(made.levels.items())), width**2 * 2**stages * kernel**2, 1000 * width**2 * 2**stages)

    grid = space(factors=factors, when={}, design="grid", samples=None)
    proposer = make_proposer(Catalogue(grid, price), "known_cost", 24, 0)
    failed = 0
    while (proposal := proposer.ask()) is not None:
        fails = proposal.choice[failing] == str(factors[failing][0])
        failed += fails
        proposer.tell(proposal.cell, Scored(None if fails else 0.9 - 0.8 / int(proposal.choice["model.width"])))
    assert 1 <= failed <= 6
