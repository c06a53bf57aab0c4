"""What a search proposed, one configuration a line of a file: all the memory that it has, beside how trials ended."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from ablate.runners.search.remembered import read_remembered, remember


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
    sampler: dict[str, Any] | None = None
    """What proposed it, where that has settings or is others' code; else the file's name says it."""


class Scored(NamedTuple):
    """What came of a trial, or of a proposal: its validation Dice, or None where it failed or was stopped."""

    score: float | None
    is_stopped: bool = False
    """By a scheduler, or for want of budget: what it had scored by then says little of what it would have come to."""

    @classmethod
    def of(cls, trials: Sequence[Scored]) -> Scored:
        """What came of a proposal, by its trials: the mean over its seeds and folds.

        It failed if one of them did. The mean of the others would be that of the seeds which went well, and so flatter
        the unstable: a network that diverges from one seed in three is not worth the mean of the other two. For the
        same reason it has no score where one was stopped, for those that were not are the luckier ones.
        """
        if any(one.score is None and not one.is_stopped for one in trials):
            return cls(None)
        if any(one.is_stopped for one in trials):
            return cls(None, is_stopped=True)
        return cls(sum(one.score for one in trials if one.score is not None) / len(trials))


def read_proposals(file: Path) -> list[Proposal]:
    """The proposals in `file`, one a line; none if there is no file. Raises `InputError` as `read_remembered` does."""
    return read_remembered(file, Proposal.model_validate_json, of_earlier_versions=True)


def append_proposal(file: Path, proposal: Proposal) -> None:
    """Add a proposal to `file`, for good."""
    unsaid = {"sampler"} if proposal.sampler is None else None
    remember(file, proposal.model_dump_json(exclude=unsaid))
