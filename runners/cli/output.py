"""What leaves a command: text for a terminal or a pipe, and files that the user named."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ablation.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_PIPED_WIDTH = 80


def console() -> Console:
    """Standard output: as wide as the terminal, 80 columns and no colour codes when piped."""
    from rich.console import Console

    stdout = Console(highlight=False)
    return stdout if stdout.is_terminal else Console(highlight=False, width=_PIPED_WIDTH)


def waiting(what: str) -> AbstractContextManager[object]:
    """Says on a terminal what takes its time; nothing where standard error is piped."""
    from rich.console import Console

    return Console(stderr=True).status(what)


def print_json(document: Any) -> None:
    click.echo(json.dumps(document, indent=2, allow_nan=False))


def plain_table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    """A table without box lines: the same on a terminal and in a pipe."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return table


def write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all. Raises `InputError` where it cannot be written."""
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        raise InputError(f"'{path}' cannot be written: {error.strerror}") from None
