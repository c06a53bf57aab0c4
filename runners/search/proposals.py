"""What a search proposed, one configuration a line of a file: all the memory that it has, beside how trials ended."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from ablate.errors import InputError
from ablate.files import read_regular
from ablate.study.sealed_lines import append_line, read_lines


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
    """The proposals in `file`, one a line; none if there is no file. A last line that a kill cut short is not there.

    Raises `InputError` for any other damage.
    """
    try:
        found = read_lines(read_regular(file), of_earlier_versions=True)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"'{file}' cannot be read: {error.strerror}") from None
    try:
        if found.damaged:
            raise ValueError(f"line {found.damaged[0]}")
        return [Proposal.model_validate_json(line) for line in found.lines]
    except ValueError:  # of pydantic too
        raise InputError(f"'{file}' is damaged: delete it to search anew; trained trials are kept") from None


def append_proposal(file: Path, proposal: Proposal) -> None:
    """Add a proposal to `file`, for good."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unsaid = {"sampler"} if proposal.sampler is None else None
    append_line(file, proposal.model_dump_json(exclude=unsaid).encode())
