"""A search put into a study: what its sampler proposes is written down, planned, and trained like any other trial."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ablate.errors import InputError
from ablate.runners.execution.queue import suggestion
from ablate.runners.search.catalogue import Catalogue, kept_measured, space_catalogue
from ablate.runners.search.proposals import Proposal, Scored, append_proposal, read_proposals
from ablate.runners.search.proposer import make_proposer
from ablate.runners.search.samplers.base import sampler_part
from ablate.runners.search.search_queue import SearchQueue
from ablate.search_spaces.designs import variant
from ablate.search_spaces.plan import run_of
from ablate.study.records import Record
from ablate.study.study import Study

if TYPE_CHECKING:
    from ablate.part import Part
    from ablate.runners.execution.budget import Budget
    from ablate.search_spaces.plan import Planned, Planner
    from ablate.search_spaces.schedule import Times

DESIGN = "search"


class Search(NamedTuple):
    """What a search is asked for. `trials`: configurations, each with all of its seeds. `seed`: the sampler's own."""

    sampler: str | Mapping[str, Any]
    trials: int
    seed: int = 0


def make_queue(
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
    budget_of: Callable[[list[Planned]], Budget],
    times: Times,
    retry_failed: bool = False,
) -> SearchQueue:
    """The search's trials as Ray Tune asks for them, with the memory that `study` has of it. Within `study.writing()`.

    `finish_stopped`: no scheduler stops trials, and what one stopped is trained to its end. `proposed` is told of each
    configuration's trials before they start. `budget_of`: what may be spent, these trials' epochs so far included.
    `retry_failed`: what failed is trained once more.
    Raises `InputError` for a sampler that does not exist, or does not apply to the space, and where a trial that was
    proposed is damaged: what it had scored decides what is proposed next.
    """
    space = planner.space
    sampler = sampler_part(search.sampler)
    file = study.path / "searches" / f"{space.name}-{profile}-{file_name(sampler)}-{search.seed}.jsonl"
    past = read_proposals(file)
    trials = {proposal.cell: planner.trials(variant(space, proposal.choice)) for proposal in past}
    ended = _ended(study, {planned.key for found in trials.values() for planned in found}, finish_stopped, retry_failed)
    scores = {key: scored_of(record) for key, record in ended.items()}
    scored = {
        cell: Scored.of([scores[planned.key] for planned in found])
        for cell, found in trials.items()
        if all(planned.key in scores for planned in found)
    }
    proposer = make_proposer(_catalogue(study, planner), sampler, search.trials, search.seed, past, scored)

    def trials_of(proposal: Proposal) -> list[dict[str, Any]]:
        found = trials[proposal.cell]
        proposed(found)
        return [suggestion(planned) for planned in found]

    def note(proposal: Proposal) -> None:
        append_proposal(file, proposal)
        trials[proposal.cell] = planner.trials(variant(space, proposal.choice))
        plan(trials[proposal.cell])

    def plan(found: list[Planned]) -> None:
        run = run_of(space, profile, found, DESIGN, planner.looks)
        study.plan(run, threads=threads, data_dir=data_dir, storage=storage)

    plan([planned for found in trials.values() for planned in found])
    return SearchQueue(
        proposer,
        trials_of,
        proposed=note,
        ended=scores,
        budget=budget_of([planned for found in trials.values() for planned in found]),
        whole=times if finish_stopped else None,
    )


def _catalogue(study: Study, planner: Planner) -> Catalogue:
    """The planner's space, with latencies where it bounds them."""
    if not any(bound.cost == "latency_ms" for bound in planner.space.constraints):
        return space_catalogue(planner)
    measured = kept_measured(study)
    return space_catalogue(planner, lambda planned: measured(planned, ()).latency_ms)


def file_name(sampler: Part) -> str:
    """What tells a sampler's searches from those of others: its name, and what its settings and its code come to."""
    if sampler.is_plain:
        return sampler.name
    return f"{re.sub('[^A-Za-z0-9_.]', '.', sampler.name)}-{hashlib.sha256(sampler.text.encode()).hexdigest()[:8]}"


def _ended(study: Study, keys: Collection[str], finish_stopped: bool, retry_failed: bool) -> dict[str, Record]:
    """The trials with these keys that ended for good."""
    sound = study.sound()
    if damaged := sorted(sound.left_out.keys() & keys):
        raise InputError(
            f"trial {damaged[0]} of this search is damaged: `ablate verify {study.path} --repair`, then go on"
        )
    return {
        key: record
        for key, record in sound.records.items()
        if key in keys
        and not (record.state == "stopped" and (finish_stopped or record.out_of_budget))
        and not (record.state == "failed" and retry_failed)
    }


def scored_of(record: Record) -> Scored:
    """What a trial is worth to a sampler: its best validation Dice, unless it failed or was stopped."""
    if record.state == "stopped":
        return Scored(None, is_stopped=True)
    return Scored(None if record.state == "failed" else record.val_dice)
