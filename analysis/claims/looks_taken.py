"""The looks at a claim that a study has kept: when it was to be looked at, and what each look decided."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ablate.analysis.claims.looks import Decision, outcome
from ablate.analysis.format import listing, several
from ablate.errors import InputError
from ablate.files import sha256
from ablate.study.registrations import Entry, now, read_registrations

if TYPE_CHECKING:
    from ablate.study.study import Study

_Count = Annotated[int, Field(ge=1, le=10**9)]


class Planned(BaseModel):
    """When a claim is to be looked at: the seeds of each look."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    seeds: Annotated[tuple[_Count, ...], Field(min_length=1, max_length=100)]


class Look(BaseModel):
    """One look: what it was taken on, and every verdict after it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    look: _Count
    seeds: _Count
    level: float
    trials: _Count
    """That were trained for it and the looks before."""
    evidence: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Of the trials' test scores: see `evidence`."""
    decisions: tuple[Decision, ...]


class Looks(NamedTuple):
    """Of one claim. `seeds` is empty where none are planned."""

    seeds: tuple[int, ...] = ()
    taken: tuple[Look, ...] = ()

    @property
    def last(self) -> tuple[Decision, ...]:
        """Every verdict after the last look."""
        return self.taken[-1].decisions if self.taken else ()


def looks_of(study: Study, digest: str) -> Looks:
    """The looks at the claim with this hash. Raises `InputError` for what is kept of them and is none."""
    found = read_registrations(study.path)
    try:
        planned = [Planned.model_validate(entry.content) for entry in found.of(digest, "looks")]
        taken = [Look.model_validate(entry.content) for entry in found.of(digest, "look")]
    except ValidationError:
        raise InputError(f"the looks that '{study.path}' keeps are none: another version wrote them") from None
    if [look.look for look in taken] != list(range(1, len(taken) + 1)) or len(planned) > 1:
        raise InputError(f"the looks that '{study.path}' keeps do not follow each other: see `ablate verify`")
    return Looks(planned[0].seeds if planned else (), tuple(taken))


def entry_of_plan(digest: str, seeds: Sequence[int], by: str) -> Entry:
    return Entry(kind="looks", claim=digest, at=now(), by=by[:200], content=Planned(seeds=tuple(seeds)).model_dump())


def entry_of_look(digest: str, look: Look, by: str) -> Entry:
    content = look.model_dump(mode="json") | {"decisions": [one._asdict() for one in look.decisions]}
    return Entry(kind="look", claim=digest, at=now(), by=by[:200], content=content)


def evidence(study: Study, keys: Iterable[str]) -> str:
    """A hash of the test scores of these trials, as their folders' checksums have them; one that is not there counts
    as such."""
    found = {}
    for key in sorted(keys):
        sums = (study.checksums(key) or {}) if study.record(key) is not None else {}
        found[key] = sums.get("images.parquet", "")
    return sha256(json.dumps(found, sort_keys=True).encode())


def by_task(decisions: Iterable[Decision]) -> dict[str, list[Decision]]:
    """The decisions on each data set."""
    found: dict[str, list[Decision]] = {}
    for decision in decisions:
        found.setdefault(decision.task, []).append(decision)
    return found


def sentences(looks: Looks) -> list[str]:
    """What the looks came to, a sentence a data set; none where none was taken."""
    if not looks.taken:
        return []
    last = looks.taken[-1]
    plan = ", ".join(map(str, looks.seeds))
    said = []
    for task, decisions in by_task(last.decisions).items():
        left = [decision.name for decision in decisions if not decision.look]
        undecided = f", {listing(left, 4)} undecided" if left else ""
        said.append(
            f"On {task}, looked at {several(last.look, 'time')} of {len(looks.seeds)} ({plan} seeds; either error 5 % "
            f"over all looks), the claim is {outcome(decisions)}{undecided}."
        )
    return said
