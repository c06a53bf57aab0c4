"""What a sampler must do: propose configurations of a space, the same for one seed, also where a search goes on."""

from __future__ import annotations

from ablate.contracts.contract import Contract
from ablate.part import Part
from ablate.runners.search.catalogue import Catalogue, Priced
from ablate.runners.search.proposals import Proposal, Scored
from ablate.runners.search.proposer import Proposer, make_proposer
from ablate.runners.search.samplers.base import sampler_part
from ablate.search_spaces.designs import Variant
from ablate.search_spaces.space import Range, Space

_PROPOSALS, _BEFORE = 12, 8
_SPACE = Space.model_validate(
    {
        "name": "contract",
        "question": "Which is best?",
        "design": "random",
        "samples": _PROPOSALS,
        "factors": {
            "model.width": [8, 16, 24, 32],
            "model.stages": {"low": 3, "high": 5},
            "protocol.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
        },
    }
)


class TriedSampler:
    """Searches of a space whose networks are priced, and scored, by their width."""

    def __init__(self, part: Part) -> None:
        self.part = sampler_part(part)

    def search(self, seed: int = 0, trials: int = _PROPOSALS, past: list[Proposal] | None = None) -> Proposer:
        scored = {one.cell: _score(one) for one in past or ()}
        return make_proposer(Catalogue(_SPACE, _price), self.part, trials, seed, past or (), scored)


def _price(made: Variant) -> Priced:
    width, stages = (int(made.fields.get(f"model.{name}", 4)) for name in ("width", "stages"))
    return Priced(repr(sorted(made.levels.items())), width**2 * 2**stages, width * 100_000 + stages)


def _score(proposal: Proposal) -> Scored:
    return Scored(0.9 - 0.8 / int(proposal.choice["model.width"]))


def _all(search: Proposer) -> list[Proposal]:
    """What a search proposes, told each time how the last one ended."""
    while (proposal := search.ask()) is not None:
        search.tell(proposal.cell, _score(proposal))
    return search.proposals


def it_proposes(tried: TriedSampler) -> str:
    return "" if tried.search().ask() else "it proposes nothing of a space of which nothing is trained"


def it_stays_within_the_space(tried: TriedSampler) -> str:
    for proposal in _all(tried.search()):
        for name, factor in _SPACE.factors.items():
            value = proposal.choice[name]
            within = factor.low <= value <= factor.high if isinstance(factor, Range) else value in factor
            if not within:
                return f"it proposes {name} = {value}, which the space has not: draw from the distribution it is given"
    return ""


def it_proposes_as_many_as_are_asked_for(tried: TriedSampler) -> str:
    cells = {proposal.cell for proposal in _all(tried.search())}
    if len(cells) == _PROPOSALS:
        return ""
    return f"of a space of many it proposes {len(cells)} configurations where {_PROPOSALS} were asked for"


def the_same_seed_proposes_the_same(tried: TriedSampler) -> str:
    if _all(tried.search()) == _all(tried.search()):
        return ""
    return "two searches of one seed propose different configurations: draw all from setting.fresh, or the seed given"


def a_search_goes_on_as_it_would_have(tried: TriedSampler) -> str:
    whole = _all(tried.search())
    if _all(tried.search(past=whole[:_BEFORE])) == whole:
        return ""
    return (
        "a search that was killed and goes on proposes something else: each question is put to a fresh sampler, so "
        "keep nothing between questions but what the Optuna study holds"
    )


CONTRACT = Contract(
    TriedSampler,
    first=(it_proposes,),
    then=(it_stays_within_the_space, it_proposes_as_many_as_are_asked_for, the_same_seed_proposes_the_same),
    last=(a_search_goes_on_as_it_would_have,),
)
