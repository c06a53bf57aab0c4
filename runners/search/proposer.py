"""A search: one configuration after another of a space, whatever the space's design, as its sampler proposes them.

What is impossible, too dear or a duplicate is settled before a trial starts, and costs nothing.

A search has no memory but what is written down: its proposals, each before its first trial starts, and how they
ended. Every question is put to a fresh sampler, seeded with (seed, number of the proposal), over an Optuna study made
of these; so a search that was killed and goes on asks what it would have asked.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.trial import TrialState
from threadpoolctl import threadpool_limits

from ablate.calls import said
from ablate.errors import InputError
from ablate.kinds import KINDS, Asked, make
from ablate.part import Part
from ablate.runners.search.catalogue import Catalogue, Priced, as_params, combinations, distributions
from ablate.runners.search.memory import Memory, constraints
from ablate.runners.search.proposals import Proposal, Scored, Settled
from ablate.runners.search.samplers.base import Setting, sampler_part
from ablate.search_spaces.designs import Choice, choose, draw, variant
from ablate.search_spaces.plan import ImpossibleError
from ablate.search_spaces.space import Range

ATTEMPTS = 100
"""How often a sampler may propose what is settled already, before the rest of the space is gone through."""


def make_proposer(
    catalogue: Catalogue,
    sampler: Asked,
    trials: int,
    seed: int,
    past: Iterable[Proposal] = (),
    scored: Mapping[str, Scored] | None = None,
) -> Proposer:
    """A search for up to `trials` configurations by a sampler, however it is named, with what it has asked before
    (`past`) and how that ended (`scored`, by cell).

    Raises `InputError` for a sampler that does not exist or does not apply.
    """
    part = sampler_part(sampler)
    if catalogue.latency_ms is None and any(c.cost == "latency_ms" for c in catalogue.space.constraints):
        raise InputError(f"space {catalogue.space.name} bounds latency_ms, which is not measured here: take it out")
    return Proposer(catalogue, part, trials, seed, past, scored or {})


class Proposer:
    """Asks for configurations to train, and is told how they ended; see `make_proposer`."""

    def __init__(
        self,
        catalogue: Catalogue,
        sampler: Part,
        trials: int,
        seed: int,
        past: Iterable[Proposal],
        scored: Mapping[str, Scored],
    ) -> None:
        self.proposals = list(past)
        self.scored = dict(scored)
        self.sampler = sampler
        self._catalogue = catalogue
        self._made = make(KINDS["sampler"], sampler)
        self._trials = trials
        self._seed = seed
        self._distributions = distributions(catalogue.space)
        self._cells = {proposal.cell for proposal in self.proposals}
        self._memory: Memory | None = None
        """What an Optuna study made of `proposals` and `scored` is, as long as it is."""
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)

    @property
    def is_done(self) -> bool:
        """Whether there were enough proposals."""
        return len(self.proposals) >= self._trials

    def pending(self) -> list[Proposal]:
        """What was proposed and has not ended."""
        return [proposal for proposal in self.proposals if proposal.cell not in self.scored]

    def tell(self, cell: str, scored: Scored) -> None:
        self.scored[cell] = scored
        if self._memory is not None:
            self._memory.tell(cell, scored)

    def ask(self) -> Proposal | None:
        """The next configuration to train; None when there were enough, or when nothing is left.

        Raises `InputError` where a space has nothing that can be trained.
        """
        with threadpool_limits(1):  # small matrices: threads would only fight with the trials for the cores
            return self._ask(len(self.proposals))

    def _ask(self, number: int) -> Proposal | None:
        if number >= self._trials:
            return None
        fresh = int(np.random.SeedSequence([self._seed, number]).generate_state(1)[0])
        setting = Setting(self._catalogue, self._trials, self._seed, fresh)
        memory = self._memory or Memory(self._distributions, self.proposals, self.scored)
        self._memory = None  # of what is asked now, it would remember more than is written down
        study = memory.study_for(self._fresh_sampler(setting))
        known = memory.attrs()
        settled: list[Settled] = []
        repeated = False
        for _ in range(ATTEMPTS):
            trial, choice = self._drawn(study)
            found, over, reason = self._settle(choice)
            for name, value in over.items():
                trial.set_constraint(name, value)
            if found is None:
                settled.append(Settled(params=trial.params, over=over, reason=reason))
                study.tell(trial, state=TrialState.PRUNED)
            elif found.cell in self._cells:
                study.tell(trial, state=TrialState.FAIL)
                repeated = True
            else:
                attrs = study.get_trials(deepcopy=False)[trial.number].system_attrs
                noted = {key: value for key, value in memory.attrs().items() if known.get(key) != value}
                proposal = self._proposed(found, trial.params, choice, settled, attrs, noted)
                memory.asked(proposal, trial.number)
                self._memory = None if repeated else memory
                return proposal
        return self._left(number, fresh, settled)

    def _fresh_sampler(self, setting: Setting) -> BaseSampler:
        try:
            found = self._made.build(setting)
        except Exception as error:
            raise self._explained(error) from error
        if not isinstance(found, BaseSampler):
            raise InputError(
                f"sampler {self.sampler.name} gives a {type(found).__name__}: expected an optuna.samplers.BaseSampler"
            )
        return found

    def _drawn(self, study: optuna.Study) -> tuple[optuna.Trial, Choice]:
        """What the sampler proposes next, as Optuna has it and as the space does."""
        try:
            trial = study.ask()
            return trial, choose(self._catalogue.space, lambda name, options: self._suggest(trial, name, options))
        except Exception as error:
            raise self._explained(error) from error

    def _explained(self, error: Exception) -> Exception:
        """What others' sampler raises is said in one line; what this project's raises is its defect."""
        if isinstance(error, InputError) or not self.sampler.made_by:
            return error
        return InputError(f"sampler {self.sampler.name} fails: {said(error)}")

    def _left(self, number: int, fresh: int, settled: list[Settled]) -> Proposal | None:
        """What the sampler does not come to: one of a finite space's remaining configurations, or a random one."""
        space, rng = self._catalogue.space, np.random.default_rng(fresh)
        reason = "it has no configuration"
        rest = list(combinations(space))
        rest = [rest[i] for i in rng.permutation(len(rest))]
        for choice in rest or [draw(space, rng) for _ in range(10 * ATTEMPTS)]:
            found, over, reason = self._settle(choice)
            if found is not None and found.cell not in self._cells:
                params = as_params(choice, self._distributions)
                return self._proposed(found, params, choice, settled, constraints(over), {})
        if number == 0:
            raise InputError(f"nothing of space {space.name} can be trained: {reason}")
        return None

    def _suggest(self, trial: optuna.Trial, name: str, options: list[str] | Range) -> str | int | float:
        found = self._distributions[name]
        if isinstance(found, CategoricalDistribution):
            return str(trial.suggest_categorical(name, found.choices))
        if isinstance(found, IntDistribution):
            number = trial.suggest_int(name, found.low, found.high, step=found.step, log=found.log)
            return number if isinstance(options, Range) else str(number)
        assert isinstance(found, FloatDistribution)
        return trial.suggest_float(name, found.low, found.high, step=found.step, log=found.log)

    def _settle(self, choice: Choice) -> tuple[Priced | None, dict[str, float], str]:
        """The price; None with the reason for what cannot be had. And by which share the bounds that had to be tried
        are exceeded: 0 or less where they are met."""
        made = variant(self._catalogue.space, choice)
        try:
            priced = self._catalogue.price(made)
        except ImpossibleError as error:
            return None, error.over, str(error)
        except InputError as error:
            return None, {"possible": 1.0}, str(error)
        bounds = [bound for bound in self._catalogue.space.constraints if bound.cost == "latency_ms"]
        if not bounds or priced.cell in self._cells:
            return priced, {}, ""
        assert self._catalogue.latency_ms is not None
        measured = self._catalogue.latency_ms(made)
        tightest = min(bounds, key=lambda bound: bound.most)
        over = {"latency_ms": tightest.excess(measured)}
        if over["latency_ms"] > 0:
            return None, over, f"latency_ms {measured:.1f}: the space allows {tightest.most:g}"
        return priced, over, ""

    def _proposed(
        self,
        priced: Priced,
        params: Mapping[str, Any],
        choice: Choice,
        settled: Sequence[Settled],
        trial_attrs: Mapping[str, Any],
        study_attrs: Mapping[str, Any],
    ) -> Proposal:
        proposal = Proposal(
            sampler=None if self.sampler.is_plain else self.sampler.canonical(),
            number=len(self.proposals),
            cell=priced.cell,
            params=dict(params),
            choice=dict(choice),
            costs=(priced.params, priced.macs),
            trial_attrs=dict(trial_attrs),
            study_attrs=dict(study_attrs),
            settled=tuple(settled),
        )
        self.proposals.append(proposal)
        self._cells.add(priced.cell)
        return proposal
