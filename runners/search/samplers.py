"""Samplers: what a search trains next.

A search asks one configuration after another of a space, whatever the space's design. The sampler is one of Optuna's by
name, or the project's own, which knows the price of what it has not trained. What is impossible, too dear or a
duplicate is settled before a trial starts, and costs nothing.

A search has no memory but what is written down: its proposals, each before its first trial starts, and how they
ended. Every question is put to a fresh sampler, seeded with (seed, number of the proposal), over an Optuna study made
of these; so a search that was killed and goes on asks what it would have asked.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, GPSampler, NSGAIIISampler, NSGAIISampler, QMCSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState, create_trial
from pydantic import BaseModel, ConfigDict
from ray.tune.search import Searcher
from threadpoolctl import threadpool_limits

from ablate.errors import InputError, unknown
from ablate.files import open_in_place, read_regular
from ablate.runners.execution.queue import Feed
from ablate.runners.search.catalogue import Catalogue, Priced, as_params, combinations, distributions
from ablate.runners.search.known_cost import KnownCostSampler
from ablate.search_spaces.designs import Choice, choose, draw, variant
from ablate.search_spaces.plan import ImpossibleError
from ablate.search_spaces.space import Range
from ablate.study.sealed_lines import seal, unseal

if TYPE_CHECKING:
    from optuna import Study

KNOWN_COST = "known_cost"
DIRECTIONS: tuple[Literal["maximize", "minimize"], ...] = ("maximize", "minimize", "minimize")
"""Of validation Dice, parameters, MACs."""
ATTEMPTS = 100
"""How often a sampler may propose what is settled already, before the rest of the space is gone through."""


class Settled(BaseModel):
    """A configuration that was proposed and cannot be had. `over`: by which share of each bound it is too dear."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    params: dict[str, Any]
    over: dict[str, float]
    reason: str


class Proposal(BaseModel):
    """A configuration to train, as a search remembers it. `params` are those of the Optuna study."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    cell: str
    params: dict[str, Any]
    choice: dict[str, Any]
    costs: tuple[int, int]
    """Parameters and MACs."""
    trial_attrs: dict[str, Any] = {}
    study_attrs: dict[str, Any] = {}
    """What the sampler noted (NSGA-II's generation, say)."""
    settled: tuple[Settled, ...] = ()
    """What was proposed before it, and cannot be had."""


class Outcome(NamedTuple):
    """How the trials of a proposal ended: their mean validation Dice, or None where all failed."""

    score: float | None

    @classmethod
    def of(cls, scores: Sequence[float | None]) -> Outcome:
        found = [score for score in scores if score is not None]
        return cls(sum(found) / len(found) if found else None)


# Memory --------------------------------------------------------------------------------------------------------------


def read_proposals(file: Path) -> list[Proposal]:
    """The proposals in `file`, one a line; none if there is no file. A last line that a kill cut short is not there.

    Raises `InputError` for any other damage.
    """
    try:
        lines = read_regular(file).split(b"\n")[:-1]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"'{file}' cannot be read: {error.strerror}") from None
    try:
        return [Proposal.model_validate_json(unseal(line)) for line in lines]
    except ValueError:  # of pydantic too
        raise InputError(f"'{file}' is damaged: delete it to search anew; trained trials are kept") from None


def append_proposal(file: Path, proposal: Proposal) -> None:
    """Add a proposal to `file`, for good."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with open_in_place(file) as lines:
        lines.seek(0)
        lines.truncate(lines.read().rfind(b"\n") + 1)  # a last line that a kill cut short
        lines.seek(0, os.SEEK_END)
        lines.write(seal(proposal.model_dump_json().encode()) + b"\n")
        lines.flush()
        os.fsync(lines.fileno())


# Samplers ------------------------------------------------------------------------------------------------------------


class Setting(NamedTuple):
    """What a sampler is made for: `seed` is the search's, `fresh` this question's."""

    catalogue: Catalogue
    trials: int
    seed: int
    fresh: int


def _population(trials: int) -> int:
    """Some generations' worth; Optuna's 50 is a search at random where there are fewer trials."""
    return min(50, max(4, trials // 5))


_SAMPLERS: dict[str, Callable[[Setting], BaseSampler]] = {
    KNOWN_COST: lambda s: KnownCostSampler(s.catalogue, s.fresh),
    "random": lambda s: RandomSampler(seed=s.fresh),
    "tpe": lambda s: TPESampler(seed=s.fresh, constant_liar=True),
    "nsgaii": lambda s: NSGAIISampler(seed=s.fresh, population_size=_population(s.trials)),
    "nsgaiii": lambda s: NSGAIIISampler(seed=s.fresh, population_size=_population(s.trials)),
    "gp": lambda s: GPSampler(seed=s.fresh, warn_independent_sampling=False),
    "qmc": lambda s: QMCSampler(
        seed=s.seed, scramble=True, independent_sampler=RandomSampler(seed=s.fresh), warn_independent_sampling=False
    ),
}
SAMPLERS = tuple(_SAMPLERS)


def make_proposer(
    catalogue: Catalogue,
    sampler: str,
    trials: int,
    seed: int,
    past: Iterable[Proposal] = (),
    outcomes: Mapping[str, Outcome] | None = None,
) -> Proposer:
    """A search for up to `trials` configurations by the sampler of that name, with what it has asked before (`past`)
    and how that ended (`outcomes`, by cell).

    Raises `InputError` for a sampler that does not exist or does not apply.
    """
    if sampler in ("cmaes", "grid", "bruteforce"):
        reason = {"cmaes": "optimises one objective, this search has three"}.get(
            sampler, "is a design: use design: grid"
        )
        raise InputError(f"sampler {sampler} {reason}; choose one of: {', '.join(SAMPLERS)}")
    if sampler not in _SAMPLERS:
        raise unknown("sampler", sampler, _SAMPLERS)
    if catalogue.latency_ms is None and any(c.cost == "latency_ms" for c in catalogue.space.constraints):
        raise InputError(f"space {catalogue.space.name} bounds latency_ms, which is not measured here: take it out")
    return Proposer(catalogue, sampler, trials, seed, past, outcomes or {})


class Proposer:
    """Asks for configurations to train, and is told how they ended; see `make_proposer`."""

    def __init__(
        self,
        catalogue: Catalogue,
        sampler: str,
        trials: int,
        seed: int,
        past: Iterable[Proposal],
        outcomes: Mapping[str, Outcome],
    ) -> None:
        self.proposals = list(past)
        self.outcomes = dict(outcomes)
        self._catalogue = catalogue
        self._sampler = sampler
        self._trials = trials
        self._seed = seed
        self._distributions = distributions(catalogue.space)
        self._cells = {proposal.cell for proposal in self.proposals}
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)

    @property
    def is_done(self) -> bool:
        """Whether there were enough proposals."""
        return len(self.proposals) >= self._trials

    def pending(self) -> list[Proposal]:
        """What was proposed and has not ended."""
        return [proposal for proposal in self.proposals if proposal.cell not in self.outcomes]

    def tell(self, cell: str, outcome: Outcome) -> None:
        self.outcomes[cell] = outcome

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
        study, storage = self._remembered(_SAMPLERS[self._sampler](setting))
        known = _study_attrs(study, storage)
        space = self._catalogue.space
        settled: list[Settled] = []
        for _ in range(ATTEMPTS):
            trial = study.ask()
            choice = choose(space, lambda name, options, trial=trial: self._suggest(trial, name, options))  # type: ignore[misc]
            found, over, reason = self._settle(choice)
            for name, value in over.items():
                trial.set_constraint(name, value)
            if found is None:
                settled.append(Settled(params=trial.params, over=over, reason=reason))
                study.tell(trial, state=TrialState.PRUNED)
            elif found.cell in self._cells:
                study.tell(trial, state=TrialState.FAIL)
            else:
                attrs = study.get_trials(deepcopy=False)[trial.number].system_attrs
                noted = {key: value for key, value in _study_attrs(study, storage).items() if known.get(key) != value}
                return self._proposed(found, trial.params, choice, settled, attrs, noted)
        return self._left(number, fresh, settled)

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
                return self._proposed(found, params, choice, settled, _constraints(over), {})
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

    def _remembered(self, sampler: BaseSampler) -> tuple[Study, optuna.storages.InMemoryStorage]:
        """The Optuna study of all that was asked so far."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        storage = optuna.storages.InMemoryStorage()
        study = optuna.create_study(storage=storage, directions=DIRECTIONS, sampler=sampler)
        for proposal in self.proposals:
            for row in proposal.settled:
                study.add_trial(self._frozen(row.params, TrialState.PRUNED, None, _constraints(row.over)))
            state, values = TrialState.RUNNING, None
            outcome = self.outcomes.get(proposal.cell)
            if outcome is not None:
                state = TrialState.FAIL if outcome.score is None else TrialState.COMPLETE
                values = None if outcome.score is None else [outcome.score, *proposal.costs]
            study.add_trial(self._frozen(proposal.params, state, values, proposal.trial_attrs))
            for key, value in proposal.study_attrs.items():
                storage.set_study_system_attr(storage.get_study_id_from_name(study.study_name), key, value)
        return study, storage

    def _frozen(
        self, params: Mapping[str, Any], state: TrialState, values: Sequence[float] | None, attrs: Mapping[str, Any]
    ) -> FrozenTrial:
        # What an earlier form of the space had and this one has not is forgotten.
        found = self._distributions
        kept = {name: value for name, value in params.items() if name in found and _fits(found[name], value)}
        return create_trial(
            state=state,
            values=values,
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


def _constraints(over: Mapping[str, float]) -> dict[str, float]:
    """As Optuna keeps the constraints of a trial: over 0 is violated."""
    return {f"constraints:{name}": value for name, value in over.items()}


def _study_attrs(study: Study, storage: optuna.storages.InMemoryStorage) -> dict[str, Any]:
    return dict(storage.get_study_system_attrs(storage.get_study_id_from_name(study.study_name)))


# For Ray Tune --------------------------------------------------------------------------------------------------------


class SamplerSearcher(Feed):
    """A search as Ray Tune asks for it: a proposal's trials one after the other, then the next proposal.

    `trials_of` gives a proposal's trials, one a seed, as Ray configurations with a `key`; `proposed` is told of each
    proposal before its first trial starts, to write it down. Trials that ended before (`ended`, their validation Dice
    or None where they failed) are not asked for again. A proposal scores the mean over its seeds that have a score.
    Each result says its `epoch` and `val_dice`; a last one may add `ended`, with `state` "failed" where it is so.
    After `budget_epochs` epochs, `spent` among them, nothing more is proposed; what is under way goes on.
    """

    def __init__(
        self,
        proposer: Proposer,
        trials_of: Callable[[Proposal], Sequence[dict[str, Any]]],
        *,
        proposed: Callable[[Proposal], None] = lambda proposal: None,
        ended: Mapping[str, float | None] | None = None,
        budget_epochs: int | None = None,
        spent: int = 0,
    ) -> None:
        super().__init__()
        self._proposer = proposer
        self._trials_of = trials_of
        self._note = proposed
        self._ended = dict(ended or {})
        self._budget = budget_epochs
        self._spent = spent
        self._waiting: list[dict[str, Any]] = []
        self._keys: dict[str, list[str]] = {}
        self._running: dict[str, tuple[str, str]] = {}
        self._seen: dict[str, tuple[int, float]] = {}
        for proposal in proposer.pending():
            self._take(proposal)

    @property
    def over(self) -> bool:
        """Whether everything that was proposed has ended, and nothing more will be."""
        return not self._waiting and not self._running and (self._proposer.is_done or self._is_spent)

    @property
    def _is_spent(self) -> bool:
        return self._budget is not None and self._spent >= self._budget

    def suggest(self, trial_id: str) -> Any:
        while not self._waiting:
            if self._is_spent:
                return Searcher.FINISHED
            proposal = self._proposer.ask()
            if proposal is None:
                return Searcher.FINISHED
            self._note(proposal)
            self._take(proposal)
        config = self._waiting.pop(0)
        key = config["key"]
        if "job" in config:  # else it is a recorded trial that is replayed
            config = self.give(config["job"].planned)
        self._running[trial_id] = (key, next(cell for cell, keys in self._keys.items() if key in keys))
        return config

    def _take(self, proposal: Proposal) -> None:
        configs = self._trials_of(proposal)
        self._keys[proposal.cell] = [config["key"] for config in configs]
        self._waiting += [config for config in configs if config["key"] not in self._ended]
        self._tell_if_done(proposal.cell)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        if "val_dice" in result:  # else it is not of an epoch
            epoch, best = self._seen.get(trial_id, (0, 0.0))
            self._spent += max(result["epoch"] - epoch, 0)
            self._seen[trial_id] = result["epoch"], max(best, result["val_dice"])

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        if result:
            self.on_trial_result(trial_id, result)
        key, cell = self._running.pop(trial_id)
        _, best = self._seen.pop(trial_id, (0, None))
        self._ended[key] = None if error or (result or {}).get("state") == "failed" else best
        self._tell_if_done(cell)

    def _tell_if_done(self, cell: str) -> None:
        keys = self._keys[cell]
        if all(key in self._ended for key in keys):
            self._proposer.tell(cell, Outcome.of([self._ended[key] for key in keys]))
