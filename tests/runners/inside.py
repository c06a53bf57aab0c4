"""Runs a command within this process, where a process of its own would prove nothing more."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from ablate.runners.cli.main import _run


class Ended(NamedTuple):
    """The exit code, standard output, and the one line of an error."""

    code: int
    out: str
    line: str


def inside(capsys: pytest.CaptureFixture[str], *arguments: str) -> Ended:
    capsys.readouterr()
    code, line = _run(list(arguments))
    return Ended(code, capsys.readouterr().out, line)
