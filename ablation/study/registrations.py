"""What was said before it was known, `claims.jsonl`: claims registered in a study, and the looks that were taken at it.

It is appended to, never rewritten. A line has its seal (`sealed_lines`) and the SHA-256 of the line before, so none can
be changed, put between or taken out without a trace; `claims.jsonl.copy` is written after it and so is the same, or,
where a kill fell between the two, one line less: what is cut off one file's end is still in the other.

That keeps it from slips and from idle hands, not from who forges both files. What must convince a stranger is the
claim's hash, kept where its author cannot change it. What a claim says is no concern of this module.
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ablate.errors import InputError
from ablate.files import kind, read_regular, sha256, write_whole
from ablate.study.locks import Locks
from ablate.study.sealed_lines import append_line, read_lines, seal
from ablate.study.set_aside import set_aside

FILE, COPY = "claims.jsonl", "claims.jsonl.copy"
_Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Entry(BaseModel):
    """A line."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["claim", "looks", "look"]
    """A claim that is registered; when it is to be looked at; what one look found."""
    claim: _Hash
    """Of the claim's canonical text."""
    at: str = Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
    """When it was written (UTC), by the clock of the machine that wrote it."""
    by: str = Field(max_length=200)
    content: dict[str, Any]
    after: _Hash | None = None
    """The hash of the line before; none of the first."""

    @property
    def when(self) -> str:
        return f"{self.at[:10]} {self.at[11:16]} UTC"


class Registrations(NamedTuple):
    """What can be believed, in the order in which it was written. `fault`: what is wrong with the files, or empty."""

    entries: tuple[Entry, ...]
    fault: str = ""
    lines: tuple[bytes, ...] = ()
    """The entries as they stand in the file, without their seals."""

    def of(self, claim: str, what: str) -> list[Entry]:
        """The entries of one kind on the claim with this hash."""
        return [entry for entry in self.entries if (entry.claim, entry.kind) == (claim, what)]


def read_registrations(study: Path) -> Registrations:
    """What was registered in a study. Never raises for what is in the files: lines that are not sound count for
    nothing, and neither do those after them."""
    own, copied = _read(study / FILE), _read(study / COPY)
    if own.lines is None and copied.lines is None:
        return Registrations(())
    file, copy = own.lines or [], copied.lines or []
    shared = next((at for at, pair in enumerate(zip(file, copy, strict=False)) if pair[0] != pair[1]), None)
    lines = max(file, copy, key=len) if shared is None else file[:shared]
    entries = tuple(Entry.model_validate_json(line) for line in lines)
    return Registrations(entries, _fault(own, copied, differ=shared is not None), tuple(lines))


def register(study: Path, entry: Entry) -> Entry:
    """Append a line, for good, after what is there. Returns it as it stands there.

    Raises `InputError` where what is there is not what was written, and `OSError`.
    """
    with Locks(study).changing():
        found = read_registrations(study)
        if found.fault and not found.fault.startswith(COPY):
            raise InputError(f"'{study / FILE}': {found.fault}; see `ablate verify {study}`, and --repair")
        whole = entry.model_copy(update={"after": sha256(found.lines[-1]) if found.lines else None})
        append_line(study / FILE, whole.model_dump_json().encode())
        write_whole(study / COPY, read_regular(study / FILE))
    return whole


def mend(study: Path) -> None:
    """Set both files aside, and write anew what can be believed."""
    with Locks(study).changing():
        found = read_registrations(study)
        for name in (FILE, COPY):
            if kind(study / name):
                set_aside(study, name, name)
        content = b"".join(seal(line) + b"\n" for line in found.lines)
        if content:
            write_whole(study / FILE, content)
            write_whole(study / COPY, content)


def now() -> str:
    """The time as an entry has it."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class _Lines(NamedTuple):
    """The lines of a file up to the first that is not sound; None where there is no file. `wrong`: which that is."""

    lines: list[bytes] | None
    wrong: int = 0


def _read(file: Path) -> _Lines:
    try:
        content = read_regular(file)
    except OSError:
        return _Lines(None)
    found: list[bytes] = []
    last: bytes | None = None
    for number, raw in enumerate(content.split(b"\n")[:-1], 1):
        lines = read_lines(raw + b"\n").lines
        try:
            entry = Entry.model_validate_json(lines[0])
        except (IndexError, ValidationError):
            return _Lines(found, number)
        if entry.after != (sha256(last) if last else None):
            return _Lines(found, number)
        last = lines[0]
        found.append(last)
    return _Lines(found)


def _fault(own: _Lines, copied: _Lines, *, differ: bool) -> str:
    """What is wrong with the two, the file's faults first."""
    if differ:
        return f"it and {COPY} say different things"
    if own.lines is None:
        return "it is missing"
    if own.wrong:
        return f"line {own.wrong} is not what was written"
    if len(copied.lines or []) > len(own.lines):
        return f"it lacks lines that {COPY} has"
    if copied.wrong or len(copied.lines or []) < len(own.lines):
        return f"{COPY} is not what {FILE} is"
    return ""
