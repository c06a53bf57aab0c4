"""Files in which searches remember, a sealed line of JSON each; see `ablate.study.sealed_lines`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ablate.errors import InputError
from ablate.files import read_regular
from ablate.study.sealed_lines import append_line, read_lines

T = TypeVar("T")


def read_remembered(file: Path, parse: Callable[[bytes], T], *, of_earlier_versions: bool = False) -> list[T]:
    """The lines of `file`, parsed; none if there is no file. A last line that a kill cut short is not there.

    Args:
        parse: raises `ValueError` for what is no such line.
        of_earlier_versions: a line may have no seal.

    Raises `InputError` for any other damage.
    """
    try:
        found = read_lines(read_regular(file), of_earlier_versions=of_earlier_versions)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"'{file}' cannot be read: {error.strerror}") from None
    try:
        if found.damaged:
            raise ValueError(f"line {found.damaged[0]}")
        return [parse(line) for line in found.lines]
    except ValueError:  # of pydantic too
        raise InputError(f"'{file}' is damaged: delete it to search anew; trained trials are kept") from None


def remember(file: Path, line: str) -> None:
    """Add a line of JSON to `file`, for good."""
    file.parent.mkdir(parents=True, exist_ok=True)
    append_line(file, line.encode())
