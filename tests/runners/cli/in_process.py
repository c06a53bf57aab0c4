"""Commands called in the test's own process: what they print, and how they end."""

from __future__ import annotations

import contextlib
import io
import signal
from typing import NamedTuple
from unittest import mock

from ablate.runners.cli import main as cli
from ablate.runners.cli import output


class Printed(NamedTuple):
    code: int
    out: str
    err: str


def called(*arguments: object) -> Printed:
    """`ablate` with these arguments, its streams piped."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="") for _ in range(2))
    before = signal.getsignal(signal.SIGINT)
    with (
        mock.patch("sys.argv", ["ablate", *map(str, arguments)]),
        mock.patch.object(output, "MANNER", type(output.MANNER)()),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            signal.signal(signal.SIGINT, before)  # a command that has ended leaves none to the interpreter
    out.flush()
    err.flush()
    return Printed(code, out.buffer.getvalue().decode(), err.buffer.getvalue().decode())
