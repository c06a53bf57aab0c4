"""Lines of JSON that carry their own checksum: what is appended to, and can be damaged in the middle."""

from __future__ import annotations

from ablation.trial_folder import sha256

_MARK = b"\t#"


def seal(line: bytes) -> bytes:
    """A line without its end, with the start of its SHA-256 behind it."""
    return line + _MARK + sha256(line)[:16].encode()


def unseal(line: bytes) -> bytes:
    """The line as it was sealed; one without a seal, of an earlier version, as it is.

    Raises `ValueError` where it is not what was written.
    """
    content, mark, digest = line.rpartition(_MARK)
    if not mark:
        return line
    if digest.decode("ascii", "replace") != sha256(content)[:16]:
        raise ValueError("the line is not what was written")
    return content
