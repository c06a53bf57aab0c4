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
    """What came of a proposal: the mean validation Dice of its trials, or None where all failed."""

    score: float | None

    @classmethod
    def of(cls, scores: Sequence[float | None]) -> Scored:
        found = [score for score in scores if score is not None]
        return cls(sum(found) / len(found) if found else None)


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
