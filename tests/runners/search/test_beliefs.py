"""Searches go by what a space calls promising: they begin there, and go elsewhere as they learn."""

import numpy as np
import pytest
from test_samplers import Market, space

from ablate.runners.search.beliefs import doubt_of, draw_believing, unheeded, weights
from ablate.runners.search.catalogue import Catalogue
from ablate.runners.search.freeze_thaw.cells import Offered
from ablate.runners.search.freeze_thaw.decider import Decider
from ablate.runners.search.freeze_thaw.gains import Prices, box_of
from ablate.runners.search.proposals import Scored
from ablate.runners.search.proposer import make_proposer
from ablate.runners.search.samplers.base import sampler_part

BELIEVED = {"model.width": 16, "protocol.learning_rate": {"low": 1e-3, "high": 2e-3}}


def test_a_belief_leads_at_first_and_is_forgotten():
    doubts = np.array([0.0, 0.5, 1.0])
    assert weights(doubts, 0).tolist() == pytest.approx([1, 0.1, 0.01])
    assert (np.diff(weights(doubts, 10)) < 0).all()
    assert weights(doubts, 400).min() > 0.97


def test_every_other_configuration_is_drawn_from_the_promising_part():
    believed = space(promising=BELIEVED)
    rng = np.random.default_rng(0)
    held = [doubt_of(believed, draw_believing(believed, rng)) == 0 for _ in range(200)]
    assert 70 < sum(held) < 135


def test_a_stepped_range_stays_on_its_steps():
    factors = {"model.width": {"low": 8, "high": 32, "step": 8}}
    believed = space(factors=factors, when={}, promising={"model.width": {"low": 14, "high": 26}})
    rng = np.random.default_rng(0)
    assert {draw_believing(believed, rng)["model.width"] for _ in range(200)} == {8, 16, 24, 32}


def test_known_cost_begins_with_what_is_promising_and_leaves_it_where_that_is_wrong():
    def widths(promising) -> list[str]:
        search = make_proposer(Catalogue(space(promising=promising), Market()), "known_cost", 16, 0)
        while (proposal := search.ask()) is not None:
            width = int(proposal.choice["model.width"])
            search.tell(proposal.cell, Scored(0.5 + width / 100 - 0.4 * (width == 16)))
        return [str(proposal.choice["model.width"]) for proposal in search.proposals]

    believing = widths({"model.width": 16})
    assert believing[:2] == ["16", "16"]
    assert believing.count("16") <= 8
    assert widths(None)[:2] != ["16", "16"]


def test_what_does_not_go_by_beliefs_is_said():
    believed = space(promising=BELIEVED)
    assert "sampler tpe does not go by" in unheeded(believed, sampler_part("tpe"))
    assert unheeded(believed, sampler_part("known_cost")) == ""
    assert unheeded(space(), sampler_part("tpe")) == ""


def order(doubted: int, steps: int = 8) -> list[str]:
    """The first cells that are begun, of which the first `doubted` are doubted."""
    offered = {
        f"c{at}": Offered(
            f"c{at}", (at / 11,), (1e4 * 1.5**at, 1e6 * 1.5**at), 1.0, 9, (f"k{at}",), doubt=float(at < doubted)
        )
        for at in range(12)
    }
    prices = Prices(*box_of([one.costs for one in offered.values()]))
    decider = Decider(np.array([False]), prices, bar=0.1, last=9, restart=0.1)
    for _ in range(steps):
        fresh = {cell: one for cell, one in offered.items() if cell not in decider.cells}
        step, _ = decider.decide(fresh)
        assert step is not None
        if step.cell in fresh:
            decider.start(offered[step.cell], step.until)
        decider.cells[step.cell].until = step.until
        decider.see(step.cell, f"k{step.cell[1:]}", step.until, 0.5 + 0.02 * int(step.cell[1:]), 1.0)
    return list(decider.cells)


def test_a_search_begins_with_what_is_promising():
    assert all(int(cell[1:]) >= 8 for cell in order(doubted=8)[:2])
    assert not all(int(cell[1:]) >= 8 for cell in order(doubted=0)[:2])


def test_a_belief_in_everything_alike_changes_nothing():
    assert order(doubted=12) == order(doubted=0)
