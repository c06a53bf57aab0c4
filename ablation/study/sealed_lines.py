"""Lines of JSON that carry their own checksum: what is appended to, and can be damaged in the middle."""

from __future__ import annotations

from ablate.study.trial_folder import sha256

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
