"""What leaves a command: text for a terminal or a pipe, and files that the user named.

Text is printed as it was written: nothing in a name is markup, and what would steer a terminal is shown instead
(`shown`). What the terminal's encoding lacks is written with other characters. Where nothing can be printed any more
(the reader of a pipe has gone, a disk is full), a command goes on without a word, for its work matters more. Data for
a pipe (`data`) stay as they are, in UTF-8.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

from ablate.analysis.format import shown
from ablate.errors import InputError
from ablate.files import kind, write_whole
from ablate.progress import told_to

if TYPE_CHECKING:
    from rich.console import Console
    from rich.padding import Padding
    from rich.progress import Progress
    from rich.table import Table

_PIPED_WIDTH = 80


class _Manner:
    """How this process speaks. `quiet`: nothing but errors and results; `plain`: without colours and bold text."""

    def __init__(self) -> None:
        self.quiet = False
        self.plain = bool(os.environ.get("NO_COLOR"))


MANNER = _Manner()


# Streams -------------------------------------------------------------------------------------------------------------

_SIMPLER = {
    "–": "-", "—": "-", "−": "-", "·": ".", "…": "...", "±": "+-", "×": "x", "≥": ">=", "≤": "<=", "→": "->",
    "²": "^2", "µ": "u", "’": "'", "“": '"', "”": '"', "†": "+", "‡": "++", "✓": "+", "✗": "x", "●": "*",
    "\N{NO-BREAK SPACE}": " ", "\N{REPLACEMENT CHARACTER}": "?", "\N{SYMBOL FOR DELETE}": "\\x7f",
}  # fmt: skip
"""The characters of the product's own words, for an encoding that lacks them."""


def _simpler(error: UnicodeError) -> tuple[str, int]:
    """The handler of encoding errors `ablate`: simpler characters, or the code of what has none."""
    assert isinstance(error, UnicodeEncodeError)

    def one(character: str) -> str:
        code = ord(character)
        if 0x2400 <= code < 0x2420:  # the picture of a control character
            return f"\\x{code - 0x2400:02x}"
        return _SIMPLER.get(character) or character.encode("ascii", "backslashreplace").decode()

    return "".join(map(one, error.object[error.start : error.end])), error.end


class _Stream(io.TextIOBase):
    """A standard stream that never fails: what cannot be written goes nowhere from then on; `unwritten` says why."""

    unwritten: OSError | None = None

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        return self._stream.errors

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    def write(self, text: str) -> int:
        with self._or_nowhere():
            self._stream.write(text)
        return len(text)

    def write_bytes(self, content: bytes) -> None:
        with self._or_nowhere():
            self._stream.flush()
            self._stream.buffer.write(content)

    def flush(self) -> None:
        with self._or_nowhere():
            self._stream.flush()

    @contextlib.contextmanager
    def _or_nowhere(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.unwritten = self.unwritten or error
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())  # for what is still in its buffer when the interpreter ends, too
            os.close(nowhere)


class _Trimmed(io.TextIOBase):
    """A stream whose lines have no spaces at their ends: rich fills them up, which a terminal does not show."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding

    def isatty(self) -> bool:
        return self._stream.isatty()

    def write(self, text: str) -> int:
        self._stream.write(re.sub(" +\n", "\n", text))
        return len(text)

    def flush(self) -> None:
        self._stream.flush()


def open_streams() -> None:
    """Make standard output and error such that printing never fails. To be called before anything is printed."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:  # closed (`>&-`): the next file that is opened would be taken for it
            os.open(os.devnull, os.O_RDWR)
    codecs.register_error("ablate", _simpler)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8"))
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="ablate")
            setattr(sys, name, _Stream(stream))


def close_streams() -> str:
    """See to it that all is written. Returns why standard output could not be, unless its reader wanted no more."""
    sys.stderr.flush()
    sys.stdout.flush()
    error = getattr(sys.stdout, "unwritten", None)
    return "" if error is None or isinstance(error, BrokenPipeError) else str(error.strerror)


# Text ----------------------------------------------------------------------------------------------------------------


def console() -> Console:
    """Standard output: as wide as the terminal, 80 columns and no colour codes when piped."""
    from ablate.runners.cli.terminal import PlainConsole

    stdout = PlainConsole(plain=MANNER.plain)
    if stdout.is_terminal:
        return stdout
    return PlainConsole(width=_PIPED_WIDTH, plain=MANNER.plain, file=cast("TextIO", _Trimmed(sys.stdout)))


def telling(*, err: bool = False) -> Console:
    """For what is said on the way to a result: standard output, or error; nowhere where a command is to be quiet."""
    from ablate.runners.cli.terminal import PlainConsole

    if MANNER.quiet:
        return PlainConsole(silent=True)
    return err_console() if err else console()


def err_console() -> Console:
    """Standard error, for what is said beside a command's results: progress, notes."""
    from ablate.runners.cli.terminal import PlainConsole

    return PlainConsole(stderr=True, plain=MANNER.plain, silent=MANNER.quiet)


def say(text: object, *, err: bool = False) -> None:
    """Print a line, not wrapped."""
    stream = sys.stderr if err else sys.stdout
    stream.write(shown(str(text), most=sys.maxsize) + "\n")
    stream.flush()


def note(text: object) -> None:
    """Print a line beside a command's results, on standard error; nothing where it is to be quiet."""
    if not MANNER.quiet:
        say(text, err=True)


def data(content: bytes) -> None:
    """Print a document: byte for byte into a pipe; on a terminal, as it can be shown."""
    if sys.stdout.isatty():
        sys.stdout.write(shown(content.decode(errors="replace"), most=sys.maxsize))
    elif isinstance(sys.stdout, _Stream):
        sys.stdout.write_bytes(content)
    else:
        sys.stdout.buffer.write(content)
    sys.stdout.flush()


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Says on a terminal what takes its time, and how far it is; nothing where standard error is piped."""
    err = err_console()
    spinner = "dots" if err.encoding.startswith("utf") else "line"

    def told(part: str, done: int, total: int) -> None:
        status.update(err.render_str(f"{what}: {part}, {done:,} of {total:,}"))

    with err.status(err.render_str(what), spinner=spinner) as status, told_to(told):
        yield


def progress() -> Progress:
    """On a terminal a bar on standard error, gone when it is full; nothing where that is piped."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    err = err_console()
    what = TextColumn("{task.description}", markup=False)
    columns = (what, BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    return Progress(*columns, console=err, transient=True, disable=not err.is_terminal)


def print_json(document: Any) -> None:
    say(json.dumps(document, indent=2, allow_nan=False))


def plain_table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    """A table without box lines: the same on a terminal and in a pipe."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return table


def indented(text: str) -> Padding:
    """A paragraph below a heading, all of its lines set in."""
    from rich.padding import Padding

    return Padding(text, (0, 0, 0, 2), expand=False)


# Files ---------------------------------------------------------------------------------------------------------------


def check_target(path: Path | None, *endings: str) -> None:
    """That `path` (of `-o`) may be written as a file of one of `endings` (".html"), to be asked before the work.

    Raises `InputError` for another ending, and as `check_place` does.
    """
    if path is None:
        return
    if path.suffix.lower() not in endings:
        known = " or ".join([", ".join(endings[:-1]), endings[-1]] if len(endings) > 1 else endings)
        raise InputError(f"-o {path}: what is written is {known}, so its name must end in that")
    check_place(path)


def check_place(path: Path) -> None:
    """That a file may be written at `path`, in place of an earlier one too.

    Raises `InputError` for what is there and is no regular file (a link, a device, a directory), for a place among a
    study's own files, and where nothing can be written.
    """
    _check_replaced(path)
    folder = next(parent for parent in path.parents if kind(parent))
    if not folder.is_dir():
        raise InputError(f"'{path}' cannot be written: '{folder}' is not a directory")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"'{path}' cannot be written: directory '{folder}' is not writable")


def write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, in place of an earlier one. Raises `InputError` where it cannot be written."""
    _check_replaced(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
    except OSError as error:
        raise InputError(f"'{path}' cannot be written: {error.strerror}") from None


def _check_replaced(path: Path) -> None:
    study = study_of(path)
    found = kind(path)
    if found not in ("", "file"):
        raise InputError(f"'{path}' is a {found}, which is not replaced: give the name of a file, or a new one")
    if study and (path.parent.resolve() != study or path.name.lower() == "measurements.json"):
        raise InputError(f"'{path}' is the study's own: write into '{study}' itself by another name, or elsewhere")


def study_of(path: Path) -> Path | None:
    """The study in whose directory `path` is. Raises `InputError` if there can be no such path."""
    from ablate.study.manifest import is_study

    try:
        path.lstat()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise InputError(f"'{path}' cannot be written: {error.strerror}") from None
    folder = path.parent.resolve()
    return next((parent for parent in (folder, *folder.parents) if is_study(parent)), None)
