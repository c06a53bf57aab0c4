"""Lines of JSON that carry their own checksum: what is only ever appended to, and can be damaged in the middle."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from ablate.files import open_in_place, sha256

_OPENS = b'{"seal":"'
_DIGITS = 16
"""Of the SHA-256 of the line without its seal."""


def seal(line: bytes) -> bytes:
    """A JSON object, which is not empty, with its seal as the first of its fields."""
    return _OPENS + sha256(line)[:_DIGITS].encode() + b'",' + line[1:]


def unseal(line: bytes) -> bytes:
    """The object as it was sealed; one without a seal, of an earlier version, as it is.

    Raises `ValueError` where it is not what was written.
    """
    if not line.startswith(_OPENS):
        return line
    digest, content = line[len(_OPENS) :][:_DIGITS], b"{" + line[len(_OPENS) + _DIGITS + 2 :]
    if digest.decode("ascii", "replace") != sha256(content)[:_DIGITS]:
        raise ValueError("the line is not what was written")
    return content


class Lines(NamedTuple):
    """The lines of a file as they were sealed, in order. `damaged`: the numbers of others, counted from 1."""

    lines: list[bytes]
    damaged: list[int]


def read_lines(content: bytes, *, of_earlier_versions: bool = False) -> Lines:
    """Every line of a file's content; a last one that a kill cut short is not there.

    Args:
        of_earlier_versions: a line may have no seal.
    """
    found = Lines([], [])
    for number, line in enumerate(content.split(b"\n")[:-1], 1):
        try:
            if not of_earlier_versions and not line.startswith(_OPENS):
                raise ValueError("the line has no seal")
            found.lines.append(unseal(line))
        except ValueError:
            found.damaged.append(number)
    return found


def append_line(file: Path, line: bytes) -> None:
    """Add a JSON object to a file, sealed, in place of a last line that a kill cut short: it is there for good when
    this returns, at a cost that does not grow with the file. Raises `OSError`."""
    with open_in_place(file) as lines:
        end = lines.tell()
        lines.seek(max(end - 1, 0))
        if lines.read(1) not in (b"", b"\n"):
            lines.seek(0)
            lines.truncate(lines.read().rfind(b"\n") + 1)
        lines.seek(0, os.SEEK_END)
        lines.write(seal(line) + b"\n")
        lines.flush()
        os.fsync(lines.fileno())
