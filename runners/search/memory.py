"""A search's memory in Optuna's terms: the study that its samplers look at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from ablate.runners.search.proposals import Proposal, Scored

DIRECTIONS: tuple[Literal["maximize", "minimize"], ...] = ("maximize", "minimize", "minimize")
"""Of validation Dice, parameters, MACs."""


class Memory:
    """An Optuna study of what was proposed and of what came of it.

    It grows by what is asked and told. One that is made anew of all that is written down is the same to any sampler,
    so that a search that goes on asks what it would have asked.
    """

    def __init__(
        self,
        distributions: Mapping[str, BaseDistribution],
        proposals: Iterable[Proposal],
        scored: Mapping[str, Scored],
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._distributions = distributions
        self._storage = optuna.storages.InMemoryStorage()
        self._study = optuna.create_study(storage=self._storage, directions=DIRECTIONS)
        self._id = self._storage.get_study_id_from_name(self._study.study_name)
        self._asked: dict[str, tuple[int, Proposal]] = {}
        count = 0
        for proposal in proposals:
            for row in proposal.settled:
                self._study.add_trial(self._frozen(row.params, TrialState.PRUNED, constraints(row.over)))
            self._study.add_trial(self._frozen(proposal.params, TrialState.RUNNING, proposal.trial_attrs))
            count += len(proposal.settled) + 1
            self.asked(proposal, count - 1)
            for key, value in proposal.study_attrs.items():
                self._storage.set_study_system_attr(self._id, key, value)
            if proposal.cell in scored:
                self.tell(proposal.cell, scored[proposal.cell])

    def study_for(self, sampler: BaseSampler) -> optuna.Study:
        """The study, whose next trial this sampler makes."""
        self._study.sampler = sampler
        return self._study

    def attrs(self) -> dict[str, Any]:
        """What samplers noted of the study."""
        return dict(self._storage.get_study_system_attrs(self._id))

    def asked(self, proposal: Proposal, number: int) -> None:
        """Trial `number` of the study is this proposal's."""
        self._asked[proposal.cell] = number, proposal

    def tell(self, cell: str, scored: Scored) -> None:
        """What came of a proposal. One that was stopped is pruned, without a value: what it scored is not final."""
        number, proposal = self._asked[cell]
        trial = self._storage.get_trial_id_from_study_id_trial_number(self._id, number)
        if scored.is_stopped:
            self._storage.set_trial_state_values(trial, TrialState.PRUNED)
        elif scored.score is None:
            self._storage.set_trial_state_values(trial, TrialState.FAIL)
        else:
            self._storage.set_trial_state_values(trial, TrialState.COMPLETE, [scored.score, *proposal.costs])

    def _frozen(self, params: Mapping[str, Any], state: TrialState, attrs: Mapping[str, Any]) -> FrozenTrial:
        # What an earlier form of the space had and this one has not is forgotten.
        found = self._distributions
        kept = {name: value for name, value in params.items() if name in found and _fits(found[name], value)}
        return create_trial(
            state=state,
            params=kept,
            distributions={name: found[name] for name in kept},
            system_attrs=dict(attrs),
        )


def _fits(distribution: BaseDistribution, value: Any) -> bool:
    try:
        create_trial(value=0.0, params={"x": value}, distributions={"x": distribution})
    except (ValueError, TypeError):
        return False
    return True


def constraints(over: Mapping[str, float]) -> dict[str, float]:
    """As Optuna keeps the constraints of a trial: over 0 is violated."""
    return {f"constraints:{name}": value for name, value in over.items()}
