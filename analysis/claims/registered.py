"""Whether a claim was registered before the scores that judge it, and which claims a study has registered.

A claim is known again by a hash of what it asks: its subject, its rivals, its hypotheses with their margins. Its name,
its prose and its file's layout are no part of that, nor is what it spells out that would be so anyway.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from ablate.analysis.claims.judge import select
from ablate.analysis.claims.schema import Claim
from ablate.analysis.format import several
from ablate.files import sha256
from ablate.study.registrations import Entry, now, read_registrations
from ablate.study.runs import is_key

if TYPE_CHECKING:
    from ablate.analysis.frames import Frames
    from ablate.study.study import Study

SHOWN = 12
"""Characters of a hash that people see."""


class Standing(NamedTuple):
    """How a claim stands in a study."""

    digest: str
    """SHA-256 of its canonical text."""
    entry: Entry | None = None
    """Its first registration; `None` where it has none."""
    scored: int = 0
    """Trials of its networks that had test scores then."""
    registered: int = 0
    """Claims registered in the study, this one included."""
    fault: str = ""
    """What is wrong with what was registered, or empty."""

    @property
    def before(self) -> bool:
        """Whether it was registered before the first test score of its networks."""
        return self.entry is not None and self.scored == 0

    @property
    def sentence(self) -> str:
        if self.entry is None:
            said = "Written after: it is not registered in this study"
            return f"{said} ({self.fault})." if self.fault else f"{said}."
        when = f"{self.entry.when}, by {self.entry.by}; {self.digest[:SHOWN]}"
        if self.before:
            said = f"Registered before the first test score ({when})."
        else:
            said = f"Written after: registered when {several(self.scored, 'trial')} had test scores ({when})."
        others = f" It is one of {several(self.registered, 'claim')} registered here." if self.registered > 1 else ""
        return said + others


def canonical(claim: Claim) -> str:
    """What a claim asks, as JSON: the same for claims that differ in words and layout alone."""
    fields = claim.model_dump(mode="json", exclude_defaults=True)
    names = "subject", "against", "hypotheses", "runtime", "empty"
    asked = {name: _plain(fields[name]) for name in names if name in fields}
    asked["hypotheses"] = _sorted(
        one | {"against": _sorted(one["against"])} if "against" in one else one for one in asked["hypotheses"]
    )
    if "against" in asked:
        asked["against"] = _sorted(asked["against"])
    return json.dumps(asked, sort_keys=True, separators=(",", ":"))


def digest(claim: Claim) -> str:
    return sha256(canonical(claim).encode())


def standing(study: Study, claim: Claim) -> Standing:
    """How a claim stands in a study, whatever is in its files."""
    found, own = read_registrations(study.path), digest(claim)
    first = next(iter(found.of(own, "claim")), None)
    claims = {entry.claim for entry in found.entries if entry.kind == "claim"}
    scored = first.content.get("scored") if first else 0
    return Standing(own, first, scored if isinstance(scored, int) else 1, len(claims), found.fault)


def entry_of(claim: Claim, study: Study, frames: Frames, by: str) -> Entry:
    """The registration of a claim in a study with these tables.

    A trial that cannot be read counts as scored: who could see its scores is not known.
    """
    content = {
        "claim": claim.model_dump(mode="json", exclude_defaults=True),
        "scored": scored(claim, frames) + sum(map(is_key, study.faults)),
        "trials": int((frames.trials["state"] == "complete").sum()),
    }
    return Entry(kind="claim", claim=digest(claim), at=now(), by=by[:200], content=content)


def scored(claim: Claim, frames: Frames) -> int:
    """Trials with test scores of the networks that a claim names."""
    trials = frames.trials[frames.trials["state"] == "complete"]
    rows = trials.drop_duplicates("cell")
    cells = {cell for selector in _selectors(claim) for cell in select(rows, selector)}
    return int(trials["cell"].isin(cells).sum())


def registered_claims(study: Study) -> Iterator[Claim]:
    """The claims that are registered in a study, as they were written, each once."""
    seen = set()
    for entry in read_registrations(study.path).entries:
        if entry.kind == "claim" and entry.claim not in seen:
            seen.add(entry.claim)
            try:
                claim = Claim.model_validate(entry.content.get("claim"))
            except ValidationError:
                continue  # of another version: its file can still be given
            if digest(claim) == entry.claim:
                yield claim


def _selectors(claim: Claim) -> Iterator[dict[str, Any]]:
    yield claim.subject
    yield from claim.against
    for hypothesis in claim.hypotheses:
        yield from getattr(hypothesis, "against", None) or ()
        if family := getattr(hypothesis, "family", None):
            yield family


def _plain(value: Any) -> Any:
    """Values that select are compared as text, so `32` and `"32"` are one."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else str(value)


def _sorted(items: Any) -> list[Any]:
    return sorted(items, key=lambda one: json.dumps(one, sort_keys=True))
