"""The `ablate` command."""

from __future__ import annotations

import errno
import importlib
import os
import sys
from typing import Any

import click

from ablation.errors import Halted, InputError

_MACHINE_SAYS_NO = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)
_COMMANDS = {
    "spaces": "list the search spaces: what each asks, and how many configurations it has",
    "datasets": "list the data sets: what each is, and the files it expects",
    "plan": "price a space and reject what cannot be built, before anything is spent",
    "cost": "parameters and MACs of a network, or of a space's networks",
    "run": "train what a space asks for and a study does not have yet; then report",
    "status": "what a study has, what is running, what is missing",
    "verify": "check that a study is what was written, and set aside what is not",
    "export": "write one of a study's tables",
    "pareto": "the Pareto front of a study, printed or as an interactive page",
    "report": "write a study's report: one HTML file that works offline",
    "measure": "time a study's networks, and weigh their memory, one at a time",
    "effects": "what each level of each factor is worth, with its uncertainty",
    "claim": "judge a claim: each hypothesis supported, refuted or inconclusive",
    "table": "the results as a paper prints them: LaTeX, Markdown or CSV",
    "compare": "several studies side by side, with ranks over their data sets",
    "paper": "check the PyConvU-Net paper's published numbers",
    "confirm": "train a search's front again with fresh seeds, and judge it on test images",
    "replay": "what a search would have found in a finished study, and at what cost",
    "dashboard": "open optuna-dashboard on a study",
    "predict": "segment images with a trained trial",
}


class _Commands(click.Group):
    """Each command is a module of this package, imported only when it is called for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        return getattr(importlib.import_module(f"runners.cli.{name}"), name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            from ablation.errors import unknown

            raise unknown("command", args[0], _COMMANDS)
        return super().resolve_command(ctx, args)


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80})
@click.version_option(package_name="ablate", message="ablate %(version)s")
def ablate() -> None:
    """Find out which parts of a segmentation network earn their cost.

    \b
    Examples:
      ablate run --space pyramid_levels           a whole study, on packaged data
      ablate plan --space baselines               what it would cost
      ablate report studies/pyramid_levels-mni152-quick
    """


def main() -> None:
    """Run the command line: 0 on success; one line and 2 for bad input, 1 for a disk that is full or the like; 130 when
    interrupted."""
    try:
        code = ablate.main(standalone_mode=False)
    except InputError as error:
        _fail(str(error))
    except click.ClickException as error:
        _fail(error.format_message())
    except (KeyboardInterrupt, click.Abort):
        sys.exit(130)
    except BrokenPipeError:
        # The reader (head, less) has gone; nothing is left to say, and the interpreter must not try at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Halted as error:
        _fail(str(error), code=1)
    except OSError as error:
        if error.errno not in _MACHINE_SAYS_NO:
            raise
        _fail(f"'{error.filename}' cannot be written: {error.strerror}; no finished trial is lost", code=1)
    else:
        sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int = 2) -> None:
    click.echo(f"ablate: {' '.join(message.split())}", err=True)
    sys.exit(code)
