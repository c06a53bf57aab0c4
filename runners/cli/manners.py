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


def _stands_for(option: click.Option) -> str | None:
    """What a value is called in the help: by its option's name where click says that it is text; N a whole number, X
    another."""
    if option.is_flag or option.count:
        return None
    if isinstance(option.type, click.types.IntParamType):
        return "N"
    if isinstance(option.type, click.types.FloatParamType):
        return "X"
    return option.opts[0].strip("-").upper() if isinstance(option.type, click.types.StringParamType) else None


def with_options(command: click.Command) -> click.Command:
    """The same command, which has these options if it had not; of a group, all of its commands."""
    if not any(option.name == "quiet" for option in command.params):
        for option in command.params:
            if isinstance(option, click.Option) and option.metavar is None:
                option.metavar = _stands_for(option)
        command.params += options()
    if isinstance(command, click.Group):
        for one in command.commands.values():
            with_options(one)
    return command
