"""A search put into a study: what its sampler proposes is written down, planned, and trained like any other trial."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ablate.runners.execution.queue import suggestion
from ablate.runners.search.catalogue import kept_latency, space_catalogue
from ablate.runners.search.samplers import (
    Outcome,
    Proposal,
    SamplerSearcher,
    append_proposal,
    make_proposer,
    read_proposals,
)
from ablate.search_spaces.designs import variant
from ablate.search_spaces.plan import run_of
from ablate.study.study import Study
from ablate.study.trial_folder import Record

if TYPE_CHECKING:
    from ablate.search_spaces.plan import Planned, Planner

DESIGN = "search"


class Search(NamedTuple):
    """What a search is asked for. `trials`: configurations, each with all of its seeds. `seed`: the sampler's own."""

    sampler: str
    trials: int
    seed: int = 0
    budget_epochs: int | None = None


def make_searcher(
    study: Study,
    planner: Planner,
    profile: str,
    search: Search,
    *,
    threads: int,
    data_dir: Path | None,
    storage: str | None,
    finish_stopped: bool,
    proposed: Callable[[list[Planned]], None],
) -> SamplerSearcher:
    """The search as Ray Tune asks for it, with the memory that `study` has of it. Within `study.writing()`.

    `finish_stopped`: trials that a scheduler stopped are trained to their end. `proposed` is told of each
    configuration's trials before they start.
    Raises `InputError` for a sampler that does not exist, or does not apply to the space.
    """
    space = planner.space
    file = study.path / "searches" / f"{space.name}-{profile}-{search.sampler}-{search.seed}.jsonl"
    past, records = read_proposals(file), study.records()
    trials = {proposal.cell: planner.trials(variant(space, proposal.choice)) for proposal in past}
    known = {planned.key for found in trials.values() for planned in found}
    ended = {
        key: score_of(record)
        for key, record in records.items()
        if key in known and not (finish_stopped and record.state == "stopped")
    }
    outcomes = {
        cell: Outcome.of([ended[planned.key] for planned in found])
        for cell, found in trials.items()
        if all(planned.key in ended for planned in found)
    }
    latency = kept_latency(study) if any(bound.cost == "latency_ms" for bound in space.constraints) else None
    proposer = make_proposer(
        space_catalogue(planner, latency), search.sampler, search.trials, search.seed, past, outcomes
    )

    def trials_of(proposal: Proposal) -> list[dict[str, Any]]:
        found = planner.trials(variant(space, proposal.choice))
        proposed(found)
        return [suggestion(planned) for planned in found]

    def note(proposal: Proposal) -> None:
        append_proposal(file, proposal)
        plan(planner.trials(variant(space, proposal.choice)))

    def plan(found: list[Planned]) -> None:
        run = run_of(space, profile, found, DESIGN)
        study.plan(run, threads=threads, data_dir=data_dir, storage=storage)

    plan([planned for found in trials.values() for planned in found])
    return SamplerSearcher(
        proposer,
        trials_of,
        proposed=note,
        ended=ended,
        budget_epochs=search.budget_epochs,
        spent=sum(records[key].epochs for key in ended),
    )


def score_of(record: Record) -> float | None:
    """What a trial is worth to a sampler: its best validation Dice, or None if it failed."""
    return None if record.state == "failed" else record.val_dice
