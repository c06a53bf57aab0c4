"""The options that every command has: how much it says, and whether in colour. They may be given before it, too."""

from __future__ import annotations

from typing import Any

import click

from ablate.runners.cli import output


def _quiet(context: click.Context, option: click.Parameter, asked: bool) -> None:
    output.MANNER.quiet |= asked


def _plain(context: click.Context, option: click.Parameter, asked: bool) -> None:
    output.MANNER.plain |= asked


def options() -> list[click.Option]:
    """Each takes effect as soon as it is read, and is no argument of the command."""
    common: dict[str, Any] = {"is_flag": True, "expose_value": False, "is_eager": True}
    return [
        click.Option(
            ["-q", "--quiet"], callback=_quiet, help="Say nothing but errors and what was asked for.", **common
        ),
        click.Option(["--no-color"], callback=_plain, help="No colours and no bold text; as does NO_COLOR.", **common),
    ]


def with_options(command: click.Command) -> click.Command:
    """The same command, which has these options if it had not; of a group, all of its commands."""
    if not any(option.name == "quiet" for option in command.params):
        command.params += options()
    if isinstance(command, click.Group):
        for one in command.commands.values():
            with_options(one)
    return command
